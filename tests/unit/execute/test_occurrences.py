"""Which occurrences are saved and when, and how many of them the memory holds."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.decide.guards import GuardSettings
from pipeline.decide.incident import Incident
from pipeline.decide.policy import read_policies
from pipeline.decide.repeat import LONGEST
from pipeline.decide.rules import UnknownCodes
from pipeline.documents import parse_documents
from pipeline.errors import TemporaryError
from pipeline.execute.occurrences import Occurrences
from pipeline.execute.occurrences_memory import OccurrenceIndex
from pipeline.execute.patience import Patience
from pipeline.execute.policies import PolicyBook
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.fault import CodeMeaning, NodeFault, Severity
from pipeline.model.occurrence import Code, Gpu, Occurrence
from pipeline.model.plan import SkipReason
from tests.fakes.faults import NOON, node_fault
from tests.fakes.world import World

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
WINDOW = GuardSettings().incident_window
COUNTS = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: counts}
spec:
  rules:
  - {priority: 2, errorCode: ["63"], repeat: {count: 3, within: 24h}, actions: [{name: cordon}]}
  - {priority: 1, errorCode: ["79"], actions: [{name: cordon}]}
"""
ANY = COUNTS.replace('errorCode: ["63"], ', "")


class Watched(MemoryStore):
    """A store that remembers for the test what it was told to note, and is away as often as told."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Occurrence] = []
        self.away = 0

    async def note(self, occurrence: Occurrence) -> None:
        if self.away:
            self.away -= 1
            raise TemporaryError("the store is away")
        self.noted.append(occurrence)
        await super().note(occurrence)


class Memory:
    """Occurrences over a watched store."""

    def __init__(self, policies: str = COUNTS, **guards: Any) -> None:
        self.store = Watched()
        self.pauses: list[float] = []
        book = PolicyBook(read_policies(parse_documents(policies, "p.yaml")), World().cluster)
        self.occurrences = Occurrences(self.store, book, GuardSettings(**guards), Patience(self._pause))

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def note(
        self,
        fault: NodeFault | None = None,
        until: datetime = NOON,
        reason: SkipReason | None = None,
        now: datetime | None = None,
    ) -> None:
        seen = fault or node_fault(63)
        incident = Incident.opened_by(seen, reason, now or until)
        incident.name, incident.last_seen = "a", until
        await self.occurrences.note(incident, now or until)


UNKNOWN = node_fault(63, meaning=CodeMeaning("xid", 63, catalogued=False))


@pytest.mark.parametrize(
    ("fault", "reason", "saved"),
    [
        pytest.param(node_fault(63), None, True, id="what a rule counts"),
        pytest.param(node_fault(79), None, False, id="what a rule names and does not count"),
        pytest.param(node_fault(48), None, False, id="what no rule names"),
        pytest.param(node_fault(63), SkipReason.STALE, True, id="what came too late to act on"),
        pytest.param(node_fault(63), SkipReason.DRILL, False, id="what is a drill"),
    ],
)
async def test_an_occurrence_is_saved(fault: NodeFault, reason: SkipReason | None, saved: bool) -> None:
    memory = Memory()
    await memory.note(fault, reason=reason)
    assert [one.code.number for one in memory.store.noted] == ([fault.fault.code] if saved else [])
    assert [one.name for one in memory.occurrences.of(fault)] == (["a"] if saved else [])


@pytest.mark.parametrize("setting", list(UnknownCodes))
async def test_an_unknown_code_is_saved_where_rules_without_codes_act_on_it(setting: UnknownCodes) -> None:
    memory = Memory(ANY, unknown_codes=setting)
    await memory.note(UNKNOWN)
    assert len(memory.store.noted) == (setting is UnknownCodes.POLICIES)


async def test_a_storm_is_saved_once_in_half_of_the_window() -> None:
    memory = Memory()
    for second in range(0, 1201):
        await memory.note(until=NOON + second * SECOND)
    ends = [one.last_seen - NOON for one in memory.store.noted]
    assert ends == [number * WINDOW / 2 for number in range(5)]
    assert [one.last_seen for one in memory.occurrences.of(node_fault(63))] == [NOON + 2 * WINDOW]


@pytest.mark.parametrize(
    ("age", "saved"), [pytest.param(LONGEST, True, id="30 days"), pytest.param(LONGEST + SECOND, False, id="more")]
)
async def test_what_no_rule_can_count_any_more_is_not_saved(age: timedelta, saved: bool) -> None:
    memory = Memory()
    await memory.note(reason=SkipReason.STALE, now=NOON + age)
    assert bool(memory.store.noted) is saved


async def test_a_store_that_is_away_is_waited_for() -> None:
    memory = Memory()
    memory.store.away = 2
    await memory.note()
    assert len(memory.pauses) == 2
    assert len(memory.store.noted) == 1


CODE = Code("xid", 63, None, None, Severity.INFO, rescue=False, catalogued=True)
GPU = Gpu("gpu-1", "0000:3b:00", "GPU-1a", "165042")


def seen(name: str, after: timedelta = timedelta(0), gpu: Gpu = GPU) -> Occurrence:
    return Occurrence(name, CODE, gpu, NOON + after, NOON + after)


def held(index: OccurrenceIndex) -> str:
    return "".join(one.name for one in index.of(GPU))


def test_at_the_limit_what_was_noted_longest_ago_is_forgotten() -> None:
    index = OccurrenceIndex(2)
    for name in "ab":
        index.put(seen(name))
    index.put(seen("a"))
    index.put(seen("c"))
    assert (held(index), len(index), index.get("b")) == ("ac", 2, None)


def test_after_thirty_days_it_is_forgotten_wherever_it_was() -> None:
    index = OccurrenceIndex()
    index.put(seen("a"))
    index.put(seen("b", gpu=replace(GPU, node="gpu-2")))
    index.put(seen("c", LONGEST + SECOND, gpu=Gpu("gpu-3", None)))
    assert (len(index), held(index)) == (1, "")


def test_what_comes_late_makes_nothing_else_be_forgotten() -> None:
    index = OccurrenceIndex()
    index.put(seen("a", LONGEST + SECOND))
    index.put(seen("b"))
    assert index.get("a") is not None
    index.put(seen("c", LONGEST + MINUTE))
    assert index.get("a") is not None


def test_it_may_forget_all_that_it_holds() -> None:
    index = OccurrenceIndex(1)
    index.put(seen("a", LONGEST + SECOND))
    index.put(seen("b"))
    assert (len(index), held(index)) == (0, "")
    index.put(seen("c", LONGEST + SECOND))
    assert held(index) == "c"


def test_an_occurrence_stays_with_the_gpu_that_it_was_noted_of_first() -> None:
    index, other = OccurrenceIndex(), Gpu("gpu-2", "0000:5e:00")
    index.put(seen("a"))
    index.put(seen("a", gpu=other))
    assert (held(index), list(index.of(other))) == ("a", [])


def test_nothing_is_left_of_what_is_forgotten() -> None:
    index = OccurrenceIndex(1)
    for number in range(100):
        index.put(seen(str(number), gpu=Gpu(f"gpu-{number}", None, f"GPU-{number}", str(number))))
    assert len(index) == 1
    assert len(index._by_key) == 3
