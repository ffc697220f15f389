"""How actions are said."""

from datetime import timedelta

import pytest

from pipeline.decide.wording import describe, described, names
from pipeline.model.plan import Action, Cordon, Drain, NamespaceMode, NamespaceRule, OnTimeout, Reboot, Uncordon


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (Cordon(), "cordon"),
        (Drain(), "drain (waittime 20min, onTimeout fail)"),
        (Drain(on_timeout=OnTimeout.FORCE, force=True), "drain (waittime 20min, onTimeout force, force true)"),
        (
            Drain(
                namespaces=(
                    NamespaceRule("x-*", NamespaceMode.WAIT_FOR_COMPLETION),
                    NamespaceRule("y", NamespaceMode.DELETE_AFTER, timedelta(minutes=5)),
                ),
                gpu_pods_only=True,
            ),
            "drain (waittime 20min, onTimeout fail, namespaces [x-* waitForCompletion; y deleteAfter 5min], "
            "gpuPodsOnly true)",
        ),
        (
            Drain(delete_empty_dir_data=False),
            "drain (waittime 20min, onTimeout fail, deleteEmptyDirData false)",
        ),
        (Reboot(), "reboot (timeout 30min)"),
        (Reboot(waittime=timedelta(minutes=5)), "reboot (waittime 5min, timeout 30min)"),
    ],
)
def test_an_action_is_said_with_what_it_was_told(action: Action, said: str) -> None:
    assert describe(action) == said


def test_a_plan_is_said_by_names_or_in_full() -> None:
    assert names([Cordon(), Uncordon()]) == "cordon, unCordon"
    assert described([Cordon(), Reboot()]) == "cordon, reboot (timeout 30min)"
