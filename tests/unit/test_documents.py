"""Files that an operator writes: every mistake is told with FILE:LINE, what is wrong and what would be right."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from pipeline.documents import Document, Strict, json_schema, parse_documents, read_documents, validate
from pipeline.durations import Duration
from pipeline.errors import BadInputError


class Disk(Strict):
    type: Literal["disk"]
    path: str
    wait: Duration | None = None


class Net(Strict):
    type: Literal["net"]
    url: str


class Limits(Strict):
    max_nodes: int = 5


class Config(Strict):
    sinks: list[Annotated[Disk | Net, Field(discriminator="type")]] = Field([])
    limits: Limits = Limits()


def _problems(text: str) -> list[str]:
    try:
        for document in parse_documents(text, "f.yaml"):
            validate(Config, document)
    except BadInputError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a good file", "sinks:\n- {type: disk, path: a}\n", []),
        ("an empty file", "", []),
        (
            "an unknown key with its neighbour",
            "limits:\n  max_node: 3\n",
            ["f.yaml:2: unknown key 'limits.max_node'; did you mean 'max_nodes'?"],
        ),
        ("an unknown key with the known ones", "x: 1\n", ["f.yaml:1: unknown key 'x'; known keys are limits, sinks"]),
        (
            "an unknown key of one kind of sink",
            "sinks:\n- type: net\n  url: u\n  pth: a\n",
            ["f.yaml:4: unknown key 'sinks.0.pth'; known keys are type, url"],
        ),
        ("a missing key", "sinks:\n- type: disk\n", ["f.yaml:2: the key 'sinks.0.path' is missing"]),
        (
            "an unknown kind",
            "sinks:\n\n- type: tape\n",
            [
                "f.yaml:3: sinks.0: Input tag 'tape' found using 'type' does not match any of the expected tags: "
                "'disk', 'net'"
            ],
        ),
        (
            "a wrong type",
            "limits:\n  max_nodes: many\n",
            ["f.yaml:2: limits.max_nodes: Input should be a valid integer, unable to parse string as an integer"],
        ),
        (
            "a duration without a unit",
            "sinks:\n- {type: disk, path: a, wait: 5}\n",
            [
                "f.yaml:2: sinks.0.wait: 5 is not a duration; write it with its unit, like 20min, 1day3h5min or 90s",
            ],
        ),
        ("not YAML", "a: [1,\n", ["f.yaml:2: is not YAML: did not find expected node content"]),
        ("a key twice", "limits: {}\nlimits: {}\n", ["f.yaml:2: the key 'limits' is set twice; keep one of them"]),
        ("a key that is no word", "? [a]\n: 1\n", ["f.yaml:1: a key must be a word"]),
        ("a control character", "limits: {}\nx: \x01\n", ["f.yaml:2: is not YAML: control characters are not allowed"]),
        (
            "an impossible date",
            "x: 2020-13-45\n",
            ["f.yaml:1: '2020-13-45' is not a value of its type; put it in quotes"],
        ),
        ("an alias to itself", "x: &a [*a]\n", ["f.yaml:1: is nested too deep or repeats itself too often"]),
        (
            "two mistakes at once",
            "limits: {max_nodes: x}\nsinks: 3\n",
            [
                "f.yaml:2: sinks: Input should be a valid list",
                "f.yaml:1: limits.max_nodes: Input should be a valid integer, unable to parse string as an integer",
            ],
        ),
    ],
)
def test_each_mistake_is_told_with_its_place(name: str, text: str, told: list[str]) -> None:
    assert _problems(text) == told


def test_the_billion_laughs_are_refused() -> None:
    text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for previous, name in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{name}: &{name} [{','.join([f'*{previous}'] * 10)}]\n"
    assert _problems(text)[0].endswith("is nested too deep or repeats itself too often")


def test_several_documents_each_know_their_lines() -> None:
    first, second = parse_documents("a: 1\n---\nb:\n  c: 2\n", "f.yaml")
    assert (first.data, second.data) == ({"a": 1}, {"b": {"c": 2}})
    assert second.where(("b", "c")) == "f.yaml:4"
    assert second.where(("b", "tag", "c")) == "f.yaml:4"
    assert second.where(("nowhere",)) == "f.yaml:3"


def test_json_is_read_as_yaml() -> None:
    (document,) = parse_documents('{"limits": {"max_nodes": 2}}', "f.json")
    assert validate(Config, document).limits.max_nodes == 2


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"absent\.yaml: cannot be read: No such file or directory"):
        read_documents(tmp_path / "absent.yaml")


def test_a_file_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: 1\nb: \xe9\n")
    with pytest.raises(BadInputError, match=r"latin\.yaml:2: is not UTF-8; save the file as UTF-8 text"):
        read_documents(path)


def test_a_document_without_lines_still_has_a_place() -> None:
    assert Document("RescuePolicy/a", {}).where(("spec",)) == "RescuePolicy/a:1"


def test_the_schema_names_every_key() -> None:
    assert set(json_schema(Config)["properties"]) == {"sinks", "limits"}


@given(st.text(max_size=200))
def test_no_text_gives_anything_but_documents_or_a_complaint(text: str) -> None:
    problems = _problems(text)
    assert all(problem.startswith("f.yaml:") for problem in problems)
