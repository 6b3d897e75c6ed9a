"""One ticket from all sides, what was given up, and where the ticketing systems disagree."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alarms.tickets.desk import TicketDesk
from api.deps import Parts
from api.shapes import plain
from gateway.errors import RefusedError
from gateway.model.ticket import Difference
from gateway.store import delivery_rows, endpoint_rows, outbox_rows, ticket_event_rows, ticket_rows
from gateway.store.endpoint_rows import SwitchedOff
from gateway.store.outbox_rows import OutboxRow

MOST_EXPORTED = 100_000
"""given-up commands in one file; older ones are asked for with `before`"""
_PAGE = 1_000


def desk(parts: Parts) -> TicketDesk:
    """Return what acts on tickets."""
    return TicketDesk(parts.state, parts.desk.definitions, parts.network, parts.clock, parts.desk.policy)


def one(parts: Parts, number: str) -> dict[str, Any]:
    """Return a ticket as the API shows it. Raises RefusedError 404 `unknown_ticket`."""
    with parts.state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, number)
        if ticket is None:
            raise RefusedError(404, "unknown_ticket", number[:60])
        commands = outbox_rows.outbox_of(connection, number)
        shown: dict[str, Any] = {
            **plain(ticket),
            "alarms": [
                {"alarm_id": alarm_id, "occurrence_no": count}
                for alarm_id, count in ticket_rows.alarms_of(connection, number)
            ],
            "timeline": [plain(entry) for entry in ticket_event_rows.timeline(connection, number)],
            "commands": [_command(row) for row in commands],
            "fallbacks": [plain(row) for row in delivery_rows.fallbacks_of(connection, number)],
            "acts": [plain(act) for act in delivery_rows.acts_on(connection, number)],
            "differences": [plain(row) for row in delivery_rows.list_differences(connection, ticket_no=number)],
        }
    return shown


def endpoints_off(parts: Parts) -> Mapping[str, SwitchedOff]:
    """Return the ticketing systems that said that their address is gone, by name."""
    with parts.state.read() as connection:
        return endpoint_rows.switched_off(connection)


def dead_letters(parts: Parts, *, before: int | None, limit: int) -> tuple[int, Sequence[tuple[OutboxRow, float]]]:
    """Return how many commands were given up, and a page of them with their age in real seconds."""
    now_s = time.time()
    with parts.state.read() as connection:
        rows = outbox_rows.list_dead(connection, before=before, limit=limit)
        return outbox_rows.count_dead(connection), [(row, now_s - row.wall_created_at) for row in rows]


def all_dead_letters(parts: Parts, *, before: int | None) -> Iterator[tuple[OutboxRow, float]]:
    """Yield the commands that were given up, the newest first, `MOST_EXPORTED` at most, read page by page."""
    left = MOST_EXPORTED
    while left > 0:
        _, rows = dead_letters(parts, before=before, limit=min(_PAGE, left))
        yield from rows
        if not rows:
            return
        before, left = rows[-1][0].id, left - len(rows)


def differences(
    parts: Parts, *, open_only: bool, limit: int
) -> tuple[Mapping[str, tuple[int, int]], Sequence[Difference]]:
    """Return per kind how many were found and how many are open, and the newest ones."""
    with parts.state.read() as connection:
        found = delivery_rows.list_differences(connection, open_only=open_only, limit=limit)
        return delivery_rows.count_differences(connection), found


def _command(row: OutboxRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "command": row.command.command,
        "command_no": row.command.command_no,
        "sink": row.sink,
        "state": row.state.value,
        "cause": None if row.cause is None else row.cause.value,
        "attempts": row.attempts,
        "error": row.last_error,
        "created_at": plain(row.command.created_at),
    }
