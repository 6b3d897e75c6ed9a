"""Planned interruptions of supply: entered, announced, stopped, restored; who is affected, the sensitive first."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import numpy as np

from alarms.service import planned
from alarms.tickets.raising import Raising
from api.auth import User
from api.deps import Parts
from api.roles import Act
from api.services.customers import meter_for
from api.services.export import harmless
from gateway.errors import RefusedError
from gateway.model.affected import SENSITIVE
from gateway.model.interruption import (
    LONGEST,
    NOTICE,
    REPEATED_WITHIN,
    Interruption,
    InterruptionState,
    repeated_zones,
)
from gateway.model.meters import MeterTable
from gateway.model.network import Meter, MeterRole
from gateway.store import interruption_rows
from gateway.store.interruption_rows import Notice
from gateway.store.state import Transaction

_NOTICE = (
    "meter_id", "account_no", "address", "zone_id", "customer_class", "sensitive", "tell_by", "tell_until", "from",
    "to", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person enters."""

    zones: tuple[str, ...]
    assets: tuple[str, ...]
    reason: str
    start: datetime
    end: datetime
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class InterruptionView:
    """An interruption as people see it."""

    plan: Interruption
    notices: tuple[Notice, ...]
    repeated: tuple[str, ...]
    """zones that are stopped often enough to plan their works together"""
    notices_due: bool
    """the promised moment for telling customers is near or over, and nobody was told"""


@dataclass(frozen=True, slots=True)
class Affected:
    """One meter without gas, and how its customer is to be told."""

    meter: Meter
    sensitive: bool

    @property
    def tell_by(self) -> str:
        """`poster or call` where a message alone is not enough."""
        return "poster or call" if self.sensitive else "message"


def enter(parts: Parts, user: User, plan: Plan, request_id: str) -> InterruptionView:
    """Enter an interruption; it is announced now, and gets a PLANNED ticket if it is no emergency.

    Raises RefusedError 403, 403 `short_notice` if it is less than 48 h ahead, no emergency, and no supervisor enters
    it, 404 `unknown_asset`, 422 `reason_required`, `bad_time`, `too_long` or `nothing_listed`.
    """
    parts.auth.permit(user, Act.INTERRUPTION_PLAN)
    now = parts.clock.now()
    start, end = plan.start.astimezone(UTC), plan.end.astimezone(UTC)
    _check(parts, plan, start, end, now)
    short = not plan.emergency and start - now < NOTICE
    if short and not user.may(Act.ALARM_SUPERVISE):
        raise RefusedError(403, "short_notice", "less than 48 hours ahead needs a supervisor")
    wanted = Interruption(
        "", plan.zones, plan.assets, plan.reason.strip(), plan.emergency, now, start, end, user.name, short
    )
    with parts.state.write() as connection:
        made = interruption_rows.add(connection, request_id, wanted)
        if made.ticket_no is None and not made.emergency:
            ticket = planned.open_planned(_work(parts, connection), made)
            made = interruption_rows.set_ticket(connection, made.id, ticket.ticket_no)
        return _view(parts, connection, made)


def step(parts: Parts, user: User, interruption_id: str, what: str, at: datetime | None) -> InterruptionView:
    """Record that it was `closed`, `restored` or `cancelled`, now or at a moment that is over.

    Raises RefusedError 403, 404, 409 `wrong_step`, 422 `bad_time`.
    """
    parts.auth.permit(user, Act.INTERRUPTION_PLAN if what == "cancelled" else Act.INTERRUPTION_RUN)
    now = parts.clock.now()
    moment = now if at is None else at.astimezone(UTC)
    if not now - LONGEST <= moment <= now:
        raise RefusedError(422, "bad_time", "at most 24 hours ago, not in the future")
    with parts.state.write() as connection:
        done = interruption_rows.record(connection, interruption_id, what, moment, user.name)
        planned.record(_work(parts, connection), done, what, user.name)
        return _view(parts, connection, done)


def told(parts: Parts, user: User, interruption_id: str, channel: str, customers: int) -> InterruptionView:
    """Record that customers were told. Raises RefusedError 403 or 404."""
    parts.auth.permit(user, Act.INTERRUPTION_PLAN)
    with parts.state.write() as connection:
        notice = Notice(parts.clock.now(), channel, customers, user.name)
        interruption_rows.add_notice(connection, interruption_id, notice)
        return _view(parts, connection, interruption_rows.find(connection, interruption_id))


def listed(parts: Parts, limit: int = 200) -> list[InterruptionView]:
    """Return interruptions, the latest planned start first."""
    with parts.state.read() as connection:
        return [_view(parts, connection, one) for one in interruption_rows.newest(connection, limit)]


def one(parts: Parts, interruption_id: str) -> InterruptionView:
    """Return one. Raises RefusedError 404."""
    with parts.state.read() as connection:
        return _view(parts, connection, interruption_rows.find(connection, interruption_id))


def affected(parts: Parts, user: User, interruption_id: str) -> list[Affected]:
    """Return the customers' meters without gas: those that depend on supply first. Blocks; raises RefusedError 404."""
    plan = one(parts, interruption_id).plan
    found = [Affected(meter_for(user, meter), meter.customer_class in SENSITIVE) for meter in _meters(parts, plan)]
    return sorted(found, key=lambda each: (_rank(each.meter.customer_class), each.meter.zone_id, each.meter.meter_id))


def notices_csv(parts: Parts, user: User, interruption_id: str) -> str:
    """Return the notices as CSV, one row for each meter, for letters, calls and messages. Raises RefusedError 404."""
    plan = one(parts, interruption_id).plan
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(_NOTICE)
    times = (_iso(plan.notice_by), _iso(plan.planned_start), _iso(plan.planned_end))
    for each in affected(parts, user, interruption_id):
        meter = each.meter
        who = (meter.meter_id, meter.account_no, meter.address, meter.zone_id, meter.customer_class)
        row = (*who, int(each.sensitive), each.tell_by, *times, plan.reason)
        table.writerow([harmless(str(cell)) for cell in row])
    return out.getvalue()


def _check(parts: Parts, plan: Plan, start: datetime, end: datetime, now: datetime) -> None:
    network = parts.network
    if not plan.reason.strip():
        raise RefusedError(422, "reason_required")
    if not plan.zones and not plan.assets:
        raise RefusedError(422, "nothing_listed", "name zones or assets")
    unknown = [zone for zone in plan.zones if zone not in network.zones]
    unknown += [asset for asset in plan.assets if asset not in network.stations and asset not in network.meters]
    if unknown:
        raise RefusedError(404, "unknown_asset", ", ".join(unknown[:5]))
    if not now - LONGEST <= start < end:
        raise RefusedError(422, "bad_time", "it must end after it starts, and not lie in the past")
    if end - start > LONGEST:
        raise RefusedError(422, "too_long", "supply must be back within 24 hours")


def _work(parts: Parts, connection: Transaction) -> Raising:
    return Raising(connection, parts.network, parts.desk.policy, parts.clock.now(), time.time())


def _view(parts: Parts, connection: Any, plan: Interruption) -> InterruptionView:
    near = interruption_rows.around(connection, plan.closed_at or plan.planned_start, REPEATED_WITHIN)
    notices = tuple(interruption_rows.notices(connection, plan.id))
    due = plan.state is InterruptionState.PLANNED and not notices and parts.clock.now() >= plan.notice_by - NOTICE / 2
    return InterruptionView(plan, notices, repeated_zones(plan, near), due)


def _meters(parts: Parts, plan: Interruption) -> Iterator[Meter]:
    """Yield the customers' meters without gas; of a large city only these become objects."""
    meters = parts.network.meters
    zones = planned.stopped_zones(parts.network, plan.zones, plan.assets)
    inside: Iterable[Meter] = ()
    if zones and isinstance(meters, MeterTable):
        rows = meters.rows({"zone": zones}, {"role": MeterRole.CUSTOMER})
        inside = (meters.at(row) for row in np.flatnonzero(rows).tolist())
    elif zones:
        inside = (meter for meter in meters.values() if meter.zone_id in zones)
    singly = (meters[asset] for asset in dict.fromkeys(plan.assets) if asset in meters)
    for meter in chain(inside, (meter for meter in singly if meter.zone_id not in zones)):
        if meter.role is MeterRole.CUSTOMER:
            yield meter


def _rank(customer_class: str) -> int:
    return SENSITIVE.index(customer_class) if customer_class in SENSITIVE else len(SENSITIVE)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes").replace("+00:00", "Z")
