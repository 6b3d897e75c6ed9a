"""Write a simulated city as a dataset with faults drawn by seed, and the truth about them for a scorer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators import weather
from simulators.city import City, Plan, build_plan
from simulators.customers import COMMERCIAL, HEATED, UNUSED
from simulators.dataset.history import write_history
from simulators.faults import HOUR_US, Fault, FaultKind

START = datetime(2024, 9, 30, 22, tzinfo=UTC)
"""06:00 on 1 October 2024 in Asia/Shanghai: a gas day, a season and the heating begin"""
LEAK_ZONES = 0.35
METER_FAULTS = ((FaultKind.STOPPED, 0.008), (FaultKind.BYPASS, 0.008), (FaultKind.SLOW, 0.004))
"""share of the meters that each kind befalls"""

_FINDING = {
    FaultKind.LEAK: "leak",
    FaultKind.STOPPED: "non_moving",
    FaultKind.BYPASS: "theft",
    FaultKind.SLOW: "slow",
}
_DAY_H = 24


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """What the truth needs of all hours: by gas day and zone, and by hour for the meters with a fault."""

    supply: NDArray[np.float64]
    loss: NDArray[np.float64]
    unregistered: dict[str, NDArray[np.float64]]


def write_exam(out: Path, *, seed: int, zones: int, meters_per_zone: int, days: int) -> None:
    """Write a dataset and its `truth.json` into a folder; the same arguments give the same files."""
    plan = build_plan(seed, START, [meters_per_zone] * zones)
    faults = draw_faults(plan, days)
    city = City(plan, faults)
    name = f"simulated-{seed}"
    write_history(city, out, START + timedelta(days=days), name=name, points_every_us=HOUR_US)
    truth = _truth(city, days, name)
    (out / "truth.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")


def draw_faults(plan: Plan, days: int) -> tuple[Fault, ...]:
    """Draw faults: leaks of 1 to 8 % of a zone's flow, stopped, bypassed and slow meters. One a meter at most."""
    rng = np.random.default_rng([plan.seed, 103])
    customers = plan.customers
    faults = []
    winter = np.bincount(customers.zone, customers.winter_m3_d(), minlength=len(plan.ground.regulator_zones)) / 24.0
    for number, zone in enumerate(plan.ground.regulator_zones):
        if rng.uniform() < LEAK_ZONES:
            size = float(winter[number] * np.exp(rng.uniform(np.log(0.01), np.log(0.08))))
            faults.append(_fault(f"leak-{zone}", FaultKind.LEAK, zone, _onset(plan, days, rng), size))
    users = rng.permutation(np.flatnonzero((customers.kind == HEATED) | (customers.kind == COMMERCIAL)))
    taken = 0
    for kind, share in METER_FAULTS:
        count = max(1, round(share * len(customers)))
        for column in users[taken : taken + count]:
            meter = customers.meters[int(column)].meter_id
            size = {FaultKind.SLOW: rng.uniform(0.3, 0.8), FaultKind.BYPASS: rng.choice([0.0, 0.3, 0.6])}.get(kind, 0.0)
            faults.append(_fault(f"{kind}-{meter}", kind, meter, _onset(plan, days, rng), float(size)))
        taken += count
    return tuple(faults)


def _onset(plan: Plan, days: int, rng: np.random.Generator) -> int:
    """Return an hour between a quarter and four fifths of the time."""
    return plan.start_hour + int(rng.integers(days * 6, max(days * 6 + 1, days * 19)))


def _fault(fault_id: str, kind: FaultKind, asset: str, hour: int, size: float) -> Fault:
    return Fault(fault_id, kind, asset, hour * HOUR_US, size=size)


def _sums(city: City, days: int, faulty: Sequence[str]) -> _Sums:
    """Go through all hours in pieces of ten days."""
    plan = city.plan
    column = {meter.meter_id: index for index, meter in enumerate(plan.customers.meters)}
    members = np.eye(len(plan.ground.regulator_zones))[plan.customers.zone]
    supply, loss = [], []
    hidden: dict[str, list[NDArray[np.float64]]] = {meter: [] for meter in faulty}
    for first in range(0, days, 10):
        count = min(10, days - first)
        flows = city.flows(plan.start_hour + first * _DAY_H, count * _DAY_H)
        by_day = (count, _DAY_H, -1)
        supply.append(flows.supply.reshape(by_day).sum(axis=1))
        loss.append((flows.leak + flows.unregistered @ members).reshape(by_day).sum(axis=1))
        for meter in faulty:
            hidden[meter].append(flows.unregistered[:, column[meter]])
    return _Sums(
        np.concatenate(supply), np.concatenate(loss), {meter: np.concatenate(parts) for meter, parts in hidden.items()}
    )


def _truth(city: City, days: int, name: str) -> dict[str, Any]:
    plan = city.plan
    faulty = [fault.asset for fault in city.faults if fault.kind is not FaultKind.LEAK]
    sums = _sums(city, days, faulty)
    parents = {zone.zone_id: zone.parent_id for zone in plan.ground.zones}
    zones = plan.ground.regulator_zones
    local = plan.start + timedelta(hours=weather.UTC_OFFSET_H)
    return {
        "dataset": name,
        "start": _iso(plan.start),
        "end": _iso(plan.start + timedelta(days=days)),
        "first_gas_day": local.date().isoformat(),
        "gas_days": days,
        "events": [_event(city, fault, sums, days) for fault in city.faults],
        "confounders": list(_confounders(plan, days)),
        "zones": {
            zone: {
                "kind": "regulator",
                "parent": parents[zone],
                "clean": False,
                "prompt": True,
                "mean_flow_m3_per_day": round(float(sums.supply[:, number].mean()), 3),
            }
            for number, zone in enumerate(zones)
        },
        "loss": {
            zone: {
                "supply_m3": [round(float(v), 4) for v in sums.supply[:, number]],
                "loss_m3": [round(float(v), 4) for v in sums.loss[:, number]],
            }
            for number, zone in enumerate(zones)
        },
    }


def _event(city: City, fault: Fault, sums: _Sums, days: int) -> dict[str, Any]:
    zones = city.plan.ground.regulator_zones
    onset_hour = fault.start_us // HOUR_US
    event: dict[str, Any] = {
        "id": fault.fault_id,
        "kind": _FINDING[fault.kind],
        "onset": _hour_iso(onset_hour),
        "end": None,
    }
    if fault.kind is FaultKind.LEAK:
        mean_m3_d = float(sums.supply[:, zones.index(fault.asset)].mean())
        share_pct = round(2400.0 * fault.size / mean_m3_d, 3)
        return event | {
            "type": "abrupt", "zone": fault.asset, "meter": None, "effective": event["onset"],
            "size_m3_per_day": round(24.0 * fault.size, 3), "size_pct": share_pct,
        }  # fmt: skip
    meter = next(m for m in city.plan.customers.meters if m.meter_id == fault.asset)
    hidden = sums.unregistered[fault.asset]
    first = int(np.searchsorted(np.cumsum(hidden), 1.0))
    effective = city.plan.start_hour + min(first + 1, days * _DAY_H)
    at_rest = fault.kind is FaultKind.STOPPED or fault.size == 0.0
    others = {"theft", "non_moving"} if at_rest else {"theft", "slow"}
    after = hidden[onset_hour - city.plan.start_hour :]
    return event | {
        "type": "zero" if at_rest else "share", "zone": meter.zone_id, "meter": fault.asset,
        "effective": _hour_iso(effective), "accepts": sorted(others | {event["kind"]}),
        "size_m3_per_day": round(24.0 * float(after.mean()), 3),
    }  # fmt: skip


def _confounders(plan: Plan, days: int) -> Iterator[dict[str, Any]]:
    """Name accounts without any use: they look like stopped meters."""
    for meter, kind in zip(plan.customers.meters, plan.customers.kind, strict=True):
        if kind == UNUSED:
            end = plan.start + timedelta(days=days)
            yield {"cause": "vacancy", "zone": meter.zone_id, "meter": meter.meter_id,
                   "start": _iso(plan.start), "end": _iso(end)}  # fmt: skip


def _hour_iso(hour: int) -> str:
    return _iso(datetime.fromtimestamp(hour * 3600, UTC))


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
