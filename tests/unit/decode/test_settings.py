"""The settings: what is promised by default, and what is refused."""

import pytest
from pydantic import ValidationError

from pipeline.decode.settings import DecodeSettings


def test_the_defaults_are_those_that_are_promised() -> None:
    settings = DecodeSettings()

    assert settings.timezone == "UTC"
    assert settings.node is None
    assert {"MESSAGE", "message", "msg", "log", "content", "event.original"} <= set(settings.message_fields)
    assert {"kubernetes.host", "_HOSTNAME", "hostname", "host.name", "host", "node_name"} <= set(settings.node_fields)
    assert {"@timestamp", "timestamp", "__REALTIME_TIMESTAMP", "time", "__time__"} <= set(settings.time_fields)


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in DecodeSettings.model_fields.values())


@pytest.mark.parametrize("name", ["Asia/Shanghai", "UTC", "utc"])
def test_a_known_zone_is_taken(name: str) -> None:
    assert DecodeSettings(timezone=name).timezone == name


@pytest.mark.parametrize("name", ["", "Beijing", "../etc/passwd", "/etc/localtime", "America", "+08:00", "A\0B"])
def test_an_unknown_zone_is_refused_with_what_would_be_right(name: str) -> None:
    with pytest.raises(ValidationError, match="write an IANA name such as Asia/Shanghai"):
        DecodeSettings(timezone=name)


@pytest.mark.parametrize("fields", [{"message_fields": [""]}, {"node": ""}, {"nodes": ["a"]}])
def test_a_mistake_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DecodeSettings.model_validate(fields)
