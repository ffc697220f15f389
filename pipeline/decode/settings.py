"""Where a shipper puts the text, the node and the time."""

from datetime import tzinfo
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from pipeline.documents import Strict
from pipeline.timezones import TimezoneName, parse_timezone

FieldPath = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
"""A key of a JSON record; dots lead into nested objects, and a key that itself holds the dots will do as well."""


ContainerName = Annotated[str, StringConstraints(pattern=r"^(?:[\w.-]+/)?[\w.-]+$", strip_whitespace=True)]
"""A container, NAME or NAMESPACE/NAME."""


class DecodeSettings(Strict):
    """How messages are taken apart. The defaults cover the shippers whose envelopes are listed in `envelopes`."""

    message_fields: tuple[FieldPath, ...] = Field(
        default=(
            "MESSAGE",
            "message",
            "msg",
            "log",
            "content",
            "event.original",
            "line",
            "body",
            "short_message",
            "rawmsg",
        ),
        description="Keys of a JSON record that may hold the kernel's text; the first that holds text is taken. Where "
        "it does not mention an NVIDIA driver and another string of the record does, that one is read too. A record "
        "without any has all its strings searched, which finds the fault but is counted as no-message.",
    )
    node_fields: tuple[FieldPath, ...] = Field(
        default=(
            "kubernetes.host",
            "kubernetes.node_name",
            "kubernetes.node.name",
            "k8s.node.name",
            "node_name",
            "nodename",
            "_HOSTNAME",
            "hostname",
            "host.name",
            "host.hostname",
            "host",
            "HOST",
            "node",
            "agent.hostname",
            "__tag__:__hostname__",
            "__source__",
        ),
        description="Keys of a JSON record that may hold the node's name; the first that holds a name is taken. "
        "Kubernetes metadata come first, because a shipper in a pod may report the pod's name as its host.",
    )
    time_fields: tuple[FieldPath, ...] = Field(
        default=(
            "_SOURCE_REALTIME_TIMESTAMP",
            "__REALTIME_TIMESTAMP",
            "@timestamp",
            "timestamp",
            "time",
            "date",
            "ts",
            "timereported",
            "timegenerated",
            "__time__",
        ),
        description="Keys of a JSON record that may hold the event's time; the earliest is taken: ISO 8601, "
        "syslog's, or a number since 1970 in seconds, ms, µs or ns, told apart by size. Many shippers stamp a line "
        "when they read it, maybe weeks late: an earlier time with a zone inside the line outranks theirs, and one "
        "without a zone (RFC 3164, `dmesg -T`) that is earlier by more than 26 h, which no zone explains. To have less "
        "than that seen, let syslog write its zone, or leave the shipper's key out.",
    )
    timezone: TimezoneName = Field(
        default="UTC",
        description="IANA name of the zone of stamps that name none (a syslog header's, say). UTC, as most servers are "
        "set to; a wrong zone makes faults look hours old, or not yet happened, and they are skipped.",
    )
    node: str | None = Field(
        default=None,
        min_length=1,
        description="Node of messages that name none, neither inside nor by the stream's key; for one machine's log. "
        "Unset: such a fault is recorded as unnamed, and nothing is done.",
    )

    kernel_containers: tuple[ContainerName, ...] = Field(
        default=(),
        description="Containers whose output is the kernel's log (a daemonset that runs `dmesg -w`, say), as NAME or, "
        "safer where others may name containers too, NAMESPACE/NAME. What any other container prints, its author "
        "chose: it is recorded as not-from-kernel and never acted on. None by default: most sites ship the kernel's "
        "log itself.",
    )

    dead_letter_file: Path | None = Field(
        default=None,
        description="File for messages of which nothing could be made: that hold what a rule looks for and no line, or "
        "on which decoding or matching failed. A JSON object per line, the message as base64 (its first 8,192 "
        "characters where matching failed); never larger than 64 MiB; its folder must exist. None: they are counted "
        "and named in the log.",
    )

    @property
    def zone(self) -> tzinfo:
        """The zone of stamps that name none."""
        return parse_timezone(self.timezone)
