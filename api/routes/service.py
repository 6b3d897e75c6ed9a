"""Service to customers: clocks of tickets, telephone reports, call-backs and the monthly brief."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import PlainTextResponse
from pydantic import AwareDatetime, Field

from alarms.tickets.desk import Order
from api.auth import User
from api.deps import PartsDep, Reader, Require
from api.roles import Act
from api.services import places, service
from api.shapes import Body, Name, Phone, Reason, RequestId, Text, plain
from gateway.model.call import Call, Said
from gateway.store.call_back_rows import CallBack
from gateway.store.call_rows import CallReport
from gateway.store.promise_rows import ClockRow

router = APIRouter(tags=["service"])
TicketNo = Annotated[str, Path(pattern=r"^T-[0-9]{8}-[0-9]{6,9}$")]
Month = Annotated[str, Query(pattern=r"^[12][0-9]{3}-(0[1-9]|1[0-2])$")]
Taker = Annotated[User, Depends(Require(Act.CALL_TAKE))]
Caller = Annotated[User, Depends(Require(Act.CALL_BACK))]
Supervisor = Annotated[User, Depends(Require(Act.TICKET_TIMES))]
Metres = Annotated[float, Field(ge=-1e7, le=1e7, allow_inf_nan=False)] | None
Level = Literal["station", "company", "group", "gas_on"]
Mark = Annotated[int, Field(ge=1, le=5)]


class MoreBody(Body):
    """What may follow after a ticket went out."""

    asset: Annotated[str, Field(max_length=120)] | None = None
    """meter, building, zone or station at the place"""
    caller: Name | None = None
    x_m: Metres = None
    y_m: Metres = None
    indoors: bool | None = None
    valve_closed: bool | None = None
    ill_persons: bool | None = None
    note: Text | None = None
    reference: Name | None = None
    """number at the police or the city's hotline"""


class CallBody(MoreBody):
    """A telephone report; time, number and place are enough to send the ticket."""

    called_at: AwareDatetime
    """when the call was taken; the ticket's clocks start here"""
    number: Phone
    place: Name
    what: Said = Said.SMELL
    join: Annotated[str, Field(pattern=r"^(T-[0-9]{8}-[0-9]{6,9})?$")] = ""
    """the open ticket that the call taker puts the call to; empty opens a new one"""
    request_id: RequestId


class PauseBody(Body):
    """Why the clocks of a ticket stand."""

    reason: Literal["waiting_for_customer", "customer_absent", "agreed_date"]


class AgreeBody(Body):
    """A due time that was agreed with the customer."""

    clock: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    due_at: AwareDatetime
    reason: Reason


class StepBody(Body):
    """A step of a clock."""

    step: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    at: AwareDatetime
    note: Text = ""


class OrderBody(Body):
    """What a customer asks for."""

    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
    """a type that the promises know, e.g. complaint or first_gas_on"""
    reported_at: AwareDatetime
    place: Name
    customer: Name
    phone: Phone
    asset: Annotated[str, Field(max_length=120)] = ""
    size: Annotated[str, Field(max_length=40)] = ""
    """where promises differ by it, e.g. business; one of those that the promises of this type name"""
    note: Text = ""
    request_id: RequestId


class AnswersBody(Body):
    """Marks from 1 (bad) to 5 (good), and what else the customer said."""

    conduct: Mark
    attitude: Mark
    skill: Mark
    timeliness: Mark
    improper_gain: bool = False
    note: Text = ""


class TryBody(Body):
    """One try to reach the customer."""

    reached: bool
    answers: AnswersBody | None = None


@router.get("/tickets/{ticket_no}/clocks")
def clocks(ticket_no: TicketNo, _user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return the clocks of a ticket, what moved them, and who was told."""
    found = service.clocks_of(parts, ticket_no)
    return {
        "clocks": [clock_json(row) for row in found.clocks],
        "pauses": [plain(asdict(one)) for one in found.pauses],
        "changes": [plain(asdict(one)) for one in found.changes],
        "told": [plain(asdict(one)) for one in found.told],
    }


@router.post("/tickets/{ticket_no}/pause")
def pause(ticket_no: TicketNo, body: PauseBody, user: Supervisor, parts: PartsDep) -> dict[str, Any]:
    """Let those clocks of a ticket stand that may; an emergency's never do."""
    parts.service.pause(ticket_no, body.reason, user.name)
    return {"clocks": [clock_json(row) for row in service.clocks_of(parts, ticket_no).clocks]}


@router.post("/tickets/{ticket_no}/resume")
def resume(ticket_no: TicketNo, user: Supervisor, parts: PartsDep) -> dict[str, Any]:
    """Let the clocks of a ticket go on."""
    parts.service.resume(ticket_no, user.name)
    return {"clocks": [clock_json(row) for row in service.clocks_of(parts, ticket_no).clocks]}


@router.post("/tickets/{ticket_no}/agree")
def agree(ticket_no: TicketNo, body: AgreeBody, user: Supervisor, parts: PartsDep) -> dict[str, Any]:
    """Put a date that was agreed with the customer in the place of a limit; the old one stays on record."""
    parts.service.agree(ticket_no, body.clock, body.due_at, body.reason, user.name)
    return {"clocks": [clock_json(row) for row in service.clocks_of(parts, ticket_no).clocks]}


@router.post("/tickets/{ticket_no}/steps", status_code=201)
def step(ticket_no: TicketNo, body: StepBody, user: Caller, parts: PartsDep) -> dict[str, Any]:
    """Write down a step that no ticketing system reports: a complaint was responded to, an appointment was made."""
    parts.service.step(ticket_no, body.step, body.at, user.name, body.note)
    return {"clocks": [clock_json(row) for row in service.clocks_of(parts, ticket_no).clocks]}


@router.post("/orders", status_code=201)
def order(body: OrderBody, user: Taker, parts: PartsDep) -> dict[str, Any]:
    """Take what a customer asks for: it becomes a SERVICE ticket with the clocks of its type."""
    wanted = Order(**body.model_dump(exclude={"request_id"}))
    return {"ticket_no": service.take_order(parts, user, wanted, body.request_id)}


@router.post("/findings/{finding_id}/release", status_code=201)
def release(
    finding_id: Annotated[int, Path(ge=1, le=2**53)],
    user: Annotated[User, Depends(Require(Act.FINDING_RELEASE))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Send somebody to look: the finding becomes a ticket, or joins the open one of its meter."""
    done = parts.checks.release(finding_id, user.name, wall_s=time.time())
    return {"ticket_no": done.ticket_no, "joined": bool(done.joined)}


@router.get("/service/told")
def told(
    _user: Reader,
    parts: PartsDep,
    hours: Annotated[int, Query(ge=1, le=8760)] = 24,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """Return who was told that a clock runs out, the newest first."""
    return {"told": [plain(asdict(one)) for one in service.told(parts, hours, limit)]}


@router.post("/calls", status_code=201)
def take(body: CallBody, user: Taker, parts: PartsDep) -> dict[str, Any]:
    """Take a telephone report: its ticket goes out at once."""
    said = {name: value for name, value in body.model_dump(exclude={"join", "request_id"}).items() if value is not None}
    return call_json(service.take_call(parts, user, Call(**said), body.request_id, body.join))


@router.post("/calls/{ticket_no}")
def complete(ticket_no: TicketNo, body: MoreBody, user: Taker, parts: PartsDep) -> dict[str, Any]:
    """Add what was asked later; the crew gets it as an update."""
    more = {name: value for name, value in body.model_dump().items() if value is not None}
    return call_json(service.complete_call(parts, user, ticket_no, more))


@router.get("/calls")
def calls(_user: Taker, parts: PartsDep, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> dict[str, Any]:
    """Return telephone reports, the latest first."""
    return {"calls": [call_json(one) for one in service.calls(parts, limit)]}


@router.get("/calls/near")
def near(
    _user: Taker,
    parts: PartsDep,
    asset: Annotated[str, Query(max_length=120)] = "",
    x_m: Annotated[float | None, Query(ge=-1e7, le=1e7)] = None,
    y_m: Annotated[float | None, Query(ge=-1e7, le=1e7)] = None,
) -> dict[str, Any]:
    """Return open tickets and live alarms at a place: in its regulator zone, or within 500 m."""
    found = service.near(parts, asset, x_m, y_m)
    tickets = [
        {"ticket_no": one.ticket_no, "class": one.ticket_class.value, "title": one.title} for one in found.tickets
    ]
    return {"tickets": tickets, "alarms": [one.id for one in found.alarms]}


@router.get("/calls/places")
def find_places(
    user: Taker, parts: PartsDep, text: Annotated[str, Query(min_length=1, max_length=places.LONGEST_TEXT)]
) -> dict[str, Any]:
    """Return stations, zones and meters of which id, name or address hold a text."""
    return {"places": [asdict(one) for one in places.find(parts, user, text)]}


@router.get("/call-backs")
def call_backs(_user: Caller, parts: PartsDep, month: Month | None = None, waiting: bool = True) -> dict[str, Any]:
    """Return the tickets whose customers are to be called, those that are due first first."""
    found = service.call_backs(parts, month=month, waiting=waiting)
    return {"call_backs": [call_back_json(one) for one in found]}


@router.get("/call-backs/seeds")
def seeds(_user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return the hash of each month's seed, and the seed of months that are over: anybody can repeat the draw."""
    found = service.seeds(parts)
    return {"seeds": [{"month": month, "sha256": digest, "seed": seed} for month, digest, seed in found]}


@router.post("/call-backs/{ticket_no}/{level}/tries")
def tried(ticket_no: TicketNo, level: Level, body: TryBody, user: Caller, parts: PartsDep) -> dict[str, Any]:
    """Write down a try to reach a customer; the third one ends it."""
    answers = None if body.answers is None else body.answers.model_dump()
    return call_back_json(parts.call_backs.tried(ticket_no, level, user.name, reached=body.reached, answers=answers))


@router.get("/service/brief")
def brief(month: Month, _user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return the service brief of a month."""
    found = service.brief(parts, month)
    work, inspected = found.work, found.inspected or {}
    shares = {
        "on_time": found.on_time.share,
        "emergencies_on_time": found.emergencies.share,
        "one_visit": None if work is None else work.one_visit_share,
        "untrue_steps": None if work is None else work.untrue_share,
        **{f"inspected_{group}": one.share for group, one in inspected.items()},
    }
    shown: dict[str, Any] = plain(asdict(replace(found, opened={})))
    del shown["opened"]
    return {**shown, "shares": shares}


@router.get("/service/brief/tickets")
def brief_tickets(
    month: Month, figure: Annotated[str, Query(min_length=3, max_length=200)], _user: Reader, parts: PartsDep
) -> dict[str, Any]:
    """Return the tickets that a figure of a month counts: `group:name:figure`, e.g. `clock:EMERGENCY/arrive:late`."""
    return {"tickets": list(service.opened(parts, month, figure))}


@router.get("/service/brief.csv", response_class=PlainTextResponse)
def brief_csv(month: Month, _user: Reader, parts: PartsDep) -> PlainTextResponse:
    """Return the service brief of a month as CSV: a line for each figure, then one for each breach."""
    headers = {"content-disposition": f'attachment; filename="service-{month}.csv"'}
    text = service.brief_csv(service.brief(parts, month))
    return PlainTextResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


def clock_json(row: ClockRow) -> dict[str, Any]:
    """Return a clock as JSON, with what was promised and by which document."""
    promise = {
        name: row.promise[name] for name in ("id", "revision", "kind", "start", "stop", "limit", "unit", "source")
    }
    facts = {name: value for name, value in asdict(row).items() if name not in {"promise", "ticket_no", "next_at"}}
    return {**plain(facts), "promise": promise}


def call_json(one: CallReport) -> dict[str, Any]:
    """Return a telephone report as JSON."""
    return {
        "ticket_no": one.ticket_no,
        **one.call.details,
        "entered_at": plain(one.entered_at),
        "taker": one.taker,
        "joined": one.joined,
        "entered_late": one.late,
    }


def call_back_json(one: CallBack) -> dict[str, Any]:
    """Return a call-back as JSON."""
    facts: dict[str, Any] = plain(asdict(one))
    return facts
