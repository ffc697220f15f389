"""Over random bytes, nestings and truncations: decode never raises, and never loses what was contiguous in the text."""

import json
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.envelopes import Decoded

MARK = "NVRM: Xid (PCI:0000:3b:00): 79,"
TEXT = f"{MARK} pid=7, name=python3, GPU has fallen off the bus."


def record(field: str) -> Callable[[str], str]:
    def wrap(text: str) -> str:
        return json.dumps({"hostname": "gpu-1", field: text, "time": "2024-07-04T03:09:40Z"})

    return wrap


WRAPPERS: dict[str, Callable[[str], str]] = {
    "stamp": "[ 3023.054882] {}".format,
    "ctime": "[四 7月 4 11:09:40 2024] {}".format,
    "syslog": "Jul  4 11:09:40 gpu-1 kernel: {}".format,
    "application": "Jul  4 11:09:40 gpu-1 myapp[7]: {}".format,
    "rfc5424": '<3>1 2024-07-04T03:09:40Z gpu-1 kernel - - [a b="c"] {}'.format,
    "priority": "<3>{}".format,
    "container": "2024-07-04T03:09:40Z stdout F {}".format,
    "kmsg": "3,4472,3023054890,-;{}".format,
    "export": "MESSAGE={}".format,
    "rsyslog": record("msg"),
    "filebeat": record("message"),
    "docker": record("log"),
    "journal": record("MESSAGE"),
    "unknown": record("unheard-of"),
    "string": json.dumps,
    "array": lambda text: json.dumps([{"msg": text}, {"msg": "noise"}]),
    "ascii": lambda text: json.dumps({"msg": text}, ensure_ascii=False, indent=1),
    "loki": lambda text: json.dumps({"streams": [{"stream": {"host": "a"}, "values": [["1", text]]}]}),
    "bytes": lambda text: json.dumps({"MESSAGE": list(text.encode())}),
    "batch": "noise\n{}\nnoise".format,
    "broken": '{{"msg": "{}'.format,
}
NESTING = st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=7)


def wrapped(nesting: list[str], text: str = TEXT) -> str:
    for name in nesting:
        text = WRAPPERS[name](text)
    return text


@given(payload=st.binary(max_size=400))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_decoded(payload: bytes, decode: Callable[..., Decoded]) -> None:
    for line in decode(payload).lines:
        assert line.text.strip() == line.text != ""
        assert f"{line.text}{line.node}{line.kernel_time}{line.original}".encode()


@given(before=st.binary(max_size=60), after=st.binary(max_size=60))
@settings(max_examples=500, deadline=None)
def test_the_text_survives_whatever_stands_around_it(
    before: bytes, after: bytes, decode: Callable[..., Decoded]
) -> None:
    lines = decode(before + b" " + MARK.encode() + after).lines

    assert any(MARK in line.text for line in lines)


@given(nesting=NESTING)
@settings(max_examples=500, deadline=None)
def test_the_text_survives_any_nesting(nesting: list[str], decode: Callable[..., Decoded]) -> None:
    payload = wrapped(nesting)

    assert MARK not in payload or any(MARK in line.text for line in decode(payload).lines)


@given(nesting=NESTING, data=st.data())
@settings(max_examples=500, deadline=None)
def test_the_text_survives_damage_behind_it(
    nesting: list[str], data: st.DataObject, decode: Callable[..., Decoded]
) -> None:
    payload = wrapped(nesting)
    end = data.draw(st.integers(0, len(payload)))
    cut = payload[:end]

    assert MARK not in cut or any(MARK in line.text for line in decode(cut).lines)


@given(nesting=NESTING, data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_flipped_byte_raises_nothing(nesting: list[str], data: st.DataObject, decode: Callable[..., Decoded]) -> None:
    payload = bytearray(wrapped(nesting).encode())
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    decoded = decode(bytes(payload))

    assert len({line.position for line in decoded.lines}) == len(decoded.lines)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=100)


@given(name=NAMES, wrapper=st.sampled_from(["syslog", "kmsg", "rsyslog", "journal", "rfc5424", "stamp"]))
@settings(max_examples=300, deadline=None)
def test_whatever_a_process_is_called_its_line_stays_whole(
    name: str, wrapper: str, decode: Callable[..., Decoded]
) -> None:
    text = f"{MARK} pid=7, name={name}, Ch 00000008"

    assert [line.text for line in decode(wrapped([wrapper], text)).lines] == [text.replace("\0", "")]
