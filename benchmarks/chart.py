"""A small chart of how one figure grows with another, as SVG, both axes logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 560, 320, 64, 48, 36


def growth_chart(points: Sequence[tuple[float, float]], x_name: str, y_name: str) -> str:
    """Return the chart of two or more points, all above 0, with a dashed line through the last one: what is linear."""
    decades = [(floor(min(map(log10, values))), ceil(max(map(log10, values)))) for values in zip(*points, strict=True)]
    (x_low, x_high), (y_low, y_high) = ((low, max(high, low + 1)) for low, high in decades)

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (log10(x) - x_low) / (x_high - x_low) * (WIDTH - LEFT - EDGE)
        return across, HEIGHT - BOTTOM - (log10(y) - y_low) / (y_high - y_low) * (HEIGHT - BOTTOM - EDGE)

    def line(ends: Sequence[tuple[float, float]], how: str) -> str:
        (x1, y1), (x2, y2) = ends
        return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {how}/>'

    def label(x: float, y: float, text: str, how: str) -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" {how}>{text}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {_FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for power in range(x_low, x_high + 1):
        foot, top = place(10.0**power, 10.0**y_low), place(10.0**power, 10.0**y_high)
        parts += [line([foot, top], 'stroke="#d0d7de"'), label(foot[0], foot[1] + 16, f"{10**power:,}", _MIDDLE)]
    for power in range(y_low, y_high + 1):
        near, far = place(10.0**x_low, 10.0**power), place(10.0**x_high, 10.0**power)
        parts += [line([near, far], 'stroke="#d0d7de"'), label(near[0] - 6, near[1] + 4, f"{10.0**power:g}", _END)]
    last_x, last_y = max(points)
    begin = max(10.0**x_low, last_x * 10.0**y_low / last_y)
    linear = [place(begin, begin * last_y / last_x), place(last_x, last_y)]
    parts.append(line(linear, 'stroke="#57606a" stroke-dasharray="4 4"'))
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#0b5cad"/>' for x, y in (place(*one) for one in points)]
    parts += [
        label((LEFT + WIDTH - EDGE) / 2, HEIGHT - 8, x_name, _MIDDLE),
        label(14, (HEIGHT - BOTTOM + EDGE) / 2, y_name, f'{_MIDDLE} transform="rotate(-90 14 {HEIGHT / 2 - 16:.0f})"'),
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


_FONT = 'font-family="sans-serif" font-size="12"'
_MIDDLE, _END = 'text-anchor="middle"', 'text-anchor="end"'
