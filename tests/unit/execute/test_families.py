"""What one failure leads to, told by several faults: one incident, one rescue, and every count exact."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.decide.guards import GuardSettings
from pipeline.execute.ecs import stamp
from pipeline.execute.records import records
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.plan import ActionName
from pipeline.model.rescue import Status
from sinks.base import Record
from sinks.schema import record_schema
from tests.fakes.faults import NOON
from tests.fakes.intake import OFF_THE_BUS, REBOOT_79, Inside
from tests.fakes.world import World, gpu_node

SECOND = timedelta(seconds=1)
MOMENT = timedelta(milliseconds=100)
SETTLE = timedelta(seconds=2)
SCHEMA = Draft202012Validator(record_schema())
REBOOT_154 = REBOOT_79.replace('["79"]', '["154:2"]')
VERDICT = "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"
SXID = "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, "


def xid(code: int, pci: str = "0000:3b:00", more: str = "") -> str:
    return f"NVRM: Xid (PCI:{pci}): {code}, pid=7, name=python3, what happened{more}"


class Failing(Inside):
    """An intake whose rescues settle, as they do by default."""

    def __init__(self, policies: str = REBOOT_154, **given: Any) -> None:
        super().__init__(policies, settle=SETTLE, **given)

    async def take_all(self, *texts: str, start: datetime = NOON, **given: Any) -> None:
        for number, text in enumerate(texts):
            await self.take(text, start + MOMENT * number, **given)

    def incidents_told(self) -> list[dict[str, Any]]:
        parts = [record.document["gpu_rescue"] for record in self.world.sink.records]
        return [part["incident"] for part in parts if "incident" in part]

    def counts(self) -> dict[int, int]:
        return {member.fault.fault.code: member.count for member in self.rescue().members}


class Deletable(MemoryStore):
    """Lets people delete, as `kubectl delete rescue` does."""

    def delete(self, name: str) -> None:
        gone = self._rescues.pop(name)
        self._open.pop(name, None)
        self._by_node[gone.node] = [one for one in self._by_node[gone.node] if one.name != name]


def assert_valid(found: list[Record]) -> None:
    problems = [error.message for record in found for error in SCHEMA.iter_errors(record.document)]
    assert problems == []


async def test_all_that_follows_from_a_double_bit_error_is_one_incident_led_by_the_worst() -> None:
    inside = Failing()
    await inside.take_all(xid(48), xid(63), xid(64), xid(94), xid(95), VERDICT)
    rescue = inside.rescue()
    assert (rescue.cause.fault.code, rescue.count) == (154, 6)
    assert (rescue.first_seen, rescue.last_seen) == (NOON, NOON + 5 * MOMENT)
    assert [action.name for action in rescue.plan.actions][-2:] == [ActionName.REBOOT, ActionName.UNCORDON]
    assert inside.told("action") == [
        "fault-detected", "rescue-planned", *["fault-joined"] * 5, "rescue-escalated",
    ]  # fmt: skip
    assert inside.told("reason")[2:7] == ["no-rescue-needed", None, "no-rescue-needed", None, None]
    incident = inside.incidents_told()[-1]
    assert (incident["name"], incident["lead"], incident["count"]) == (rescue.name, "xid 154", 6)
    assert (incident["first_seen"], incident["last_seen"]) == (stamp(NOON), stamp(NOON + 5 * MOMENT))
    assert [member["code"] for member in incident["members"]] == [48, 63, 64, 94, 95, 154]
    await inside.world.run()
    assert inside.statuses == [Status.SUCCEEDED]
    assert not inside.world.cluster.nodes()["gpu-1"].unschedulable
    assert_valid(inside.world.sink.records)


async def test_each_joined_fault_is_recorded_with_its_own_line_and_decision() -> None:
    inside = Failing()
    await inside.take_all(xid(48), xid(63), xid(95))
    told = [record.document for record in inside.world.sink.records[2:]]
    assert [body["log"]["original"] for body in told] == [xid(63), xid(95)]
    assert [body["gpu_rescue"]["fault"]["code"] for body in told] == [63, 95]
    assert [body["gpu_rescue"]["decision"]["outcome"] for body in told] == ["skip", "plan"]
    assert all(body["gpu_rescue"]["decision"]["considered"] for body in told)
    assert [body["gpu_rescue"]["incident"]["lead"] for body in told] == ["xid 48", "xid 48"]
    assert [body["event"]["kind"] for body in told] == ["alert", "alert"]


async def test_a_record_that_is_made_again_later_is_the_same_to_the_byte() -> None:
    inside = Failing()
    early: list[Record] = []
    for number, text in enumerate((xid(63), xid(48), xid(94), VERDICT, xid(48), xid(63), xid(63), xid(45), VERDICT)):
        await inside.take(text, NOON + MOMENT * number)
        if inside.world.store.all():
            now = records(inside.rescue())
            assert now[: len(early)] == early
            early = now
    await inside.world.run()
    assert records(inside.rescue())[: len(early)] == early


async def test_a_fault_that_led_to_nothing_belongs_to_the_incident_that_the_next_one_leads() -> None:
    inside = Failing()
    await inside.take_all(xid(63), xid(63), xid(63), xid(48))
    rescue = inside.rescue()
    assert rescue.name.startswith("gpu-1-xid-48-")
    assert (rescue.cause.fault.code, rescue.count, rescue.first_seen) == (48, 4, NOON)
    assert inside.told("action") == [
        "fault-detected", "fault-skipped", "fault-repeated", "fault-detected", "rescue-planned", "fault-joined",
    ]  # fmt: skip
    await inside.take_all(xid(63), start=NOON + SECOND)
    assert inside.counts() == {48: 1, 63: 4}
    await inside.intake.flush()
    assert inside.counts() == {48: 1, 63: 4}
    assert inside.rescue().count == 5
    assert_valid(inside.world.sink.records)


async def test_of_faults_that_lead_to_nothing_the_second_names_the_incident() -> None:
    inside = Failing()
    await inside.take_all(xid(63), xid(94))
    await inside.take_all(xid(94), start=NOON + SECOND)
    first = inside.world.sink.records[0]
    assert [part["name"] for part in inside.incidents_told()] == [first.id.split("/")[0]] * 3
    assert inside.incidents_told()[-1]["lead"] == "xid 94"
    assert [member["count"] for member in inside.incidents_told()[-1]["members"]] == [1, 2]
    assert "incident" not in first.document["gpu_rescue"]
    assert_valid(inside.world.sink.records)


async def test_what_comes_when_the_first_step_has_started_has_a_rescue_of_its_own_that_is_folded() -> None:
    inside = Failing(REBOOT_154)
    await inside.take(xid(95))
    inside.world.clock.move_to(NOON + SETTLE)
    await inside.world.executor.tick()
    await inside.intake.handle(inside.line(VERDICT, NOON + SECOND))
    await inside.world.run()
    assert len(inside.world.store.all()) == 2
    assert inside.world.cluster.nodes()["gpu-1"].unschedulable


async def test_what_leads_to_nothing_joins_a_rescue_that_is_under_way() -> None:
    inside = Failing(REBOOT_79)
    await inside.take(OFF_THE_BUS)
    await inside.world.run(NOON + 10 * SECOND)
    assert inside.rescue().begun
    for second in range(11, 31):
        await inside.take(xid(45), NOON + second * SECOND)
    await inside.intake.flush()
    assert inside.counts() == {79: 1, 45: 20}
    assert inside.rescue().cause.fault.code == 79


async def test_after_the_end_it_is_recorded_with_the_name_of_the_incident() -> None:
    inside = Failing(REBOOT_79.replace('["79"]', '["1"]'))
    await inside.take(OFF_THE_BUS)
    await inside.world.run(NOON + 10 * SECOND)
    assert inside.statuses == [Status.SUCCEEDED]
    await inside.take(xid(45), NOON + 20 * SECOND)
    assert inside.told("action")[-2:] == ["fault-detected", "fault-skipped"]
    assert inside.incidents_told()[-1]["name"] == inside.rescue().name
    assert inside.rescue().count == 1


async def test_a_family_whose_rescue_somebody_deleted_gets_another_one() -> None:
    store = Deletable()
    inside = Failing(world=World(store=store))
    await inside.take(xid(48))
    store.delete(inside.rescue().name)
    await inside.take(VERDICT, NOON + SECOND)
    assert inside.rescue().cause.fault.code == 154


async def test_a_link_that_fails_at_both_ends_is_one_incident() -> None:
    inside = Failing()
    await inside.take_all(
        xid(74), xid(74, "0000:86:00"), f"{SXID}Fatal, Link 32 Egress", f"{SXID}Severity 1 Engine instance 32"
    )
    assert [(one.fault.fault.code, one.fault.fault.pci) for one in inside.rescue().members] == [
        (74, "0000:3b:00"), (74, "0000:86:00"), (20034, "0000:05:00"),
    ]  # fmt: skip


async def test_an_sxid_with_its_severity_and_its_data_is_one_fault() -> None:
    inside = Failing()
    await inside.take_all(
        f"{SXID}Fatal, Link 30 LTSSM Fault Up", f"{SXID}Severity 1 Engine instance 30 Sub-engine instance 00",
        f"{SXID}Data {{0x1, 0x0}}",
    )  # fmt: skip
    assert (inside.rescue().count, len(inside.rescue().members)) == (1, 1)


@pytest.mark.parametrize("numbered_first", [True, False])
async def test_a_fall_in_three_lines_and_with_its_number_is_one_fault(numbered_first: bool) -> None:
    inside = Failing(REBOOT_79)
    three = (
        "NVRM: The NVIDIA GPU 0000:3b:00.0",
        "NVRM: (PCI ID: 10de:26b5) installed in this system has",
        "NVRM: fallen off the bus and is not responding to commands.",
    )
    await inside.take_all(*((OFF_THE_BUS, *three) if numbered_first else (*three, OFF_THE_BUS)), xid(45))
    assert inside.counts() == {79: 1, 45: 1}


async def test_drills_and_real_faults_are_never_one_incident() -> None:
    inside = Failing()
    await inside.take_all(f"gpu-rescue-drill: {xid(48)}", xid(95))
    drill, real = inside.world.store.all()
    assert (drill.dry_run, real.dry_run) == (True, False)
    assert (len(drill.members), len(real.members)) == (1, 1)


async def test_a_storm_of_one_line_is_one_member_with_a_count() -> None:
    inside = Failing()
    await inside.take_all(xid(48), *[xid(63)] * 300)
    await inside.intake.flush()
    assert inside.counts() == {48: 1, 63: 300}
    assert inside.rescue().count == 301
    assert inside.told("action").count("fault-repeated") == 9


async def test_45s_over_many_nodes_are_counted_in_the_incident_that_they_follow() -> None:
    names = [f"gpu-{number}" for number in range(12)]
    world = World([gpu_node(name) for name in names], guards=GuardSettings(max_nodes=99, max_percent=100))
    inside = Failing(REBOOT_79, world=world)
    for name in names:
        await inside.take(OFF_THE_BUS, NOON, node=name)
    for second in range(50):
        for name in names:
            await inside.take(xid(45), NOON + second * SECOND / 10, node=name)
    await inside.intake.flush()
    assert [(one.node, one.count, len(one.members)) for one in world.store.all()] == [
        (name, 51, 2) for name in sorted(names)
    ]


async def test_two_replicas_that_see_a_half_each_end_with_one_incident_and_one_reboot() -> None:
    one = Failing()
    other = Failing(world=one.world)
    await one.take(xid(95))
    await other.take(VERDICT, NOON + SECOND)
    await one.world.run()
    whole, half = one.world.store.all()
    assert [member.fault.fault.code for member in whole.members] == [95, 154]
    assert (whole.status, half.status, whole.count) == (Status.SUCCEEDED, Status.CANCELLED, 2)
    assert len(one.world.cluster.reboots) == 1
    assert not one.world.cluster.nodes()["gpu-1"].unschedulable


async def test_counts_of_a_half_that_was_taken_over_go_to_the_rescue_that_goes_on() -> None:
    one = Failing()
    other = Failing(world=one.world)
    await one.take(xid(95))
    await other.take(VERDICT, NOON + SECOND)
    await one.world.run(NOON + 5 * SECOND)
    await other.intake.handle(other.line(VERDICT, NOON + 1.5 * SECOND))
    whole, half = one.world.store.all()
    assert (whole.count, half.count) == (3, 1)


async def test_three_reboots_in_vain_are_counted_whoever_led_the_incident() -> None:
    """The 154 leads to nothing by itself here, and leads the incident: what the 48 asked for counts all the same."""
    inside = Failing(REBOOT_79.replace('["79"]', '["48"]'))
    for _ in range(5):
        start = inside.world.clock.now() + timedelta(minutes=30)
        await inside.take_all(xid(48), VERDICT, start=start)
        await inside.world.run()
    assert len(inside.world.cluster.reboots) == 3
    assert inside.world.cluster.nodes()["gpu-1"].labels["rescue.ksyun.com/offline"] == "true"
