"""GPU identities are learned from the log, forgotten when the driver is loaded, and never more than so many."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.enrich.gpus import GPUS_PER_HOST, GpuIdentities, GpuIdentity
from pipeline.model.fault import DriverLoaded, GpuSeen, SerialSeen, UnknownDriverLine
from pipeline.model.line import LogLine


def _line(host: str | None = "a") -> LogLine:
    return LogLine("", "0", host)


def _taught(*sightings: GpuSeen | SerialSeen | DriverLoaded | UnknownDriverLine, hosts: int = 10) -> GpuIdentities:
    identities = GpuIdentities(hosts)
    for sighting in sightings:
        identities.learn(sighting)
    return identities


def test_a_serial_number_belongs_to_the_gpu_seen_last_on_its_host() -> None:
    known = _taught(
        GpuSeen("0000:26:00", "GPU-1", _line()),
        GpuSeen("0000:27:00", "GPU-2", _line("b")),
        SerialSeen("165", _line()),
        GpuSeen("0000:28:00", "GPU-3", _line()),
    )
    assert known.identity("a", "0000:26:00") == GpuIdentity("GPU-1", "165")
    assert known.identity("A ", "0000:28:00") == GpuIdentity("GPU-3")
    assert known.identity("b", "0000:27:00") == GpuIdentity("GPU-2")


def test_nothing_is_known_of_a_gpu_that_was_never_seen() -> None:
    known = _taught(SerialSeen("165", _line()), GpuSeen("0000:26:00", "GPU-1", _line()))
    nothing = [known.identity("a", "0000:27:00"), known.identity("b", "0000:26:00"), known.identity("a", None)]
    assert nothing == [GpuIdentity()] * 3
    assert known.identity("a", "0000:26:00") == GpuIdentity("GPU-1")


def test_a_driver_load_forgets_its_host_alone() -> None:
    seen = [GpuSeen("0000:26:00", f"GPU-{host}", _line(host)) for host in "ab"]
    known = _taught(*seen, SerialSeen("165", _line("a")), DriverLoaded(_line("a")), SerialSeen("166", _line("a")))
    assert known.identity("a", "0000:26:00") == GpuIdentity()
    assert known.identity("b", "0000:26:00") == GpuIdentity("GPU-b")


def test_a_line_that_comes_again_changes_nothing_and_a_new_board_has_no_serial_number_yet() -> None:
    first = GpuSeen("0000:26:00", "GPU-1", _line())
    known = _taught(first, SerialSeen("165", _line()), first)
    assert known.identity("a", "0000:26:00") == GpuIdentity("GPU-1", "165")
    known.learn(GpuSeen("0000:26:00", "GPU-2", _line()))
    assert known.identity("a", "0000:26:00") == GpuIdentity("GPU-2")


def test_lines_without_a_host_teach_nothing() -> None:
    known = _taught(GpuSeen("0000:26:00", "GPU-1", _line(None)), UnknownDriverLine(_line()))
    assert known.identity(None, "0000:26:00") == GpuIdentity()


def test_a_host_with_more_gpus_than_any_server_forgets_the_oldest() -> None:
    known = _taught(*(GpuSeen(f"{i:04x}:00:00", f"GPU-{i}", _line()) for i in range(GPUS_PER_HOST + 1)))
    assert known.identity("a", "0000:00:00") == GpuIdentity()
    assert known.identity("a", "0001:00:00") == GpuIdentity("GPU-1")


@settings(deadline=None)
@given(
    limit=st.integers(1, 5),
    order=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["gpu", "serial", "load"])), max_size=60),
)
def test_the_hosts_seen_last_are_remembered_and_no_others(limit: int, order: list[tuple[int, str]]) -> None:
    known, recent = GpuIdentities(limit), list[str]()
    for number, kind in order:
        host = f"host-{number}"
        match kind:
            case "gpu":
                known.learn(GpuSeen("0000:26:00", f"GPU-{number}", _line(host)))
                recent = [*(other for other in recent if other != host), host][-limit:]
            case "serial":
                known.learn(SerialSeen("165", _line(host)))
            case "load":
                known.learn(DriverLoaded(_line(host)))
                recent = [other for other in recent if other != host]
    for number in range(10):
        uuid = known.identity(f"host-{number}", "0000:26:00").uuid
        assert uuid == (f"GPU-{number}" if f"host-{number}" in recent else None)
