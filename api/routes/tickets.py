"""One ticket, what people do with it, what was given up, and where the ticketing system disagrees."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from api.auth import User
from api.deps import PartsDep, Reader, Require
from api.roles import Act
from api.services import tickets
from api.services.export import harmless
from api.shapes import Name, RequestBody, Text, plain
from gateway.store.outbox_rows import OutboxRow

router = APIRouter(tags=["tickets"])
Number = Annotated[str, Path(max_length=40)]
Worker = Annotated[User, Depends(Require(Act.TICKET_WORK))]
Before = Annotated[int | None, Query(ge=1, le=2**53)]
Limit = Annotated[int, Query(ge=1, le=500)]
COLUMNS = ("id", "ticket_no", "class", "command", "sink", "cause", "error", "attempts", "age_s", "webhook_id")


class SplitBody(RequestBody):
    """Which joined occurrence gets a ticket of its own."""

    alarm_id: Annotated[str, Field(min_length=1, max_length=200)]
    occurrence_no: Annotated[int, Field(ge=0, le=2**53)]
    reason: Text


class LinkBody(RequestBody):
    """Which other ticket is about the same."""

    ticket_no: Name
    reason: Text


class ReasonBody(RequestBody):
    """What one wants to say."""

    reason: Text


class SizeBody(ReasonBody):
    """How large the fault is."""

    size: Literal["", "large", "major"]
    """empty = ordinary"""


class ReplayBody(RequestBody):
    """Which given-up commands are sent again."""

    ids: Annotated[tuple[Annotated[int, Field(ge=1, le=2**53)], ...], Field(min_length=1, max_length=500)]


@router.get("/tickets/{number}")
def ticket(number: Number, _user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return one ticket with its history, its commands, other ways it went, acts and differences."""
    return tickets.one(parts, number)


@router.post("/tickets/{number}/split")
def split(number: Number, body: SplitBody, user: Worker, parts: PartsDep) -> dict[str, Any]:
    """Give an occurrence that joined a ticket one of its own."""
    return tickets.desk(parts).split(
        number,
        body.alarm_id,
        body.occurrence_no,
        who=user.name,
        reason=body.reason,
        request_id=body.request_id,
    )


@router.post("/tickets/{number}/link")
def link(number: Number, body: LinkBody, user: Worker, parts: PartsDep) -> dict[str, Any]:
    """Say that two tickets are about the same."""
    other = body.ticket_no
    return tickets.desk(parts).link(number, other, who=user.name, reason=body.reason, request_id=body.request_id)


@router.post("/tickets/{number}/note")
def note(number: Number, body: ReasonBody, user: Worker, parts: PartsDep) -> dict[str, Any]:
    """Send a note to the crew."""
    return tickets.desk(parts).note(number, who=user.name, text=body.reason, request_id=body.request_id)


@router.post("/tickets/{number}/cancel-request")
def cancel_request(number: Number, body: ReasonBody, user: Worker, parts: PartsDep) -> dict[str, Any]:
    """Ask the ticketing system to cancel a ticket; for an EMERGENCY as a supervisor."""
    supervisor = user.may(Act.TICKET_SUPERVISE)
    return tickets.desk(parts).ask_to_cancel(
        number, who=user.name, reason=body.reason, supervisor=supervisor, request_id=body.request_id
    )


@router.post("/tickets/{number}/handled-by-phone")
def handled_by_phone(number: Number, body: ReasonBody, user: Worker, parts: PartsDep) -> dict[str, Any]:
    """Note that a crew was sent by telephone."""
    return tickets.desk(parts).handled_by_phone(number, who=user.name, reason=body.reason, request_id=body.request_id)


@router.post("/tickets/{number}/size")
def resize(number: Number, body: SizeBody, user: Worker, parts: PartsDep) -> dict[str, Any]:
    """Correct how large a fault is; smaller as a supervisor. Its clocks follow."""
    supervisor = user.may(Act.TICKET_SUPERVISE)
    return tickets.desk(parts).resize(
        number, body.size, who=user.name, reason=body.reason, supervisor=supervisor, request_id=body.request_id
    )


@router.get("/ticket-dead-letters")
def dead_letters(_user: Reader, parts: PartsDep, before: Before = None, limit: Limit = 200) -> dict[str, Any]:
    """Return commands that were given up, newest first, with cause and age; `before` is the last one's id."""
    count, rows = tickets.dead_letters(parts, before=before, limit=limit)
    return {"total": count, "dead_letters": [_dead(row, age_s) for row, age_s in rows]}


@router.get("/ticket-dead-letters.csv")
def export(
    _user: Annotated[User, Depends(Require(Act.DEAD_LETTER_READ))], parts: PartsDep, before: Before = None
) -> Response:
    """Return the newest 100,000 commands that were given up as a table; `before` an id, those before it."""
    headers = {"content-disposition": 'attachment; filename="ticket-dead-letters.csv"'}
    lines = _lines(tickets.all_dead_letters(parts, before=before))
    begin = list(islice(lines, 2))  # the first row is read at once: a state that is away is told instead of the file
    return StreamingResponse(chain(begin, lines), media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/ticket-dead-letters/replay")
def replay(body: ReplayBody, user: Worker, parts: PartsDep) -> dict[str, Any]:
    """Send commands that were given up again, with the same message ids."""
    return tickets.desk(parts).send_again(body.ids, who=user.name, request_id=body.request_id)


@router.get("/ticket-endpoints")
def endpoints(_user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return the ticketing systems that are switched off, because they said that their address is gone."""
    off = tickets.endpoints_off(parts)
    return {"switched_off": [{"sink": name, **plain(one)} for name, one in off.items()]}


@router.post("/ticket-endpoints/{sink}/on")
def switch_on(
    sink: Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,40}$")],
    body: RequestBody,
    user: Annotated[User, Depends(Require(Act.DEAD_LETTER_REPLAY))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Let a ticketing system get tickets again."""
    return tickets.desk(parts).switch_on(sink, who=user.name, request_id=body.request_id)


@router.get("/ticket-differences")
def differences(
    _user: Reader, parts: PartsDep, limit: Limit = 200, *, open_only: Annotated[bool, Query()] = True
) -> dict[str, Any]:
    """Return where gasgate and the ticketing systems disagree, newest first, and how many were ever found."""
    counts, found = tickets.differences(parts, open_only=open_only, limit=limit)
    shown = {kind: {"found": every, "open": left} for kind, (every, left) in counts.items()}
    return {"counts": shown, "differences": [plain(one) for one in found]}


def _lines(rows: Iterable[tuple[OutboxRow, float]]) -> Iterator[str]:
    """Yield the lines of the table, its head first."""
    shown = (
        {name: harmless(value) if isinstance(value, str) else value for name, value in _dead(row, age_s).items()}
        for row, age_s in rows
    )
    for line in chain([dict(zip(COLUMNS, COLUMNS, strict=True))], shown):
        text = io.StringIO()
        csv.DictWriter(text, COLUMNS, lineterminator="\n").writerow(line)
        yield text.getvalue()


def _dead(row: OutboxRow, age_s: float) -> dict[str, Any]:
    return {
        "id": row.id,
        "ticket_no": row.command.ticket_no,
        "class": row.command.ticket_class.value,
        "command": row.command.command,
        "sink": row.sink,
        "cause": None if row.cause is None else row.cause.value,
        "error": row.last_error,
        "attempts": row.attempts,
        "age_s": round(age_s, 1),
        "webhook_id": row.command.webhook_id,
    }
