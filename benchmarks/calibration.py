"""How far simulated homes are from measured ones, given the weather of the same days.

The files are the caller's: nothing of them is part of the project. Half of the homes (every second meter) may be used
to fit the figures of `simulators/customers/classes.toml`; the table is about the other half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.calibration_figures import COLD_C, KWH_PER_M3, WARM_C, Loads, figures_of
from simulators.customers import build_customers, hourly_use
from simulators.customers.climate import effective_c
from simulators.networks.streets import build_ground
from simulators.weather import UTC_OFFSET_H

SEEDS = (1, 2, 3, 4)
_FEWEST_D = 25
_LOADS = ("meter", "date", "kwh", "hour_median_kwh", "hour_q25_kwh", "hour_q75_kwh")
_WEATHER = ("date", "temperature_mean_c", "wind_speed_m_s", "global_irradiance_w_m2")


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """Consecutive local days and how cold they felt."""

    number: NDArray[np.int64]
    """since 1970"""
    felt_c: NDArray[np.float64]


def run(*, quick: bool = False, loads: Path | None = None, weather: Path | None = None) -> dict[str, float]:
    """Compare and print the table. Returns what sums them up."""
    if loads is None or weather is None:
        raise SystemExit(
            "calibration compares with measured loads, which are not part of the project: give --loads FILE (parquet: "
            f"{', '.join(_LOADS)}) and --weather FILE (parquet: {', '.join(_WEATHER)})"
        )
    days = read_weather(weather)
    measured = half(read_loads(loads, days), fitted=False)
    simulated = simulate(days, homes=measured.daily.shape[0] * (2 if quick else 8), seeds=SEEDS[: 1 if quick else None])
    return compare(figures_of(measured, days.felt_c), figures_of(simulated, days.felt_c), measured, simulated)


def compare(
    real: Mapping[str, float], made: Mapping[str, float], measured: Loads, simulated: Loads
) -> dict[str, float]:
    """Print measured, simulated and error of every figure. Returns the errors that sum up, as shares."""
    print(f"{measured.daily.shape[0]} measured homes, {simulated.daily.shape[0]} simulated ones")
    print(f"{'figure':<44}{'measured':>10}{'simulated':>11}{'error':>9}")
    for name, value in real.items():
        print(f"{name:<44}{value:>10.3f}{made[name]:>11.3f}{made[name] - value:>9.3f}")
    one, other = np.nanmean(measured.daily, axis=0), np.nanmean(simulated.daily, axis=0)
    shares = [abs(made[name] - value) for name, value in real.items() if name.endswith("share")]
    return {
        "daily sum, RMSE / mean": _rmse(one, other) / float(one.mean()),
        "daily sum of the same yearly sum, RMSE / mean": _rmse(one / one.mean(), other / other.mean()),
        "yearly sum, relative error": float(other.mean() / one.mean() - 1.0),
        "zero days, error of the share": made["zero days, share"] - real["zero days, share"],
        "shares, mean absolute error": float(np.mean(shares)),
    }


def _rmse(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((one - other) ** 2)))


def read_weather(path: Path) -> Days:
    """Read the days. Raises SystemExit with the reason where the file does not fit."""
    table = _table(path, _WEATHER)
    number = table["date"].astype("datetime64[D]").astype(np.int64)
    order = np.argsort(number)
    number = number[order]
    if len(number) < 60 or (np.diff(number) != 1).any():
        raise SystemExit(f"{path}: wants one row for each of at least 60 consecutive days")
    air, wind, sun = (table[name][order].astype(np.float64) for name in _WEATHER[1:])
    felt_c = effective_c(air, sun, wind)
    if min((felt_c < COLD_C).sum(), (felt_c > WARM_C).sum()) < _FEWEST_D:
        raise SystemExit(f"{path}: wants {_FEWEST_D} days or more below {COLD_C} and above {WARM_C} deg C as felt")
    return Days(number, felt_c)


def read_loads(path: Path, days: Days) -> Loads:
    """Read the loads of the days; what is missing is NaN. Raises SystemExit where the file does not fit."""
    table = _table(path, _LOADS)
    meters, row = np.unique(table["meter"], return_inverse=True)
    column = table["date"].astype("datetime64[D]").astype(np.int64) - days.number[0]
    inside = (column >= 0) & (column < len(days.number))

    def spread(name: str) -> NDArray[np.float64]:
        values = np.full((len(meters), len(days.number)), np.nan)
        values[row[inside], column[inside]] = table[name][inside] / KWH_PER_M3
        return values

    quartiles = np.stack([spread(name) for name in ("hour_q25_kwh", "hour_median_kwh", "hour_q75_kwh")])
    return Loads(spread("kwh"), quartiles)


def _table(path: Path, columns: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    try:
        missing = [name for name in columns if name not in pq.read_schema(path).names]
        table = None if missing else pq.read_table(path, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise SystemExit(f"{path} cannot be read: {error}") from None
    if table is None or not table.num_rows:
        raise SystemExit(f"{path}: " + (f"lacks the columns {', '.join(missing)}" if missing else "has no rows"))
    return {name: table[name].to_numpy() for name in columns}


def half(loads: Loads, *, fitted: bool) -> Loads:
    """Return the homes that the figures may be fitted to, or the others."""
    first = 0 if fitted else 1
    return Loads(loads.daily[first::2], loads.quartiles[:, first::2])


def simulate(days: Days, homes: int, seeds: tuple[int, ...] = SEEDS) -> Loads:
    """Return simulated homes of the mix "calibration" in the weather of the days."""
    made = []
    hours = days.number[0] * 24 - UTC_OFFSET_H + np.arange(24 * len(days.number))
    each = -(-homes // len(seeds))
    ground = build_ground(1, [each])
    start = days.number[0].astype("datetime64[D]").astype(object)

    def felt(asked: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(days.felt_c[asked - days.number[0]], dtype=np.float64)

    for seed in seeds:
        customers = build_customers(seed, ground, start, "calibration")
        use = hourly_use(seed, customers, hours, felt)
        made.append(use.reshape(len(days.number), 24, each).transpose(2, 0, 1))
    hourly = np.concatenate(made)
    return Loads(hourly.sum(axis=2), np.quantile(hourly, (0.25, 0.5, 0.75), axis=2))
