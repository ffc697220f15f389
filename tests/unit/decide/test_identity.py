"""What makes two lines the same fault, and what an incident is called."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.identity import key_of
from pipeline.decide.incidents import incident_name
from pipeline.model.fault import Lookup, NodeFault, RecoveryAction
from tests.fakes.faults import NOON, fault, line, node_fault
from tests.fakes.incidents import (
    MICROSECOND,
    NETIR,
    SECOND,
    seen,
)
from tests.fakes.places import machine_in


def test_the_name_of_an_incident_says_what_it_is_about() -> None:
    assert re.fullmatch(r"gpu-1-xid-79-[0-9a-f]{8}", incident_name(seen()))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(seen(), True, id="the same line"),
        pytest.param(seen(lookup=Lookup.UNKNOWN, boot_id="b"), True, id="whatever is known of the node"),
        pytest.param(seen(inferred=True), True, id="the other form of a fall"),
        pytest.param(seen(pid=7, message="other"), True, id="the same fault in the same moment"),
        pytest.param(seen(48), False, id="another code"),
        pytest.param(seen(at=MICROSECOND), False, id="another moment"),
        pytest.param(seen(node="gpu-2"), False, id="another node"),
        pytest.param(seen(node="GPU-1"), False, id="a node that is written the same way in a name"),
        pytest.param(seen(kind="sxid"), False, id="another kind"),
        pytest.param(seen(pci="0000:86:00"), False, id="another GPU"),
        pytest.param(seen(pci=None, device="nvswitch0"), False, id="a device"),
        pytest.param(seen(companion=True), False, id="a companion of the same second"),
        pytest.param(seen(severity_word="Fatal"), False, id="another severity of the same second"),
        pytest.param(seen(caused_by_xid=48), False, id="a consequence of the same second"),
        pytest.param(seen(nvlink5=NETIR), False, id="a sub-code of the same second"),
        pytest.param(seen(recovery_action=RecoveryAction("a", "b", 2)), False, id="a verdict of the same second"),
    ],
)
def test_the_name_is_the_same(other: NodeFault, same: bool) -> None:
    assert (incident_name(other) == incident_name(seen())) is same


def test_a_drill_and_a_real_fault_of_one_second_have_two_names() -> None:
    assert incident_name(seen(nvlink5=NETIR)) != incident_name(seen(nvlink5=replace(NETIR, injected=True)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"nvlink5": NETIR}, {"nvlink5": replace(NETIR, subcode="RLW_CTRL")}, id="two sub-codes"),
        pytest.param({"severity_word": "Correctable"}, {"severity_word": "Non-fatal"}, id="two words for its severity"),
        pytest.param({"recovery_action": RecoveryAction("a", "b", 2)}, {}, id="a verdict and none"),
    ],
)
def test_what_a_policy_can_tell_apart_is_never_one_fault(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key_of(seen(149, **one), None) != key_of(seen(149, **other), None)
    assert key_of(seen(149, **one), None) == key_of(seen(149, at=SECOND, **one), None)


def test_the_position_stands_for_a_missing_time() -> None:
    def at(position: str, received: timedelta) -> NodeFault:
        return node_fault(fault=fault(line=line(time=None, position=position)), time=NOON + received)

    assert incident_name(at("a:1", timedelta(0))) == incident_name(at("a:1", SECOND))
    assert incident_name(at("a:1", timedelta(0))) != incident_name(at("a:2", timedelta(0)))


@given(st.text(max_size=90), st.text(min_size=1, max_size=40), st.integers(0, 99_999))
def test_every_name_is_a_dns_label(node: str, kind: str, code: int) -> None:
    name = incident_name(seen(code, node=node, kind=kind))
    assert len(name) <= 63
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)


def test_a_long_node_name_is_cut_to_the_longest_label() -> None:
    assert len(incident_name(seen(node="n" * 80))) == 63


@pytest.mark.parametrize(
    ("found", "name"),
    [
        pytest.param(seen(), "gpu-1-xid-79-NAME", id="an Xid"),
        pytest.param(seen(node="X-Rack.1_X"), "x-rack-1-x-xid-79-NAME", id="a node whose name is no label"),
        pytest.param(seen(node=f"{'n' * 43}-{'m' * 20}"), f"{'n' * 43}-mmm-xid-79-NAME", id="a node that is cut"),
        pytest.param(seen(node=f"{'n' * 46}-{'m' * 20}"), f"{'n' * 46}-xid-79-NAME", id="a node cut at a dash"),
        pytest.param(seen(node="é"), "unnamed-xid-79-NAME", id="a node without a letter"),
        pytest.param(seen(kind="x" * 20 + "y"), f"gpu-1-{'x' * 20}-79-NAME", id="a kind that is cut"),
        pytest.param(seen(kind="-" + "x" * 20), f"gpu-1-{'x' * 20}-79-NAME", id="a kind that fits without its mark"),
        pytest.param(seen(kind="x" * 19 + "-y"), f"gpu-1-{'x' * 19}-79-NAME", id="a kind cut at a dash"),
        pytest.param(seen(kind="-Later 2-"), "gpu-1-later-2-79-NAME", id="a kind with marks around it"),
    ],
)
def test_the_name_is_made_of_labels(found: NodeFault, name: str) -> None:
    assert incident_name(found)[:-8] == name.removesuffix("NAME")


def test_replicas_and_versions_agree_on_the_name_wherever_they_run() -> None:
    """Two replicas that read one line make one rescue, also across an upgrade: this name must never change."""
    with machine_in("Asia/Shanghai"):
        assert incident_name(seen()) == "gpu-1-xid-79-523e8d30"
