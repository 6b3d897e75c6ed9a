"""How far the reported loss rates are from the true ones, and whether their uncertainty is honest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from gateway.scoring.reading import number
from gateway.scoring.rules import HIGH_RATE, IDLE_SHARE, LOW_RATE, MONTH_D, MONTH_LEAST_D
from gateway.scoring.truth import Truth

Figures = dict[str, Any]
_NORMAL, _HIGH, _NEITHER = 0, 1, 2
_VERDICTS = {"normal": _NORMAL, "high": _HIGH}
_LEAST_SIGMA, _MOST_SIGMA = 1e-9, 1e6


@dataclass(frozen=True, slots=True, eq=False)
class _Zone:
    """What was reported and is true of one zone, by gas day."""

    rate: NDArray[np.float64]
    sigma: NDArray[np.float64]
    verdict: NDArray[np.int8]
    told: NDArray[np.bool_]

    @classmethod
    def empty(cls, days: int) -> _Zone:
        return cls(np.full(days, np.nan), np.full(days, np.nan), np.full(days, _NEITHER, np.int8), np.zeros(days, bool))


def loss_figures(truth: Truth, rows: Sequence[Any]) -> Figures:
    """Return the errors by kind of zone; rows of unknown zones and days, and second ones of a day, are only counted."""
    if not truth.loss:
        return {}
    zones: dict[str, _Zone] = {}
    unknown = doubled = 0
    for item in rows:
        row: dict[str, Any] = item if isinstance(item, dict) else {}
        zone, day = row.get("zone"), _day(truth, row.get("gas_day"))
        if not isinstance(zone, str) or zone not in truth.loss or day < 0:
            unknown += 1
            continue
        told = zones.setdefault(zone, _Zone.empty(truth.gas_days))
        if told.told[day]:
            doubled += 1
            continue
        verdict = row.get("verdict")
        told.rate[day], told.sigma[day] = number(row.get("loss_rate")), number(row.get("sigma"))
        told.verdict[day] = _VERDICTS.get(verdict, _NEITHER) if isinstance(verdict, str) else _NEITHER
        told.told[day] = True
    kinds = sorted({zone.kind for name, zone in truth.zones.items() if name in truth.loss})
    figures = {
        kind: _figures(truth, [n for n, z in truth.zones.items() if z.kind == kind and n in truth.loss], zones)
        for kind in kinds
    }
    return {"unknown_rows": unknown, "doubled_rows": doubled, **figures}


def crps(error: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the continuous ranked probability score of normal forecasts (Gneiting and Raftery 2007): small is good."""
    spread = np.maximum(sigma, _LEAST_SIGMA)
    z = error / spread
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return np.asarray(spread * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi)))


def _day(truth: Truth, value: object) -> int:
    """Return the number of a gas day, -1 if it is none of the dataset's."""
    try:
        day = (date.fromisoformat(value) - truth.first_gas_day).days if isinstance(value, str) else -1
    except ValueError:
        return -1
    return day if 0 <= day < truth.gas_days else -1


def _figures(truth: Truth, names: Sequence[str], zones: dict[str, _Zone]) -> Figures:
    days = truth.gas_days
    supply = np.array([truth.loss[name][0] for name in names]).reshape(-1, days)
    lost = np.array([truth.loss[name][1] for name in names]).reshape(-1, days)
    told = [zones.get(name) or _Zone.empty(days) for name in names]
    rate, sigma, verdict = (np.array([getattr(t, key) for t in told]) for key in ("rate", "sigma", "verdict"))
    flowing = supply > IDLE_SHARE * supply.mean(axis=1, keepdims=True) if days else np.zeros_like(supply, bool)
    true = np.divide(lost, supply, out=np.zeros_like(lost), where=supply > 0)
    good = flowing & np.isfinite(rate) & (verdict != _NEITHER)
    counted = {"zone_days": int(flowing.sum())}
    if not good.any():
        return {**counted, "assessed_share": 0.0}
    wrong = np.clip(np.nan_to_num(rate) - true, -1.0, 1.0)
    error, honest, is_high, truly = (
        wrong[good],
        np.minimum(np.nan_to_num(sigma[good]), _MOST_SIGMA),
        verdict[good] == _HIGH,
        true[good],
    )
    low, high = truly < LOW_RATE, truly >= HIGH_RATE
    return {
        **counted,
        "assessed_share": round(float(good.sum() / flowing.sum()), 4),
        "mae_pct": _percent(np.abs(error)),
        "median_abs_error_pct": round(100 * float(np.median(np.abs(error))), 3),
        "mae_when_above_1pct_pct": _percent(np.abs(error[~low])),
        "mae_of_always_zero_pct": _percent(np.abs(truly)),
        "bias_pct": _percent(error),
        "mae_30d_pct": _percent(np.array(_months(supply, wrong, good))),
        "within_2_sigma": round(float((np.abs(error) <= 2 * honest).mean()), 4),
        "sigma_mean_pct": _percent(honest),
        "crps_pct": _percent(crps(error, honest)),
        "high_when_below_1pct": round(float(is_high[low].mean()), 4) if low.any() else None,
        "high_when_above_5pct": round(float(is_high[high].mean()), 4) if high.any() else None,
    }


def _months(supply: NDArray[np.float64], wrong: NDArray[np.float64], good: NDArray[np.bool_]) -> list[float]:
    """Return the absolute error of the loss rate over each full span of 30 gas days, where 20 of them were assessed."""
    zones, days = good.shape
    spans = days // MONTH_D
    shape = (zones, spans, MONTH_D)
    kept = good[:, : spans * MONTH_D].reshape(shape)
    weight = np.where(kept, supply[:, : spans * MONTH_D].reshape(shape), 0.0)
    enough = kept.sum(axis=2) >= MONTH_LEAST_D
    sums = (weight * wrong[:, : spans * MONTH_D].reshape(shape)).sum(axis=2)[enough]
    return [abs(float(v)) for v in sums / weight.sum(axis=2)[enough]]


def _percent(values: NDArray[np.float64]) -> float | None:
    return round(100 * float(values.mean()), 3) if len(values) else None
