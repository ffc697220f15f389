"""The cache: fetched once, whole or not at all, and only what is pinned."""

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.services.artifacts import Artifact, cache, pins, placed, verify
from tests.services.errors import DamagedError, MissingError

Fetch = Callable[[Path, Path], None]


def artifact(fetch: Fetch, recipe: bytes = b"recipe") -> Artifact:
    return Artifact("thing", "1.2", recipe, "1 MB", fetch)


def test_it_is_fetched_once_and_nothing_else_is_left(tmp_path: Path) -> None:
    fetches: list[Path] = []

    def fetch(folder: Path, scratch: Path) -> None:
        fetches.append(folder)
        (scratch / "thrown away").write_text("a")
        (folder / "part").write_text("b")

    place = placed(artifact(fetch), tmp_path)
    assert placed(artifact(fetch), tmp_path) == place
    assert len(fetches) == 1
    assert [path.name for path in place.iterdir()] == ["part"]
    assert place.name.startswith("thing-1.2-")
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [place.name]


def test_another_recipe_is_another_folder(tmp_path: Path) -> None:
    def fetch(folder: Path, scratch: Path) -> None:
        del scratch
        (folder / "part").touch()

    assert placed(artifact(fetch, b"one"), tmp_path) != placed(artifact(fetch, b"two"), tmp_path)


def test_a_fetch_that_fails_leaves_nothing_and_is_made_again(tmp_path: Path) -> None:
    def fails(folder: Path, scratch: Path) -> None:
        del scratch
        (folder / "half").touch()
        raise MissingError("no network")

    with pytest.raises(MissingError):
        placed(artifact(fails), tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert placed(artifact(lambda folder, _: (folder / "whole").touch()), tmp_path).is_dir()


def test_what_a_killed_fetch_left_is_removed(tmp_path: Path) -> None:
    made = artifact(lambda folder, _: (folder / "whole").touch())
    left = tmp_path / f".{made.folder}.partial-killed"
    (left / "whole").mkdir(parents=True)
    (left / "whole" / "half").touch()
    place = placed(made, tmp_path)
    assert [path.name for path in place.iterdir()] == ["whole"]
    assert not left.exists()


def test_of_two_at_once_one_fetches_and_the_other_waits(tmp_path: Path) -> None:
    fetches: list[float] = []

    def fetch(folder: Path, scratch: Path) -> None:
        del folder, scratch
        fetches.append(time.monotonic())
        time.sleep(0.5)

    with ThreadPoolExecutor() as threads:
        places = list(threads.map(lambda _: placed(artifact(fetch), tmp_path), range(3)))
    assert len(set(places)) == 1
    assert len(fetches) == 1


DIGEST = hashlib.sha256(b"a").hexdigest()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param({"a.jar": b"a"}, None, id="all as pinned"),
        pytest.param({"a.jar": b"b"}, "a.jar", id="another content"),
        pytest.param({}, "a.jar: missing", id="one is missing"),
        pytest.param({"a.jar": b"a", "b.jar": b"a"}, "not pinned", id="one too many"),
    ],
)
def test_what_came_is_held_to_the_pins(files: dict[str, bytes], told: str | None, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    pinned = pins(f"{DIGEST}  a.jar\n")
    if told is None:
        verify(tmp_path, pinned)
        return
    with pytest.raises(DamagedError, match=told):
        verify(tmp_path, pinned)


@pytest.mark.parametrize(
    ("user", "home", "expected"),
    [
        pytest.param(0, None, "/var/cache/gpu-rescue", id="root's is where other users may read"),
        pytest.param(1000, None, "/home/sre/.cache/gpu-rescue", id="a user's is at home"),
        pytest.param(1000, "/cache", "/cache/gpu-rescue", id="or where XDG_CACHE_HOME says"),
    ],
)
def test_where_the_cache_is(user: int, home: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setenv("HOME", "/home/sre")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if home:
        monkeypatch.setenv("XDG_CACHE_HOME", home)
    assert cache() == Path(expected)
