"""What really happened, for a scorer: the events that an analysis should find, and what only looks like one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Zone, ZoneKind
from simulators import weather
from simulators.dataset.ledger import DAY_H, Effect
from simulators.faults import KINDS, Fault, Shows, Truth

_DAY_S = 86400.0
_LOSES_GAS = ("leak", "theft", "non_moving", "slow")
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """What may look like an event at a meter or in a zone, from one hour to another."""

    cause: str
    zone: str
    meter: str | None
    first_hour: int
    end_hour: int


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """What went into one zone and left it unregistered, base m3 by gas day, (days,)."""

    supply_m3: NDArray[np.float64]
    loss_m3: NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Facts:
    """All that the truth of one dataset is made of."""

    name: str
    start: datetime
    days: int
    zones: Sequence[Zone]
    metered: frozenset[str]
    """zones with a supply meter"""
    prompt: frozenset[str]
    """zones whose meters report within minutes"""
    zone_of: Mapping[str, str]
    """zone of each meter and station with a fault"""
    faults: Sequence[Fault]
    balances: dict[str, Balance] = field(default_factory=dict)
    """of the zones with a supply meter"""
    effects: dict[str, Effect] = field(default_factory=dict)
    """of faults at meters"""
    spans: list[Span] = field(default_factory=list)
    """confounders that nobody drew: absences, outages, exchanges, rollovers ..."""
    deaths: list[Span] = field(default_factory=list)
    """meters that fell silent by themselves"""

    @property
    def balanced(self) -> frozenset[str]:
        """Regulator zones with a supply meter, whose balance shows gas that goes unregistered."""
        return frozenset(z.zone_id for z in self.zones if z.kind == ZoneKind.REGULATOR) & self.metered

    @property
    def start_hour(self) -> int:
        """Hour since 1970 UTC at which the dataset begins."""
        return int(self.start.timestamp()) // 3600

    @property
    def end_hour(self) -> int:
        """Hour since 1970 UTC at which it ends."""
        return self.start_hour + self.days * DAY_H


def truth_of(facts: Facts) -> Entry:
    """Return the content of `truth.json`."""
    events = sorted(_events(facts), key=lambda event: (event["onset"], event["id"]))
    local = facts.start + timedelta(hours=weather.UTC_OFFSET_H)
    return {
        "dataset": facts.name,
        "start": _iso(facts.start_hour),
        "end": _iso(facts.end_hour),
        "first_gas_day": local.date().isoformat(),
        "gas_days": facts.days,
        "events": events,
        "confounders": sorted(_confounders(facts), key=lambda c: (c["start"], c["zone"], c["meter"] or "", c["cause"])),
        "zones": dict(_zones(facts, events)),
        "loss": {
            zone: {"supply_m3": _rounded(balance.supply_m3), "loss_m3": _rounded(balance.loss_m3)}
            for zone, balance in facts.balances.items()
        },
    }


def measured_zone(zone: str, zones: Iterable[Zone], metered: frozenset[str]) -> str:
    """Return the nearest zone with a supply meter, the zone itself or one above; the zone if there is none."""
    above = {entry.zone_id: entry.parent_id for entry in zones}
    at, steps = zone, 0
    while at and at not in metered and steps <= len(above):
        at, steps = above.get(at, ""), steps + 1
    return at if at in metered else zone


def _events(facts: Facts) -> Iterator[Entry]:
    for fault in facts.faults:
        truth = KINDS[fault.kind].truth(fault)
        if truth.finding == "leak":
            yield _leak(facts, fault, truth)
        elif truth.finding is not None:
            yield _of_meter(facts, fault, truth)
    for number, span in enumerate(facts.deaths, start=1):
        yield {
            "id": f"B-{number:04d}", "kind": "silent", "type": span.cause,
            "zone": _measured(facts, span.zone), "meter": span.meter,
            "onset": _iso(span.first_hour), "effective": _iso(_clipped(facts, span.first_hour + DAY_H)),
            "end": None if span.end_hour >= facts.end_hour else _iso(span.end_hour),
        }  # fmt: skip


def _common(facts: Facts, fault: Fault, truth: Truth) -> Entry:
    end = None if fault.end_us is None or fault.end_hour >= facts.end_hour else _iso(fault.end_hour)
    return {
        "id": fault.fault_id, "kind": truth.finding, "type": truth.type,
        "zone": _measured(facts, facts.zone_of.get(fault.asset, fault.asset)),
        "onset": _iso(fault.start_hour), "end": end,
    }  # fmt: skip


def _leak(facts: Facts, fault: Fault, truth: Truth) -> Entry:
    event = _common(facts, fault, truth)
    daily = DAY_H * fault.size
    flow = _mean_flow(facts, event["zone"])
    grows = {"ramp_days": round(fault.ramp_s / _DAY_S, 3)} if fault.ramp_s > 0.0 else {}
    return event | grows | {
        "meter": None, "effective": event["onset"], "size_m3_per_day": round(daily, 3),
        "size_pct": round(100.0 * daily / flow, 3) if flow > 0.0 else 0.0,
    }  # fmt: skip


def _of_meter(facts: Facts, fault: Fault, truth: Truth) -> Entry:
    event = _common(facts, fault, truth) | {"meter": fault.asset}
    effect = facts.effects.get(fault.fault_id)
    shows = fault.start_hour + (DAY_H if truth.finding == "silent" else 0)
    if effect is not None:
        by_balance = truth.effective is Shows.UNREGISTERED and event["zone"] in facts.balanced
        hour = effect.first_hour if by_balance else effect.read_hour
        shows = facts.end_hour if hour is None else hour + 1
    event["effective"] = _iso(_clipped(facts, shows))
    if truth.accepts:
        event["accepts"] = list(truth.accepts)
    if effect is not None and effect.m3_per_day is not None:
        event["size_m3_per_day"] = round(effect.m3_per_day, 3)
    return event


def _confounders(facts: Facts) -> Iterator[Entry]:
    for fault in facts.faults:
        truth = KINDS[fault.kind].truth(fault)
        if truth.finding is None:
            subject = fault.asset if fault.asset in facts.zone_of else None
            meter = subject if KINDS[fault.kind].subject == "meter" else None
            zone = facts.zone_of.get(fault.asset, fault.asset)
            end = min(fault.end_hour, facts.end_hour)
            yield _entry(facts, Span(truth.cause or truth.type, zone, meter, fault.start_hour, end))
    for span in facts.spans:
        yield _entry(facts, span)


def _entry(facts: Facts, span: Span) -> Entry:
    return {
        "cause": span.cause, "zone": _measured(facts, span.zone), "meter": span.meter,
        "start": _iso(_clipped(facts, span.first_hour)), "end": _iso(_clipped(facts, span.end_hour)),
    }  # fmt: skip


def _zones(facts: Facts, events: Sequence[Entry]) -> Iterator[tuple[str, Entry]]:
    losing = {event["zone"] for event in events if event["kind"] in _LOSES_GAS}
    for zone in facts.zones:
        if zone.zone_id in facts.balances:
            yield zone.zone_id, {
                "kind": str(zone.kind), "parent": zone.parent_id or None, "clean": zone.zone_id not in losing,
                "prompt": zone.zone_id in facts.prompt,
                "mean_flow_m3_per_day": round(_mean_flow(facts, zone.zone_id), 3),
            }  # fmt: skip


def _mean_flow(facts: Facts, zone: str) -> float:
    balance = facts.balances.get(zone)
    return 0.0 if balance is None or not len(balance.supply_m3) else float(balance.supply_m3.mean())


def _measured(facts: Facts, zone: str) -> str:
    return measured_zone(zone, facts.zones, facts.metered)


def _clipped(facts: Facts, hour: int) -> int:
    return min(max(hour, facts.start_hour), facts.end_hour)


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


def _iso(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).isoformat().replace("+00:00", "Z")
