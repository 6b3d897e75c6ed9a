"""What the trade does without an analysis: zero for 30 days, 5 % daily loss, least squares, three days of silence.

Every rule works on the last reading of each gas day, as a spreadsheet would: no alignment, no temperature, no model of
absences. Each is causal: a day is judged two days after it has ended, with what had arrived by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from gateway.dataset import read_network, read_settings
from gateway.model.network import MeterRole
from gateway.scoring.truth import read_tree

ZERO_D, SILENT_D, LEAST_USE_M3 = 30, 3, 0.01
LOSS_RATE = 0.05
REGRESSION_D, EVERY_D, LEAST_SHARE = 56, 28, 0.1
JUDGED_AFTER_D = 2
Finding = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Closing:
    """Registers at the end of each gas day, (days, meters); NaN where no reading of that day arrived in time."""

    meters: tuple[str, ...]
    register_m3: NDArray[np.float64]

    @property
    def use_m3(self) -> NDArray[np.float64]:
        """Use since the day before, NaN where it cannot be said or the register stepped back."""
        step = np.diff(self.register_m3, axis=0, prepend=np.nan)
        return np.where(step >= 0, step, np.nan)


def findings(dataset: Path) -> list[Finding]:
    """Return what the plain rules find in a dataset."""
    settings, network = read_settings(dataset), read_network(dataset)
    days = (settings.end - settings.start) // timedelta(days=1)
    closing = _closing(dataset, settings.start, days)
    tree = read_tree(dataset, [])
    customers = [i for i, m in enumerate(closing.meters) if network.meters[m].role is MeterRole.CUSTOMER]
    moments = [settings.start + timedelta(days=day + 1 + JUDGED_AFTER_D) for day in range(days)]
    use = closing.use_m3
    found = [*_zero(closing, use, customers, moments), *_silent(closing, customers, moments)]
    for zone in sorted(tree.measured):
        supplies = [i for i, m in enumerate(closing.meters) if network.meters[m].zone_id == zone and i not in customers]
        members = [
            i for i in customers if zone in (tree.homes[closing.meters[i]], *tree.above(tree.homes[closing.meters[i]]))
        ]
        if supplies and members:
            supply, metered = use[:, supplies].sum(axis=1), _filled(use[:, members])
            found += _lossy(zone, supply, metered, moments)
            found += _regressed([closing.meters[i] for i in members], supply, metered, moments)
    return [one for one in found if datetime.fromisoformat(one["detected_at"]) <= settings.end]


def _closing(dataset: Path, start: datetime, days: int) -> Closing:
    path = str(dataset / "readings.parquet").replace("'", "''")
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
        table = connection.execute(
            "SELECT meter_id, (epoch(time) - ?)::BIGINT // 86400 AS day, arg_max(register_m3, time) AS register "
            f"FROM read_parquet('{path}') WHERE received <= time + INTERVAL 1 DAY GROUP BY ALL",
            [start.timestamp()],
        ).fetchnumpy()
    meters, column = np.unique(table["meter_id"].astype(str), return_inverse=True)
    day = np.asarray(table["day"], dtype=np.int64)
    inside = (day >= 0) & (day < days)
    register = np.full((days, len(meters)), np.nan)
    register[day[inside], column[inside]] = np.asarray(table["register"], dtype=np.float64)[inside]
    return Closing(tuple(meters.tolist()), register)


def _zero(
    closing: Closing, use: NDArray[np.float64], customers: list[int], moments: list[datetime]
) -> Iterator[Finding]:
    """Name meters that used gas and have used none for 30 days."""
    for i in customers:
        moved = np.flatnonzero(use[:, i] > LEAST_USE_M3)
        known = np.flatnonzero(np.isfinite(use[:, i]))
        if not len(moved):
            continue
        ends = np.append(moved[1:], len(moments))
        for last, end in zip(moved, ends, strict=True):
            zeros = known[(known > last) & (known < end)]
            if len(zeros) >= ZERO_D:
                before = float(np.nanmean(use[max(0, last - 60) : last + 1, i]))
                yield _finding("non_moving", closing.meters[i], moments[zeros[ZERO_D - 1]], before, 10.0)


def _silent(closing: Closing, customers: list[int], moments: list[datetime]) -> Iterator[Finding]:
    """Name meters that were read on most days and have not been for three."""
    for i in customers:
        there = np.flatnonzero(np.isfinite(closing.register_m3[:, i]))
        if len(there) < 10:
            continue
        for last, gap in zip(there, np.diff(np.append(there, len(moments))), strict=True):
            usual = np.mean(np.isfinite(closing.register_m3[max(0, last - 30) : last + 1, i]))
            if gap > SILENT_D and usual > 0.9:
                yield _finding("silent", closing.meters[i], moments[last + SILENT_D], float(usual))


def _lossy(
    zone: str, supply: NDArray[np.float64], metered: NDArray[np.float64], moments: list[datetime]
) -> Iterator[Finding]:
    """Name zones that lose more than 5 % on a day, once, until they were below again for a week."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = 1.0 - metered.sum(axis=1) / supply
    quiet = np.inf
    for day, lost in enumerate(rate):
        if lost > LOSS_RATE and quiet > 7:
            yield _finding("leak", zone, moments[day], float(lost))
        quiet = 0 if lost > LOSS_RATE else quiet + 1


def _regressed(
    meters: list[str], supply: NDArray[np.float64], metered: NDArray[np.float64], moments: list[datetime]
) -> Iterator[Finding]:
    """Fit the loss with shares of the readings every four weeks (LR-ETDM, with non-negative least squares)."""
    for last in range(REGRESSION_D, len(moments), EVERY_D):
        span = slice(last - REGRESSION_D + 1, last + 1)
        good = np.isfinite(supply[span])
        loss = supply[span][good] - metered[span][good].sum(axis=1)
        if good.sum() < REGRESSION_D // 2 or not np.isfinite(loss).all():
            continue
        shares, _ = nnls(metered[span][good], np.maximum(0.0, loss))
        for meter, share in zip(meters, shares, strict=True):
            if share > LEAST_SHARE:
                yield _finding("theft", meter, moments[last], float(share))


def _filled(use: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put the mean use of the 30 days before where a day's use is unknown, zero where nothing is known."""
    known, total = np.isfinite(use), np.cumsum(np.nan_to_num(use), axis=0)
    count = np.cumsum(known, axis=0)
    back = np.maximum(0, np.arange(len(use)) - 30)
    mean = (total - total[back]) / np.maximum(1, count - count[back])
    return np.where(known, use, mean)


def _finding(kind: str, subject: str, at: datetime, size: float, scale: float = 1.0) -> Finding:
    when = at.astimezone(UTC).isoformat()
    score = round(size / (size + scale), 6) if size > 0 else 0.0
    zone, meter = (subject, None) if kind == "leak" else (None, subject)
    return {"kind": kind, "zone": zone, "meter": meter, "detected_at": when, "onset": when, "score": score}
