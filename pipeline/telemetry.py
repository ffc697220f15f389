"""Metrics and logs: what the process says of itself, by Prometheus counters and structured events."""

import logging
import sys
from contextlib import suppress

import structlog
from prometheus_client import Counter, Gauge

LINES = Counter("gpu_rescue_lines", "Kernel log lines taken out of deliveries that passed the cheap test.")
PROBLEMS = Counter("gpu_rescue_decode_problems", "Messages that were not whole or not clean.", ["problem"])
SET_ASIDE = Counter("gpu_rescue_set_aside", "Messages of which nothing could be made, by reason.", ["reason"])
FAULTS = Counter("gpu_rescue_faults", "Lines recognised as faults.", ["kind", "placement"])
SKIPS = Counter("gpu_rescue_skips", "Incidents that lead to no rescue.", ["reason"])
RESCUES = Counter("gpu_rescue_rescues", "Rescues planned.", ["policy"])
OPEN_RESCUES = Gauge("gpu_rescue_open_rescues", "Rescues that have not ended, by status, of every replica.", ["status"])
RECORDS = Counter("gpu_rescue_records", "Records that are safe, by what happened.", ["action"])
LEADING = Gauge("gpu_rescue_leading", "Whether this process is the one that executes rescues.")
EVENTS = Counter(
    "gpu_rescue_events", "Events about nodes: written, failed (not taken), dropped (too many).", ["outcome"]
)
UNKNOWN_DRIVER_LINES = Counter("gpu_rescue_unknown_driver_lines", "NVIDIA driver lines that no pattern knew.")
UNREADABLE_RESCUES = Gauge(
    "gpu_rescue_unreadable_rescues",
    "Rescues that have not ended and cannot be read: damaged by hand, or saved by a later version.",
)
FREE_STANDBYS = Gauge("gpu_rescue_free_standbys", "Warm standbys that could be put into service now.")
RELOADS = Counter("gpu_rescue_reloads", "Files read again after a change.", ["files", "outcome"])
SPOOLED_RECORDS = Gauge("gpu_rescue_spooled_records", "Records on the disk that their sink has not taken.", ["spool"])
SPOOLED_BYTES = Gauge("gpu_rescue_spooled_bytes", "Their size.", ["spool"])
REFUSED_RECORDS = Counter("gpu_rescue_refused_records", "Records that are in a sink's file of dead letters.", ["file"])
KAFKA_MESSAGES = Counter("gpu_rescue_kafka_messages", "Messages read from Kafka, noise included.", ["group"])
KAFKA_LAG = Gauge(
    "gpu_rescue_kafka_lag",
    "Messages of a partition of ours that are not yet dealt with.",
    ["group", "topic", "partition"],
)
KAFKA_SET_ASIDE = Counter("gpu_rescue_kafka_set_aside", "Damaged batches, which nobody can read.", ["group", "topic"])
KAFKA_SKIPPED = Counter(
    "gpu_rescue_kafka_skipped", "Offsets that were gone from the topic before they were read.", ["group", "topic"]
)
KAFKA_COMMITS = Counter("gpu_rescue_kafka_commits", "Commits of offsets.", ["group", "outcome"])
KAFKA_REBALANCES = Counter("gpu_rescue_kafka_rebalances", "Times that our partitions were given out anew.", ["group"])
KAFKA_UP = Gauge("gpu_rescue_kafka_up", "Whether the cluster answers.", ["group"])
KUBE_CALLS = Counter(
    "gpu_rescue_kube_calls",
    "Calls of the Kubernetes API by the status of the answer; none: no answer.",
    ["verb", "code"],
)
WATCH_SEEN = Gauge(
    "gpu_rescue_watch_seen_timestamp_seconds",
    "When a watch of the Kubernetes API has last brought anything; a bookmark comes every minute.",
    ["resource"],
)
WATCH_FAILURES = Counter(
    "gpu_rescue_watch_failures",
    "Lists and watches of the Kubernetes API that broke, or that were refused.",
    ["resource", "outcome"],
)


def forget(gauge: Gauge, *labels: object) -> None:
    """Tell no more of what is not ours any more."""
    with suppress(KeyError):
        gauge.remove(*labels)


def configure_logging(json: bool, level: str = "info") -> None:
    """Send log events to standard error, as JSON lines or, for people, as aligned text."""
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=shared + rendering,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
