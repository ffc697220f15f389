"""The command of the pod that reboots a node: run for real, on a machine that only notes what it is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import PermanentError
from pipeline.rebooters.none import NoRebooter
from pipeline.rebooters.pod_manifest import is_of, pod
from pipeline.rebooters.port import Asked
from pipeline.rebooters.settings import NoRebooterConfig, PodRebooterConfig, RebooterConfig
from tests.fakes.machine import Machine
from tests.fakes.world import gpu_node

NODE = gpu_node(boot_id="boot-1")
CONFIG = PodRebooterConfig(type="pod", image="busybox", valid=timedelta(minutes=10), patience=timedelta(minutes=3))
SYSTEMCTL = "-t 1 -m -u -i -n -p -- systemctl reboot"


def _pod(asked: timedelta = timedelta(0), **changed: Any) -> Any:
    return pod("one-reboot", NODE, "one-reboot", CONFIG.model_copy(update=changed), datetime.now(UTC) - asked)


def test_the_machine_is_asked_first_and_its_kernel_told_if_that_has_not_helped(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(_pod(), "boot-1")
    assert machine.told("nsenter") == [SYSTEMCTL]
    assert machine.told("sleep") == ["180", "5"]
    assert machine.rebooted


@pytest.mark.parametrize(
    ("asked", "boot_id", "says"),
    [
        pytest.param(timedelta(0), "boot-2", "this is boot boot-2, not boot-1", id="in another boot"),
        pytest.param(timedelta(0), "", "this is boot , not boot-1", id="in no boot that can be told"),
        pytest.param(timedelta(minutes=10), "boot-1", "nobody waits for this reboot any more", id="too late"),
    ],
)
def test_nothing_is_rebooted(tmp_path: Path, asked: timedelta, boot_id: str, says: str) -> None:
    machine = Machine(tmp_path)
    assert says in machine.run(_pod(asked), boot_id)
    assert (machine.rebooted, machine.told("nsenter")) == (False, [])


def test_a_clock_that_cannot_be_read_reboots_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "bin" / "date").unlink()
    assert "nobody waits" in machine.run(_pod(), "boot-1")
    assert not machine.rebooted


def test_a_pod_is_of_its_request_on_its_node_alone() -> None:
    assert is_of(_pod(), NODE, "one-reboot")
    assert not is_of(_pod(), NODE, "other-reboot")
    assert not is_of(_pod(), replace(NODE, name="gpu-2"), "one-reboot")


def test_without_a_priority_class_it_has_that_of_its_namespace() -> None:
    assert "priorityClassName" not in _pod(priority_class=None)["spec"]


async def test_without_a_rebooter_a_reboot_is_refused_with_what_to_set() -> None:
    with pytest.raises(PermanentError, match=r"gpu-1 cannot be rebooted: no rebooter is set \(rebooter.type is none\)"):
        await NoRebooter().reboot(NODE, "one-reboot")
    assert await NoRebooter().asked(NODE, "one-reboot") is Asked.NO


@pytest.mark.parametrize(
    ("written", "says"),
    [
        pytest.param({"type": "pod"}, "Field required", id="no image"),
        pytest.param({"type": "pod", "image": "x", "valid": "2h"}, "at most 1h", id="too long"),
        pytest.param({"type": "pod", "image": "x", "patience": "0s"}, "more than 0s", id="no patience"),
        pytest.param({"type": "bmc"}, "'none', 'pod'", id="an unknown road"),
    ],
)
def test_settings_are_refused(written: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TypeAdapter[Any](RebooterConfig).validate_python(written)


def test_no_rebooter_is_a_setting() -> None:
    assert TypeAdapter[Any](RebooterConfig).validate_python({"type": "none"}) == NoRebooterConfig(type="none")
