"""What this machine must have: found where it is, and where it is not, told by name."""

import os
from pathlib import Path

import pytest

from tests.services import java, maven
from tests.services.errors import MissingError
from tests.services.fixtures import required
from tests.services.folders import temporary_folder
from tests.services.golang import find_go
from tests.services.java import find_java
from tests.services.maven import run_maven
from tests.services.ports import RANGE, free_port


def install(home: Path, version: str | None, *tools: str) -> Path:
    (home / "bin").mkdir(parents=True)
    for tool in tools:
        (home / "bin" / tool).touch(0o755)
    if version:
        (home / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\n')
    return home


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No Java but those that a test installs: in `jvm/`, in `given/` (JAVA_HOME), in `path/` (PATH)."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "given"))
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setattr(java, "INSTALLED", tmp_path / "jvm")
    return tmp_path


def test_java_home_comes_first_then_the_path_then_what_is_installed(machine: Path) -> None:
    installed = install(machine / "jvm" / "temurin-25", "25.0.3", "java", "jlink")
    assert find_java(17) == installed
    on_path = install(machine / "path", "21.0.1", "java")
    assert find_java(17) == on_path
    given = install(machine / "given", "17.0.15", "java")
    assert find_java(17) == given
    assert find_java(21) == on_path
    assert find_java(21, "jlink") == installed


def test_a_java_that_is_too_old_or_of_no_known_version_is_told(machine: Path) -> None:
    install(machine / "given", None, "java")
    install(machine / "jvm" / "java-17", "17.0.15", "java", "jlink")
    with pytest.raises(MissingError) as missing:
        find_java(21, "jlink")
    for words in ("no Java 21", "of no known version", "java-17 is 17", "openjdk-21-jdk", "JAVA_HOME"):
        assert words in str(missing.value)


def test_no_java_at_all_is_told(machine: Path) -> None:
    del machine
    with pytest.raises(MissingError, match=r"no Java 17 .*install a JDK of 17"):
        find_java(17)


def test_no_maven_is_told(machine: Path) -> None:
    with pytest.raises(MissingError, match="install Maven"):
        run_maven("get", machine)


def test_a_maven_that_fails_is_quoted(machine: Path) -> None:
    maven_script = install(machine / "path", None) / "bin" / "mvn"
    maven_script.write_text("#!/bin/sh\necho no route to host\nexit 1\n")
    maven_script.chmod(0o755)
    with pytest.raises(MissingError, match=r"mvn get failed.*\nno route to host"):
        run_maven("get", machine)


def test_a_maven_that_hangs_is_ended(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven_script = install(machine / "path", None) / "bin" / "mvn"
    maven_script.write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    maven_script.chmod(0o755)
    monkeypatch.setattr(maven, "LIMIT", 0.2)
    with pytest.raises(MissingError, match="did not end"):
        run_maven("get", machine)


def go_that_says(machine: Path, words: str) -> None:
    script = install(machine / "path", None) / "bin" / "go"
    script.write_text(f"#!/bin/sh\n{words}\n")
    script.chmod(0o755)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param("echo go1.25.4", "go1.25.4, too old; install Go 1.26 or later", id="too old"),
        pytest.param("exit 2", "of no known version", id="no Go at all"),
    ],
)
def test_a_go_that_will_not_do_is_told(machine: Path, words: str, told: str) -> None:
    go_that_says(machine, words)
    with pytest.raises(MissingError, match=told):
        find_go()


def test_a_go_that_is_new_enough_says_its_version(machine: Path) -> None:
    with pytest.raises(MissingError, match=r"no go on PATH; install Go 1\.26"):
        find_go()
    go_that_says(machine, "echo go1.27.0")
    assert find_go() == "go1.27.0"


@pytest.mark.parametrize(
    ("ci", "outcome"),
    [
        pytest.param("true", pytest.fail.Exception, id="in CI it is a failure"),
        pytest.param(None, pytest.skip.Exception, id="elsewhere a skip"),
    ],
)
def test_what_is_missing(ci: str | None, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no mvn"), required():
        raise MissingError("no mvn on PATH")


def test_ports_are_below_the_ephemeral_range_and_never_given_twice() -> None:
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == len(ports)
    assert all(port in RANGE for port in ports)


def test_a_folder_lives_as_long_as_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    base = tmp_path / f"gpu-rescue-{os.geteuid()}"
    with temporary_folder("kafka") as first:
        (base / "kafka-killed").mkdir()
        (base / "kafka-killed" / "data").touch()
        with temporary_folder("kafka") as second:
            assert first.is_dir()
            assert second.stat().st_mode & 0o777 == 0o755
            assert {path for path in base.iterdir() if path.is_dir()} == {first, second}
        assert not second.exists()
    assert not first.exists()


def test_a_base_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"gpu-rescue-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="TMPDIR"), temporary_folder("kafka"):
        pass
