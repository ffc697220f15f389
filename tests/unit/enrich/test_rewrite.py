"""Rewrite rules that cannot work are refused with the line on which they stand, and none can stop the pipeline."""

import pytest

from pipeline.documents import parse_documents, validate
from pipeline.enrich.labels import EnrichSettings
from pipeline.enrich.rewrite import Rewriter, RewriteRule
from pipeline.errors import BadInputError


@pytest.mark.parametrize(
    ("rule", "line", "says"),
    [
        pytest.param("match: '('\n  node: a", 2, "is not a regular expression of RE2: missing", id="an open bracket"),
        pytest.param("match: '(?=a)'\n  node: a", 2, "is not a regular expression of RE2", id="a look-ahead"),
        pytest.param("match: '(a)'\n  node: '\\2'", 3, "\\2 names no group of match; it has 1", id="a group too many"),
        pytest.param("match: 'a'\n  node: '\\g<x>'", 3, "names no group of match", id="a name of no group"),
        pytest.param("match: 'a'\n  node: 'a\\n'", 3, "a backslash that begins no", id="a stray backslash"),
        pytest.param("match: 'a'", 2, "the key 'rewrite.0.node' is missing", id="nothing to look for"),
    ],
)
def test_refused(rule: str, line: int, says: str) -> None:
    (document,) = parse_documents(f"rewrite:\n- {rule}\n", "pipeline.yaml")
    with pytest.raises(BadInputError) as refused:
        validate(EnrichSettings, document)
    assert str(refused.value).startswith(f"pipeline.yaml:{line}: ")
    assert says in str(refused.value)


def test_the_first_rule_that_matches_counts() -> None:
    rewriter = Rewriter([RewriteRule(match="a.*", node="one"), RewriteRule(match="ab", node="two")])
    assert (rewriter.rewrite("ab"), rewriter.rewrite("b")) == ("one", None)


def test_a_group_that_took_no_part_stands_for_nothing() -> None:
    assert Rewriter([RewriteRule(match="(a)?b", node=r"n\1\g<0>")]).rewrite("b") == "nb"


def test_an_expression_that_others_would_backtrack_over_for_ever_ends() -> None:
    assert Rewriter([RewriteRule(match="(a*)*b", node="x")]).rewrite("a" * 100_000) is None
