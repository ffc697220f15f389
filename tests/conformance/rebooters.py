"""The conformance suite of the rebooter port: what every road promises."""

from typing import Protocol

import pytest

from pipeline.errors import PermanentError, TemporaryError
from pipeline.model.node import Node
from pipeline.rebooters.port import Asked, Rebooter

ONE, OTHER = "gpu-1-xid-79-abc-reboot", "gpu-1-xid-62-def-reboot"


class Stage(Protocol):
    """A node, its machine, and a rebooter with what may happen to its next call."""

    @property
    def rebooter(self) -> Rebooter: ...

    async def node(self) -> Node:
        """Return the node as it is now."""
        ...

    async def machine_obeys(self) -> None:
        """Let the machine do what it was told, and come back; what was told it once it may hear again."""
        ...

    def lose_the_answer(self) -> None:
        """Let the next asking be accepted, and its answer be lost."""
        ...

    def be_busy(self) -> None:
        """Let the next asking not arrive."""
        ...

    def refuse(self) -> None:
        """Let every asking be refused for good."""
        ...


class RebooterConformance:
    """The suite; a subclass gives it a `stage` fixture."""

    async def test_an_accepted_reboot_gives_the_node_a_new_boot_id(self, stage: Stage) -> None:
        before = await stage.node()
        assert await stage.rebooter.asked(before, ONE) is Asked.NO
        await stage.rebooter.reboot(before, ONE)
        assert await stage.rebooter.asked(before, ONE) is Asked.YES
        await stage.machine_obeys()
        assert (await stage.node()).boot_id != before.boot_id

    async def test_asking_twice_reboots_once(self, stage: Stage) -> None:
        node = await stage.node()
        await stage.rebooter.reboot(node, ONE)
        await stage.rebooter.reboot(node, ONE)
        await stage.machine_obeys()
        boot = (await stage.node()).boot_id
        await stage.rebooter.reboot(node, ONE)
        await stage.machine_obeys()
        assert (await stage.node()).boot_id == boot != node.boot_id

    async def test_another_request_is_another_reboot(self, stage: Stage) -> None:
        first = await stage.node()
        await stage.rebooter.reboot(first, ONE)
        await stage.machine_obeys()
        second = await stage.node()
        assert await stage.rebooter.asked(second, OTHER) is Asked.NO
        await stage.rebooter.reboot(second, OTHER)
        await stage.machine_obeys()
        assert len({first.boot_id, second.boot_id, (await stage.node()).boot_id}) == 3

    async def test_an_answer_that_is_lost_is_no_temporary_error_and_is_known_afterwards(self, stage: Stage) -> None:
        node = await stage.node()
        stage.lose_the_answer()
        with pytest.raises(TimeoutError):
            await stage.rebooter.reboot(node, ONE)
        assert await stage.rebooter.asked(node, ONE) is Asked.YES

    async def test_what_has_not_arrived_can_be_asked_again(self, stage: Stage) -> None:
        node = await stage.node()
        stage.be_busy()
        with pytest.raises((TemporaryError, TimeoutError)):
            await stage.rebooter.reboot(node, ONE)
        assert await stage.rebooter.asked(node, ONE) is Asked.NO
        await stage.rebooter.reboot(node, ONE)
        await stage.machine_obeys()
        assert (await stage.node()).boot_id != node.boot_id

    async def test_what_is_refused_for_good_says_so_and_is_not_asked(self, stage: Stage) -> None:
        node = await stage.node()
        stage.refuse()
        with pytest.raises(PermanentError):
            await stage.rebooter.reboot(node, ONE)
        await stage.machine_obeys()
        assert (await stage.node()).boot_id == node.boot_id
