"""The policies in force, and what people read of them in their status."""

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster
from pipeline.decide.policy import PolicySet, read_policies
from pipeline.documents import parse_documents
from pipeline.execute.policies import PolicyBook
from tests.fakes.faults import NOON

TWO = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: a}
spec: {rules: [{priority: 10, errorCode: ["79"], actions: [{name: cordon}]}]}
---
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: b}
spec: {rules: [{priority: 10, errorCode: ["79"], actions: [{name: cordon}]}]}
"""


def _cluster() -> tuple[SimulatedCluster, PolicySet]:
    documents = parse_documents(TWO, "p.yaml")
    return SimulatedCluster(ManualClock(NOON), policies=[document.data for document in documents]), read_policies(
        documents
    )


async def test_a_tie_is_told_in_the_status_of_both_policies() -> None:
    cluster, policies = _cluster()
    await PolicyBook(policies, cluster).report()
    ties = {manifest["metadata"]["name"]: manifest["status"]["ties"] for manifest in cluster.policies()}
    assert "the former wins" in ties["a"][0]
    assert "the latter wins" in ties["b"][0]


async def test_a_tie_that_is_gone_is_taken_out_of_the_status() -> None:
    cluster, policies = _cluster()
    book = PolicyBook(policies, cluster)
    await book.report()
    book.replace(read_policies(parse_documents(TWO.replace("10", "11", 1), "p.yaml")))
    await book.report()
    assert [manifest["status"]["ties"] for manifest in cluster.policies()] == [[], []]


async def test_a_policy_that_was_deleted_meanwhile_is_passed_over() -> None:
    cluster, policies = _cluster()
    cluster.set_policies(list(cluster.policies())[1:])
    await PolicyBook(policies, cluster).report()
    (left,) = cluster.policies()
    assert left["status"]["ties"]


def test_those_who_listen_hear_of_a_replacement() -> None:
    cluster, policies = _cluster()
    book, heard = PolicyBook(policies, cluster), []
    book.on_change(lambda: heard.append(book.current))
    other = PolicySet()
    book.replace(other)
    assert heard == [other]
