"""The policies in force, how they follow the cluster's resources, and what people read of them in their status."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from pipeline.clock import ManualClock
from pipeline.cluster.memory import SimulatedCluster
from pipeline.decide.policy import PolicySet, read_policies
from pipeline.documents import parse_documents
from pipeline.errors import PermanentError, TemporaryError
from pipeline.execute.policies import PolicyBook, PolicyWatch
from tests.fakes.faults import NOON
from tests.fakes.world import gpu_node

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


class _Counting(SimulatedCluster):
    """A cluster whose API server can be away, and that counts what is written."""

    written = 0
    trouble: Exception | None = None

    async def set_policy_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        self.written += 1
        if self.trouble is not None:
            raise self.trouble
        await super().set_policy_status(kind, name, status)


def _manifest(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    head = {"apiVersion": "rescue.ksyun.com/v1", "kind": "RescuePolicy"}
    return {**head, "metadata": {"name": name}, "spec": {"rules": rules}}


CORDON: dict[str, Any] = {"priority": 5, "actions": [{"name": "cordon"}]}


def _watched(*manifests: dict[str, Any]) -> tuple[_Counting, PolicyBook, PolicyWatch, ManualClock]:
    clock = ManualClock(NOON)
    cluster = _Counting(clock, policies=manifests)
    book = PolicyBook(PolicySet(), cluster, clock)
    return cluster, book, PolicyWatch(cluster, book), clock


def _accepted(cluster: SimulatedCluster) -> dict[str, str]:
    return {each["metadata"]["name"]: each["status"]["conditions"][0]["status"] for each in cluster.policies()}


async def test_a_status_that_says_the_same_is_not_written_again() -> None:
    cluster, book, watch, clock = _watched(_manifest("a", [CORDON]))
    watch.refresh()
    await book.report()
    clock.move_to(NOON + timedelta(minutes=5))
    await book.report()
    assert cluster.written == 1


async def test_a_replica_that_leads_anew_writes_nothing_that_is_written() -> None:
    cluster, book, watch, clock = _watched(_manifest("a", [CORDON]))
    watch.refresh()
    await book.report()
    other = PolicyBook(PolicySet(), cluster, clock)
    PolicyWatch(cluster, other).refresh()
    await other.report()
    assert cluster.written == 1


async def test_an_api_server_that_is_away_ends_nothing_and_is_asked_again_after_a_minute() -> None:
    for trouble in (TemporaryError("away"), PermanentError("forbidden")):
        cluster, book, watch, clock = _watched(_manifest("a", [CORDON]), _manifest("b", [CORDON]))
        cluster.trouble = trouble
        watch.refresh()
        await book.report()
        await book.report()
        assert cluster.written == 1
        cluster.trouble = None
        clock.move_to(NOON + timedelta(minutes=1))
        await book.report()
        assert _accepted(cluster) == {"a": "True", "b": "True"}


async def test_a_label_of_no_node_is_told_and_taken_back_when_one_carries_it() -> None:
    selecting = {**CORDON, "nodeSelector": {"labels": {"pool": "train"}}}
    cluster, book, watch, clock = _watched(_manifest("a", [selecting]))
    watch.refresh()
    await book.report()
    (policy,) = cluster.policies()
    assert policy["status"]["unknownLabels"] == ["Rule 0 asks for pool=train, which no node carries today."]
    cluster.add_node(gpu_node("n", labels={"pool": "train"}))
    clock.move_to(NOON + timedelta(minutes=1))
    await book.report()
    (policy,) = cluster.policies()
    assert policy["status"]["unknownLabels"] == []


async def test_a_wrong_resource_is_reported_and_the_others_are_in_force() -> None:
    cluster, book, watch, _ = _watched(_manifest("a", [CORDON]), _manifest("b", [{"actions": [{"name": "reboot"}]}]))
    watch.refresh()
    await book.report()
    assert _accepted(cluster) == {"a": "True", "b": "False"}
    assert [rule.policy for rule in book.current.rules] == ["a", "(built-in)"]


async def test_a_good_policy_that_is_edited_into_a_wrong_one_is_out_of_force() -> None:
    cluster, book, watch, _ = _watched(_manifest("a", [CORDON]))
    watch.refresh()
    await book.report()
    cluster.set_policies([_manifest("a", [{"actions": []}])])
    watch.refresh()
    await book.report()
    assert _accepted(cluster) == {"a": "False"}
    assert [rule.policy for rule in book.current.rules] == ["(built-in)"]


async def test_a_status_alone_puts_no_other_set_in_force() -> None:
    _, book, watch, _ = _watched(_manifest("a", [CORDON]))
    watch.refresh()
    current = book.current
    await book.report()
    watch.refresh()
    assert book.current is current


async def test_what_the_book_has_not_read_yet_is_not_reported() -> None:
    cluster, book, watch, _ = _watched(_manifest("a", [CORDON]))
    watch.refresh()
    cluster.set_policies([_manifest("a", [CORDON]), _manifest("b", [CORDON])])
    await book.report()
    assert [manifest["metadata"]["name"] for manifest in cluster.policies() if "status" in manifest] == ["a"]


def test_the_global_dry_run_rehearses_resources_too() -> None:
    cluster, book, _, _ = _watched(_manifest("a", [CORDON]))
    PolicyWatch(cluster, book, rehearsed=True).refresh()
    assert book.current.dry_run


async def test_the_watch_follows_the_resources() -> None:
    cluster, book, watch, _ = _watched()
    running, replaced = asyncio.create_task(watch.run()), asyncio.Event()
    await asyncio.sleep(0)
    book.on_change(replaced.set)
    cluster.set_policies([_manifest("a", [CORDON])])
    async with asyncio.timeout(5):
        await replaced.wait()
    assert book.current.rules[0].policy == "a"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def test_those_who_listen_hear_of_a_replacement() -> None:
    cluster, policies = _cluster()
    book, heard = PolicyBook(policies, cluster), []
    book.on_change(lambda: heard.append(book.current))
    other = PolicySet()
    book.replace(other)
    assert heard == [other]
