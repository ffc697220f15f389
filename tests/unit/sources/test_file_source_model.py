"""A followed file against a model: whatever is written, rotated, crashed and restarted, every line comes, in order."""

import asyncio
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline.clock import ManualClock
from pipeline.sources.file import FileSource, FileSourceConfig
from pipeline.sources.port import Delivery


class Run:
    """One life of the source, read in the background up to its next pause."""

    def __init__(self, config: FileSourceConfig, clock: ManualClock) -> None:
        self.source = FileSource(config, lambda _: True, clock, self._pause)
        self.delivered: list[Delivery] = []
        self._idle, self._go_on = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def look(self) -> None:
        self._go_on.set()
        await asyncio.wait_for(self._idle.wait(), 10)
        self._idle.clear()

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=10)
        await self.source.close()

    async def _read(self) -> None:
        async for delivery in self.source.deliveries():
            self.delivered.append(delivery)

    async def _pause(self, _: float) -> None:
        self._go_on.clear()
        self._idle.set()
        await self._go_on.wait()


class FollowedFile(RuleBasedStateMachine):
    """The model: all lines ever written, the beginning of one that has not ended, and how many are acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.log = self.folder / "kern.log"
        self.log.touch()
        self.config = FileSourceConfig(path=self.log, follow=True, positions=self.folder / "positions")
        self.clock = ManualClock(datetime(2026, 1, 31, tzinfo=UTC))
        self.written: list[bytes] = []
        self.begun = b""
        self.acknowledged = 0
        self.positions: dict[bytes, str] = {}
        self.runner = asyncio.Runner()
        self.start()

    def start(self) -> None:
        async def begin() -> Run:
            run = Run(self.config, self.clock)
            await run.look()
            return run

        self.first = self.acknowledged
        self.run = self.runner.run(begin())

    def append(self, content: bytes) -> None:
        with self.log.open("ab") as file:
            file.write(content)

    def end_line(self) -> None:
        """What the writer had begun is a line as it stands, since it goes on in another file."""
        if self.begun:
            self.written.append(self.begun)
            self.begun = b""

    def rotate(self) -> None:
        for number in range(99, 0, -1):
            old = self.log.with_name(f"kern.log.{number}")
            if old.exists():
                old.rename(self.log.with_name(f"kern.log.{number + 1}"))

    @rule(count=st.integers(1, 3), size=st.sampled_from([0, 0, 2000, 300_000]))
    def write_lines(self, count: int, size: int) -> None:
        for _ in range(count):
            rest = b"line %d " % len(self.written) + b"x" * size if not self.begun else b" and its end"
            self.append(rest + b"\n")
            self.written.append(self.begun + rest)
            self.begun = b""

    @precondition(lambda self: not self.begun)
    @rule()
    def begin_line(self) -> None:
        self.begun = b"begun %d" % len(self.written)
        self.append(self.begun)

    @rule()
    def rotate_by_rename(self) -> None:
        self.end_line()
        self.rotate()
        self.log.rename(self.log.with_name("kern.log.1"))
        self.log.touch()

    @rule()
    def rotate_by_copy_and_truncate(self) -> None:
        self.end_line()
        self.rotate()
        shutil.copyfile(self.log, self.log.with_name("kern.log.1"))
        self.log.write_bytes(b"")

    @rule()
    def look(self) -> None:
        self.runner.run(self.run.look())

    @rule(count=st.integers(1, 4))
    def acknowledge(self, count: int) -> None:
        waiting = self.run.delivered[self.acknowledged - self.first :][:count]
        for delivery in waiting:
            self.clock.move_to(self.clock.now() + timedelta(seconds=1))
            self.runner.run(self.acknowledge_one(delivery))
            self.acknowledged += 1

    async def acknowledge_one(self, delivery: Delivery) -> None:
        await delivery.ack()

    @rule()
    def restart(self) -> None:
        self.runner.run(self.run.end())
        self.start()

    @rule()
    def crash_and_restart(self) -> None:
        saved = self.folder / "positions"
        before = saved.read_bytes() if saved.exists() else None
        self.runner.run(self.run.end())
        if before is not None:
            saved.write_bytes(before)
        self.start()

    @invariant()
    def lines_come_in_order_and_none_again_that_is_acknowledged(self) -> None:
        lines = [delivery.payload for delivery in self.run.delivered]
        assert lines == self.written[self.first : self.first + len(lines)]

    @invariant()
    def a_line_has_one_position_and_a_position_one_line(self) -> None:
        for delivery in self.run.delivered:
            assert self.positions.setdefault(delivery.payload, delivery.position) == delivery.position
        assert len(set(self.positions.values())) == len(self.positions)

    def teardown(self) -> None:
        """Every line that was written has come in the end, also those before a rotation that nothing followed."""
        try:
            self.write_lines(1, 0)
            self.look()
            assert [delivery.payload for delivery in self.run.delivered] == self.written[self.first :]
        finally:
            self.runner.run(self.run.end())
            self.runner.close()
            shutil.rmtree(self.folder)


TestFollowedFile = FollowedFile.TestCase
TestFollowedFile.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
