"""The command line as people use it: in a process of its own, its output in a pipe."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.fakes.waiting import until

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
COMMAND = [sys.executable, "-m", "pipeline.cli"]
ROOT = Path(__file__).parents[2]
OFF_THE_BUS = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def _environment(**given: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GPU_RESCUE_")}
    return {**clean, "PYTHONPATH": str(ROOT), **given}


def _run(
    *arguments: str, cwd: Path, stdin: bytes = b"", code: int = 0, environment: dict[str, str] | None = None
) -> tuple[str, str]:
    """Run the command and return what it printed; nothing ever prints a traceback."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
        env=environment or _environment(),
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err, err
    assert done.returncode == code, out + err
    return out, err


def _records(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "rescue-records.ndjson").read_text().splitlines()]


def _told(records: Sequence[Any], action: str) -> dict[str, list[str]]:
    """The reasons by node of the records of one action."""
    found: dict[str, list[str]] = {}
    for record in records:
        if record["event"]["action"] == action:
            found.setdefault(record["host"]["name"], []).append(record["event"].get("reason", ""))
    return found


def test_the_embedded_run_rescues_what_the_sample_log_tells(tmp_path: Path) -> None:
    out, _ = _run("run", cwd=tmp_path)
    records = _records(tmp_path)
    assert set(_told(records, "rescue-succeeded")) == {
        "gpu-h100-01",
        "gpu-h100-02",
        "gpu-h100-03",
        "gpu-a100-02",
        "gpu-b200-01",
    }
    assert _told(records, "rescue-failed") == {"gpu-a100-03": ["reboot-timeout"]}
    assert _told(records, "rescue-held") == {"gpu-b200-01": ["max-nodes"]}
    assert _told(records, "fault-joined") == {"gpu-h100-01": ["no-rescue-needed", ""]}
    assert _told(records, "rescue-cancelled") == {}
    assert _told(records, "fault-skipped")["gpu-h100-04"] == ["stale", "unknown-code"]
    assert _told(records, "fault-skipped")["gpu-b200-01"] == ["drill"]
    assert "seen: repeats of these: 47" in out
    assert "skipped: stale (gpu-h100-04): 1" in out
    assert "records: rescue-records.ndjson" in out


def test_every_record_of_the_embedded_run_has_the_shape_that_is_printed(tmp_path: Path) -> None:
    _run("run", cwd=tmp_path)
    schema = Draft202012Validator(json.loads(_run("schema", "record", cwd=tmp_path)[0]))
    problems = [error.message for record in _records(tmp_path) for error in schema.iter_errors(record)]
    assert problems == []


def test_records_are_read_back_by_node_and_action(tmp_path: Path) -> None:
    _run("run", cwd=tmp_path)
    out, _ = _run("records", "--node", "gpu-a100-03", "--action", "rescue-failed", cwd=tmp_path)
    (record,) = map(json.loads, out.splitlines())
    assert "7 of 8 GPUs" in record["message"]
    nothing, told = _run("records", "--since", "2027-01-01", cwd=tmp_path)
    assert (nothing, told.startswith("no record was found")) == ("", True)


def test_a_second_run_adds_nothing_to_the_same_records(tmp_path: Path) -> None:
    _run("run", cwd=tmp_path)
    before = _records(tmp_path)
    _run("run", cwd=tmp_path)
    assert len({record["event"]["id"] for record in before}) == len(before)
    assert {record["event"]["id"] for record in _records(tmp_path)} == {record["event"]["id"] for record in before}


@pytest.mark.parametrize("by", ["path", "pipe"])
def test_a_log_of_ones_own_is_replayed_with_nodes_nobody_knew(by: str, tmp_path: Path) -> None:
    log = f"Nov 20 08:00:00 my-node kernel: [ 3023.05] {OFF_THE_BUS}\n".encode()
    (tmp_path / "kern.log").write_bytes(log)
    _run("run", "--source", "kern.log" if by == "path" else "-", cwd=tmp_path, stdin=log)
    assert set(_told(_records(tmp_path), "rescue-planned")) == {"my-node"}


def test_a_dry_run_decides_and_says_so(tmp_path: Path) -> None:
    _run("run", "--set", "dry_run=true", cwd=tmp_path)
    rescues = [record["gpu_rescue"]["rescue"] for record in _records(tmp_path) if "rescue" in record["gpu_rescue"]]
    assert {rescue["dry_run"] for rescue in rescues} == {True}


def _step_ended(folder: Path) -> bool:
    records = folder / "rescue-records.ndjson"
    return records.exists() and b"step-ended" in records.read_bytes()


def test_a_followed_log_is_tailed_until_the_process_is_told_to_stop(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_text("")
    process = subprocess.Popen(
        [*COMMAND, "run", "--source", str(log), "--follow", "--set", "sources.0.poll=0.1s"],
        cwd=tmp_path,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        with log.open("a") as file:
            file.write(f"<3>1 {stamp}Z my-node kernel - - - {OFF_THE_BUS}\n")
        until(lambda: process.poll() is not None or _step_ended(tmp_path), tmp_path, 30)
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert b"Traceback" not in err
    assert set(_told(_records(tmp_path), "step-ended")) == {"my-node"}
    assert b"done: rescues" in out


def test_a_reader_that_does_not_read_keeps_no_rescue_from_going_on(tmp_path: Path) -> None:
    log, stamp = tmp_path / "kern.log", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    log.write_text("".join(f"<3>1 {stamp}Z node-{n} kernel - - - {OFF_THE_BUS}\n" for n in range(400)))
    process = subprocess.Popen(
        [*COMMAND, "run", "--source", str(log), "--follow", "--set", "guards.max_nodes=400"],
        cwd=tmp_path,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: _step_ended(tmp_path), tmp_path, 40)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0
    finally:
        process.kill()
        process.communicate(timeout=20)


def test_match_prints_one_object_per_fault_in_order(tmp_path: Path) -> None:
    lines = [
        "noise",
        json.dumps(
            [{"hostname": "n1", "msg": OFF_THE_BUS}, {"hostname": "n1", "msg": OFF_THE_BUS.replace("79", "62")}]
        ),
        "NVRM: Xid (0000:03:00): 62, Channel 00000001",
    ]
    out, _ = _run("match", cwd=tmp_path, stdin="\n".join(lines).encode())
    found = [json.loads(line) for line in out.splitlines()]
    assert [(fault["line_no"], fault["code"], fault.get("node")) for fault in found] == [
        (2, 79, "n1"),
        (2, 62, "n1"),
        (3, 62, None),
    ]
    assert found[2] | {"line_no": 0} == {
        "line_no": 0,
        "kind": "xid",
        "code": 62,
        "pci": "0000:03:00",
        "pid": None,
        "name": None,
        "message": "Channel 00000001",
    }


def test_match_stops_quietly_when_its_reader_has_gone(tmp_path: Path) -> None:
    (tmp_path / "log").write_text((OFF_THE_BUS + "\n") * 20_000)
    command = f"{sys.executable} -m pipeline.cli match log | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, timeout=60, check=True, env=_environment()
    )
    assert (len(done.stdout.splitlines()), done.stderr) == (1, b"")


def test_explain_tells_every_rule_and_what_would_follow(tmp_path: Path) -> None:
    out, _ = _run("explain", "--node", "gpu-a100-01", OFF_THE_BUS, cwd=tmp_path)
    told = json.loads(out)
    assert (told["fault"]["code"], told["node"]["lookup"], told["detail"]) == (79, "found", None)
    assert told["decision"]["policy"] == "off-the-bus"
    assert [rule["policy"] for rule in told["decision"]["considered"] if rule["matched"]] == ["off-the-bus", "global"]
    assert len(told["decision"]["considered"]) == 6
    assert {state["verdict"] for state in told["decision"]["guards"]} == {"passed"}
    assert (told["admission"]["outcome"], told["admission"]["message"]) == ("go", "the first step could start now")
    assert [state["guard"] for state in told["decision"]["guards"] + told["admission"]["guards"]] == _GUARDS
    assert told["waits"] == {}


_GUARDS = [
    *("origin", "drill", "line", "node", "opt-out", "age", "boot", "last-rescue"),
    *("taken-over", "node", "opt-out", "boot", "last-rescue", "age", "foreign-cordon", "one-per-node"),
    *("failed-reboot", "fabric", "cool-down", "windows", "breaker", "group-breaker"),
]


def test_explain_shows_the_parts_of_a_record(tmp_path: Path) -> None:
    schema = json.loads(_run("schema", "record", cwd=tmp_path)[0])
    part = Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/decision"})
    told = json.loads(_run("explain", "--node", "gpu-a100-01", OFF_THE_BUS, cwd=tmp_path)[0])
    del told["admission"]["message"]
    assert [error.message for found in ("decision", "admission") for error in part.iter_errors(told[found])] == []


def test_explain_says_what_would_hold_and_what_would_wait(tmp_path: Path) -> None:
    overrides = ["--set", "guards.max_nodes=0", "--set", "guards.windows.deny=[{}]"]
    told = json.loads(_run("explain", *overrides, "--node", "gpu-a100-01", OFF_THE_BUS, cwd=tmp_path)[0])
    assert (told["admission"]["outcome"], told["admission"]["reason"]) == ("hold", "max-nodes")
    assert [state["guard"] for state in told["admission"]["guards"] if state["verdict"] == "holds"] == ["breaker"]
    assert list(told["waits"]) == ["enableWarmStandby", "drain", "reboot"]
    assert told["waits"]["drain"] == "no maintenance window opens for drain within a year (windows)"


def test_explain_reads_the_configuration_and_the_cluster_it_is_given(tmp_path: Path) -> None:
    cluster = "nodes:\n- {name: gpu-a100-01, annotations: {rescue.ksyun.com/ignore: 'true'}}\n"
    (tmp_path / "cluster.yaml").write_text(cluster)
    config = (
        "sources: [{type: stdin}]\ncluster: {type: simulated, nodes: cluster.yaml}\nsinks: [{type: file, path: r}]\n"
    )
    (tmp_path / "mine.yaml").write_text(config)
    told = json.loads(_run("explain", "-c", "mine.yaml", "--node", "gpu-a100-01", OFF_THE_BUS, cwd=tmp_path)[0])
    assert (told["decision"]["reason"], told["admission"]) == ("opted-out", None)
    assert [state["guard"] for state in told["decision"]["guards"] if state["verdict"] == "skips"] == ["opt-out"]


def test_a_window_that_is_none_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("guards:\n  windows:\n    allow:\n    - from: 22:00\n      to: '06:00'\n")
    _, err = _run("check", "-c", "mine.yaml", cwd=tmp_path, code=2)
    told = "mine.yaml:4: guards.windows.allow.0.from: 1320 is neither a time of day nor a date; write a time of day in"
    assert told in err


def test_explain_says_what_the_guards_would_say(tmp_path: Path) -> None:
    out, _ = _run("explain", f"<3>1 2024-07-04T11:09:40Z gpu-a100-01 kernel - - - {OFF_THE_BUS}", cwd=tmp_path)
    told = json.loads(out)
    assert (told["decision"]["outcome"], told["decision"]["reason"], told["admission"]) == ("skip", "stale", None)
    assert [state["guard"] for state in told["decision"]["guards"] if state["verdict"] == "skips"] == ["age"]
    assert len(told["decision"]["considered"]) == 6


def test_explain_takes_a_node_that_nobody_knew_as_run_does(tmp_path: Path) -> None:
    told = json.loads(_run("explain", "--node", "my-node", OFF_THE_BUS, cwd=tmp_path)[0])
    assert (told["node"]["lookup"], told["admission"]["outcome"]) == ("found", "go")


def test_explain_needs_a_fault(tmp_path: Path) -> None:
    _, err = _run("explain", "nothing of interest", cwd=tmp_path, code=2)
    assert err == "LINE: no pattern recognises a fault in it; try it with gpu-rescue match\n"


def test_check_finds_nothing_wrong_with_what_ships(tmp_path: Path) -> None:
    out, err = _run("check", "--online", cwd=tmp_path)
    assert err == ""
    assert "configuration: ok" in out
    assert "cluster (simulated): ok, simulated, 52 nodes" in out


def test_check_tells_every_mistake_with_its_place(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    shutil.copy(EXAMPLES.parent / "pipeline.yaml", tmp_path)
    (tmp_path / "patterns").mkdir()
    (tmp_path / "patterns" / "mine.yaml").write_text("rules:\n- name: a\n  regex: '('\n  kind: mine\n  code: 1\n")
    policy = tmp_path / "examples" / "policies" / "reboot.yaml"
    policy.write_text(policy.read_text().replace("name: cordon", "name: condor", 1))
    wrong = next(n for n, line in enumerate(policy.read_text().splitlines(), 1) if "name: condor" in line)
    out, err = _run("check", "-c", "pipeline.yaml", "--set", "patterns=[patterns]", cwd=tmp_path, code=2)
    assert "patterns/mine.yaml:3: " in err
    assert f"policies/reboot.yaml:{wrong}: " in err
    assert "configuration: ok" in out


def test_check_says_which_part_cannot_be_reached(tmp_path: Path) -> None:
    overrides = ["--set", "sinks.0.path=/nowhere/at/all.ndjson", "--set", "sources.0.path=absent.log"]
    out, err = _run("check", "--online", *overrides, cwd=tmp_path, code=1)
    assert "sinks.0 (file): " in err
    assert "/nowhere/at/all.ndjson" in err
    assert "sources.0 (file): " in err
    assert "cluster (simulated): ok" in out


@pytest.mark.parametrize(
    ("name", "arguments", "environment", "told"),
    [
        ("a file that is not there", ["-c", "absent.yaml"], {}, "absent.yaml: cannot be read: No such file"),
        (
            "an unknown key",
            ["--set", "guards.max_node=3"],
            {},
            "--set guards.max_node: unknown key 'guards.max_node'; did you mean",
        ),
        (
            "a bad value of an option",
            ["--set", "guards.max_age=soon"],
            {},
            "--set guards.max_age: guards.max_age: 'soon' is not",
        ),
        (
            "a bad value of a variable",
            [],
            {"GPU_RESCUE_GUARDS__MAX_NODES": "many"},
            "GPU_RESCUE_GUARDS__MAX_NODES: guards.max_nodes: Input",
        ),
        ("an option that is none", ["--set", "guards"], {}, "--set guards: is not KEY=VALUE"),
    ],
)
def test_bad_input_is_told_with_its_place(
    name: str, arguments: list[str], environment: dict[str, str], told: str, tmp_path: Path
) -> None:
    _, err = _run("check", *arguments, cwd=tmp_path, code=2, environment=_environment(**environment))
    assert err.startswith(told)


def test_a_variable_of_a_kubernetes_service_is_no_setting(tmp_path: Path) -> None:
    given = {"GPU_RESCUE_PORT": "tcp://10.0.0.1:8080", "GPU_RESCUE_SERVICE_HOST": "10.0.0.1"}
    _run("check", cwd=tmp_path, environment=_environment(**given))


@pytest.mark.parametrize("command", ["run", "match", "check", "explain", "backtest", "records", "schema"])
def test_every_command_has_help_with_an_example(command: str, tmp_path: Path) -> None:
    out, _ = _run(command, "--help", cwd=tmp_path)
    assert "Example:" in out
    assert f"gpu-rescue {command}" in out


def test_records_wait_for_a_sink_that_is_away_at_the_start_and_both_are_told(tmp_path: Path) -> None:
    away = {"type": "elasticsearch", "hosts": ["http://127.0.0.1:1"], "spool": {"path": "spool"}}
    _, err = _run("run", "--set", f"sinks=[{json.dumps(away)}]", cwd=tmp_path)
    assert "sink.away" in err
    assert "http://127.0.0.1:1 cannot be reached" in err
    assert list((tmp_path / "spool").glob("*.ndjson"))


@pytest.mark.parametrize("what", ["config", "record", "policy", "backtest"])
def test_every_schema_is_a_json_schema(what: str, tmp_path: Path) -> None:
    schema = json.loads(_run("schema", what, cwd=tmp_path)[0])
    Draft202012Validator.check_schema(schema)
    assert len(schema) > 2


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        (
            "a sink without its folder",
            ["--set", "sinks.0.path=/nowhere/r.ndjson"],
            "sinks: sinks.0 (file): records cannot",
        ),
        ("a sink that is no file", ["--set", "sinks.0.path=/dev/null"], "it is not a regular file"),
        ("a folder that is followed", ["--source", "/tmp", "--follow"], "/tmp: "),
        ("a device that is followed", ["--source", "/dev/null", "--follow"], "/dev/null: "),
        ("a file that is not there", ["--source", "absent.log"], "absent.log: does not exist"),
        ("a kernel device that is not there", ["--set", "sources=[{type: kmsg, path: /dev/nokmsg}]"], "/dev/nokmsg"),
        (
            "a position file without its folder",
            ["--source", "kern.log", "--follow", "--set", "sources.0.positions=/nowhere/p"],
            "/nowhere/p",
        ),
    ],
)
def test_a_mistake_is_told_at_the_start(name: str, arguments: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "kern.log").write_text("")
    _, err = _run("run", *arguments, cwd=tmp_path, code=2)
    assert told in err.splitlines()[-1]


def test_a_run_goes_on_when_the_reader_of_its_output_has_gone(tmp_path: Path) -> None:
    command = f"{sys.executable} -m pipeline.cli run | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, timeout=60, check=True, env=_environment()
    )
    warned = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert (len(done.stdout.splitlines()), warned) == (1, ["standby.last-taken"])
    assert "gpu-a100-03" in _told(_records(tmp_path), "rescue-failed")


def test_a_log_with_stamps_of_the_last_century_of_syslog_keeps_its_own_time(tmp_path: Path) -> None:
    days = [f"Nov {day:2} 08:01:02 n{day} kernel: {OFF_THE_BUS}" for day in (1, 10, 20)]
    (tmp_path / "kern.log").write_text("\n".join(days) + "\n")
    _run("run", "--source", "file://kern.log", cwd=tmp_path)
    times = [
        record["@timestamp"][5:19] for record in _records(tmp_path) if record["event"]["action"] == "fault-detected"
    ]
    assert times == ["11-01T08:01:02", "11-10T08:01:02", "11-20T08:01:02"]


def test_what_comes_through_a_pipe_is_followed_if_told_so(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", "--source", "-", "--follow"],
        cwd=tmp_path,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"[ 3023.05] {OFF_THE_BUS}\n".encode())
        process.stdin.flush()
        told = [process.stdout.readline() for _ in range(2)]
        assert b"fault-detected" in told[1]
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")


def test_damage_and_unknown_lines_are_counted_where_people_see_it(tmp_path: Path) -> None:
    log = b"NVRM: something new\nNVRM: \xff Xid (PCI:0000:03:00): 62, x\n"
    out, _ = _run("run", "--source", "-", cwd=tmp_path, stdin=log)
    assert "seen: driver lines that no pattern knew: 2" in out
    assert "seen: messages with invalid-utf8: 1" in out


def test_another_run_that_does_something_else_is_recorded_beside_the_first(tmp_path: Path) -> None:
    _run("run", "--set", "dry_run=true", cwd=tmp_path)
    _run("run", cwd=tmp_path)
    planned = [record for record in _records(tmp_path) if record["event"]["action"] == "rescue-planned"]
    assert {record["gpu_rescue"]["rescue"]["dry_run"] for record in planned} == {True, False}


def test_a_terminal_is_not_steered_by_what_a_log_says(tmp_path: Path) -> None:
    log = b"Nov 20 08:00:00 n1 kernel: NVRM: Xid (PCI:0000:03:00): 62, \x1b]0;owned\x07 x\n"
    out, _ = _run("run", "--source", "-", cwd=tmp_path, stdin=log)
    assert "\x1b" not in out
    assert "xid 62 on n1" in out


def test_a_stream_that_cannot_show_a_character_shows_another(tmp_path: Path) -> None:
    log = "Nov 20 08:00:00 n1 kernel: NVRM: Xid (PCI:0000:03:00): 62, 通道\n".encode()
    plain = _environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    out, _ = _run("run", "--source", "-", cwd=tmp_path, stdin=log, environment=plain)
    assert "xid 62 on n1" in out


def test_a_journal_of_other_machines_is_rescued_on_simulated_ones_whose_boots_are_others(tmp_path: Path) -> None:
    journal = {
        "__REALTIME_TIMESTAMP": "1709625600000000",
        "_HOSTNAME": "gpu-9",
        "_BOOT_ID": "b03ed610f21d46ab8243a495ba5a0058",
        "_TRANSPORT": "kernel",
        "MESSAGE": OFF_THE_BUS,
    }
    _run("run", "--source", "-", cwd=tmp_path, stdin=json.dumps(journal).encode() + b"\n")
    assert list(_told(_records(tmp_path), "rescue-succeeded")) == ["gpu-9"]
