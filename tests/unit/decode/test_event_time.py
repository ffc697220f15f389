"""When a line happened: what was read late is as old as the oldest stamp that no time zone and no drift explains."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.decode.envelopes import Decoded, Decoder
from pipeline.decode.settings import DecodeSettings

TEXT = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
READ = datetime(2026, 11, 20, 8, 0, 9, tzinfo=UTC)
HAPPENED = datetime(2026, 11, 13, 8, 0, 0, tzinfo=UTC)
WEEK_OLD = "2026-11-13T08:00:00+00:00"
NOW = "2026-11-20T08:00:09Z"


def decoded(payload: str, stamp: datetime | None = None, received: datetime = READ) -> list[datetime | None]:
    lines = Decoder(DecodeSettings()).decode(payload.encode(), "p", received=received, stamp=stamp).lines
    return [line.time for line in lines]


def filebeat(message: str, **fields: object) -> str:
    return json.dumps({"@timestamp": NOW, "host": {"name": "f-01"}, "message": message, **fields})


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(filebeat(f"Nov 13 08:00:00 f-01 kernel: {TEXT}"), id="a header of RFC 3164"),
        pytest.param(filebeat(f"Nov 13 08:00:00 f-01 kernel: [ 12.5] {TEXT}"), id="a header and the kernel's time"),
        pytest.param(filebeat(f"{WEEK_OLD} f-02 kernel: {TEXT}"), id="rsyslog's file format"),
        pytest.param(filebeat(f"<3>1 {WEEK_OLD} f-02 kernel - - - {TEXT}"), id="a header of RFC 5424"),
        pytest.param(filebeat(f"[Fri Nov 13 08:00:00 2026] {TEXT}"), id="dmesg -T"),
        pytest.param(filebeat(f"[五 11月 13 08:00:00 2026] {TEXT}"), id="dmesg -T in another language"),
        pytest.param(filebeat(f"[Nov13 08:00] {TEXT}"), id="dmesg -e"),
        pytest.param(
            filebeat(f"kern  :err   : 2026-11-13T08:00:00,000000+00:00 {TEXT}"), id="dmesg -x --time-format iso"
        ),
        pytest.param(filebeat(f"2026-11-13T08:00:00,000000+00:00 {TEXT}"), id="dmesg --time-format iso"),
        pytest.param(filebeat(f"2026-11-13T08:00:00Z stderr F <3>{TEXT}"), id="the stamp of a container's engine"),
        pytest.param(
            filebeat(f"Nov 20 08:00:09 relay Nov 13 08:00:00 f-01 kernel: {TEXT}"), id="syslog that a relay wrapped"
        ),
        pytest.param(
            filebeat(f"Nov 20 08:00:09 relay kernel: {WEEK_OLD} f-01 kernel: {TEXT}"), id="syslog inside of syslog"
        ),
        pytest.param(f"Nov 20 08:00:09 f-01 kernel: [Fri Nov 13 08:00:00 2026] {TEXT}", id="dmesg -T behind a header"),
        pytest.param(
            f"<3>1 {NOW} relay kernel - - - Nov 13 08:00:00 f-01 kernel: {TEXT}", id="RFC 3164 inside of RFC 5424"
        ),
        pytest.param(filebeat(json.dumps({"time": WEEK_OLD, "msg": TEXT})), id="a record inside of the record"),
        pytest.param(filebeat(TEXT, timestamp=WEEK_OLD), id="another key with a zone"),
        pytest.param(filebeat(TEXT, timereported="Nov 13 08:00:00"), id="another key without a zone"),
        pytest.param(filebeat(TEXT, time="2026-11-13 08:00:00"), id="ISO 8601 without a zone"),
        pytest.param(filebeat(TEXT, __REALTIME_TIMESTAMP="1794556800000000"), id="the journal's own"),
        pytest.param(
            json.dumps({"timestamp": WEEK_OLD, "time": NOW, "msg": TEXT}), id="the first of two keys, as before"
        ),
        pytest.param(
            json.dumps(
                {
                    "streams": [
                        {"stream": {"host": "a"}, "values": [["1795161609000000000", f"{WEEK_OLD} a kernel: {TEXT}"]]}
                    ]
                }
            ),
            id="a push to Loki",
        ),
    ],
)
def test_a_line_that_was_read_a_week_late_is_a_week_old(payload: str) -> None:
    assert decoded(payload) == [HAPPENED]


def minus(**ago: float) -> datetime:
    return READ - timedelta(**ago)


@pytest.mark.parametrize(
    ("message", "time"),
    [
        pytest.param(
            f"{minus(minutes=3).isoformat()} f-01 kernel: ", minus(minutes=3), id="with a zone, any difference"
        ),
        pytest.param(f"{minus(minutes=-3).isoformat()} f-01 kernel: ", READ, id="with a zone, from the future"),
        pytest.param("Nov 19 20:00:09 f-01 kernel: ", READ, id="twelve hours: the farthest zone west"),
        pytest.param("Nov 20 22:00:09 f-01 kernel: ", READ, id="fourteen hours ahead: the farthest zone east"),
        pytest.param("Nov 19 06:00:09 f-01 kernel: ", READ, id="26 hours, from one farthest zone to the other"),
        pytest.param("Nov 19 06:00:08 f-01 kernel: ", minus(hours=26, seconds=1), id="a second more"),
        pytest.param("[Fri Nov 20 07:30:00 2026] ", READ, id="dmesg -T, half an hour of drift"),
        pytest.param("[Thu Nov 19 06:00:08 2026] ", minus(hours=26, seconds=1), id="dmesg -T, more than drift"),
        pytest.param("[Sat Nov 21 09:00:00 2026] ", READ, id="dmesg -T, ahead"),
        pytest.param("[2026-11-13 08:00:00] ", HAPPENED, id="a bracket of ISO 8601"),
        pytest.param("[Fri Foo 13 08:00:00 2026] ", READ, id="a month that nobody knows"),
        pytest.param("Dec 24 08:00:00 f-01 kernel: ", datetime(2025, 12, 24, 8, tzinfo=UTC), id="the year before"),
        pytest.param("2000-01-01T00:00:07+00:00 f-01 kernel: ", READ, id="a clock that was never set"),
        pytest.param("[Sat Jan  1 00:00:07 2000] ", READ, id="dmesg -T of a clock that was never set"),
    ],
)
def test_a_smaller_difference_is_a_zone_or_drift(message: str, time: datetime) -> None:
    assert decoded(filebeat(message + TEXT)) == [time]


@pytest.mark.parametrize(
    ("says", "fields"),
    [
        ("the Unix epoch", {"time": 0, "ts": "1970-01-01T00:00:00Z"}),
        ("the kernel's time in seconds", {"time": 3023.054882}),
        ("the kernel's time in microseconds, which looks like 2007", {"ts": 1195161609}),
        ("a clock that was never set", {"date": "2000-01-01T00:00:00Z"}),
        ("a time that cannot be read", {"date": "yesterday"}),
        ("a later one", {"time": "2026-11-20T08:01:00Z"}),
    ],
)
def test_what_is_no_credible_time_does_not_make_a_line_old(says: str, fields: dict[str, object]) -> None:
    assert decoded(filebeat(TEXT, **fields)) == [READ]


@pytest.mark.parametrize(
    ("says", "stamp", "time"),
    [
        ("the stream's stamp is the time of reading", READ, HAPPENED),
        ("without it, now is", None, HAPPENED),
    ],
)
def test_a_line_that_only_dmesg_dates_is_no_newer(says: str, stamp: datetime | None, time: datetime) -> None:
    assert decoded(f"[Fri Nov 13 08:00:00 2026] {TEXT}", stamp) == [time]


def test_a_header_without_a_year_is_of_the_year_in_which_it_was_read() -> None:
    """A stream that is read again a year later holds stamps of both kinds; the shipper's has the year."""
    message = filebeat(f"Nov 20 08:00:05 f-01 kernel: {TEXT}")

    assert decoded(message, received=READ + timedelta(days=400)) == [READ]
    assert decoded(message, received=READ - timedelta(days=400)) == [READ]


def test_each_line_of_a_batch_has_its_own_age(decode: Callable[..., Decoded]) -> None:
    batch = filebeat(f"Nov 13 08:00:00 f-01 kernel: {TEXT}\nNov 20 08:00:08 f-01 kernel: {TEXT}")

    assert decoded(batch) == [HAPPENED, READ]
