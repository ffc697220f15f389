"""Intake: what follows from a line is saved and recorded before the line is given back."""

from datetime import timedelta

import pytest

from pipeline.decide.policy import read_policies
from pipeline.documents import parse_documents
from pipeline.errors import PermanentError
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.rescue import Rescue, Status
from tests.fakes.faults import NOON
from tests.fakes.faults import line as log_line
from tests.fakes.intake import APPLICATION, COMPANION, OFF_THE_BUS, REBOOT_79, Inside
from tests.fakes.world import World


async def test_a_fault_becomes_a_rescue_that_is_saved_and_recorded() -> None:
    inside = Inside()
    await inside.take(OFF_THE_BUS)
    (rescue,) = inside.world.store.open()
    assert (rescue.node, rescue.plan.policy, rescue.recorded) == ("gpu-1", "reboot", 2)
    assert inside.told("action") == ["fault-detected", "rescue-planned"]


async def test_the_same_line_delivered_again_after_a_restart_is_the_same_rescue() -> None:
    first = Inside()
    await first.take(OFF_THE_BUS)
    second = Inside(world=first.world)
    await second.take(OFF_THE_BUS)
    assert len(first.world.store.all()) == 1
    assert first.told("action") == ["fault-detected", "rescue-planned"]


async def test_after_a_restart_the_window_is_rebuilt_from_the_store() -> None:
    first = Inside()
    await first.take(OFF_THE_BUS)
    second = Inside(world=first.world)
    second.intake.restore()
    await second.take(OFF_THE_BUS, NOON + timedelta(seconds=30))
    assert [rescue.count for rescue in first.world.store.all()] == [2]


async def test_a_fault_that_needs_no_rescue_is_recorded_with_the_reason() -> None:
    inside = Inside()
    await inside.take(APPLICATION)
    assert list(inside.world.store.all()) == []
    assert inside.told("action") == ["fault-detected", "fault-skipped"]
    assert inside.told("reason") == [None, "no-rescue-needed"]


async def test_a_companion_line_adds_no_record() -> None:
    inside = Inside()
    await inside.take(OFF_THE_BUS)
    await inside.take(COMPANION, NOON + timedelta(microseconds=10))
    assert len(inside.world.store.all()) == 1
    assert len(inside.world.sink.records) == 2


async def test_a_repeat_is_counted_and_told_at_growing_intervals() -> None:
    inside = Inside()
    for second in range(100):
        await inside.take(OFF_THE_BUS, NOON + timedelta(seconds=second))
    assert inside.told("action") == ["fault-detected", "rescue-planned", *["fault-repeated"] * 6]
    await inside.intake.flush()
    (rescue,) = inside.world.store.all()
    assert (rescue.count, rescue.first_seen, rescue.last_seen) == (100, NOON, NOON + timedelta(seconds=99))
    counts = [record.document["gpu_rescue"]["fault"]["count"] for record in inside.world.sink.records]
    assert counts == [1, 1, 2, 4, 8, 16, 32, 64, 100]


async def test_repeats_of_a_skipped_fault_are_counted_the_same_way() -> None:
    inside = Inside()
    for second in range(5):
        await inside.take(APPLICATION, NOON + timedelta(seconds=second))
    await inside.intake.flush()
    counts = [record.document["gpu_rescue"]["fault"]["count"] for record in inside.world.sink.records]
    assert counts == [1, 1, 2, 4, 5]


async def test_a_count_is_told_when_the_incident_has_gone_quiet() -> None:
    inside = Inside()
    for second in range(3):
        await inside.take(APPLICATION, NOON + timedelta(seconds=second))
    await inside.intake.sweep()
    assert len(inside.world.sink.records) == 3
    inside.world.clock.move_to(NOON + timedelta(minutes=11))
    await inside.intake.sweep()
    assert inside.world.sink.records[-1].document["gpu_rescue"]["fault"]["count"] == 3


async def test_after_a_reboot_the_same_fault_is_a_new_incident() -> None:
    inside = Inside()
    await inside.take(OFF_THE_BUS)
    await inside.world.run()
    await inside.take(OFF_THE_BUS, inside.world.clock.now() + timedelta(minutes=1))
    assert inside.statuses == [Status.SUCCEEDED, Status.PENDING]


async def test_a_line_from_before_the_reboot_that_comes_after_it_is_skipped() -> None:
    inside = Inside()
    await inside.take(OFF_THE_BUS)
    await inside.world.run()
    await inside.intake.handle(log_line(APPLICATION.replace(" 13,", " 79,"), time=NOON + timedelta(seconds=5)))
    assert inside.statuses == [Status.SUCCEEDED]


async def test_a_fault_goes_on_repeating_after_a_cordon_without_a_rescue_per_line() -> None:
    inside = Inside(policies=REBOOT_79.replace('["79"]', '["48"]'))
    for minute in range(300):
        await inside.take(OFF_THE_BUS, NOON + timedelta(minutes=minute))
        await inside.world.executor.tick()
    assert inside.statuses == [Status.SUCCEEDED]


async def test_two_hours_late_everything_is_recorded_and_nothing_acted_on() -> None:
    inside = Inside()
    inside.world.clock.move_to(NOON + timedelta(hours=2))
    for second in range(10):
        await inside.intake.handle(
            log_line(OFF_THE_BUS, time=NOON + timedelta(seconds=second), node=f"gpu-{second % 2 + 1}")
        )
    await inside.intake.flush()
    assert list(inside.world.store.all()) == []
    assert inside.told("reason").count("stale") == 2


async def test_a_skipped_fault_is_decided_anew_when_the_policies_change() -> None:
    inside = Inside()
    await inside.take(APPLICATION)
    inside.policies.replace(read_policies(parse_documents(REBOOT_79.replace('["79"]', '["13"]'), "p.yaml")))
    await inside.take(APPLICATION, NOON + timedelta(seconds=5))
    assert inside.statuses == [Status.PENDING]


@pytest.mark.parametrize("node", ["gpu-9", None])
async def test_a_fault_of_an_unknown_node_is_not_lost(node: str | None) -> None:
    inside = Inside()
    await inside.take(OFF_THE_BUS, node=node)
    assert inside.told("action")[0] == "fault-detected"
    assert inside.world.sink.records[0].document["gpu_rescue"]["node"]["enriched"] is False


async def test_what_the_log_tells_of_the_gpu_is_in_the_record() -> None:
    inside = Inside()
    await inside.take("NVRM: GPU at PCI:0000:3b:00: GPU-b50e4ccf-1f2e-4d3c-9b8a-0c5f1d2e3a4b")
    await inside.take("NVRM: GPU Board Serial Number: 1650423013443")
    await inside.take(OFF_THE_BUS)
    told = inside.world.sink.records[0].document["gpu_rescue"]["fault"]
    assert told["gpu_uuid"] == "GPU-b50e4ccf-1f2e-4d3c-9b8a-0c5f1d2e3a4b"
    assert told["board_serial"] == "1650423013443"
    assert (told["name"], told["action"]) == ("ROBUST_CHANNEL_GPU_HAS_FALLEN_OFF_THE_BUS", "RESTART_BM")


async def test_a_sink_that_is_away_is_waited_for_before_the_line_is_given_back() -> None:
    inside = Inside()
    inside.world.sink.away = True
    await inside.take(OFF_THE_BUS)
    assert inside.pauses == [1.0, 2.0, 4.0]
    assert inside.told("action") == ["fault-detected", "rescue-planned"]


REBOOT_154 = REBOOT_79.replace('["79"]', '["154:2"]')
UNCONTAINED = "NVRM: Xid (PCI:0000:3b:00): 95, pid='<unknown>', name=<unknown>, Uncontained: SM"
VERDICT = "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"


async def test_a_family_of_faults_is_rescued_as_one_and_the_node_comes_back() -> None:
    """95 alone would be cordoned for good by the global policy; the driver's own verdict follows within a second."""
    inside = Inside(policies=REBOOT_154, settle=timedelta(seconds=2))
    await inside.take(UNCONTAINED)
    await inside.take(VERDICT, NOON + timedelta(milliseconds=900))
    await inside.world.run()
    assert inside.statuses == [Status.SUCCEEDED]
    assert len(inside.world.cluster.reboots) == 1
    assert not inside.world.cluster.nodes()["gpu-1"].unschedulable


async def test_a_lesser_fault_that_comes_long_before_keeps_the_node_out_and_it_is_said() -> None:
    inside = Inside(policies=REBOOT_154, settle=timedelta(seconds=2))
    await inside.take(UNCONTAINED)
    await inside.world.run()
    await inside.take(VERDICT, NOON + timedelta(minutes=1))
    await inside.world.run()
    assert inside.world.cluster.nodes()["gpu-1"].unschedulable
    assert "stays cordoned: rescue gpu-1-xid-95" in inside.world.sink.records[-1].document["message"]


class FragileStore(MemoryStore):
    """Refuses the first creation, and lets people delete."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 1

    async def create(self, rescue: Rescue) -> Rescue:
        if self.refusals:
            self.refusals -= 1
            raise PermanentError("the store says no")
        return await super().create(rescue)

    def delete(self, name: str) -> None:
        """What `kubectl delete rescue` does."""
        gone = self._rescues.pop(name)
        self._open.pop(name, None)
        self._by_node[gone.node] = [one for one in self._by_node[gone.node] if one.name != name]


async def test_a_line_whose_rescue_could_not_be_saved_can_be_handled_again() -> None:
    world = World(store=FragileStore())
    inside = Inside(world=world)
    with pytest.raises(PermanentError):
        await inside.take(OFF_THE_BUS)
    await inside.take(OFF_THE_BUS)
    assert [rescue.count for rescue in world.store.all()] == [1]


async def test_a_rescue_that_somebody_deleted_leaves_its_fault_to_be_seen_again() -> None:
    store = FragileStore()
    store.refusals = 0
    inside = Inside(world=World(store=store))
    await inside.take(OFF_THE_BUS)
    store.delete(store.all()[0].name)
    for second in (1, 2, 3):
        await inside.take(OFF_THE_BUS, NOON + timedelta(seconds=second))
    assert len(store.all()) == 1


async def test_a_fault_that_three_reboots_have_not_cured_takes_the_node_out() -> None:
    inside = Inside()
    for _ in range(5):
        await inside.take(OFF_THE_BUS, inside.world.clock.now() + timedelta(minutes=30))
        await inside.world.run()
    assert len(inside.world.cluster.reboots) == 3
    node = inside.world.cluster.nodes()["gpu-1"]
    assert (node.unschedulable, node.labels["rescue.ksyun.com/offline"]) == (True, "true")
    assert inside.told("reason")[-1] == "node-offline"
    planned = [r.document["message"] for r in inside.world.sink.records if "max_reboots" in r.document["message"]]
    assert planned == [
        "gpu-1: cordon, drain, offline, by rule 0 of policy reboot: "
        "3 reboots for the same fault within 1day have not cured it (max_reboots)"
    ]


@pytest.mark.parametrize("restarts", [False, True], ids=["to the same process", "to the next process"])
@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=3)], ids=["at once", "when it is stale"])
async def test_the_line_of_a_rescue_that_has_ended_is_not_told_of_again_when_it_is_delivered_again(
    later: timedelta, restarts: bool
) -> None:
    inside = Inside()
    await inside.take(OFF_THE_BUS)
    await inside.world.run()
    told = inside.world.actions
    assert told[-1] == "rescue-succeeded"
    inside.world.clock.move_to(inside.world.clock.now() + later)
    again = inside.restarted() if restarts else inside
    await again.intake.handle(inside.line(OFF_THE_BUS, NOON))
    await again.intake.flush()
    assert inside.world.actions == told
