"""The collected lines: every envelope among them is understood, and the kernel's text is all that is left."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.decode.envelopes import Decoded

DATA = Path(__file__).parents[2] / "data"
SAMPLES: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "xid_lines.jsonl").read_text(encoding="utf-8").split("\n") if line
]

# What the kernel itself, or a person who shortened the log, wrote before the driver's first word.
NOT_ENVELOPES = ("[...] NVRM:", "nvidia 0000:3b:00.0: [drm] NVRM:")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample["line"])[:50])
def test_the_text_begins_where_the_kernel_does(sample: dict[str, Any], decode: Callable[..., Decoded]) -> None:
    decoded = decode(sample["line"])
    expected = sample["expect"] if isinstance(sample["expect"], list) else [sample["expect"]]

    assert decoded.problems == ()
    assert len(decoded.lines) >= len(expected)
    for line in decoded.lines[: len(expected)]:
        assert line.text.lower().startswith(("nvrm:", "nvidia-nvswitch")) or line.text.startswith(NOT_ENVELOPES)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if "host" in s], ids=lambda sample: str(sample["envelope"]))
def test_the_node_is_the_one_that_the_shipper_named(sample: dict[str, Any], decode: Callable[..., Decoded]) -> None:
    assert {line.node for line in decode(sample["line"]).lines} == {sample["host"]}


def test_a_text_of_three_lines_becomes_three_lines(decode: Callable[..., Decoded]) -> None:
    sample = next(sample for sample in SAMPLES if sample.get("multiline"))

    assert [(line.text, line.kernel_time, line.position) for line in decode(sample["line"]).lines] == [
        ("NVRM: The NVIDIA GPU 0000:b3:00.0", "1843.308145", "topic/0/42"),
        ("NVRM: (PCI ID: 10de:26b5) installed in this system has", "1843.308145", "topic/0/42#1"),
        ("NVRM: fallen off the bus and is not responding to commands.", "1843.308145", "topic/0/42#2"),
    ]
