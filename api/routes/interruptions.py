"""Planned interruptions of supply."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import PlainTextResponse
from pydantic import AwareDatetime, Field

from api.auth import User
from api.deps import PartsDep, Reader, Require
from api.roles import Act
from api.services import interruptions
from api.shapes import Body, Name, RequestId, Text, plain

router = APIRouter(tags=["interruptions"])
Id = Annotated[str, Path(pattern=r"^I-[0-9]{6,12}$")]
Planner = Annotated[User, Depends(Require(Act.INTERRUPTION_PLAN))]
Runner = Annotated[User, Depends(Require(Act.INTERRUPTION_RUN))]


class InterruptionBody(Body):
    """A planned stop of supply."""

    zones: Annotated[list[Name], Field(max_length=200, default_factory=list)]
    """each with all zones below it"""
    assets: Annotated[list[Name], Field(max_length=200, default_factory=list)]
    """stations, regulators or meters that are not in these zones"""
    reason: Text
    start: AwareDatetime
    end: AwareDatetime
    emergency: bool = False
    """no notice of 48 hours is promised"""
    request_id: RequestId


class StepBody(Body):
    """When something happened; without a moment: now."""

    at: AwareDatetime | None = None


class NoticeBody(Body):
    """Customers that were told."""

    channel: Literal["message", "poster", "call", "letter", "press"]
    customers: Annotated[int, Field(ge=1, le=10_000_000)]


@router.post("/interruptions", status_code=201)
def enter(body: InterruptionBody, user: Planner, parts: PartsDep) -> dict[str, Any]:
    """Enter a planned interruption; its alarms are hidden from the recorded closing on, not before."""
    plan = interruptions.Plan(
        tuple(dict.fromkeys(body.zones)),
        tuple(dict.fromkeys(body.assets)),
        body.reason,
        body.start,
        body.end,
        body.emergency,
    )
    return interruption_json(interruptions.enter(parts, user, plan, body.request_id))


@router.get("/interruptions")
def listed(_user: Reader, parts: PartsDep, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> dict[str, Any]:
    """Return interruptions, the latest planned start first."""
    return {"interruptions": [interruption_json(view) for view in interruptions.listed(parts, limit)]}


@router.get("/interruptions/{interruption_id}")
def one(interruption_id: Id, user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return one interruption with the meters that lose gas, the sensitive first."""
    found = interruptions.affected(parts, user, interruption_id)
    shown = [
        {"meter": each.meter.meter_id, "zone": each.meter.zone_id, "customer_class": each.meter.customer_class,
         "sensitive": each.sensitive, "tell_by": each.tell_by}
        for each in found[:1000]
    ]  # fmt: skip
    view = interruptions.one(parts, interruption_id)
    return {**interruption_json(view), "customers": len(found), "affected": shown}


@router.get("/interruptions/{interruption_id}/notices.csv", response_class=PlainTextResponse)
def notices(interruption_id: Id, user: Planner, parts: PartsDep) -> PlainTextResponse:
    """Return the notices to send as CSV, one row for each meter."""
    text = interruptions.notices_csv(parts, user, interruption_id)
    disposition = f'attachment; filename="{interruption_id}.csv"'
    return PlainTextResponse(text, media_type="text/csv", headers={"content-disposition": disposition})


@router.post("/interruptions/{interruption_id}/notices")
def told(interruption_id: Id, body: NoticeBody, user: Planner, parts: PartsDep) -> dict[str, Any]:
    """Record that customers were told."""
    return interruption_json(interruptions.told(parts, user, interruption_id, body.channel, body.customers))


@router.post("/interruptions/{interruption_id}/closed")
def closed(interruption_id: Id, body: StepBody, user: Runner, parts: PartsDep) -> dict[str, Any]:
    """Record that supply was stopped: from now on its alarms are hidden."""
    return interruption_json(interruptions.step(parts, user, interruption_id, "closed", body.at))


@router.post("/interruptions/{interruption_id}/restored")
def restored(interruption_id: Id, body: StepBody, user: Runner, parts: PartsDep) -> dict[str, Any]:
    """Record that supply is back: its alarms speak again after 30 minutes."""
    return interruption_json(interruptions.step(parts, user, interruption_id, "restored", body.at))


@router.post("/interruptions/{interruption_id}/cancelled")
def cancelled(interruption_id: Id, body: StepBody, user: Planner, parts: PartsDep) -> dict[str, Any]:
    """Give up an interruption that has not begun."""
    return interruption_json(interruptions.step(parts, user, interruption_id, "cancelled", body.at))


def interruption_json(view: interruptions.InterruptionView) -> dict[str, Any]:
    """Return an interruption as the API shows it."""
    plan = view.plan
    return {
        **plain(plan),
        "state": plan.state.value,
        "notice_by": plain(plan.notice_by),
        "hidden_until": plain(plan.hidden_until),
        "notices": plain(view.notices),
        "notices_due": view.notices_due,
        "repeated": list(view.repeated),
    }
