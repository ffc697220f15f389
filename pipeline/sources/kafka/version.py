"""Which Kafka answers.

No broker says its release. It says which levels of the cluster's metadata it knows (`metadata.version`, KIP-584), and
each release since 3.3 has brought a higher one.
"""

from io import BytesIO

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import ApiVersionRequest_v0
from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

_KEY = 18
_SUPPORTED_FEATURES = 0
"""The tag under which an answer holds them."""
_FEATURES = CompactArray(
    ("name", CompactString("utf-8")), ("lowest", Int16), ("highest", Int16), ("tags", TaggedFields)
)
_LEVEL = "metadata.version"
_RELEASES = {
    7: "3.3",
    8: "3.4",
    11: "3.5",
    14: "3.6",
    19: "3.7",
    20: "3.8",
    21: "3.9",
    25: "4.0",
    27: "4.1",
    29: "4.2",
    30: "4.3",
    33: "4.4",
}
"""The release that each level came with, by `kafka-storage.sh version-mapping --release-version`."""


class _Answer(Response):  # type: ignore[misc]
    API_KEY = _KEY
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        ("api_versions", CompactArray(("key", Int16), ("lowest", Int16), ("highest", Int16), ("tags", TaggedFields))),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )


class _Asked(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = _KEY
    API_VERSION = 3
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(("name", CompactString("utf-8")), ("version", CompactString("utf-8")), ("tags", TaggedFields))

    def parse_response_header(self, read_buffer: BytesIO) -> ResponseHeader_v0:
        """Read the old header: of all answers only this one keeps it, for those who do not know yet (KIP-511)."""
        return ResponseHeader_v0.decode(read_buffer)


class _Versions(Request[ApiVersionRequest_v0 | _Asked]):  # type: ignore[misc]
    API_KEY = _KEY

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return _Asked("gpu-rescue", "1", {}) if request_struct_class is _Asked else request_struct_class()


async def version(client: AIOKafkaClient) -> str:
    """Return the version of a broker as people call it. Raises KafkaError."""
    answer = await client.send(client.get_random_node(), _Versions())
    if answer.error_code:
        raise for_code(answer.error_code)
    tags = answer.tags if isinstance(answer, _Answer) else {}
    return named(tags.get(_SUPPORTED_FEATURES))


def named(features: bytes | None) -> str:
    """Return the release of a broker that supports these features, None of one that names none."""
    levels = [highest for name, _, highest, _ in _decoded(features) if name == _LEVEL]
    if not levels:
        return "Kafka of a version that it does not tell (before 3.3, or of another make)"
    if levels[0] < min(_RELEASES):
        return "Kafka before 3.3"
    release = _RELEASES[max(level for level in _RELEASES if level <= levels[0])]
    return f"Kafka {release}" if levels[0] <= max(_RELEASES) else f"Kafka after {release}"


def _decoded(features: bytes | None) -> list[tuple[str, int, int, dict[int, bytes]]]:
    return _FEATURES.decode(BytesIO(features)) or [] if features is not None else []
