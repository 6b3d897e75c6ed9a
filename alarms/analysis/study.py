"""What one pass knows of a city: its balances, and what explains each zone's loss. Made once, read by all detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.bank import BankConfig, Case, ZoneDays, weigh
from alarms.analysis.city import CityModel
from alarms.analysis.expectation import rest_runs
from alarms.analysis.gaps import Gaps
from alarms.analysis.loss import Balance, LossConfig, balance
from gateway.model.quantity import Quantity
from gateway.model.reading import Window, to_us

EVIDENCE_DAYS = 35
"""days of curves that a finding carries"""
HOMES = ("residential", "")


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """Figures of the balance and of the bank of hypotheses."""

    loss: LossConfig = field(default_factory=LossConfig)
    bank: BankConfig = field(default_factory=BankConfig)


@dataclass(frozen=True, slots=True, eq=False)
class ZoneCase:
    """A case with its place: row of the zone, column of the customer (-1 for a leak)."""

    zone: int
    customer: int
    case: Case


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Balances and cases of one pass."""

    balance: Balance
    rests: NDArray[np.int64]
    """length of the run of days without use that ends on each day, (d, n)"""
    assessable: NDArray[np.bool_]
    """days on which a zone's own loss may be judged, (d, z)"""
    cases: tuple[ZoneCase, ...]

    def curves(self, found: ZoneCase) -> dict[str, Any]:
        """Return the evidence of a case, ready for JSON and for a plot: what a person can check."""
        result, case = self.balance, found.case
        days = slice(max(0, len(result.days) - EVIDENCE_DAYS), None)
        evidence: dict[str, Any] = {
            "days": [day.isoformat() for day in result.days[days]],
            "zone_loss_m3": plain(result.own_loss[days, found.zone]),
            "deficit_m3": plain(case.missing[days]),
            "first_day": result.days[case.first_day].isoformat(),
        }
        if found.customer >= 0:
            evidence["meter_m3"] = plain(result.use[days, found.customer])
            evidence["expected_m3"] = plain(case.expected[days])
        return evidence


def trim(windows: Mapping[Quantity, Window], now: datetime) -> dict[Quantity, Window]:
    """Return the windows without what lies after `now`."""
    limit = to_us(now)
    cut: dict[Quantity, Window] = {}
    for quantity, window in windows.items():
        rows = window.times <= limit
        cut[quantity] = Window(quantity, window.times[rows], window.assets, window.value[rows], window.variance[rows])
    return cut


def study(
    city: CityModel,
    windows: Mapping[Quantity, Window],
    now: datetime,
    config: StudyConfig | None = None,
    gaps: Mapping[Quantity, Gaps] | None = None,
) -> Study:
    """Balance the city up to `now` and weigh what explains the loss of each zone.

    `gaps`, of the same windows, lets customers be estimated that are read seldom.
    """
    config = config or StudyConfig()
    result = balance(city, trim(windows, now), config.loss, gaps)
    rests = rest_runs(result.use, result.still_m3)
    assessable = np.isfinite(result.own_loss) & (result.own_supply > 0)
    assessable &= _own_coverage(result) >= config.loss.coverage_limit
    assessable &= result.own_sigma <= config.loss.sigma_limit * np.maximum(np.nan_to_num(result.own_supply), 0.0)
    classes = [city.network.meters[name].customer_class for name in result.tree.customers]
    absences = _absences(rests, classes)
    business = np.array([name not in HOMES for name in classes], dtype=np.bool_)
    cases: list[ZoneCase] = []
    for zone in np.flatnonzero(result.tree.measured):
        members = np.flatnonzero(result.tree.home == zone)
        days = ZoneDays(
            loss=np.where(assessable[:, zone], result.own_loss[:, zone], np.nan),
            supply=np.nan_to_num(result.own_supply[:, zone]),
            noise_variance=result.noise_variance[:, zone],
            use=result.use[:, members],
            shape=result.shape[:, members],
            rests=rests[:, members],
            absences=absences[:, members],
            business=business[members],
        )
        cases += [
            ZoneCase(int(zone), int(members[case.meter]) if case.meter >= 0 else -1, case)
            for case in weigh(days, config.bank)
        ]
    return Study(result, rests, assessable, tuple(cases))


def _own_coverage(result: Balance) -> NDArray[np.float64]:
    """Return the share of the expected volume that readings tell, over each zone's own customers, (d, z)."""
    weight = result.filled
    own = result.tree.own_customers.T
    read = (result.known * weight) @ own
    whole = weight @ own
    return np.where(whole > 0, read / np.where(whole > 0, whole, 1.0), 1.0)


def _absences(rests: NDArray[np.int64], groups: Sequence[str]) -> NDArray[np.float64]:
    """Return the share of each meter's class whose rest began on a day, or the day before or after, (d, n)."""
    begins = (rests == 1).astype(np.float64)
    if len(begins) > 1:
        begins[0] = 0.0
    share = np.zeros(rests.shape)
    names = np.asarray(groups)
    for group in np.unique(names):
        members = names == group
        mean = begins[:, members].mean(axis=1)
        near = np.maximum(mean, np.maximum(np.append(mean[1:], 0.0), np.append(0.0, mean[:-1])))
        share[:, members] = near[:, None]
    return share


def plain(values: NDArray[np.float64]) -> list[float | None]:
    """Return an array as numbers for JSON, None where it is unknown."""
    return [round(float(value), 3) if np.isfinite(value) else None for value in values]
