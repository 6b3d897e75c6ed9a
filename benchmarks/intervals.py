"""Final intervals of a city: writing a gas day, a second look that finds nothing new, and one meter's year."""

from __future__ import annotations

import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from gateway.store import vee_rows
from gateway.store.interval_rows import IntervalColumns, Texts, day_number
from gateway.store.intervals import IntervalStore
from gateway.store.state import State
from tests.alarms.audited import audited
from tests.alarms.small_city import a_city

CITY_METERS = 2_350_000
BATCH = 20_000
LAST = date(2026, 12, 31)
OPEN_DAYS = 45
"""days whose month is not one file yet"""
EMPTY_STATE_BYTES = 300_000
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
        figures |= _audits(Path(folder), homes=100 if quick else 2000)
        return figures | _year(store, names, days=30 if quick else 3)
    raise AssertionError


def _audits(folder: Path, homes: int) -> dict[str, float]:
    """Audit a city with faults every third day of two months, and tell time and the room of its verdicts.

    Of 1,000 meters 10 fall silent, 10 are in homes that stand empty, 50 lose every tenth reading: more than usual.
    """
    city = a_city(days=60, homes=homes)
    rng = np.random.default_rng(4)
    for name in rng.choice(city.customers, len(city.customers) // 100, replace=False):
        city = city.away(str(name), int(rng.integers(10, 40)))
    batch, names = city.batch()
    fate = rng.random(len(names))
    lost = (fate[batch.point] < 0.01) & (batch.source_time > city.bounds[25])
    lost |= (fate[batch.point] > 0.95) & (rng.random(len(batch)) < 0.1)
    batch = batch.take(~lost)
    state = State.in_folder(folder)
    took = []
    for day in range(10, 61, 10):
        began = time.perf_counter()
        audited(state, city, batch, names, int(city.bounds[day]) + 6 * 3_600_000_000, size=500)
        took.append(time.perf_counter() - began)
    with state.read() as connection:
        rows = vee_rows.count_verdicts(connection)
    state.close()
    # without the pages that an empty database has
    size = (folder / "state.db").stat().st_size - EMPTY_STATE_BYTES
    per_month = rows / len(names) / 2
    return {
        "audit_s_per_1000_meters": max(took) * 1000 / len(names),
        "verdicts_per_meter_month": per_month,
        "state_bytes_per_verdict": size / max(rows, 1),
        "city_verdicts_gb_per_year": per_month * 12 * CITY_METERS * size / max(rows, 1) / 1e9,
    }


def _year(store: IntervalStore, names: Texts, days: int) -> dict[str, float]:
    """Fill a year's files and read single meters. A city's whole year is too much to write: only few days are whole.

    The other months and days hold every hundredth meter, so that all files of a year are there to be looked through.
    """
    some = names[:: max(1, len(names) // 20_000)]
    for first in range(1, 365, 28):
        with store.adding() as adding:
            for back in range(first, min(first + 28, 365)):
                mine = names if back < days else some
                for at in range(0, len(mine), BATCH):
                    adding.add(columns_of(mine[at : at + BATCH], LAST - timedelta(days=back), back))
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
        return sum(adding.add(columns_of(names[at : at + BATCH], day, seed + at)) for at in batches)


def columns_of(names: Texts, day: date, seed: int) -> IntervalColumns:
    """Return one gas day of some meters, a fiftieth of them estimated."""
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
