"""One meter: what it is, what it said last, what it bought, what happened to it, and what its zone loses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from api.auth import User
from api.deps import Parts
from api.services.commands import CommandView, commands
from api.services.customers import meter_for
from api.services.findings import FindingView, list_findings
from api.services.loss import LossDay, known_days, loss_trend
from api.services.newest import Newest, newest
from api.services.pulse import Link, links
from api.services.series import index_of
from api.services.views import AlarmView, load_alarms
from gateway.errors import RefusedError
from gateway.model import quantity as flags
from gateway.model.finding import FindingStatus
from gateway.model.network import Meter
from gateway.model.quantity import Quantity
from gateway.model.reading import from_us, point_id, to_us

SHOWN = (
    Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3, Quantity.FLOW_MEASURED_M3H, Quantity.FLOW_BASE_M3H,
    Quantity.PRESSURE_GAUGE_KPA, Quantity.TEMPERATURE_C, Quantity.VALVE, Quantity.FLAGS, Quantity.BALANCE_M3,
    Quantity.PURCHASED_M3, Quantity.BATTERY_V, Quantity.SIGNAL_DBM, Quantity.SENT,
)  # fmt: skip
"""what a meter may measure, in the order in which it is shown"""
FLAGS = {
    "magnet": flags.FLAG_MAGNET,
    "cover_open": flags.FLAG_COVER_OPEN,
    "reverse_flow": flags.FLAG_REVERSE_FLOW,
    "low_battery": flags.FLAG_LOW_BATTERY,
    "clock_reset": flags.FLAG_CLOCK_RESET,
    "over_range": flags.FLAG_OVER_RANGE,
    "leak_sensor": flags.FLAG_LEAK_SENSOR,
    "no_gas": flags.FLAG_NO_GAS,
}
REACH = timedelta(days=92)
"""how far back purchases and events are looked for"""
_MOST_EVENTS = 60
_MOST_FINDINGS = 20
_ZONE_DAYS = 14
_LEAST_M3 = 1e-6


@dataclass(frozen=True, slots=True)
class Purchase:
    """Credit that came onto a card, m3."""

    at: datetime
    volume_m3: float


@dataclass(frozen=True, slots=True)
class Event:
    """A sign of the meter that came or went, or a valve that moved."""

    at: datetime
    name: str
    """a key of `FLAGS`, or `valve`"""
    on: bool
    """of the valve: open"""


@dataclass(frozen=True, slots=True)
class MeterView:
    """All about one meter."""

    meter: Meter
    path: tuple[tuple[str, str], ...]
    """id and name of its zones, the city first"""
    newest: Mapping[str, Newest]
    """by quantity; empty while the store does not answer"""
    flags: tuple[str, ...]
    """signs that stand now"""
    clock_offset: timedelta | None
    """how far its clock was ahead when it last sent; None if it does not say when it sends"""
    last_heard: datetime | None
    findings: Sequence[FindingView]
    zone_days: Sequence[LossDay]
    alarms: Sequence[AlarmView]
    commands: Sequence[CommandView]
    links: Sequence[Link]
    """what reads it"""
    links_known: bool
    """False where it was not heard since the start: the links are those over which it may come"""


async def one_meter(parts: Parts, user: User, meter_id: str) -> MeterView:
    """Return one meter with its newest readings. Raises RefusedError 404, TransientError."""
    meter = known(parts, meter_id)
    names = [point_id(meter_id, quantity) for quantity in SHOWN]
    heard = await newest(parts, names)
    by_quantity = {str(quantity): heard[name] for quantity, name in zip(SHOWN, names, strict=True) if name in heard}
    sent = by_quantity.get(str(Quantity.SENT))
    read_by = await parts.store.links(meter_id)
    findings, days, alarms, given = await asyncio.to_thread(_around, parts, user, meter)
    return MeterView(
        meter=meter_for(user, meter),
        path=path_of(parts, meter.zone_id),
        newest=by_quantity,
        flags=_signs(by_quantity.get(str(Quantity.FLAGS))),
        clock_offset=None if sent is None else sent.ahead,
        last_heard=max((one.received_at for one in by_quantity.values()), default=None),
        findings=findings,
        zone_days=days,
        alarms=alarms,
        commands=given,
        links=links(read_by),
        links_known=bool(read_by.get("known")),
    )


def known(parts: Parts, meter_id: str) -> Meter:
    """Return a meter. Raises RefusedError 404."""
    meter = parts.network.meters.get(meter_id)
    if meter is None:
        raise RefusedError(404, "unknown_meter")
    return meter


def path_of(parts: Parts, zone: str) -> tuple[tuple[str, str], ...]:
    """Return id and name of a zone and of those above it, the city first."""
    found: list[tuple[str, str]] = []
    zones = parts.network.zones
    while zone in zones:
        found.append((zone, zones[zone].name))
        zone = zones[zone].parent_id
    return tuple(reversed(found))


def _around(
    parts: Parts, user: User, meter: Meter
) -> tuple[list[FindingView], list[LossDay], list[AlarmView], list[CommandView]]:
    findings = list_findings(parts, list(FindingStatus), _MOST_FINDINGS, subject=meter.meter_id)
    days = known_days(parts)
    course = loss_trend(parts, meter.zone_id, days[1], _ZONE_DAYS) if days else []
    ids = [f"{name}@{meter.meter_id}" for name in parts.desk.definitions]
    alarms = [view for view in load_alarms(parts, parts.state, ids) if view.letter != "A"]
    return findings, course, alarms, commands(parts, user, asset=meter.meter_id, limit=_MOST_EVENTS)


async def happened(parts: Parts, meter_id: str) -> tuple[list[Purchase], list[Event]]:
    """Return what came onto the card and what the meter reported in the last months, newest first.

    Raises RefusedError 404, TransientError.
    """
    known(parts, meter_id)
    end = parts.clock.now() + timedelta(seconds=1)
    span = to_us(end - REACH), to_us(end)
    bought = await _steps(parts, point_id(meter_id, Quantity.PURCHASED_M3), span)
    signs = await _steps(parts, point_id(meter_id, Quantity.FLAGS), span)
    valve = await _steps(parts, point_id(meter_id, Quantity.VALVE), span)
    purchases = [Purchase(at, after - before) for at, before, after in bought if after - before > _LEAST_M3]
    events = [Event(at, "valve", after > 0) for at, _, after in valve]
    for at, before, after in signs:
        changed = int(before) ^ int(after)
        events += [Event(at, name, bool(int(after) & bit)) for name, bit in FLAGS.items() if changed & bit]
    events.sort(key=lambda event: event.at, reverse=True)
    return purchases[::-1][:_MOST_EVENTS], events[:_MOST_EVENTS]


async def _steps(parts: Parts, point: str, span: tuple[int, int]) -> list[tuple[datetime, float, float]]:
    """Return (when, before, after) wherever a point's good readings change."""
    index = await asyncio.to_thread(index_of, parts, point)
    if index is None:
        return []
    batch = await parts.store.history(np.array([index], dtype=np.uint32), *span)
    value, at = batch.value[batch.good], batch.source_time[batch.good]
    places = np.flatnonzero(np.diff(value) != 0) + 1
    return [(from_us(int(at[n])), float(value[n - 1]), float(value[n])) for n in places.tolist()]


def _signs(one: Newest | None) -> tuple[str, ...]:
    if one is None or one.value is None:
        return ()
    return tuple(name for name, bit in FLAGS.items() if int(one.value) & bit)
