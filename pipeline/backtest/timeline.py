"""A picture of a backtest: nodes as rows, what they would have gone through as bars, how many were out above them."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape

from pipeline.backtest.report import Outcome, Report, RescueTold, State
from pipeline.backtest.service import curve, out_of_service
from pipeline.backtest.style import LEGEND, STYLE, printable

_WIDTH, _LEFT, _RIGHT = 1200, 190, 20
_TOP, _TITLE, _CURVE, _ROW, _AXIS, _GAP = 70, 34, 90, 16, 28, 24
_BAR = 10
_LABEL = 28
_TICKS = 10
_STEPS = [timedelta(minutes=minutes) for minutes in (1, 5, 10, 30, 60, 180, 360, 720, 1440, 2880, 10080, 40320)]


def svg(report: Report) -> str:
    """Return the picture as one SVG document that needs nothing beside it."""
    outcomes = [outcome for outcome in (report.proposed, report.against) if outcome is not None]
    scale = _Scale(report)
    body, y = [], float(_TOP)
    for title, outcome in zip(("proposed", "against"), outcomes, strict=False):
        panel = _Panel(outcome, f"{title}: {', '.join(outcome.policies) or 'the built-in policy'}", scale, y)
        body += list(panel.draw())
        y += panel.height + _GAP
    height = round(y)
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'role="img" font-family="system-ui, sans-serif" font-size="11">',
        f"<title>gpu-rescue backtest, {_stamp(scale.begin)} to {_stamp(scale.end)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="12" y="24">Backtest, {_stamp(scale.begin)} to {_stamp(scale.end)} UTC</text>',
        *_legend(),
    ]
    return "\n".join([*head, *body, "</svg>\n"])


def html(report: Report) -> str:
    """Return the picture as one HTML page, with what the simulation takes for granted below it."""
    assumed = "".join(f"<li>{_text(sentence)}</li>" for sentence in report.assumed)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>gpu-rescue backtest</title>'
        '<meta name="color-scheme" content="light dark"/>'
        f"<style>{STYLE} body {{ margin: 1rem; font: 14px system-ui, sans-serif }}</style></head>\n"
        f'<body class="page">{svg(report)}<ul>{assumed}</ul></body></html>\n'
    )


class _Scale:
    """Time to the right."""

    def __init__(self, report: Report) -> None:
        outcomes = [outcome for outcome in (report.proposed, report.against) if outcome is not None]
        rescues = [rescue for outcome in outcomes for rescue in outcome.rescues]
        self.until = report.log.until
        moments = [report.log.begin or self.until, self.until]
        moments += [rescue.planned for rescue in rescues]
        moments += [phase.end or phase.begin for rescue in rescues for phase in rescue.phases]
        self.begin = min(moments)
        self.end = max([*moments, self.begin + timedelta(minutes=1)])

    def x(self, moment: datetime) -> float:
        share = (moment - self.begin) / (self.end - self.begin)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def ticks(self) -> Iterator[tuple[float, str]]:
        length = self.end - self.begin
        step = next((step for step in _STEPS if length / step <= _TICKS), _STEPS[-1])
        midnight = self.begin.replace(hour=0, minute=0, second=0, microsecond=0)
        tick = midnight + -(-(self.begin - midnight) // step) * step
        while tick <= self.end:
            yield self.x(tick), tick.strftime("%m-%d" if step >= timedelta(days=1) else "%m-%d %H:%M")
            tick += step


class _Panel:
    """One trial: its curve, its rows and its axis, from *y* on downwards."""

    def __init__(self, outcome: Outcome, title: str, scale: _Scale, y: float) -> None:
        self._title = title
        self._scale = scale
        self._y = y
        self._out = out_of_service(outcome.rescues, scale.until)
        self._rows: dict[str, list[RescueTold]] = {}
        for rescue in outcome.rescues:
            if rescue.phases:
                self._rows.setdefault(rescue.node, []).append(rescue)
        self._rows = dict(sorted(self._rows.items()))

    @property
    def height(self) -> float:
        return _TITLE + _CURVE + _ROW * len(self._rows) + _AXIS

    def draw(self) -> Iterator[str]:
        yield f'<text class="heading" x="12" y="{self._y + 14:.0f}">{_text(self._title)}</text>'
        top = self._y + _TITLE
        rows = top + _CURVE + 4
        bottom = rows + _ROW * len(self._rows)
        for x, label in self._scale.ticks():
            yield f'<path class="grid" d="M{x:.1f} {top:.0f}V{bottom:.0f}"/>'
            yield f'<text class="dim" x="{x:.1f}" y="{bottom + 14:.0f}" text-anchor="middle">{label}</text>'
        yield from self._curve(top)
        for number, (node, rescues) in enumerate(self._rows.items()):
            yield from self._row(node, rescues, rows + _ROW * number)

    def _curve(self, top: float) -> Iterator[str]:
        steps = curve(self._out)
        most = max((count for _, count in steps), default=0)
        floor, unit = top + _CURVE - 10, (_CURVE - 24) / max(most, 1)
        yield f'<text class="dim" x="12" y="{floor:.0f}">nodes out of service</text>'
        for count in {0, most}:
            level = floor - count * unit
            yield f'<text class="dim" x="{_LEFT - 6}" y="{level + 4:.0f}" text-anchor="end">{count}</text>'
            yield f'<path class="grid" d="M{_LEFT} {level:.1f}H{_WIDTH - _RIGHT}"/>'
        path = f"M{_LEFT} {floor:.1f}" + "".join(
            f"H{self._scale.x(moment):.1f}V{floor - count * unit:.1f}" for moment, count in steps
        )
        yield f'<path class="out" d="{path}"/>'

    def _row(self, node: str, rescues: Sequence[RescueTold], y: float) -> Iterator[str]:
        name = node if len(node) <= _LABEL else node[: _LABEL - 1] + "…"
        title = f"<title>{_text(node)}</title>"
        yield f'<text x="{_LEFT - 6}" y="{y + _BAR:.0f}" text-anchor="end">{title}{_text(name)}</text>'
        for rescue in rescues:
            for phase in rescue.phases:
                begin, end = self._scale.x(phase.begin), self._scale.x(phase.end or self._scale.until)
                until = _stamp(phase.end) if phase.end else "a person brings it back"
                told = f"{node}: {phase.state}, {rescue.fault}, {rescue.policy}: {_stamp(phase.begin)} until {until}"
                told += f" ({phase.reason})" if phase.reason else ""
                yield (
                    f'<rect class="{phase.state}" x="{begin:.1f}" y="{y:.0f}" width="{max(end - begin, 1.5):.1f}" '
                    f'height="{_BAR}"><title>{_text(told)}</title></rect>'
                )


def _legend() -> Iterator[str]:
    x = 12
    for state in State:
        yield f'<rect class="{state}" x="{x}" y="38" width="14" height="{_BAR}"/>'
        yield f'<text x="{x + 20}" y="47">{_text(LEGEND[state])}</text>'
        x += 40 + 6 * len(LEGEND[state])


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def _text(text: str) -> str:
    return escape(printable(text))
