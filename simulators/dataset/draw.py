"""Draws the faults of a dataset by the rules of a preset: where, from when, until when, how large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulators.city import Plan
from simulators.customers import Kind, account_events, hourly_use
from simulators.dataset.presets import FaultRule
from simulators.faults import HOUR_US, Fault, FaultKind

_STREAM_FAULTS = 103
_DAY_H = 24
_EARLY, _LATE = 0.08, 0.06
"""shares of the faults that begin in the first three days and in the last week"""
_EARLY_DAYS, _LATE_DAYS = 3, 7
_SAMPLED_DAYS = 24
_OF_METERS = ("users", "homes", "businesses", "cards", "senders", "idle", "all")
_OF_REGULATORS = ("creep", "lock_up", "freeze")


@dataclass(frozen=True, slots=True, eq=False)
class MeanUse:
    """What is used on the mean day of the dataset if nothing is wrong, base m3 a day."""

    meters: NDArray[np.float64]
    zones: NDArray[np.float64]
    """of the regulator zones"""

    @classmethod
    def of(cls, plan: Plan, days: int) -> MeanUse:
        """Estimate it from some days of the dataset, evenly spread."""
        first = np.unique(np.linspace(0, max(0, days - 1), _SAMPLED_DAYS).astype(np.int64))
        hours = (plan.start_hour + first[:, None] * _DAY_H + np.arange(_DAY_H)).ravel()
        meters = hourly_use(plan.seed, plan.customers, hours).sum(axis=0) / len(first)
        zones = np.bincount(plan.customers.zone, meters, minlength=len(plan.ground.regulator_zones))
        return cls(meters, np.asarray(zones, dtype=np.float64))


@dataclass(slots=True, eq=False)
class _Hat:
    """The assets of a city by what they are, and which of them a fault has befallen."""

    among: Mapping[str, Sequence[str]]
    taken: set[tuple[str, str]] = field(default_factory=set)

    def deal(self, rule: FaultRule, years: float, rng: np.random.Generator) -> list[str]:
        """Return assets that a rule befalls; two faults of which one would hide the other never share one."""
        everyone, concern = self.among[rule.among], _concern(rule)
        count = max(rule.at_least, int(rng.poisson(rule.a_year * years * len(everyone))))
        free = [asset for asset in everyone if (concern, asset) not in self.taken]
        chosen = [free[index] for index in rng.permutation(len(free))[:count]]
        self.taken.update((concern, asset) for asset in chosen)
        return chosen


def _concern(rule: FaultRule) -> str:
    if rule.among in _OF_METERS:
        return "meter"
    return "regulator" if rule.kind in _OF_REGULATORS else rule.kind


def draw_faults(
    plan: Plan, days: int, rules: Sequence[FaultRule], supplies: Mapping[str, str], senders: NDArray[np.bool_]
) -> tuple[Fault, ...]:
    """Draw the faults of a city, or of a part that is drawn by itself, for so many days.

    `supplies` are the supply meters with the zone that each feeds; `senders` says of each customer's meter whether it
    sends by itself. A rule draws its own numbers, so that a further rule changes none of the others' sizes and moments.
    """
    use = MeanUse.of(plan, days)
    hat = _Hat(_assets(plan, days, use, supplies, senders))
    begin = f"E{plan.ground.first_zone + 1}-"
    faults: list[Fault] = []
    for number, rule in enumerate(rules):
        rng = np.random.default_rng([plan.seed, _STREAM_FAULTS, number, plan.ground.first_zone])
        unit = _unit(rule, plan, use)
        for asset in hat.deal(rule, days / 365.0, rng):
            name, one = f"{begin}{len(faults) + 1:04d}", unit.get(asset, 1.0)
            faults.append(_fault(rule, name, asset, start_hour=plan.start_hour, days=days, unit=one, rng=rng))
    return tuple(faults)


def _assets(
    plan: Plan, days: int, use: MeanUse, supplies: Mapping[str, str], senders: NDArray[np.bool_]
) -> dict[str, list[str]]:
    customers, metered, regulated = plan.customers, set(supplies.values()), set(plan.ground.regulator_zones)
    kind, burns = customers.kind, use.meters > 0.0
    home = (kind == Kind.HEATED) | (kind == Kind.COOKING)

    def meters(chosen: NDArray[np.bool_]) -> list[str]:
        return [customers.meters[column].meter_id for column in np.flatnonzero(chosen).tolist()]

    return {
        "zones": [zone for zone in plan.ground.regulator_zones if zone in metered],
        "mains": [zone for zone in dict.fromkeys(supplies.values()) if zone not in regulated],
        "regulators": [station.station_id for station in plan.ground.stations if station.kind == "regulator"],
        "stations": [station.station_id for station in plan.ground.stations],
        "supplies": list(supplies),
        "users": meters(burns),
        "homes": meters(burns & home),
        "businesses": meters(burns & ~home),
        "cards": meters(burns & customers.ic_card),
        "senders": meters(senders),
        "idle": meters(_without_account(plan, days)),
        "all": meters(np.ones(len(customers), np.bool_)),
    }


def _without_account(plan: Plan, days: int) -> NDArray[np.bool_]:
    """Say at which meters nobody may use gas, from the begin of the dataset to its end."""
    customers = plan.customers
    closed = np.array([meter.account != "open" for meter in customers.meters], dtype=np.bool_)
    for change in account_events(plan.seed, customers, plan.start_hour, days * _DAY_H):
        closed[change.column] = False
    return closed


def _unit(rule: FaultRule, plan: Plan, use: MeanUse) -> dict[str, float]:
    """Return what a size of 1 means for each asset of which it is a share, base m3 an hour."""
    if rule.size_of == "percent_of_flow":
        return {zone: flow / 100.0 for zone, flow in _flows_of(plan, use).items()}
    if rule.size_of == "mean_use":
        return {meter.meter_id: use.meters[at] / _DAY_H for at, meter in enumerate(plan.customers.meters)}
    return {}


def _flows_of(plan: Plan, use: MeanUse) -> dict[str, float]:
    """Return the mean flow of every zone and of the levels above it, base m3 an hour."""
    above = {zone.zone_id: zone.parent_id for zone in plan.ground.zones}
    flow: dict[str, float] = {}
    for zone, daily in zip(plan.ground.regulator_zones, use.zones.tolist(), strict=True):
        at = zone
        while at:
            flow[at] = flow.get(at, 0.0) + daily / _DAY_H
            at = above.get(at, "")
    return flow


def _fault(
    rule: FaultRule, fault_id: str, asset: str, *, start_hour: int, days: int, unit: float, rng: np.random.Generator
) -> Fault:
    begin = start_hour + _onset(days, rng)
    ramp_s = 3600.0 * round(_DAY_H * rng.uniform(*rule.ramp_days))
    lasts = max(1, round(_DAY_H * rng.uniform(*rule.lasts_days)))
    ends = rng.uniform() < rule.ends and begin + lasts < start_hour + days * _DAY_H
    size = _size(rule, rng) * unit
    detail = str(rng.choice(rule.details)) if rule.details else ""
    return Fault(
        fault_id=fault_id,
        kind=FaultKind(rule.kind),
        asset=asset,
        start_us=begin * HOUR_US,
        end_us=(begin + lasts) * HOUR_US if ends else None,
        size=round(size, 6),
        ramp_s=ramp_s,
        position=round(float(rng.uniform()), 3),
        detail=detail,
    )


def _size(rule: FaultRule, rng: np.random.Generator) -> float:
    low, high = rule.size
    share = rng.uniform()
    return float(low * (high / low) ** share) if rule.law == "log" else float(low + (high - low) * share)


def _onset(days: int, rng: np.random.Generator) -> int:
    """Return hours from the begin of the dataset: mostly anywhere, some at its very begin and end."""
    where = rng.uniform()
    first, last = 0, days
    if where < _EARLY:
        last = min(days, _EARLY_DAYS)
    elif where > 1.0 - _LATE:
        first = max(0, days - _LATE_DAYS)
    return int(rng.integers(first * _DAY_H + 1, max(first * _DAY_H + 2, last * _DAY_H - 1)))
