"""The proof of a reboot, and the time in which it must come: pure functions of the node and of what was remembered."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pipeline.decide.boots import same_boot
from pipeline.execute.actions.port import UNCORDONED, Done, Fail, Wait
from pipeline.model.node import Node
from pipeline.model.rescue import BOOT_ID, REBOOTED_AT, FailReason

GPUS = "gpus"
"""Memo: how many GPUs must be allocatable after the reboot; there with `BOOT_ID`, as `INTENDED_AT` is."""

INTENDED_AT = "intended_at"
"""Memo: when the intent was made, before anything was asked of the machine."""

TRIED_AT = "tried_at"
"""Memo: when the reboot was asked for and the answer was lost."""

ASKED_AT = "asked_at"
"""Memo: when the reboot was first known to be accepted."""

POLL = timedelta(seconds=10)
_GPU_COUNT_LABEL = "nvidia.com/gpu.count"


def expected_gpus(node: Node) -> int:
    """Return how many GPUs must be allocatable when the node is whole: its capacity or its label, whichever is more.

    The label, of NVIDIA's GPU feature discovery, counts a GPU that is missing at the moment. It counts nothing where
    the resource `nvidia.com/gpu` is not there at all: with the MIG strategy `mixed` others take its place.
    """
    label = node.labels.get(_GPU_COUNT_LABEL, "")
    return max(node.gpus, int(label) if label.isdecimal() else 0) if node.gpus else 0


def new_boot(node: Node, memo: Mapping[str, str]) -> bool:
    """Whether the boot that was to end has ended; a node that shows no boot id tells nothing."""
    return bool(node.boot_id) and not same_boot(node.boot_id, memo[BOOT_ID])


def overdue(memo: Mapping[str, str], timeout: timedelta, now: datetime) -> bool:
    """Whether the time for the proof is over.

    It runs from what the machine was last known, or thought, to do: from the acceptance; if nobody knows of one, from
    the first sight of the new boot, from the asking whose answer was lost, or from the intent.
    """
    known = (memo[key] for key in (ASKED_AT, REBOOTED_AT, TRIED_AT, INTENDED_AT) if key in memo)
    return now >= datetime.fromisoformat(next(known)) + timeout


def of_whole_node(node: Node, memo: Mapping[str, str], timeout: timedelta, now: datetime) -> Done | Fail | Wait:
    """Say whether the node, whose new boot was seen, has come back whole: Ready and with all its GPUs."""
    wanted = int(memo[GPUS])
    if new_boot(node, memo) and node.ready and node.gpus_allocatable >= wanted:
        told = f"{node.name} has rebooted and is Ready with {node.gpus_allocatable} GPUs"
        details: dict[str, str | int | bool] = {
            "boot_id_before": memo[BOOT_ID],
            "boot_id_after": node.boot_id,
            "gpus": node.gpus_allocatable,
        }
        if node.unschedulable:
            return Done(told, details)
        return Done(f"{told}; {_stands(node)}", {**details, UNCORDONED: True})
    if not overdue(memo, timeout, now):
        return Wait(POLL)
    state = "Ready" if node.ready else "not Ready"
    return Fail(
        FailReason.REBOOT_TIMEOUT,
        f"{node.name} has rebooted but is {state} with {node.gpus_allocatable} of {wanted} GPUs allocatable; "
        f"{_stands(node)}",
        {"gpus": node.gpus_allocatable, "gpus_expected": wanted},
    )


def of_new_boot(node: Node, memo: Mapping[str, str], timeout: timedelta, now: datetime) -> Fail | Wait:
    """Say whether to wait longer for a new boot, of a node that may have been told to reboot and shows none yet."""
    if not overdue(memo, timeout, now):
        return Wait(POLL)
    if ASKED_AT in memo:
        return Fail(FailReason.REBOOT_TIMEOUT, f"{node.name} was told to reboot and has not; {_stands(node)}")
    return Fail(
        FailReason.REBOOT_UNCERTAIN,
        f"nobody knows whether {node.name} was told to reboot, and it has not; {_stands(node)}",
    )


def _stands(node: Node) -> str:
    """Once the reboot may have been asked for, a person's uncordon cancels nothing; but it stands, and is told."""
    return "it stays cordoned until a person looks" if node.unschedulable else "somebody has uncordoned it meanwhile"
