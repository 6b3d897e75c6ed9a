"""Writing the dataset of a large city: rows a second, memory, and what a city of 2.35 million meters would take.

What it would take is in proportion to meter-days, which is too much: each process solves the pipes' tables once, and
drawing the meters does not depend on the days.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from pathlib import Path

from simulators.dataset.large import write_large
from simulators.networks.tiles import Tiles

LARGE_METERS, LARGE_DAYS = 2_350_000, 40
PROCESSES = 2


def run(*, quick: bool = False, meters: int = 100_000, days: int = 3) -> dict[str, float]:
    """Write a tiled city into a folder that is deleted afterwards; memory is that of each process at its peak."""
    if quick:
        meters, days = min(meters, 5000), min(days, 2)
    folder = Path(tempfile.mkdtemp())
    try:
        began, used = time.monotonic(), _processor_s()
        rows = write_large(folder / "city", Tiles.for_meters(1, meters), seed=1, days=days, processes=PROCESSES)
        seconds, work_s = time.monotonic() - began, _processor_s() - used
        size = sum(file.stat().st_size for file in (folder / "city").iterdir())
    finally:
        shutil.rmtree(folder)
    larger = LARGE_METERS * LARGE_DAYS / (meters * days)
    peak = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "meters": float(meters),
        "days": float(days),
        "rows": float(rows),
        "seconds": seconds,
        "rows_per_s": rows / seconds,
        "processor_s_per_million_rows": work_s / (rows / 1e6),
        "bytes_per_row": size / rows,
        "peak_mib_writer": peak[0],
        "peak_mib_each_helper": peak[1],
        "processor_hours_for_2.35_million_meters_40_days": work_s * larger / 3600.0,
        "hours_for_2.35_million_meters_40_days": seconds * larger / 3600.0,
        "gigabytes_for_2.35_million_meters_40_days": size * larger / 1e9,
    }


def _processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
