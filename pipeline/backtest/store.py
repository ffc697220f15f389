"""The store of a trial: what ends in it is noted in a ledger, and no record of it is asked for."""

from dataclasses import replace

from pipeline.backtest.ledger import Ledger
from pipeline.execute.store_memory import MemoryStore
from pipeline.model.rescue import Rescue


class TrialStore(MemoryStore):
    """A store in memory that says of every journal that it is recorded: the ledger keeps what is to be told of it.

    It forgets the oldest ended rescues, as every memory store does; the ledger has them by then. What a policy wants
    rehearsed is tried as if it were meant: that is what one asks a backtest about.
    """

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    async def create(self, rescue: Rescue) -> Rescue:
        """Save a new rescue."""
        return await super().create(replace(_recorded(rescue), dry_run=False))

    async def save(self, rescue: Rescue) -> Rescue:
        """Replace the rescue; note it if it has ended."""
        saved = await super().save(_recorded(rescue))
        if saved.status.ended:
            self._ledger.note(saved)
        return saved


def _recorded(rescue: Rescue) -> Rescue:
    return replace(rescue, recorded=len(rescue.journal))
