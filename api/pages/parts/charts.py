"""Options of the charts. Times are shifted to the site's zone, so that every browser shows the site's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from api.pages.parts.html import ms
from api.services.loss import LossDay
from api.services.series import Series
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


def offset_ms(timezone: str, moment: datetime) -> int:
    """Return how far the site's clock is ahead of UTC."""
    offset = moment.astimezone(ZoneInfo(timezone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() * 1000)


def zone_label(timezone: str, moment: datetime) -> str:
    """Return the zone's distance from UTC for the axis."""
    hours = offset_ms(timezone, moment) / 3_600_000
    return f"UTC{hours:+g}"


def _base(palette: Palette, top: int = 24) -> Options:
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


def _value_axis(palette: Palette, name: str, **more: Any) -> Options:
    return {
        "type": "value",
        "name": name,
        "nameTextStyle": {"color": palette.muted, "align": "right", "fontSize": 11},
        "nameGap": 8,
        "axisLabel": {"color": palette.muted, "fontSize": 11},
        "splitLine": {"lineStyle": {"color": palette.grid}},
        **more,
    }


def _axis(palette: Palette, kind: str, **more: Any) -> Options:
    return {
        "type": kind,
        "axisLine": {"lineStyle": {"color": palette.line}},
        "axisTick": {"show": False},
        "axisLabel": {"color": palette.muted, "fontSize": 11, "hideOverlap": True},
        "splitLine": {"show": False},
        **more,
    }


def _level(value: float, colour: str, label: str) -> Options:
    return {
        "yAxis": value,
        "lineStyle": {"color": colour, "type": "dashed", "width": 1},
        "label": {"formatter": label, "color": colour, "position": "insideStartTop", "fontSize": 11},
    }


def _moment(at: float | str, colour: str, label: str) -> Options:
    return {
        "xAxis": at,
        "lineStyle": {"color": colour, "type": "dotted", "width": 1},
        "label": {"formatter": label, "color": colour, "position": "end", "fontSize": 11},
    }


def trend(
    series: Series, palette: Palette, tr: Texts, *, timezone: str, onset: datetime | None, limit: float | None
) -> Options:
    """Return a point's readings around an alarm's onset with its limit; gaps stay gaps."""
    now = onset or datetime.fromtimestamp(0, ZoneInfo("UTC"))
    shift = offset_ms(timezone, now)
    marks: list[Options] = []
    if limit is not None:
        marks.append(_level(limit, palette.bad, f"{tr('limit')} {limit:g}"))
    if onset is not None:
        marks.append(_moment(ms(onset) + shift, palette.muted, tr("onset")))
    axis = _value_axis(palette, series.unit, scale=True)
    known = [value for value in series.values if value is not None]
    if limit is not None and known:
        lowest = 0.0 if min(known) >= 0 and limit > 5 else limit
        axis |= {"min": round(min(*known, lowest), 2), "max": round(max(*known, limit) * 1.08, 2)}
    data = [[at + shift, value] for at, value in zip(series.times_ms, series.values, strict=True)]
    return {
        **_base(palette),
        "xAxis": _axis(palette, "time", splitNumber=4),
        "yAxis": axis,
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


def loss_course(days: Sequence[LossDay], palette: Palette, tr: Texts, chosen: Sequence[str]) -> Options:
    """Return a zone's loss rate by gas day with its band of two sigma; days marked high are filled."""

    def share(value: float | None) -> float | None:
        return None if value is None else round(value * 100, 3)

    low, width, points = [], [], []
    for day in days:
        rate, sigma = share(day.loss_rate), share(day.sigma)
        bounded = rate is not None and sigma is not None
        low.append(round(rate - 2 * sigma, 3) if bounded else None)  # type: ignore[operator]
        width.append(round(4 * sigma, 3) if bounded else None)  # type: ignore[operator]
        high = day.verdict == "high"
        points.append(
            {
                "value": rate,
                "symbolSize": 8 if high else 4,
                "itemStyle": {"color": palette.bad if high else palette.series},
            }
        )
    hidden = {
        "lineStyle": {"opacity": 0},
        "symbol": "none",
        "silent": True,
        "stack": "band",
        "tooltip": {"show": False},
    }
    area = [{"xAxis": chosen[0]}, {"xAxis": chosen[-1]}] if len(chosen) > 1 else []
    marks: Options = {}
    if area:
        marks = {"markArea": {"silent": True, "itemStyle": {"color": palette.band}, "data": [area]}}
    elif chosen:
        marks = {
            "markLine": {
                "symbol": "none",
                "silent": True,
                "animation": False,
                "data": [_moment(chosen[0], palette.muted, "")],
            }
        }
    return {
        **_base(palette),
        "xAxis": _axis(palette, "category", data=[day.gas_day for day in days], boundaryGap=False),
        "yAxis": _value_axis(palette, "%"),
        "series": [
            {"type": "line", "name": "−2σ", "data": low, "stackStrategy": "all", **hidden},
            {
                "type": "line",
                "name": "±2σ",
                "data": width,
                "stackStrategy": "all",
                "areaStyle": {"color": palette.band},
                **hidden,
            },
            {
                "type": "line",
                "name": tr("Loss rate"),
                "data": points,
                "connectNulls": False,
                "lineStyle": {"color": palette.series, "width": 1.5},
                **marks,
            },
        ],
    }


def evidence(facts: Mapping[str, Any], palette: Palette, tr: Texts, onset_day: str) -> Options | None:
    """Return a meter against its expectation, above the zone's loss against the meter's deficit; None without days."""
    days = facts.get("days")
    if not isinstance(days, list) or not days:
        return None
    upper = [
        ("meter_m3", tr("Meter"), palette.series, "solid"),
        ("expected_m3", tr("Expected"), palette.second, "dashed"),
    ]
    lower = [
        ("zone_loss_m3", tr("Loss of the zone"), palette.series, "solid"),
        ("deficit_m3", tr("Deficit of the meter"), palette.warn, "dashed"),
    ]
    series: list[Options] = []
    for grid, lines in enumerate((upper, lower)):
        for key, name, colour, dash in lines:
            values = facts.get(key)
            if isinstance(values, list):
                line = {"color": colour, "width": 1.5, "type": dash}
                series.append(
                    {
                        "type": "line",
                        "name": name,
                        "data": values,
                        "xAxisIndex": grid,
                        "yAxisIndex": grid,
                        "showSymbol": False,
                        "connectNulls": False,
                        "lineStyle": line,
                        "itemStyle": {"color": colour},
                    }
                )
    if not series:
        return None
    if onset_day in days:
        series[0]["markLine"] = {
            "symbol": "none",
            "silent": True,
            "animation": False,
            "data": [_moment(onset_day, palette.bad, tr("onset"))],
        }
    base = _base(palette)
    unit = tr("m³/day")
    return {
        **base,
        "legend": {
            "top": 0,
            "left": "center",
            "itemWidth": 20,
            "itemHeight": 2,
            "icon": "rect",
            "textStyle": {"color": palette.muted, "fontSize": 11},
        },
        "grid": [
            {"left": 48, "right": 20, "top": 44, "bottom": "56%", "outerBoundsMode": "none"},
            {"left": 48, "right": 20, "top": "60%", "bottom": 24, "outerBoundsMode": "none"},
        ],
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "xAxis": [
            _axis(palette, "category", data=days, gridIndex=0, boundaryGap=False, axisLabel={"show": False}),
            _axis(palette, "category", data=days, gridIndex=1, boundaryGap=False),
        ],
        "yAxis": [
            _value_axis(palette, unit, gridIndex=0, splitNumber=3),
            _value_axis(palette, unit, gridIndex=1, splitNumber=3),
        ],
        "series": series,
    }
