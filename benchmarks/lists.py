"""Lists of a large city's meters, as the pages show them: the first rows of each, and what goes through all meters.

The network comes from files as a site's does, and the points are registered first; both stand outside the measured
times. A store of this process answers with a newest reading for every point. Each page's list is timed as its service
makes it, the slowest of three; `all_*` are in the background of the web role and extrapolated to 2.35 million meters.
The reading rates are asked for before and after the role analyse has counted the month.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from api.auth import User
from api.deps import Parts
from api.roles import Role
from api.services import city, meters, reading_rates, unread
from api.services.meters import Wanted
from benchmarks.city import register, write_network
from benchmarks.intervals import columns_of
from gateway.model.reading import ReadingBatch, to_us
from gateway.network_folder import read_network
from gateway.store.intervals import IntervalStore
from tests.api.sample_state import sample_parts

CITY_METERS = 2_350_000
FIRST, DAYS = date(2026, 1, 1), 31
_BATCH = 20_000
_USER = User("engineer", Role.ENGINEER, "zh", by_cookie=True)
_DAY_US = 86_400_000_000


def run(*, quick: bool) -> dict[str, float]:
    """Return seconds for 235,000 meters; the quick form takes 20,000."""
    count = 20_000 if quick else 235_000
    with tempfile.TemporaryDirectory(prefix="gasgate-lists-") as name:
        folder = Path(name)
        parts = _parts(folder, count)
        figures = {"meters": float(count)}
        lists: dict[str, Callable[[], object]] = {
            "first_50": lambda: meters.find_meters(parts, _USER, Wanted()),
            "first_50_of_a_zone": lambda: meters.find_meters(parts, _USER, Wanted(zone="D-1", kind="remote")),
            "by_part_of_an_id": lambda: meters.find_meters(parts, _USER, Wanted(text=f"{count - 1}")),
            "by_what_nobody_has": lambda: meters.find_meters(parts, _USER, Wanted(text="nowhere")),
            "classes": lambda: meters.classes(parts.network),
        }
        figures |= {f"{one}_s": max(_seconds(act) for _ in range(3)) for one, act in lists.items()}
        wholes: dict[str, Callable[[], object]] = {
            "all_waiting": lambda: asyncio.run(unread.WaitingMeters(parts).look()),
            "all_reading_rates_uncounted": lambda: _rates(parts),
            "all_counting_of_the_month": lambda: _count(parts),
            "all_reading_rates": lambda: _rates(parts),
            "all_on_the_map": lambda: city.city_map(parts.network),
        }
        for one, act in wholes.items():
            figures[f"{one}_s"] = took = _seconds(act)
            figures[f"{one}_city_s"] = took * CITY_METERS / count
        parts.state.close()
    return figures


def _rates(parts: Parts) -> list[reading_rates.RateLine] | None:
    """Ask anew, not for what is kept."""
    return reading_rates.reading_rates(replace(parts), FIRST, FIRST + timedelta(days=DAYS - 1))


def _count(parts: Parts) -> None:
    assert isinstance(parts.intervals, IntervalStore)
    begins = parts.site.gas_day.begins
    parts.intervals.count_months(lambda month: to_us(begins(month)), FIRST + timedelta(days=DAYS))


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _parts(folder: Path, count: int) -> Parts:
    (folder / "state").mkdir()
    small = sample_parts(folder / "state", factor=1.0)
    write_network(folder / "network", count)
    network = read_network(folder / "network", cache=folder / "meters.columns")
    register(small.state, count)
    intervals = IntervalStore(folder / "month")
    names = np.array(sorted(network.meters), dtype=object)
    with intervals.adding() as adding:
        for day in range(DAYS):
            for at in range(0, count, _BATCH):
                adding.add(columns_of(names[at : at + _BATCH], FIRST + timedelta(days=day), day))
    return replace(small, network=network, intervals=intervals, store=_Store(to_us(small.clock.now())))  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Store:
    """Knows a newest reading of every point: of one in a hundred, one that is half a year old."""

    now_us: int

    async def latest(self, points: NDArray[np.uint32]) -> ReadingBatch:
        at = self.now_us - np.where(points % 100 == 0, 200 * _DAY_US, 3_600_000_000).astype(np.int64)
        ones = np.ones(len(points))
        return ReadingBatch.build(points, at, at, ones, np.zeros(len(points), dtype=np.uint8))
