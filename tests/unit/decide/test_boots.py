"""Whether a fault is of a boot that is over: only what was known of its own boot can say so."""

from datetime import datetime, timedelta

import pytest

from pipeline.decide.boots import earlier_boot
from tests.fakes.faults import NOON, fault, line, node_fault

MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("of_line", "of_fault", "boot_id", "booted_at", "older"),
    [
        pytest.param("a", "b", "a", None, False, id="the boot of the line decides"),
        pytest.param("a", "b", "b", None, True, id="also against the one that the node had"),
        pytest.param("AB12cd", None, "ab-12-cd", None, False, id="the journal writes it without dashes"),
        pytest.param("a", "a", "a", NOON + MICROSECOND, False, id="a line of this boot, before the boot was noticed"),
        pytest.param(None, "a", "a", None, False, id="the boot that the node had then is the one it has"),
        pytest.param(None, "a", "b", None, True, id="the node has another boot since"),
        pytest.param(None, "ab-12", "AB12", None, False, id="the same one in another spelling"),
        pytest.param(None, "a", "a", NOON, False, id="in the moment of the boot"),
        pytest.param(None, "a", "a", NOON + MICROSECOND, True, id="before the boot that the node had when it was read"),
        pytest.param(None, None, "b", None, False, id="a fault whose boot nobody knows"),
        pytest.param(None, None, "b", NOON + MICROSECOND, False, id="even before the boot was noticed"),
        pytest.param("a", "a", "", None, False, id="no boot of the node is known"),
        pytest.param("a", "a", None, None, False, id="the node was never seen"),
        pytest.param(None, "a", "", NOON + MICROSECOND, False, id="a boot id that is away is no other boot"),
    ],
)
def test_a_fault_of_an_earlier_boot(
    of_line: str | None, of_fault: str | None, boot_id: str | None, booted_at: datetime | None, older: bool
) -> None:
    found = node_fault(boot_id=of_fault, fault=fault(line=line(boot_id=of_line)))
    assert (earlier_boot(found, boot_id, booted_at) is not None) is older
