"""Charts of the loss and of a finding's evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from api.pages.parts.charts import Options, Palette, axis, base, moment, saving, value_axis
from api.pages.parts.finding_words import TERMS
from api.services.curves import Curve
from api.services.loss import LossDay, LossMonth
from api.text import Texts

RIGHT = 44
"""room in px beside a chart for half of its last date"""


def loss_course(days: Sequence[LossDay], palette: Palette, tr: Texts, chosen: Sequence[str]) -> Options:
    """Return a zone's loss rate by gas day with its band of two sigma; days marked high are filled."""
    low, width, points = [], [], []
    for day in days:
        rate, sigma = _percent(day.loss_rate), _percent(day.sigma)
        bounded = rate is not None and sigma is not None
        low.append(round(rate - 2 * sigma, 3) if bounded else None)  # type: ignore[operator]
        width.append(round(4 * sigma, 3) if bounded else None)  # type: ignore[operator]
        high = day.verdict == "high"
        colour = palette.bad if high else palette.series
        points.append({"value": rate, "symbolSize": 8 if high else 4, "itemStyle": {"color": colour}})
    hidden = {"lineStyle": {"opacity": 0}, "symbol": "none", "silent": True, "stack": "band", "stackStrategy": "all"}
    untold = {**hidden, "tooltip": {"show": False}, "type": "line"}
    return {
        **_plain(palette, tr),
        "xAxis": axis(palette, "category", data=[day.gas_day for day in days], boundaryGap=False),
        "yAxis": value_axis(palette, "%"),
        "series": [
            {"name": "−2σ", "data": low, **untold},
            {"name": "±2σ", "data": width, "areaStyle": {"color": palette.band}, **untold},
            {
                "type": "line",
                "name": tr("Loss rate"),
                "data": points,
                "connectNulls": False,
                "lineStyle": {"color": palette.series, "width": 1.5},
                **_chosen(chosen, palette),
            },
        ],
    }


def loss_months(months: Sequence[LossMonth], palette: Palette, tr: Texts) -> Options:
    """Return a zone's loss rate by month with whiskers of two sigma; a month that is not assessable is empty."""
    bars, whiskers = [], []
    for place, month in enumerate(months):
        rate, sigma = _percent(month.loss_rate), _percent(month.sigma)
        unknown = month.verdict == "not_assessable"
        colour = palette.bad if month.verdict == "high" else palette.series
        hollow = {"color": "transparent", "borderColor": palette.second, "borderType": "dashed"}
        bars.append({"value": rate, "itemStyle": hollow if unknown else {"color": colour, "opacity": 0.75}})
        if rate is not None and sigma is not None:
            whiskers.append([place, round(rate - 2 * sigma, 3), round(rate + 2 * sigma, 3)])
    return {
        **_plain(palette, tr),
        "xAxis": axis(palette, "category", data=[month.month for month in months]),
        "yAxis": value_axis(palette, "%", **_room(whiskers)),
        "series": [
            {"type": "bar", "name": tr("Loss rate"), "data": bars, "barMaxWidth": 36},
            *_whiskers(whiskers, palette),
        ],
    }


def loss_terms(terms: Mapping[str, tuple[float, float]], palette: Palette, tr: Texts) -> Options:
    """Return by what supply exceeds registers, and the terms of that: signed bars with whiskers of two sigma."""
    names = [tr(TERMS.get(name, name)) for name in ("whole", *terms)]
    values = [sum(value for value, _ in terms.values()), *(value for value, _ in terms.values())]
    bars = [
        {"value": round(value, 2), "itemStyle": {"color": palette.series if n else palette.second, "opacity": 0.75}}
        for n, value in enumerate(values)
    ]
    ends = [
        [place, round(value - 2 * sigma, 2), round(value + 2 * sigma, 2)]
        for place, (value, sigma) in enumerate(terms.values(), start=1)
    ]
    return {
        **_plain(palette, tr),
        "grid": {"left": 8, "right": RIGHT, "top": 20, "bottom": 24, "containLabel": True},
        "yAxis": axis(palette, "category", data=names, inverse=True),
        "xAxis": value_axis(palette, "", **_room([*ends, [0, min(values), max(values)]])),
        "series": [
            {"type": "bar", "name": "m³", "data": bars, "barMaxWidth": 18},
            *_whiskers(ends, palette, upright=False),
        ],
    }


def curves(drawn: Sequence[Curve], palette: Palette, tr: Texts, *, beside: bool = False) -> Options | None:
    """Return the curves of a finding's evidence, one below the other or side by side; None if there are none."""
    if not drawn:
        return None
    series: list[Options] = []
    for number, curve in enumerate(drawn):
        lines = [_line(number, line.name, line.values, _style(line.style, palette)) for line in curve.lines]
        if curve.mark:
            marked = moment(curve.mark, palette.bad, tr("onset"))
            lines[0]["markLine"] = {"symbol": "none", "silent": True, "animation": False, "data": [marked]}
        series += lines
    return {
        **base(palette),
        **saving(palette, tr, tr("Evidence")),
        "legend": {
            "top": 0,
            "left": "center",
            "itemWidth": 20,
            "itemHeight": 2,
            "icon": "rect",
            "textStyle": {"color": palette.muted, "fontSize": 11},
        },
        "grid": _grids(len(drawn), beside=beside),
        "axisPointer": {"link": [{"xAxisIndex": "all"}]} if _same_axis(drawn) else {},
        "xAxis": [
            axis(palette, "category", data=list(curve.at), gridIndex=number, boundaryGap=False)
            for number, curve in enumerate(drawn)
        ],
        "yAxis": [
            value_axis(palette, curve.unit, gridIndex=number, splitNumber=3, scale=curve.level)
            for number, curve in enumerate(drawn)
        ],
        "series": series,
    }


def _grids(count: int, *, beside: bool) -> list[Options]:
    """Return the places of some charts in one picture."""
    if count == 1:
        return [{"left": 52, "right": RIGHT, "top": 44, "bottom": 24, "outerBoundsMode": "none"}]
    if beside and count == 2:
        sides: tuple[Options, ...] = ({"left": 52, "right": "54%"}, {"left": "54%", "right": RIGHT})
        return [{**side, "top": 44, "bottom": 24, "outerBoundsMode": "none"} for side in sides]
    height = 100 / count
    return [
        {
            "left": 52,
            "right": RIGHT,
            "top": 44 if number == 0 else f"{number * height + 9:.1f}%",
            "bottom": 24 if number == count - 1 else f"{100 - (number + 1) * height + 8:.1f}%",
            "outerBoundsMode": "none",
        }
        for number in range(count)
    ]


def _same_axis(drawn: Sequence[Curve]) -> bool:
    return all(list(curve.at) == list(drawn[0].at) for curve in drawn)


def _line(number: int, name: str, values: Sequence[float | None], style: Options) -> Options:
    return {
        "type": "line",
        "name": name,
        "data": list(values),
        "xAxisIndex": number,
        "yAxisIndex": number,
        "showSymbol": False,
        "connectNulls": False,
        "lineStyle": style,
        "itemStyle": {"color": style["color"]},
    }


def _style(name: str, palette: Palette) -> Options:
    colour, dash = {
        "two": (palette.second, "dashed"),
        "warn": (palette.warn, "dashed"),
    }.get(name, (palette.series, "solid"))
    return {"color": colour, "width": 1.5, "type": dash}


def _room(ends: Sequence[Sequence[float]]) -> Options:
    """Return bounds of an axis within which zero and all whiskers lie: a chart does not ask its marks."""
    low, high = min([0.0, *(end[1] for end in ends)]), max([0.0, *(end[2] for end in ends)])
    if high - low <= 0:
        return {}
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough)
    return {"min": math.floor(low / step) * step, "max": math.ceil(high / step) * step, "interval": step}


def _whiskers(ends: Sequence[Sequence[float]], palette: Palette, *, upright: bool = True) -> list[Options]:
    """Return lines from end to end: a stroke for each (place, low, high)."""
    strokes = []
    for place, low, high in ends:
        first, last = ([place, low], [place, high]) if upright else ([low, place], [high, place])
        strokes.append([{"coord": first, "symbol": "none"}, {"coord": last, "symbol": "none"}])
    return [
        {
            "type": "line",
            "name": "±2σ",
            "data": [],
            "silent": True,
            "tooltip": {"show": False},
            "markLine": {
                "animation": False,
                "silent": True,
                "symbol": "none",
                "lineStyle": {"color": palette.text, "type": "solid", "width": 1.5},
                "label": {"show": False},
                "data": strokes,
            },
        }
    ]


def _plain(palette: Palette, tr: Texts) -> Options:
    options = {**base(palette), **saving(palette, tr, tr("Loss rate"))}
    options["grid"] = {**options["grid"], "right": RIGHT}
    return options


def _chosen(chosen: Sequence[str], palette: Palette) -> Options:
    """Return the mark of the chosen days: an area, or a line for a single one."""
    if len(chosen) > 1:
        area = [{"xAxis": chosen[0]}, {"xAxis": chosen[-1]}]
        return {"markArea": {"silent": True, "itemStyle": {"color": palette.band}, "data": [area]}}
    if not chosen:
        return {}
    marks = [moment(chosen[0], palette.muted, "")]
    return {"markLine": {"symbol": "none", "silent": True, "animation": False, "data": marks}}


def _percent(value: float | None) -> float | None:
    return None if value is None else round(value * 100, 3)
