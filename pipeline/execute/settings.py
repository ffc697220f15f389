"""How the executor waits and tries again."""

from datetime import timedelta

from pydantic import Field

from pipeline.decide.family import FAMILY
from pipeline.documents import Strict
from pipeline.durations import Duration


class ExecuteSettings(Strict):
    """How rescues wait: before their first step, between steps, and when something is away."""

    settle: Duration = Field(
        FAMILY,
        description="How long a new rescue waits after its cordon, so that the faults of its family, which follow within "
        "two seconds, join it.",
    )
    hold_poll: Duration = Field(timedelta(seconds=30), description="How often a held rescue asks whether it may go on.")
    step_timeout: Duration = Field(
        timedelta(minutes=1),
        description="How long one call of a step may take before it counts as a temporary error; a step has many.",
    )
    retry_first: Duration = Field(
        timedelta(seconds=2), description="Pause after the first temporary error of a step; doubles."
    )
    retry_longest: Duration = Field(timedelta(seconds=60), description="Longest pause between two tries of a step.")
    max_attempts: int = Field(
        100,
        gt=0,
        description="Temporary errors in a row after which a step fails, after some 90 minutes; unCordon never does.",
    )
