"""Options of the charts. Each time is shifted to the site's clock, so that every browser shows the site's time.

Where clocks go back, an hour is there twice: its two lines lie over each other and are not joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.pages.parts.html import ms
from api.services.series import Series
from api.services.site_time import SiteTime, site_time
from api.text import Texts

Options = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one theme; they repeat the style sheet's, which a canvas cannot read."""

    text: str
    muted: str
    line: str
    grid: str
    panel: str
    series: str
    second: str
    bad: str
    warn: str
    band: str


PALETTES = {
    "dark": Palette(
        "#dde2e7",
        "#98a2ac",
        "#3c444d",
        "#272d34",
        "#22272d",
        "#b9c7d4",
        "#7d8894",
        "#ff6b6b",
        "#ff9d3c",
        "rgba(169,186,201,0.18)",
    ),
    "light": Palette(
        "#1a2027",
        "#56616c",
        "#b9c2ca",
        "#e6eaee",
        "#ffffff",
        "#3b5166",
        "#8b98a5",
        "#c9252d",
        "#a04e00",
        "rgba(74,96,116,0.16)",
    ),
}


PENS = {
    "dark": ("#b9c7d4", "#7fb8a8", "#cbb283", "#b79cc6", "#86a9d8", "#9aa0a6"),
    "light": ("#3b5166", "#2b7565", "#7d6220", "#75508c", "#2c5a9c", "#5f6670"),
}
"""quiet colours of up to six lines of one chart, none of which means anything; their dashes differ too"""


def saving(palette: Palette, tr: Texts, name: str) -> Options:
    """Return the button that saves a chart as PNG; merge it into the options."""
    picture = {"title": tr("Save as picture"), "name": name, "pixelRatio": 2, "backgroundColor": palette.panel}
    return {
        "toolbox": {
            "right": 0,
            "top": -6,
            "itemSize": 14,
            "iconStyle": {"borderColor": palette.muted},
            "feature": {"saveAsImage": {**picture, "excludeComponents": ["toolbox"]}},
        }
    }


def base(palette: Palette, top: int = 24) -> Options:
    """Return what all charts share."""
    return {
        "animation": False,
        "useUTC": True,
        "textStyle": {"fontFamily": "Noto Sans, Noto Sans CJK SC, sans-serif", "color": palette.muted},
        "grid": {"left": 44, "right": 16, "top": top, "bottom": 24, "outerBoundsMode": "none"},
        "tooltip": {
            "trigger": "axis",
            "backgroundColor": palette.panel,
            "borderColor": palette.line,
            "textStyle": {"color": palette.text, "fontSize": 12},
            "axisPointer": {"lineStyle": {"color": palette.line}},
        },
    }


def value_axis(palette: Palette, name: str, **more: Any) -> Options:
    """Return an axis of values with its unit."""
    return {
        "type": "value",
        "name": name,
        "nameTextStyle": {"color": palette.muted, "align": "right", "fontSize": 11},
        "nameGap": 8,
        "axisLabel": {"color": palette.muted, "fontSize": 11},
        "splitLine": {"lineStyle": {"color": palette.grid}},
        **more,
    }


def axis(palette: Palette, kind: str, **more: Any) -> Options:
    """Return an axis of times or names."""
    return {
        "type": kind,
        "axisLine": {"lineStyle": {"color": palette.line}},
        "axisTick": {"show": False},
        "axisLabel": {"color": palette.muted, "fontSize": 11, "hideOverlap": True},
        "splitLine": {"show": False},
        **more,
    }


def level(value: float, colour: str, label: str) -> Options:
    """Return the mark of a value."""
    return {
        "yAxis": value,
        "lineStyle": {"color": colour, "type": "dashed", "width": 1},
        "label": {"formatter": label, "color": colour, "position": "insideStartTop", "fontSize": 11},
    }


def moment(at: float | str, colour: str, label: str) -> Options:
    """Return the mark of a time or a day."""
    return {
        "xAxis": at,
        "lineStyle": {"color": colour, "type": "dotted", "width": 1},
        "label": {"formatter": label, "color": colour, "position": "end", "fontSize": 11},
    }


def clock_of(series: Series, timezone: str) -> SiteTime:
    """Return the site's clock over the readings of a series, of which there must be one."""
    first, last = (datetime.fromtimestamp(series.times_ms[n] / 1000, UTC) for n in (0, -1))
    return site_time(timezone, first, last)


def _line(series: Series, clock: SiteTime) -> list[list[float | None]]:
    data: list[list[float | None]] = []
    for at, value in zip(series.times_ms, series.values, strict=True):
        shown = clock.of(at)
        if data and data[-1][0] is not None and shown <= data[-1][0]:
            data.append([shown, None])  # the clock went back: a line through both would run backwards
        data.append([shown, value])
    return data


def trend(
    series: Series, palette: Palette, tr: Texts, *, clock: SiteTime, onset: datetime | None, limit: float | None
) -> Options:
    """Return a point's readings around an alarm's onset with its limit; gaps stay gaps."""
    marks: list[Options] = []
    if limit is not None:
        marks.append(level(limit, palette.bad, f"{tr('limit')} {limit:g}"))
    if onset is not None:
        marks.append(moment(clock.of(ms(onset)), palette.muted, tr("onset")))
    upright = value_axis(palette, series.unit, scale=True)
    known = [value for value in series.values if value is not None]
    if limit is not None and known:
        lowest = 0.0 if min(known) >= 0 and limit > 5 else limit
        upright |= {"min": round(min(*known, lowest), 2), "max": round(max(*known, limit) * 1.08, 2)}
    data = _line(series, clock)
    return {
        **base(palette),
        **saving(palette, tr, series.point.replace("/", " ")),
        "xAxis": axis(palette, "time", splitNumber=4),
        "yAxis": upright,
        "series": [
            {
                "type": "line",
                "data": data,
                "showSymbol": False,
                "connectNulls": False,
                "lineStyle": {"color": palette.series, "width": 1.5},
                "itemStyle": {"color": palette.series},
                "markLine": {"symbol": "none", "silent": True, "animation": False, "data": marks},
            }
        ],
    }
