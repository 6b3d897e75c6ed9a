"""Final intervals of a city: writing a gas day, a second look that finds nothing new, and one meter's year."""

from __future__ import annotations

import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from gateway.store.interval_rows import IntervalColumns, Texts, day_number
from gateway.store.intervals import IntervalStore

CITY_METERS = 2_350_000
BATCH = 20_000
LAST = date(2026, 12, 31)
OPEN_DAYS = 45
"""days whose month is not one file yet"""
DAY_US = 86_400_000_000


def run(*, quick: bool) -> dict[str, float]:
    """Return seconds, bytes per row and milliseconds; what a city of 2.35 million meters takes is extrapolated."""
    meters = 60_000 if quick else CITY_METERS
    names = np.array([f"M-{number:07d}" for number in range(meters)], dtype=object)
    with tempfile.TemporaryDirectory(prefix="gasgate-intervals-") as folder:
        store = IntervalStore(Path(folder) / "intervals")
        began = time.perf_counter()
        rows = _add(store, names, LAST, seed=0)
        wrote_s = time.perf_counter() - began
        size = sum(file.stat().st_size for file in Path(folder).rglob("rev-*"))
        began = time.perf_counter()
        again = _add(store, names, LAST, seed=0)
        again_s = time.perf_counter() - began
        figures = {
            "meters": float(meters),
            "write_day_s": wrote_s,
            "write_day_city_s": wrote_s * CITY_METERS / meters,
            "look_again_s": again_s,
            "rows_written_again": float(again),
            "bytes_per_row": size / rows,
            "city_year_gb": size / rows * CITY_METERS * 365 / 1e9,
        }
        return figures | _year(store, names, days=90 if quick else 3)
    raise AssertionError


def _year(store: IntervalStore, names: Texts, days: int) -> dict[str, float]:
    """Fill a year's files and read single meters. A city's whole year is too much to write: only few days are whole.

    The other months and days hold every hundredth meter, so that all files of a year are there to be looked through.
    """
    some = names[:: max(1, len(names) // 20_000)]
    for back in range(1, 365):
        _add(store, names if back < days else some, LAST - timedelta(days=back), seed=back)
    began = time.perf_counter()
    store.tidy(before=LAST - timedelta(days=OPEN_DAYS))
    merged_s = time.perf_counter() - began
    rng = np.random.default_rng(1)
    took, found = [], 0
    for meter in rng.choice(some, 20):
        began = time.perf_counter()
        found += len(store.of_meter(str(meter), LAST - timedelta(days=364), LAST))
        took.append(1e3 * (time.perf_counter() - began))
    files = len(store.files_of(LAST - timedelta(days=364), LAST))
    return {
        "merge_months_s": merged_s,
        "year_files": float(files),
        "year_rows": found / 20,
        "year_first_ms": took[0],
        "year_median_ms": float(np.median(took)),
        "year_worst_ms": max(took),
    }


def _add(store: IntervalStore, names: Texts, day: date, seed: int) -> int:
    with store.adding() as adding:
        batches = range(0, len(names), BATCH)
        return sum(adding.add(_columns(names[at : at + BATCH], day, seed + at)) for at in batches)


def _columns(names: Texts, day: date, seed: int) -> IntervalColumns:
    rng = np.random.default_rng(seed)
    count = len(names)
    begins = day_number(day) * DAY_US
    units = rng.gamma(2.0, 230.0, count).astype(np.int64)
    lost = rng.random(count) < 0.02
    words = {
        "status": np.where(lost, "estimated", "measured"),
        "method": np.where(lost, "like_days", "register"),
        "rules": np.where(lost, "V01", ""),
        "who": np.full(count, ""),
        "note": np.full(count, ""),
    }
    numbers = {
        "gas_day": np.full(count, day_number(day)),
        "begins": np.full(count, begins),
        "ends": np.full(count, begins + DAY_US),
        "units": units,
        "decimals": np.full(count, 3),
        "left_at": begins - rng.integers(0, 3600, count) * 1_000_000,
        "right_at": begins + DAY_US + rng.integers(0, 3600, count) * 1_000_000,
        "step_units": units + rng.integers(0, 30, count),
        "computed_at": np.full(count, begins + 2 * DAY_US),
    }
    columns: dict[str, Any] = {name: values.astype(object) for name, values in words.items()}
    columns |= {name: values.astype(np.int64) for name, values in numbers.items()}
    return IntervalColumns(meter=names, **columns)
