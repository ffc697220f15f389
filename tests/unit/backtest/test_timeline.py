"""The picture: it can be read by any reader of its kind, and it shows every node."""

from html.parser import HTMLParser
from xml.etree import ElementTree

from pipeline.backtest.report import Report, State
from pipeline.backtest.timeline import html, svg
from tests.fakes.backtests import MINUTE, Bench, fault

SVG = "{http://www.w3.org/2000/svg}"


async def report(bench: Bench, *policies: str) -> Report:
    bench.log(
        fault("gpu-1"), fault("gpu-2", MINUTE), fault("evil<&\x1b\"'-node", 2 * MINUTE), fault("gpu-2", 3 * MINUTE, 62)
    )
    return await bench.run(*policies, guards__max_nodes=2)


def texts(picture: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def bars(picture: str) -> list[str]:
    shapes = ElementTree.fromstring(picture).iter(f"{SVG}rect")
    return [shape.get("class", "") for shape in shapes if shape.find(f"{SVG}title") is not None]


async def test_nodes_are_rows_and_states_are_bars(bench: Bench) -> None:
    picture = svg(await report(bench))
    told = " ".join(texts(picture))
    assert "gpu-1" in told
    assert "gpu-2" in told
    assert "nodes out of service" in told
    assert {"held", "draining", "rebooting"} <= set(bars(picture))
    assert "held by a guard" in told


async def test_two_trials_are_two_panels_with_one_axis_of_time(bench: Bench) -> None:
    picture = svg(await report(bench, "reboots.yaml", "cordons.yaml"))
    headings = [text for text in texts(picture) if text.startswith(("proposed: ", "against: "))]
    assert [heading.partition(":")[0] for heading in headings] == ["proposed", "against"]
    assert State.OFFLINE in bars(picture)


async def test_the_picture_needs_nothing_beside_it_and_is_legible_on_dark_paper(bench: Bench) -> None:
    picture = svg(await report(bench))
    assert "prefers-color-scheme: dark" in picture
    assert picture.count("http") == 1
    assert "<script" not in picture


async def test_a_log_without_rescues_has_a_picture_too(bench: Bench) -> None:
    bench.log(fault("gpu-1", code=13))
    assert bars(svg(await bench.run())) == []


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.items = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.items += tag == "li"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """It is closed at once."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_holds_the_picture_and_what_is_assumed(bench: Bench) -> None:
    told = await report(bench)
    page = _Page()
    page.feed(html(told))
    assert (page.open, page.items) == ([], len(told.assumed))
    assert svg(told) in html(told)
