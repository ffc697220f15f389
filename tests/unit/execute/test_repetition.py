"""Rules with `repeat`, from the line to the rescue: over reboots, restarts, late lines and moved GPUs."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.decide.incidents import Incidents
from pipeline.decide.policy import read_policies
from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.documents import parse_documents
from pipeline.enrich.labels import Enricher, EnrichSettings
from pipeline.errors import PermanentError
from pipeline.execute.intake import Intake
from pipeline.execute.policies import PolicyBook
from pipeline.execute.recognition import Recognition
from pipeline.execute.recorder import Recorder
from pipeline.execute.store_memory import MemoryStore
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.ownership import OFFLINE
from pipeline.model.rescue import Rescue, Status
from pipeline.settings import shipped
from tests.fakes.faults import NOON
from tests.fakes.faults import line as log_line
from tests.fakes.world import World, gpu_node

PATTERNS = load_patterns([shipped() / "patterns"])
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
HEAD = "apiVersion: rescue.ksyun.com/v1\nkind: RescuePolicy\nmetadata: {name: test}\nspec:\n  rules:\n"
REBOOT = '[{name: cordon}, {name: drain}, {name: reboot, attribute: {unCordon: "true"}}]'
THIRD_TIME = f"""{HEAD}
  - {{priority: 20, errorCode: ["79"], repeat: {{count: 3, within: 24h}}, actions: [{{name: offline}}]}}
  - {{priority: 10, errorCode: ["79"], actions: {REBOOT}}}
"""
SECOND_REMAP = f"""{HEAD}
  - {{priority: 20, errorCode: ["63"], repeat: {{count: 2, within: 24h}}, actions: [{{name: cordon}}]}}
"""
OFF_THE_BUS = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
REMAP = "NVRM: Xid (PCI:0000:3b:00): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate."
UUID = "NVRM: GPU at PCI:0000:3b:00: GPU-5ab1c0de-0000-4000-8000-00000000beef"


class Process:
    """Intake and execution over a world that outlives them."""

    def __init__(self, policies: str, world: World | None = None) -> None:
        self.world = world or World([gpu_node("gpu-1"), gpu_node("gpu-2")])
        self.policies = PolicyBook(read_policies(parse_documents(policies, "p.yaml")), self.world.cluster)
        incidents = Incidents(self.world.guards)
        self.policies.on_change(incidents.forget_skipped)
        recorder = Recorder(self.world.sink, self.world.store)
        self.intake = Intake(
            Recognition(
                Decoder(DecodeSettings()),
                Matcher(PATTERNS),
                Enricher(self.world.cluster, PATTERNS.catalogue, EnrichSettings()),
                self.world.clock,
            ),
            self.policies,
            incidents,
            self.world.store,
            recorder,
            self.world.guards,
            self.world.clock,
        )
        self.intake.restore()

    async def read(self, text: str, at: datetime, **given: Any) -> None:
        """Let a line of that time come in, late if the clock stands after it."""
        self.world.clock.move_to(max(at, self.world.clock.now()))
        await self.intake.handle(log_line(text, time=at, **{"position": at.isoformat(), "node": "gpu-1", **given}))

    @property
    def rules(self) -> list[int]:
        """By which rule of the policy each rescue is."""
        return [rescue.plan.rule for rescue in self.world.store.all() if rescue.plan.policy == "test"]


@pytest.mark.parametrize("restarts", [False, True], ids=["in one process", "with a restart after each"])
async def test_two_reboots_and_the_third_time_out_for_good(restarts: bool) -> None:
    process = Process(THIRD_TIME)
    for number in range(3):
        await process.read(OFF_THE_BUS, NOON + number * HOUR)
        await process.world.run(NOON + (number + 1) * HOUR - MINUTE)
        if restarts:
            process = Process(THIRD_TIME, process.world)
    assert process.rules == [1, 1, 0]
    assert [rescue.status for rescue in process.world.store.all()] == [Status.SUCCEEDED] * 3
    assert OFFLINE in process.world.cluster.nodes()["gpu-1"].labels


async def test_a_fault_right_after_the_reboot_is_another_one() -> None:
    process = Process(THIRD_TIME)
    for _ in range(3):
        await process.read(OFF_THE_BUS, process.world.clock.now() + MINUTE)
        while any(not rescue.status.ended for rescue in process.world.store.all()):
            await process.world.run(process.world.clock.now() + MINUTE)
    assert process.world.clock.now() < NOON + HOUR
    assert process.rules == [1, 1, 0]


async def test_after_a_day_it_begins_anew() -> None:
    process = Process(THIRD_TIME)
    for hours in (0, 1, 25):
        await process.read(OFF_THE_BUS, NOON + hours * HOUR)
        await process.world.run(NOON + hours * HOUR + HOUR - MINUTE)
    assert process.rules == [1, 1, 1]


async def test_the_record_says_which_time_it_is() -> None:
    process = Process(SECOND_REMAP)
    await process.read(REMAP, NOON)
    told = process.world.sink.records[-1].document["gpu_rescue"]["decision"]["considered"][0]["why"]
    assert told == "It names 63, but this is the 1st within 1day on this GPU, not yet the 2nd (repeat)."


async def test_a_storm_is_one_time_however_long_it_is() -> None:
    process = Process(SECOND_REMAP)
    for minutes in range(300):
        await process.read(REMAP, NOON + minutes * MINUTE)
    assert process.rules == []
    await process.read(REMAP, NOON + 311 * MINUTE)
    assert process.rules == [0]


async def test_a_storm_that_goes_on_over_a_restart_is_one_time() -> None:
    process = Process(SECOND_REMAP)
    for minutes in range(300):
        await process.read(REMAP, NOON + minutes * MINUTE)
        if minutes in (1, 140, 271):
            process = Process(SECOND_REMAP, process.world)
    assert process.rules == []


async def test_a_storm_that_goes_on_over_a_change_of_policies_is_one_time() -> None:
    process = Process(SECOND_REMAP)
    for minutes in range(30):
        await process.read(REMAP, NOON + minutes * MINUTE)
        process.policies.replace(read_policies(parse_documents(SECOND_REMAP, "p.yaml")))
    assert process.rules == []


async def test_lines_that_are_delivered_again_after_a_restart_do_not_count_again() -> None:
    process = Process(SECOND_REMAP)
    for _ in range(3):
        for minutes in (0, 1, 2):
            await process.read(REMAP, NOON + minutes * MINUTE)
        process = Process(SECOND_REMAP, process.world)
    assert process.rules == []


async def test_lines_that_come_in_any_order_count_once_each() -> None:
    process = Process(THIRD_TIME.replace('errorCode: ["79"], repeat', 'errorCode: ["63"], repeat'))
    process.world.clock.move_to(NOON + 5 * HOUR)
    for hours in (4, 0, 4):
        await process.read(REMAP, NOON + hours * HOUR)
    assert process.rules == []
    await process.read(REMAP, NOON + 5 * HOUR)
    assert process.rules == [0]


async def test_what_comes_too_late_to_act_on_counts() -> None:
    process = Process(SECOND_REMAP)
    process.world.clock.move_to(NOON + 2 * HOUR)
    await process.read(REMAP, NOON)
    assert process.rules == []
    await process.read(REMAP, NOON + 2 * HOUR)
    assert process.rules == [0]


@pytest.mark.parametrize(
    ("text", "given"),
    [
        pytest.param(REMAP, {"from_kernel": False}, id="what another program wrote"),
        pytest.param(REMAP, {"node": None}, id="what names no node"),
        pytest.param(REMAP.replace("3b:00", "5e:00"), {}, id="another GPU"),
        pytest.param(REMAP, {"node": "gpu-2"}, id="the same slot of another node"),
        pytest.param(OFF_THE_BUS, {}, id="another code"),
    ],
)
async def test_something_else_does_not_count(text: str, given: dict[str, Any]) -> None:
    process = Process(SECOND_REMAP)
    await process.read(text, NOON, **given)
    await process.read(REMAP, NOON + HOUR)
    assert process.rules == []


async def test_an_injected_fault_does_not_count() -> None:
    process = Process(SECOND_REMAP.replace('"63"', '"149"'))
    for hours in range(3):
        await process.read(
            "NVRM: Xid (PCI:0000:3b:00): 149, NETIR Fatal XC0 i1 Link -1 (0x000fe406 0x00000000)", NOON + hours * HOUR
        )
    assert process.rules == []


async def test_a_gpu_that_was_moved_to_another_node_keeps_its_history() -> None:
    process = Process(SECOND_REMAP)
    await process.read(UUID, NOON)
    await process.read(REMAP, NOON)
    await process.read(UUID.replace("3b:00", "5e:00"), NOON + HOUR, node="gpu-2")
    await process.read(REMAP.replace("3b:00", "5e:00"), NOON + HOUR, node="gpu-2")
    assert process.rules == [0]


async def test_a_gpu_that_took_anothers_place_begins_anew() -> None:
    process = Process(SECOND_REMAP)
    await process.read(UUID, NOON)
    await process.read(REMAP, NOON)
    await process.read(UUID.replace("beef", "cafe"), NOON + HOUR)
    await process.read(REMAP, NOON + HOUR)
    assert process.rules == []


async def test_a_family_of_faults_is_one_time_for_a_rule_of_a_class() -> None:
    process = Process(SECOND_REMAP.replace('"63"', '"class:reset"'))
    for code in (48, 64, 95, 62):
        await process.read(f"NVRM: Xid (PCI:0000:3b:00): {code}, pid=7, something", NOON + timedelta(milliseconds=code))
    assert process.rules == []
    await process.read("NVRM: Xid (PCI:0000:3b:00): 119, pid=7, something", NOON + HOUR)
    assert process.rules == [0]


class Refusing(MemoryStore):
    """A store that refuses the first rescue."""

    refuses = True

    async def create(self, rescue: Rescue) -> Rescue:
        if self.refuses:
            self.refuses = False
            raise PermanentError("quota exceeded")
        return await super().create(rescue)


async def test_a_crash_between_the_note_and_the_rescue_does_not_count_the_line_twice() -> None:
    world = World([gpu_node("gpu-1")], store=Refusing())
    process = Process(THIRD_TIME.replace("count: 3", "count: 2"), world)
    with pytest.raises(PermanentError):
        await process.read(OFF_THE_BUS, NOON)
    process = Process(THIRD_TIME.replace("count: 3", "count: 2"), world)
    await process.read(OFF_THE_BUS, NOON)
    assert process.rules == [1]


async def test_what_happened_before_there_was_a_rule_that_counts_is_not_known() -> None:
    process = Process(SECOND_REMAP.replace("repeat: {count: 2, within: 24h}, ", "").replace('"63"', '"62"'))
    await process.read(REMAP, NOON)
    process.policies.replace(read_policies(parse_documents(SECOND_REMAP, "p.yaml")))
    await process.read(REMAP, NOON + HOUR)
    assert process.rules == []
    await process.read(REMAP, NOON + 2 * HOUR)
    assert process.rules == [0]
