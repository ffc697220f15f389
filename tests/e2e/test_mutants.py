"""docs/mutation.md says what tests/data/mutants.yaml explains, and that is about the code as it stands.

Which mutants survive is for `make mutants` to say, which takes minutes.
"""

from pathlib import Path

import pytest

from docs.mutation import Mutant, difference, explained, place, table

ROOT = Path(__file__).parents[2]
GROUPS = explained((ROOT / "tests" / "data" / "mutants.yaml").read_text())
MUTANTS = [mutant for group in GROUPS for mutant in group.mutants]
SHOWN = """\
--- pipeline/decide/boots.py
+++ pipeline/decide/boots.py
@@ -1,2 +1,2 @@
 def _bare(boot_id: str) -> str:
-    return boot_id.replace(
-        "-", "").lower()
+    return boot_id.replace("-", "").upper()
"""


def test_the_page_shows_the_list() -> None:
    page = (ROOT / "docs" / "mutation.md").read_text()
    assert page.endswith(table(GROUPS))
    assert f"{len(MUTANTS)} survived." in page


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_what_is_explained_is_still_in_the_code(mutant: Mutant) -> None:
    module, *_, function = mutant.place.split(".")
    source = " ".join((ROOT / "pipeline" / "decide" / f"{module}.py").read_text().split())
    assert f"def {function}(" in source
    assert " ".join(mutant.was.split()) in source
    assert mutant.was != mutant.becomes


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("pipeline.decide.boots.x__bare__mutmut_1", "boots._bare", id="a function"),
        pytest.param("pipeline.decide.windows.xǁWindowǁend_of__mutmut_11", "windows.Window.end_of", id="a method"),
        pytest.param(
            "pipeline.decide.incidents.xǁIncidentsǁ__init____mutmut_1", "incidents.Incidents.__init__", id="a dunder"
        ),
    ],
)
def test_a_place_is_told_as_people_say_it(name: str, said: str) -> None:
    assert place(name) == said


def test_a_name_that_is_no_mutant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^'x' is no mutant of pipeline\.decide$"):
        place("x")


def test_a_difference_is_told_by_its_lines() -> None:
    assert difference(SHOWN) == ('return boot_id.replace( "-", "").lower()', 'return boot_id.replace("-", "").upper()')


def test_a_list_may_name_several_changes_of_one_place() -> None:
    (group,) = explained(
        "- why: because\n  mutants:\n  - {in: a.b, was: x, becomes: [y, z]}\n  - {in: a.c, was: x, becomes: y}\n"
    )
    assert group.mutants == (Mutant("a.b", "x", "y"), Mutant("a.b", "x", "z"), Mutant("a.c", "x", "y"))
    assert table([group]).splitlines()[0] == "1. because (3)"
