"""What one pass knows of a city: its balances, and what explains each zone's loss. Made once, read by all detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.backwards import Backwards, backwards
from alarms.analysis.bank import weigh
from alarms.analysis.bank_config import RECENT_D, BankConfig
from alarms.analysis.city import KELVIN, CityModel, uncompensated_of
from alarms.analysis.expectation import rest_runs
from alarms.analysis.gaps import Gaps
from alarms.analysis.hypotheses import Case, ZoneDays
from alarms.analysis.late import LATE_D, last_known, padded, use_between
from alarms.analysis.loss import Balance, balance
from alarms.analysis.loss_config import LossConfig
from alarms.analysis.marks import AROUND_D, Known, Marks
from alarms.analysis.past import Past, peers_of, usual_less
from alarms.analysis.rests import COLD_C, absent
from alarms.analysis.screen import due, news, resting
from alarms.analysis.weekly import PAUSE_D, weekly, whole
from gateway.model.network import Meter
from gateway.model.quantity import Quantity
from gateway.model.reading import Window, to_us

EVIDENCE_DAYS, BEFORE_DAYS, MOST_DAYS = 35, 14, 120
"""days of curves that a finding carries: so many at least, so many before the first day of the case, so many at most"""
HOMES = ("residential", "")

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """Figures of the balance and of the bank of hypotheses."""

    loss: LossConfig = field(default_factory=LossConfig)
    bank: BankConfig = field(default_factory=BankConfig)
    every_days: int = 1
    """each zone is weighed on one day of so many at least, and whenever something changed"""


IN_TURN = StudyConfig(every_days=4)
"""as the parts of a large city are judged, one pass after the other"""


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
    judged: Flags
    """zones of which this pass tells that nothing is wrong if it names nothing, (z,): weighed, and not read in part"""
    tampered: NDArray[np.bool_]
    """days on which a meter said that somebody touched it, (d, n)"""
    quiet: Floats
    """where a meter began to rest at night, what that speaks for a bypass, (d, n)"""
    cases: tuple[ZoneCase, ...]
    turned: tuple[Backwards, ...] = ()
    """customers' meters whose register runs backwards"""

    def curves(self, found: ZoneCase) -> dict[str, Any]:
        """Return the evidence of a case, ready for JSON and for a plot: what a person can check."""
        result, case = self.balance, found.case
        back = max(EVIDENCE_DAYS, min(len(result.days) - case.first_day + BEFORE_DAYS, MOST_DAYS))
        days = slice(max(0, len(result.days) - back), None)
        evidence: dict[str, Any] = {
            "days": [day.isoformat() for day in result.days[days]],
            "zone_loss_m3": plain(result.own_loss[days, found.zone]),
            "deficit_m3": plain(case.missing[days]),
            "first_day": result.days[case.first_day].isoformat(),
        }
        if found.customer >= 0:
            evidence["meter_m3"] = plain(self._counted(found)[days])
            evidence["expected_m3"] = plain(case.expected[days])
            near = slice(max(case.first_day - AROUND_D, 0), case.first_day + AROUND_D + 1)
            touched = np.flatnonzero(self.tampered[near, found.customer]) + near.start
            if len(touched):
                evidence["tampered_on"] = ", ".join(result.days[day].isoformat() for day in touched)
            nights = np.flatnonzero(np.isfinite(self.quiet[near, found.customer])) + near.start
            if len(nights):
                evidence["rests_at_night_since"] = result.days[nights[0]].isoformat()
        return evidence

    def _counted(self, found: ZoneCase) -> Floats:
        """Return what a meter counted each day, m3 (d,): as it was judged, by readings days apart where need be."""
        result, at = self.balance, found.customer
        use = result.use[:, at]
        return use_between(use, result.filled[:, at], result.gap_d[:, at]) if found.case.late else use


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """What zones are weighed by."""

    result: Balance
    use: Floats
    """(d, n)"""
    rests: NDArray[np.int64]
    """as in `Study`"""
    known: Known
    telling: Flags
    """days on which a zone's loss tells what is wrong, (d, z)"""
    partly: Flags
    """zones that are read in part: they tell of leaks alone, (z,)"""

    def until(self, days: int) -> _Sight:
        """Return that of the first so many days."""
        known, telling = self.known.until(days), self.telling[:days]
        return _Sight(self.result.until(days), self.use[:days], self.rests[:days], known, telling, self.partly)


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
    *,
    marks: Marks | None = None,
) -> Study:
    """Balance the city up to `now` and weigh what explains the loss of each zone.

    `gaps`, of the same windows, lets customers be estimated that are read seldom; `marks` are what readings said by
    then of valves and tampering.
    """
    config = config or StudyConfig()
    return study_of(city, balance(city, trim(windows, now), config.loss, gaps), config, marks)


def study_of(city: CityModel, result: Balance, config: StudyConfig, marks: Marks | None = None) -> Study:
    """Weigh what explains the loss of each zone of a balance."""
    marks = marks or Marks()
    known = _known(city, result, marks)
    # nothing is expected of a customer whose valve or account is shut, so nothing that is missing there tells anything
    use = np.where(known.idle, np.nan, result.use)
    rests = rest_runs(use, result.still_m3)
    assessable = np.isfinite(result.own_loss) & (result.own_supply > 0)
    coverage = _own_coverage(result)
    assessable &= coverage >= config.loss.coverage_limit
    # what one day loses by reading times the next one gains, so that they leave no zone in doubt for long
    doubt = np.sqrt(np.maximum(result.own_sigma**2 - result.own_terms.skew, 0.0))
    known_days = assessable & (doubt <= config.loss.day_sigma_limit * np.nan_to_num(result.own_supply))
    assessable &= result.own_sigma <= config.loss.sigma_limit * np.maximum(np.nan_to_num(result.own_supply), 0.0)
    # what large customers used is only expected until they are read, and that is no loss
    telling = assessable & (coverage >= config.bank.least_known)
    # a zone that is read in part tells that it leaks, beyond what its unread customers may use
    partly = np.asarray(known_days.any(axis=0) & ~telling[-RECENT_D:].any(axis=0))
    telling |= known_days & partly
    weighed = _judged(result, rests, telling, config.every_days)
    sight = _Sight(result, use, rests, known, telling, partly)
    cases = _cases(city, config, sight, np.flatnonzero(weighed))
    judged = weighed & ~partly
    well_known = known_days & (coverage >= config.bank.least_known)
    cases += _late_cases(city, config, replace(sight, telling=well_known, partly=np.zeros_like(partly)), judged)
    turned = () if marks.falling is None else backwards(marks.falling, result.tree.customers, result.bounds)
    return Study(result, rests, assessable, judged, known.tampered, known.quiet, tuple(cases), tuple(turned))


def _late_cases(city: CityModel, config: StudyConfig, sight: _Sight, judged: Flags) -> list[ZoneCase]:
    """Return what is likely wrong with meters of zones that are known well only up to some day, as of that day."""
    result, days = sight.result, len(sight.result.days)
    last = last_known(sight.telling) * (result.tree.measured & ~judged)
    last *= due(result.days[-1].toordinal() if days else 0, len(last), config.every_days)
    cases: list[ZoneCase] = []
    if last.any():
        use = np.where(sight.known.idle, np.nan, use_between(result.use, result.filled, result.gap_d))
        sight = replace(sight, use=use, rests=rest_runs(use, result.still_m3))
        config = replace(config, bank=replace(config.bank, recent_d=LATE_D))
    for end in np.unique(last[last > 0]):
        found = _cases(city, config, sight.until(int(end)), np.flatnonzero(last == end))
        sure = [one for one in found if one.case.probability >= config.bank.likely]
        cases += [replace(one, case=padded(one.case, days)) for one in sure]
    return cases


def _cases(city: CityModel, config: StudyConfig, sight: _Sight, zones: NDArray[np.int64]) -> list[ZoneCase]:
    """Weigh what explains the loss of some zones."""
    if not len(zones):
        return []
    result, use, rests, known = sight.result, sight.use, sight.rests, sight.known
    telling, partly = sight.telling, sight.partly
    meters = [city.network.meters[name] for name in result.tree.customers]
    classes = [meter.customer_class for meter in meters]
    cold = np.nan_to_num(city.air_c(result.days), nan=COLD_C) < COLD_C
    away_for = absent(rests, np.isfinite(use), classes, cold)
    business = np.array([name not in HOMES for name in classes], dtype=np.bool_)
    warm = _warmth(city, result, meters)
    groups = np.where(business, 1, 0)
    peers = peers_of(groups)
    # nothing is asked of the past of others
    some = np.flatnonzero(np.isin(result.tree.home, zones) | peers)
    own, at_rest = use[:, some], rests[:, some]
    shape = weekly(own, result.shape[:, some], at_rest, result.days, business[some])
    past = Past.of(own, shape, at_rest, config.bank.least_days).shared_over(_gaps_d(own, result.gap_d[:, some]))
    less = usual_less(past, own, shape, groups[some], peers[some])
    away = whole(at_rest) >= PAUSE_D
    unsure_d = _unsure_d(own, at_rest, result.gap_d[:, some])
    cases: list[ZoneCase] = []
    for zone in zones:
        at = np.flatnonzero(result.tree.home[some] == zone)
        members = some[at]
        days = ZoneDays(
            past=past.of_meters(at),
            loss=np.where(telling[:, zone], result.own_loss[:, zone], np.nan),
            supply=np.nan_to_num(result.own_supply[:, zone]),
            noise_variance=result.own_terms.noise[:, zone],
            unread_variance=result.own_terms.unread[:, zone],
            guess=np.sqrt(np.nan_to_num(result.own_terms.unread[:, zone])) * partly[zone],
            steady=np.sqrt(np.nan_to_num(result.own_terms.steady[:, zone])),
            warmth=warm[:, zone],
            use=own[:, at],
            shape=shape[:, at],
            rests=at_rest[:, at],
            away=away[:, at],
            unsure_d=unsure_d[at],
            absent=away_for[members],
            usual_less=less[:, at],
            business=business[members],
            tampered=known.odds[:, members],
        )
        cases += [
            ZoneCase(int(zone), int(members[case.meter]) if case.meter >= 0 else -1, case)
            for case in weigh(days, config.bank)
            if not partly[zone] or case.probability >= config.bank.likely
        ]
    return cases


def _gaps_d(use: Floats, gap_d: Floats) -> Floats:
    """Return the mean length of what readings tell of each customer's days: 1 where all are read, (n,)."""
    known = np.isfinite(use)
    length = np.where(known, np.maximum(gap_d, 1.0), 0.0).sum(axis=0)
    return np.asarray(np.where(known.any(axis=0), length / np.maximum(known.sum(axis=0), 1), 1.0))


def _unsure_d(use: Floats, rests: NDArray[np.int64], gap_d: Floats) -> NDArray[np.int64]:
    """Return by how many days a rest may have begun before it shows: within a day, or a gap between readings, (n,)."""
    moved = np.where(np.isfinite(use) & (rests == 0), np.arange(len(use))[:, None], 0).max(axis=0)
    return np.asarray(np.maximum(np.ceil(gap_d[moved, np.arange(use.shape[1])]), 1.0), dtype=np.int64)


def _known(city: CityModel, result: Balance, marks: Marks) -> Known:
    """Return what the company and the meters say of the days of customers."""
    names, bounds = result.tree.customers, result.bounds
    idle = city.shut_days(names, bounds) | marks.closed(names, bounds)
    # a business that closes earlier uses gas in no night at all, so that many of them say no more than one
    homes = np.array([city.network.meters[name].customer_class in HOMES for name in names], dtype=np.bool_)
    quiet = marks.turned_quiet(names, bounds)
    return Known(idle, marks.tampered(names, bounds), np.where(homes, quiet, np.minimum(quiet, 0.0)))


def _judged(
    result: Balance, rests: NDArray[np.int64], telling: NDArray[np.bool_], every_days: int
) -> NDArray[np.bool_]:
    """Return the measured zones that are to be weighed, (z,): one that is read a day late is judged a day late."""
    if not result.days:
        return np.zeros(len(result.tree.zones), dtype=np.bool_)
    chosen = due(result.days[-1].toordinal(), len(result.tree.zones), every_days)
    chosen |= news(np.where(telling, result.own_loss, np.nan), result.own_supply)
    chosen |= resting(rests, result.use, result.tree.home, result.own_supply)
    return np.asarray(chosen & result.tree.measured & telling[-RECENT_D:].any(axis=0))


def _warmth(city: CityModel, result: Balance, meters: Sequence[Meter]) -> NDArray[np.float64]:
    """Return what each zone's own metered volume would change by if gas in meters followed the air, m3 (d, z)."""
    home = city.temperature.home_c
    off = np.nan_to_num(city.air_c(result.days), nan=home) - home
    moving = result.tree.own.sums(result.filled * uncompensated_of(meters)[None, :])
    return np.asarray(moving * off[:, None] / (home + KELVIN))


def _own_coverage(result: Balance) -> NDArray[np.float64]:
    """Return the share of the expected volume that readings tell, over each zone's own customers, (d, z).

    Where nothing is expected of them it is the share of customers that were read.
    """
    weight = result.filled
    own = result.tree.own.sums
    read, whole = own(result.known * weight), own(weight)
    customers = np.asarray(result.tree.own_customers.sum(axis=1))
    heard = np.where(customers > 0, own(np.isfinite(result.use)) / np.maximum(customers, 1.0), 1.0)
    return np.where(whole > 0, read / np.where(whole > 0, whole, 1.0), heard)


def plain(values: NDArray[np.float64]) -> list[float | None]:
    """Return an array as numbers for JSON, None where it is unknown."""
    return [round(float(value), 3) if np.isfinite(value) else None for value in values]
