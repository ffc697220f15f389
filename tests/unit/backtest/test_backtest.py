"""Small logs through policies: who would have been rescued, how and when, to the second."""

import gzip
from datetime import timedelta

import pytest

from pipeline.backtest.backtest import Span
from pipeline.backtest.report import RescueTold
from pipeline.errors import BadInputError
from tests.fakes.backtests import MINUTE, MORNING, SECOND, Bench, fault, line


def steps(rescue: RescueTold) -> list[tuple[str, timedelta, timedelta | None, str]]:
    """What was done, when counted from the morning, and with what outcome."""
    return [
        (step.action, step.begin - MORNING, None if step.end is None else step.end - MORNING, step.outcome)
        for step in rescue.steps
    ]


async def test_a_node_is_cordoned_drained_rebooted_and_returned_when_the_simulation_says(bench: Bench) -> None:
    bench.log(line("gpu-1", "noise"), fault("gpu-1"), line("gpu-1", "noise", 20 * MINUTE))
    report = await bench.run()
    (rescue,) = report.proposed.rescues
    assert (rescue.node, rescue.fault, rescue.policy, rescue.status) == ("gpu-1", "xid 79", "reboots[0]", "Succeeded")
    # Two seconds to settle, 30 s of the pod's grace, looked at every 10 s; a minute's waittime; 3 min of boot.
    assert steps(rescue) == [
        ("cordon", timedelta(0), timedelta(0), "Succeeded"),
        ("drain", 2 * SECOND, 32 * SECOND, "Succeeded"),
        ("reboot", 92 * SECOND, 272 * SECOND, "Succeeded"),
        ("unCordon", 272 * SECOND, 272 * SECOND, "Succeeded"),
    ]
    assert [(phase.state, phase.begin - MORNING) for phase in rescue.phases] == [
        ("cordoned", timedelta(0)),
        ("draining", 2 * SECOND),
        ("cordoned", 32 * SECOND),
        ("rebooting", 92 * SECOND),
    ]
    assert (rescue.out_from, rescue.out_to) == (MORNING, MORNING + 272 * SECOND)
    assert report.proposed.node_hours == {"gpu-1": round(272 / 3600, 3)}
    assert (report.log.lines, report.log.faults) == (3, 1)
    assert (report.log.begin, report.log.end, report.log.until) == (MORNING, MORNING + 20 * MINUTE, report.log.end)


async def test_what_the_breaker_holds_is_told_with_reason_length_and_node(bench: Bench) -> None:
    bench.log(fault("gpu-1"), fault("gpu-2", 10 * SECOND))
    report = await bench.run(guards__max_nodes=1)
    (hold,) = report.proposed.holds
    second = report.proposed.rescues[1]
    assert (hold.reason, hold.rescues, hold.nodes) == ("max-nodes", (second.name,), ("gpu-2",))
    # It is held from second 10 on, gpu-1 is back at 272, and at every full half minute it asks.
    assert second.steps[0].begin - MORNING == 300 * SECOND
    assert hold.seconds == hold.longest_seconds == 290
    assert (report.proposed.peak.nodes, report.proposed.totals.held) == (1, 1)


async def test_a_fabric_incident_cordons_its_nodes_and_what_comes_after_that_is_told_as_held(bench: Bench) -> None:
    bench.log(fault("gpu-1"), fault("gpu-2", SECOND), line("gpu-1", "noise", 180 * MINUTE))
    proposed = (await bench.run(guards__fabric="{labels: [app], nodes: 2}")).proposed
    (hold,) = proposed.holds
    # Held from second 2 on; given up at the first full half minute after max_hold.
    assert (hold.reason, hold.nodes, hold.longest_seconds) == ("fabric-incident", ("gpu-1", "gpu-2"), 7228)
    assert (proposed.totals.cordons, proposed.totals.drains, proposed.totals.reboots) == (2, 0, 0)
    assert (proposed.totals.held, proposed.totals.cancelled, proposed.peak.nodes) == (2, 2, 2)
    assert [[phase.state for phase in rescue.phases] for rescue in proposed.rescues] == [
        ["cordoned", "held", "cordoned"]
    ] * 2
    assert proposed.node_hours == {"gpu-1": round(10800 / 3600, 3), "gpu-2": round(10799 / 3600, 3)}


async def test_the_peak_says_how_many_when_and_which(bench: Bench) -> None:
    bench.log(fault("gpu-1"), fault("gpu-2", MINUTE))
    peak = (await bench.run()).proposed.peak
    assert (peak.nodes, peak.names) == (2, ("gpu-1", "gpu-2"))
    assert (peak.begin, peak.end) == (MORNING + 60 * SECOND, MORNING + 272 * SECOND)


async def test_a_node_that_nobody_brings_back_is_out_until_the_end(bench: Bench) -> None:
    bench.log(fault("gpu-1"), fault("gpu-2", code=62), line("gpu-1", "noise", timedelta(hours=2)))
    report = await bench.run("cordons.yaml")
    assert report.proposed.node_hours == {"gpu-1": 2, "gpu-2": 2}
    assert [(phase.state, phase.end) for rescue in report.proposed.rescues for phase in rescue.phases] == [
        ("cordoned", None),
        ("cordoned", MORNING + 2 * SECOND),
        ("offline", None),
    ]
    assert {action.action: action.nodes for action in report.proposed.actions if action.nodes} == {
        "cordon": ("gpu-1", "gpu-2"),
        "offline": ("gpu-2",),
    }


async def test_a_standby_that_takes_a_place_is_named(bench: Bench) -> None:
    bench.file("reboots.yaml", (bench.folder / "reboots.yaml").read_text().replace("drain", "enableWarmStandby", 1))
    bench.log(fault("gpu-1"))
    bench.file(
        "standby.yaml",
        "apiVersion: rescue.ksyun.com/v1\nkind: RescuePolicy\nmetadata: {name: standby}\nspec:\n  rules:\n"
        "  - {priority: 10, errorCode: ['79'], actions: [{name: cordon}, {name: enableWarmStandby}]}\n",
    )
    report = await bench.run("standby.yaml")
    assert [step.standby for rescue in report.proposed.rescues for step in rescue.steps] == [None, "gpu-9"]
    assert report.proposed.totals.standbys == 1


async def test_faults_that_lead_to_nothing_are_counted_by_reason_and_code(bench: Bench) -> None:
    bench.log(*(fault(node, after * SECOND, code=13) for after in range(5) for node in ("gpu-1", "gpu-2")))
    (skip,) = (await bench.run()).proposed.skips
    assert (skip.reason, skip.fault, skip.incidents, skip.lines, skip.nodes) == ("no-rescue-needed", "xid 13", 2, 10, 2)


async def test_hosts_that_the_nodes_file_does_not_know_become_nodes(bench: Bench) -> None:
    bench.log(fault("elsewhere"))
    report = await bench.run()
    assert ([rescue.node for rescue in report.proposed.rescues], report.proposed.new_nodes) == (["elsewhere"], 1)


async def test_the_boot_ids_of_the_log_are_not_those_of_the_simulation(bench: Bench) -> None:
    record = (
        '{"__REALTIME_TIMESTAMP":"1709625600000000","_HOSTNAME":"gpu-1","_BOOT_ID":"b03ed610f21d46ab8243a495ba5a0058",'
        '"_TRANSPORT":"kernel","MESSAGE":"NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."}\n'
    )
    bench.log(record)
    assert (await bench.run()).proposed.totals.reboots == 1


async def test_two_policy_sets_over_one_reading_differ_in_what_they_do(bench: Bench) -> None:
    bench.log(fault("gpu-1"), fault("gpu-2", MINUTE, code=13), fault("gpu-2", 2 * MINUTE, code=62))
    bench.file("reboots.yaml", (bench.folder / "reboots.yaml").read_text().replace('["79"]', '["79", "13"]'))
    report = await bench.run("reboots.yaml", "cordons.yaml")
    assert report.difference is not None
    assert report.against is not None
    (only,) = report.difference.only_proposed
    assert (only.node, only.fault, only.instead) == ("gpu-2", "xid 13", "skipped: no-rescue-needed")
    assert report.difference.only_against == ()
    assert [(one.fault, one.proposed, one.against) for one in report.difference.other_actions] == [
        ("xid 79", "cordon, drain, reboot, unCordon", "cordon"),
        ("xid 62", "cordon", "cordon, offline"),
    ]
    totals = {total.what: (total.proposed, total.against) for total in report.difference.totals}
    assert totals["rescues"] == (3, 2)
    assert totals["reboots"] == (2, 0)
    assert totals["offlines"] == (0, 1)


async def test_the_same_policies_against_themselves_differ_in_nothing(bench: Bench) -> None:
    bench.log(fault("gpu-1"), fault("gpu-2", MINUTE))
    report = await bench.run("reboots.yaml", "reboots.yaml")
    assert report.proposed == report.against
    assert report.difference is not None
    assert [getattr(report.difference, key) for key in ("only_proposed", "other_actions", "other_outcome")] == [()] * 3


async def test_only_faults_between_the_bounds_count(bench: Bench) -> None:
    bench.log(*(fault(f"gpu-{number}", number * MINUTE) for number in range(1, 6)))
    report = await bench.run(span=Span(MORNING + 2 * MINUTE, MORNING + 4 * MINUTE))
    assert [rescue.node for rescue in report.proposed.rescues] == ["gpu-2", "gpu-3", "gpu-4"]
    assert (report.log.begin, report.log.end) == (MORNING + 2 * MINUTE, MORNING + 4 * MINUTE)


async def test_bounds_beside_the_log_are_a_mistake(bench: Bench) -> None:
    bench.log(fault("gpu-1"))
    with pytest.raises(
        BadInputError, match=r"--from, --to: no line of the log is of this time; the log runs from 2024"
    ):
        await bench.run(span=Span(begin=MORNING + 10 * MINUTE))


async def test_a_log_without_faults_is_no_mistake(bench: Bench) -> None:
    bench.log(line("gpu-1", "noise"))
    report = await bench.run()
    assert (report.log.faults, report.proposed.rescues, report.proposed.peak.nodes) == (0, (), 0)


@pytest.mark.parametrize("stamped", [True, False], ids=["by the time of their lines", "by name, without any time"])
async def test_rotated_and_compressed_files_are_read_in_order(stamped: bool, bench: Bench) -> None:
    def told(node: str, after: timedelta) -> str:
        return fault(node, after) if stamped else f"NVRM: Xid (PCI:0000:3b:00): 79, on {node}\n"

    bench.log(told("gpu-3", 3 * MINUTE))
    bench.log(told("gpu-2", 2 * MINUTE), name="kern.log.1")
    (bench.folder / "kern.log.2.gz").write_bytes(gzip.compress(told("gpu-1", MINUTE).encode()))
    report = await bench.run(sources=["kern.log*"], decode__node="gpu-1")
    assert [file.rpartition("/")[2] for file in report.log.files] == ["kern.log.2.gz", "kern.log.1", "kern.log"]
    if stamped:
        assert [rescue.node for rescue in report.proposed.rescues] == ["gpu-1", "gpu-2", "gpu-3"]
        assert report.proposed.skips == ()


async def test_files_of_several_nodes_are_merged_by_time_and_name_their_nodes(bench: Bench) -> None:
    for number in (1, 2, 3):
        lines = [fault(f"gpu-{number}", (60 * hour + number) * MINUTE, code=13) for hour in range(5)]
        bench.log(*lines, name=f"remote/gpu-{number}.log")
    report = await bench.run(sources=["remote"])
    # One behind the other, all but the first file's would be stale.
    assert [(skip.reason, skip.incidents) for skip in report.proposed.skips] == [("no-rescue-needed", 15)]


async def test_a_storm_is_one_rescue_with_a_count(bench: Bench) -> None:
    bench.log(*(fault("gpu-1", timedelta(milliseconds=10 * number)) for number in range(3000)))
    report = await bench.run()
    assert [(rescue.node, rescue.lines) for rescue in report.proposed.rescues] == [("gpu-1", 3000)]
    assert bench.told[-1] == report.log.bytes == (bench.folder / "kern.log").stat().st_size


async def test_what_is_assumed_names_the_times_of_the_nodes_file(bench: Bench) -> None:
    bench.log(fault("gpu-1"))
    told = " ".join((await bench.run()).assumed)
    assert "100 nodes" in told
    assert "takes 2min to the kubelet's first word" in told


async def test_what_a_policy_wants_rehearsed_is_tried_as_if_it_were_meant(bench: Bench) -> None:
    bench.file("dry.yaml", (bench.folder / "reboots.yaml").read_text().replace("spec:", "spec:\n  dryRun: true"))
    bench.log(fault("gpu-1"), fault("gpu-2", MINUTE))
    report = await bench.run("dry.yaml", "reboots.yaml")
    assert report.against is not None
    assert report.proposed.totals == report.against.totals


async def test_a_drill_in_the_log_counts_for_nothing(bench: Bench) -> None:
    bench.log(fault("gpu-1").replace("NVRM:", "gpu-rescue-drill: NVRM:"))
    assert (await bench.run()).log.faults == 0
