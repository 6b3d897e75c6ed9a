"""Small charts as SVG: lines over gas days, a band, a mark. They need no script and no network, and print well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from api.services.curves import Line, Values

WIDTH, HEIGHT = 520, 158
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 20, 20
MOST_LABELS = 5
LABEL_PX = 62
"""room that a date takes"""


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    step: float
    """distance of grid lines"""
    count: int
    width: int

    def x(self, at: float) -> float:
        return round(LEFT + (self.width - LEFT - RIGHT) * at / max(self.count - 1, 1), 1)

    def y(self, value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low), 1)


def chart(
    days: Sequence[str],
    lines: Sequence[Line],
    *,
    unit: str,
    label: str,
    mark: str = "",
    mark_name: str = "",
    band: tuple[Values, Values] | None = None,
    width: int = WIDTH,
    level: bool = False,
) -> str:
    """Return lines over days; gaps stay gaps. `mark` is a day that a vertical line stands at, `band` low and high.

    The scale holds 0, except where the lines are a `level`.
    """
    shown = [line.values for line in lines] + (list(band) if band else [])
    known = [value for values in shown for value in values if value is not None]
    scale = _scale(known if level and known else [0.0, *known], len(days), width)
    parts = [_grid(scale), _days(days, scale), f'<text class="unit" x="{LEFT - 6}" y="9">{escape(unit)}</text>']
    if band is not None:
        parts.append(_band(scale, *band))
    if mark in days:
        at = scale.x(days.index(mark))
        side = "end" if at > width - 90 else "start"
        shift = -4 if side == "end" else 4
        parts.append(
            f'<path class="mark" d="M{at} {TOP}V{HEIGHT - BOTTOM}"/>'
            f'<text class="mark" x="{at + shift}" y="{TOP + 8}" text-anchor="{side}">{escape(mark_name)}</text>'
        )
    parts += [f'<path class="{line.style}" d="{_path(scale, line.values)}"/>' for line in lines]
    box = f'viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(label)}"'
    return f'<svg {box} class="chart">{"".join(parts)}</svg>'


def legend(lines: Sequence[Line]) -> str:
    """Return the names of lines with a piece of each."""
    entries = "".join(
        f'<span><svg viewBox="0 0 22 8" class="key"><path class="{line.style}" d="M1 4H21"/></svg>'
        f"{escape(line.name)}</span>"
        for line in lines
    )
    return f'<p class="legend">{entries}</p>'


def whisker(rate: float | None, sigma: float | None, top: float, *, high: bool) -> str:
    """Return a rate as a dot with whiskers of two sigma on a scale from 0 to `top`."""
    body = '<path class="axis" d="M4 2v12M4 8h112"/>'
    if rate is not None:

        def x(share: float) -> float:
            return round(4 + 112 * min(1.0, max(0.0, share / top)), 1)

        style = "high" if high else "dot"
        if sigma is not None:
            low, upper = x(rate - 2 * sigma), x(rate + 2 * sigma)
            body += f'<path class="whisker {style}" d="M{low} 8H{upper}M{low} 5v6M{upper} 5v6"/>'
        body += f'<circle class="{style}" cx="{x(rate)}" cy="8" r="3"/>'
    return f'<svg class="bar" viewBox="0 0 120 16" aria-hidden="true">{body}</svg>'


def _scale(values: Sequence[float], count: int, width: int) -> _Scale:
    low, high = min(values), max(values)
    if high - low < 1e-9:
        high = low + 1.0
    step = _step(high - low)
    return _Scale(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step, count, width)


def _step(span: float) -> float:
    """Return a round distance of grid lines of which three or four cover a span."""
    rough = span / 3
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough)


def _grid(scale: _Scale) -> str:
    step = scale.step
    steps = round((scale.high - scale.low) / step)
    digits = max(0, -math.floor(math.log10(step)))
    parts = []
    for number in range(steps + 1):
        value = scale.low + number * step
        y = scale.y(value)
        style = "zero" if abs(value) < step / 1e6 else "grid"
        parts.append(
            f'<path class="{style}" d="M{LEFT} {y}H{scale.width - RIGHT}"/>'
            f'<text x="{LEFT - 6}" y="{y + 3}" text-anchor="end">{value + 0.0:.{digits}f}</text>'
        )
    return "".join(parts)


def _days(days: Sequence[str], scale: _Scale) -> str:
    """Return the dates under a chart: the first, the last, and as many between as have room."""
    most = max(2, min(MOST_LABELS, (scale.width - LEFT - RIGHT) // LABEL_PX))
    places = sorted({round(n * (len(days) - 1) / (most - 1)) for n in range(most)}) if days else []
    parts = []
    for place in places:
        side = "start" if place == 0 else "end" if place == len(days) - 1 else "middle"
        x = scale.x(place)
        parts.append(f'<text x="{x}" y="{HEIGHT - 5}" text-anchor="{side}">{escape(days[place][:10])}</text>')
    return "".join(parts)


def _path(scale: _Scale, values: Values) -> str:
    """Return a line with its gaps; a value between two gaps is a short dash."""
    parts: list[str] = []
    for at, value in enumerate(values):
        if value is None:
            continue
        before = at > 0 and values[at - 1] is not None
        parts.append(f"{'L' if before else 'M'}{scale.x(at)} {scale.y(value)}")
        after = at + 1 < len(values) and values[at + 1] is not None
        if not before and not after:
            parts.append("h1.5")
    return "".join(parts)


def _band(scale: _Scale, low: Values, high: Values) -> str:
    """Return the area between two lines, piece by piece where both are known."""
    pieces: list[list[int]] = [[]]
    for at, (one, other) in enumerate(zip(low, high, strict=True)):
        if one is None or other is None:
            pieces.append([])
        else:
            pieces[-1].append(at)
    paths = []
    for piece in pieces:
        if len(piece) > 1:
            upper = [f"{scale.x(at)} {scale.y(high[at] or 0.0)}" for at in piece]
            lower = [f"{scale.x(at)} {scale.y(low[at] or 0.0)}" for at in reversed(piece)]
            paths.append(f'<path class="band" d="M{"L".join(upper + lower)}Z"/>')
    return "".join(paths)
