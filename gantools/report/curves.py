"""Curves as inline SVG: no script, no font, no file beside the page."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gantools.report.run_log import Curve, Panel

WIDTH, HEIGHT = 460, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 26
_COLOURS = 6
_MAGNITUDES = 20
"""From this ratio of middle values on, curves of one panel are drawn on a logarithmic axis."""

_OUTLYING_FRACTION = 0.02
"""Highest and lowest part of a curve's points that may lie outside the axes when they would squeeze all the others."""


def svg(panel: Panel, stages: Sequence[tuple[int, str]]) -> str:
    """One panel as an SVG of ``WIDTH`` × ``HEIGHT`` units that scales with its column."""
    first, last = min(curve.steps[0] for curve in panel.curves), max(curve.steps[-1] for curve in panel.curves)
    axes = _Axes(first, max(last, first + 1), _scale(panel))
    parts = [*_grid(axes), *_stage_lines(axes, stages), *(_line(axes, *pair) for pair in enumerate(panel.curves))]
    label = html.escape(f"{panel.title}, steps {first} to {last}")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def legend(panel: Panel) -> str:
    """Names and last values of the curves, in their colours."""
    return "".join(
        f'<li><i class="c{place % _COLOURS}"></i>{html.escape(curve.name)} <b>{number(curve.values[-1])}</b></li>'
        for place, curve in enumerate(panel.curves)
    )


def number(value: float) -> str:
    """A value in four significant digits."""
    return f"{value:.4g}"


@dataclass(frozen=True)
class _Scale:
    """What the vertical axis shows: from ``low`` to ``high``, by logarithms where curves differ by magnitudes."""

    low: float
    high: float
    logarithmic: bool = False

    def position(self, value: float) -> float:
        """Where a value lies between ``low`` (0) and ``high`` (1); values beyond are drawn at the edge."""
        shown = (self.low, self.high, min(max(value, self.low), self.high))
        low, high, place = map(math.log10, shown) if self.logarithmic else shown
        return (place - low) / (high - low)

    def ticks(self) -> Iterator[float]:
        if not self.logarithmic:
            return _ticks(self.low, self.high, 5)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        places = (10.0**power * digit for power in powers for digit in ((1,) if len(powers) > 3 else (1, 3)))
        return (place for place in places if self.low <= place <= self.high)


class _Axes:
    """From steps and values to coordinates."""

    def __init__(self, first: int, last: int, scale: _Scale) -> None:
        self.first, self.last, self.scale = first, last, scale

    def x(self, step: float) -> float:
        return _LEFT + (step - self.first) / (self.last - self.first) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - self.scale.position(value) * (HEIGHT - _TOP - _BOTTOM)


def _scale(panel: Panel) -> _Scale:
    """All values, but for a few that lie far off, with a little room."""
    values = sorted(value for curve in panel.curves for value in curve.values)
    middles = [sorted(curve.values)[len(curve.values) // 2] for curve in panel.curves]
    if values[0] > 0 and max(middles) > _MAGNITUDES * min(middles):
        return _Scale(values[0] / 1.2, values[-1] * 1.2, logarithmic=True)
    skipped = int(len(values) * _OUTLYING_FRACTION)
    (low, high), (inner_low, inner_high) = (values[0], values[-1]), (values[skipped], values[-1 - skipped])
    if inner_high > inner_low and high - low > 4 * (inner_high - inner_low):  # outliers squeeze the others
        low, high = inner_low, inner_high
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return _Scale(0.0 if low >= 0 and low - room < 0 else low - room, high + room)


def _grid(axes: _Axes) -> Iterator[str]:
    for value in axes.scale.ticks():
        y = axes.y(value)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>'
    for step in _ticks(axes.first, axes.last, 5, finest=1):
        shown = f"{step / 1000:g}k" if step >= 10_000 else f"{step:g}"
        yield f'<text x="{axes.x(step):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{shown}</text>'


def _ticks(low: float, high: float, about: int, finest: float = 0.0) -> Iterator[float]:
    """Round numbers between two values, ``finest`` apart or more."""
    rough = max((high - low) / about, finest)
    power = 10.0 ** math.floor(math.log10(rough))
    width = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    number = math.ceil(low / width)
    while number * width <= high:
        yield number * width
        number += 1


def _stage_lines(axes: _Axes, stages: Sequence[tuple[int, str]]) -> Iterator[str]:
    for step, name in stages[1:]:
        if axes.first < step < axes.last:
            path = f"M{axes.x(step):.1f} {_TOP}V{HEIGHT - _BOTTOM}"
            yield f'<path class="stage" d="{path}"><title>{html.escape(name)}</title></path>'


def _line(axes: _Axes, number: int, curve: Curve) -> str:
    points = " ".join(
        f"{axes.x(step):.1f},{axes.y(value):.1f}" for step, value in zip(curve.steps, curve.values, strict=True)
    )
    title = f"<title>{html.escape(curve.name)}</title>"
    if len(curve.steps) == 1:
        x, y = points.split(",")
        return f'<circle class="c{number % _COLOURS}" cx="{x}" cy="{y}" r="3">{title}</circle>'
    return f'<polyline class="c{number % _COLOURS}" points="{points}">{title}</polyline>'
