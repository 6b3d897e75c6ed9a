"""Figures of daily loads of homes: how much, how unequal, how often nothing, how the hours of a day spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KWH_PER_M3 = 10.5
"""energy in a base cubic metre of gas"""

COLD_C, WARM_C = 6.0, 19.0
"""effective temperatures that part days with heating from days without"""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Loads:
    """Base m3 of homes on consecutive days; NaN where unknown."""

    daily: Floats
    """(homes, days)"""
    quartiles: Floats
    """of the day's hourly values, (3, homes, days)"""


def figures_of(loads: Loads, felt_c: Floats) -> dict[str, float]:
    """Return the figures by name."""
    cold, warm = felt_c < COLD_C, felt_c > WARM_C
    return {
        **_yearly(loads),
        **_zeros(loads, cold, warm),
        **_swings(loads, felt_c, cold, warm),
        **_hours(loads, felt_c),
    }


def _yearly(loads: Loads) -> dict[str, float]:
    yearly = np.nanmean(loads.daily, axis=1) * 365.0
    quantiles = {f"yearly use, {q} % quantile, m3": float(np.quantile(yearly, q / 100)) for q in (5, 25, 50, 75, 95)}
    return {"yearly use, mean, m3": float(yearly.mean()), **quantiles}


def _zeros(loads: Loads, cold: NDArray[np.bool_], warm: NDArray[np.bool_]) -> dict[str, float]:
    zero = loads.daily <= 0.0
    each = zero.mean(axis=1)
    runs = np.concatenate([_runs(row) for row in zero])
    days = max(1, runs.sum())
    return {
        "zero days, share": float(zero.mean()),
        "zero days when cold, share": float(zero[:, cold].mean()),
        "zero days when warm, share": float(zero[:, warm].mean()),
        **{f"zero days of a home, {q} % quantile": float(np.quantile(each, q / 100)) for q in (50, 75, 90, 95)},
        "runs of zero days a home and year": len(runs) / len(zero) * 365.0 / zero.shape[1],
        "runs of one day, share": float((runs == 1).mean()) if len(runs) else 0.0,
        "runs of 2 to 7 days, share": float(((runs > 1) & (runs <= 7)).mean()) if len(runs) else 0.0,
        "runs of 8 to 30 days, share": float(((runs > 7) & (runs <= 30)).mean()) if len(runs) else 0.0,
        "zero days in runs over 7 days, share": float(runs[runs > 7].sum() / days),
        "zero days in runs over 30 days, share": float(runs[runs > 30].sum() / days),
    }


def _runs(zero: NDArray[np.bool_]) -> NDArray[np.int64]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], zero.astype(np.int8), [0]])))
    return np.asarray(edges[1::2] - edges[::2], dtype=np.int64)


def _swings(loads: Loads, felt_c: Floats, cold: NDArray[np.bool_], warm: NDArray[np.bool_]) -> dict[str, float]:
    """Return figures of what the weather does not explain: medians over the homes."""
    summer = [_spread_and_memory(row[warm], np.ones(warm.sum())) for row in loads.daily]
    winter = [_spread_and_memory(row[cold], _fit(felt_c[cold], row[cold])) for row in loads.daily]
    result: dict[str, float] = {}
    for name, homes in (("warm", summer), ("cold", winter)):
        spread, memory = np.array([home for home in homes if np.isfinite(home).all()]).reshape(-1, 2).T
        result |= {
            f"day-to-day variation when {name}, 25 %": _quantile(spread, 25),
            f"day-to-day variation when {name}, median": _quantile(spread, 50),
            f"day-to-day variation when {name}, 75 %": _quantile(spread, 75),
            f"memory from day to day when {name}": _quantile(memory, 50),
        }
    slope = np.array([_slope(felt_c[cold], row[cold]) for row in loads.daily])
    base = np.nanmean(loads.daily[:, warm], axis=1)
    return result | {
        **{f"m3 a day and kelvin, {q} %": _quantile(slope, q) for q in (10, 50, 90)},
        **{f"m3 a day when warm, {q} %": _quantile(base, q) for q in (10, 50, 90)},
    }


def _quantile(values: Floats, percent: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, percent / 100.0)) if len(known) else float("nan")


def _line(felt_c: Floats, use: Floats) -> tuple[float, float]:
    """Return (slope, value at 0) of days with use; NaN where they are too few or all of one temperature."""
    burning = use > 0.0
    if burning.sum() <= 20 or np.ptp(felt_c[burning]) <= 0.0:
        return float("nan"), float("nan")
    slope, start = np.polyfit(felt_c[burning], use[burning], 1)
    return float(slope), float(start)


def _slope(felt_c: Floats, use: Floats) -> float:
    return -_line(felt_c, use)[0]


def _fit(felt_c: Floats, use: Floats) -> Floats:
    slope, start = _line(felt_c, use)
    return slope * felt_c + start


def _spread_and_memory(use: Floats, expected: Floats) -> tuple[float, float]:
    """Return (standard deviation against the mean, correlation with the day before) of days with use."""
    burning = (use > 0.0) & (expected > 0.0)
    if burning.sum() <= 20:
        return float("nan"), float("nan")
    left = use[burning] - expected[burning] * (use[burning].sum() / expected[burning].sum())
    steady = min(left[1:].std(), left[:-1].std()) <= 1e-12
    memory = float("nan") if steady else float(np.corrcoef(left[1:], left[:-1])[0, 1])
    return float(left.std() / use[burning].mean()), memory


def _hours(loads: Loads, felt_c: Floats) -> dict[str, float]:
    """Return the day's hourly quartiles against the day's mean hour, medians over days with use, by weather."""
    result: dict[str, float] = {}
    for name, low, high in (("cold", -99.0, 6.0), ("cool", 6.0, 12.0), ("mild", 12.0, 16.0), ("warm", WARM_C, 99.0)):
        days = (felt_c >= low) & (felt_c < high)
        mean = loads.daily[:, days] / 24.0
        used = mean > 0.0
        for quartile, label in enumerate(("lower quartile", "median", "upper quartile")):
            hours = loads.quartiles[quartile][:, days]
            result[f"hours, {label} / mean when {name}"] = (
                float(np.median(hours[used] / mean[used])) if used.any() else 0.0
            )
            result[f"hours, {label} is 0 when {name}, share"] = (
                float((hours[used] <= 0.0).mean()) if used.any() else 0.0
            )
    return result
