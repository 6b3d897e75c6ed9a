"""Status back from the ticketing system: signed events, in any order, any number of times."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from alarms.tickets.signature import is_authentic
from gateway.model.reading import to_us
from gateway.model.ticket import DifferenceKind, Ticket, TicketState
from gateway.ports import Clock
from gateway.store import delivery_rows, ticket_event_rows, ticket_rows, user_rows
from gateway.store.state import State, Transaction
from gateway.store.ticket_event_rows import TicketEvent

LONGEST_BODY = 64_000
AHEAD = timedelta(minutes=2)
STORED, BAD, NOT_SIGNED, UNKNOWN_KEY, TOO_LONG = 204, 400, 401, 409, 413
_LARGEST_VERSION = 2**31 - 1
_MOMENT_OF = {
    TicketState.DISPATCHED: "dispatched_at",
    TicketState.DEPARTED: "departed_at",
    TicketState.ARRIVED: "arrived_at",
    TicketState.COMPLETED: "completed_at",
}
_SEEN_LATER = 10
"""minutes after which an entry counts as a late one"""


@dataclass(frozen=True, slots=True)
class _Report:
    """What one event says, checked in form only."""

    source: str
    event_id: str
    state: TicketState
    dedup_key: str
    external_id: str
    version: int
    occurred_at: datetime
    actor: str
    data: Mapping[str, Any]


def receive(state: State, body: bytes, headers: Mapping[str, str], secrets: Sequence[str], clock: Clock) -> int:
    """Take one event and return the HTTP status to answer.

    204 after the commit, and for a repeat of (source, id); 400 unreadable; 401 unsigned, badly signed or older than
    five real minutes; 409 for a key that is not ours, which goes into the audit trail; 413 too long. Bad input never
    raises; TransientError means that the state database is away and the sender should come again.
    """
    if len(body) > LONGEST_BODY:
        return TOO_LONG
    if not is_authentic(body, headers, secrets):
        return NOT_SIGNED
    report = _read(body)
    if report is None:
        return BAD
    now = clock.now()
    with state.write() as connection:
        ticket = ticket_rows.find_by_key(connection, report.dedup_key)
        if ticket is None:
            _keep_strange(connection, report, now)
            return UNKNOWN_KEY
        known = ticket_event_rows.drop_pulled_step(connection, ticket.ticket_no, report.version, report.state.value)
        if not known and ticket_event_rows.insert_event(connection, _event(report, ticket, now)):
            if report.version > ticket.external_version + 1:
                _ask_for_gap(connection, ticket, report, now)
            events = ticket_event_rows.events_of(connection, ticket.ticket_no, limit=10_000)
            ticket_rows.update_ticket(connection, fold(_named(ticket, report), events))
    return STORED


def fold(ticket: Ticket, events: Sequence[TicketEvent]) -> Ticket:
    """Return the ticket as its events, sorted by version, leave it; the order of arrival does not matter.

    The state is that of the highest version. Each step's time is that of its first event; a ticket that is reopened
    has not been completed.
    """
    moments: dict[str, datetime | None] = dict.fromkeys(_MOMENT_OF.values())
    state, version = TicketState.OPEN, 0
    for event in events:
        state, version = TicketState(event.type), event.version
        name = _MOMENT_OF.get(state)
        if name is not None and moments[name] is None:
            moments[name] = event.occurred_at
        if state is TicketState.REOPENED:
            moments["completed_at"] = None
    return replace(ticket, state=state, external_version=version, **moments)  # type: ignore[arg-type]


def _keep_strange(connection: Transaction, report: _Report, now: datetime) -> None:
    """Keep an event about a ticket that is not ours, once however often it comes: someone has to look into it."""
    detail = {
        "dedup_key": report.dedup_key,
        "external_ticket_id": report.external_id,
        "type": report.state.value,
        "version": report.version,
        "occurred_at": report.occurred_at.isoformat(),
        "actor": report.actor,
    }
    subject = f"{report.source[:79]}#{report.event_id}"
    user_rows.add_audit_once(
        connection, to_us(now), report.source, "ticket_event.unknown_key", subject=subject, detail=detail
    )


def _ask_for_gap(connection: Transaction, ticket: Ticket, report: _Report, now: datetime) -> None:
    """Let the ticketing system be asked for the steps between: they are late, or they are lost."""
    delivery_rows.note_difference(
        connection,
        DifferenceKind.GAP,
        sink="",
        dedup_key=ticket.dedup_key,
        ticket_no=ticket.ticket_no,
        external_id="",
        at=now,
        detail={"after": ticket.external_version, "came": report.version},
    )


def _named(ticket: Ticket, report: _Report) -> Ticket:
    return ticket if ticket.external_id else replace(ticket, external_id=report.external_id)


def _event(report: _Report, ticket: Ticket, now: datetime) -> TicketEvent:
    believed = ticket.raised_at <= report.occurred_at <= now + AHEAD
    data = dict(report.data)
    if not believed:
        data["not_believed"] = report.occurred_at.isoformat()
    elif now - report.occurred_at > timedelta(minutes=_SEEN_LATER):
        data["late_entry"] = True
    return TicketEvent(
        source=report.source,
        event_id=report.event_id,
        ticket_no=ticket.ticket_no,
        type=report.state.value,
        version=report.version,
        occurred_at=report.occurred_at if believed else now,
        received_at=now,
        actor=report.actor,
        data=data,
    )


def _read(body: bytes) -> _Report | None:
    try:
        envelope = json.loads(body)
        if not _storable(envelope):
            return None
        data = envelope["data"]
        occurred_at = datetime.fromisoformat(_text(data, "occurred_at", 40))
        version = data["version"]
        if occurred_at.tzinfo is None or type(version) is not int or not 0 <= version <= _LARGEST_VERSION:
            return None
        return _Report(
            source=_text(envelope, "source", 120),
            event_id=_text(envelope, "id", 120),
            state=_state(_text(envelope, "type", 120)),
            dedup_key=_text(data, "dedup_key", 300),
            external_id=str(data.get("external_ticket_id", ""))[:120],
            version=version,
            occurred_at=occurred_at.astimezone(UTC),
            actor=str(data.get("actor", ""))[:120],
            data={key: value for key, value in data.items() if key in ("note", "evidence", "result")},
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _state(type_name: str) -> TicketState:
    """Read `departed` or `<any.prefix>.departed.v1`. Raises ValueError for another word."""
    words = [word for word in type_name.split(".") if word in TicketState.__members__.values()]
    if len(words) != 1 or words[0] == TicketState.OPEN:
        raise ValueError(f"unknown event type {type_name!r}")
    return TicketState(words[0])


def _text(values: Mapping[str, Any], key: str, longest: int) -> str:
    value = values[key]
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise ValueError(f"{key} is no usable text")
    return value


def _storable(envelope: object) -> bool:
    """Tell whether no text holds a NUL, which databases refuse. Raises ValueError for half a surrogate pair."""
    text = json.dumps(envelope, ensure_ascii=False)
    text.encode()
    return "\\u0000" not in text
