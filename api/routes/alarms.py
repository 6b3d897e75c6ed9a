"""Alarms and tickets."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from api.auth import User
from api.deps import PartsDep, Reader, Require
from api.roles import Act
from api.services import acts, out_of_service, verdicts
from api.services.detail import alarm_detail
from api.services.views import load_alarms, load_tickets
from api.shapes import (
    OccurrenceBody,
    RemoveBody,
    RequestBody,
    ReturnBody,
    ShelveBody,
    VerdictBody,
    alarm_json,
    journal_json,
    plain,
    removal_json,
    ticket_json,
)
from gateway.store.removal_rows import Removal
from gateway.store.verdict_rows import Verdict

router = APIRouter(tags=["alarms"])
RowId = Annotated[int, Path(ge=1, le=2**53)]
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]


@router.get("/alarms")
def alarms(_user: Reader, parts: PartsDep, limit: Limit = 200, offset: Offset = 0) -> dict[str, Any]:
    """Return alarms that are not normal: visible first, worst priority first, newest first."""
    views = load_alarms(parts, parts.state)
    return {"total": len(views), "alarms": [alarm_json(view) for view in views[offset : offset + limit]]}


@router.get("/alarms/{alarm_id}")
def alarm(alarm_id: str, _user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return one alarm with guidance, journal and tickets."""
    detail = alarm_detail(parts, alarm_id)
    now = parts.clock.now()
    return {
        **alarm_json(detail.view),
        "journal": [journal_json(entry) for entry in detail.journal],
        "tickets": [ticket_json(ticket, now) for ticket in detail.tickets],
    }


@router.post("/alarms/{alarm_id}/acknowledge")
def acknowledge(
    alarm_id: str,
    body: OccurrenceBody,
    user: Annotated[User, Depends(Require(Act.ALARM_ACKNOWLEDGE))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Say that one has seen an occurrence."""
    return alarm_json(
        acts.acknowledge(parts, user, alarm_id, body.occurrence_no, body.request_id, version=body.version)
    )


@router.post("/alarms/{alarm_id}/shelve")
def shelve(
    alarm_id: str, body: ShelveBody, user: Annotated[User, Depends(Require(Act.ALARM_SHELVE))], parts: PartsDep
) -> dict[str, Any]:
    """Hide an alarm for some minutes, with a reason."""
    until = parts.clock.now() + timedelta(minutes=body.minutes)
    view = acts.shelve(
        parts, user, alarm_id, until, body.reason, body.request_id, one_shot=body.one_shot, version=body.version
    )
    return alarm_json(view)


@router.post("/alarms/{alarm_id}/unshelve")
def unshelve(
    alarm_id: str, body: OccurrenceBody, user: Annotated[User, Depends(Require(Act.ALARM_SHELVE))], parts: PartsDep
) -> dict[str, Any]:
    """Take an alarm off the shelf."""
    return alarm_json(acts.unshelve(parts, user, alarm_id, body.occurrence_no, body.request_id, version=body.version))


@router.post("/alarms/{alarm_id}/reset")
def reset(
    alarm_id: str, body: RequestBody, user: Annotated[User, Depends(Require(Act.ALARM_RESET))], parts: PartsDep
) -> dict[str, Any]:
    """Release the latch of an alarm that is over and acknowledged."""
    return alarm_json(acts.reset(parts, user, alarm_id, body.request_id, version=body.version))


@router.post("/alarms/{alarm_id}/undo")
def undo(
    alarm_id: str, body: RequestBody, user: Annotated[User, Depends(Require(Act.ALARM_ACKNOWLEDGE))], parts: PartsDep
) -> dict[str, Any]:
    """Take an acknowledgement back."""
    return alarm_json(acts.undo(parts, user, alarm_id, body.request_id, version=body.version))


@router.post("/alarms/{alarm_id}/silence")
def silence(
    alarm_id: str, body: RequestBody, user: Annotated[User, Depends(Require(Act.ALARM_ACKNOWLEDGE))], parts: PartsDep
) -> dict[str, Any]:
    """Mute the horn of an alarm for two minutes."""
    return alarm_json(acts.silence(parts, user, alarm_id, body.request_id))


@router.post("/alarms/{alarm_id}/verdict", status_code=201)
def judge(
    alarm_id: str, body: VerdictBody, user: Annotated[User, Depends(Require(Act.ALARM_ACKNOWLEDGE))], parts: PartsDep
) -> dict[str, Any]:
    """Say whether an occurrence was a false alarm; the newest word counts, and nothing else changes."""
    said = Verdict(alarm_id, body.occurrence_no, body.false_alarm, user.name, body.reason, parts.clock.now())
    kept: dict[str, Any] = plain(verdicts.judge(parts, user, said, body.request_id))
    return kept


@router.post("/alarms/{alarm_id}/remove")
def remove(
    alarm_id: str,
    body: RemoveBody,
    user: Annotated[User, Depends(Require(Act.ALARM_SUPERVISE))],
    parts: PartsDep,
    response: Response,
) -> dict[str, Any]:
    """Take an alarm out of service; 202 if a second person has to agree first."""
    wish = out_of_service.Wish(body.work_order, body.interim, body.until)
    done = out_of_service.remove(parts, user, alarm_id, wish, body.request_id, version=body.version)
    if isinstance(done, Removal):
        response.status_code = 202
        return removal_json(done)
    return alarm_json(done)


@router.post("/alarms/{alarm_id}/return")
def bring_back(
    alarm_id: str, body: ReturnBody, user: Annotated[User, Depends(Require(Act.ALARM_SUPERVISE))], parts: PartsDep
) -> dict[str, Any]:
    """Return an alarm to service after a test."""
    view = out_of_service.bring_back(parts, user, alarm_id, body.test, body.request_id, version=body.version)
    return alarm_json(view)


@router.get("/removals")
def removals(_user: Reader, parts: PartsDep) -> dict[str, Any]:
    """Return what waits for a second person before it leaves service."""
    return {"removals": [removal_json(one) for one in out_of_service.waiting(parts)]}


@router.post("/removals/{removal_id}/agree")
def agree(
    removal_id: RowId, user: Annotated[User, Depends(Require(Act.ALARM_SUPERVISE))], parts: PartsDep
) -> dict[str, Any]:
    """Agree as the second person."""
    return alarm_json(out_of_service.agree(parts, user, removal_id))


@router.post("/removals/{removal_id}/refuse")
def refuse(
    removal_id: RowId, user: Annotated[User, Depends(Require(Act.ALARM_SUPERVISE))], parts: PartsDep
) -> dict[str, Any]:
    """Turn a wish down, or take one's own back."""
    return removal_json(out_of_service.refuse(parts, user, removal_id))


@router.get("/tickets")
def tickets(
    _user: Reader, parts: PartsDep, ended_hours: Annotated[int, Query(ge=0, le=8760)] = 24, limit: Limit = 200
) -> dict[str, Any]:
    """Return open tickets and those raised in the last hours, the worst clock first."""
    now = parts.clock.now()
    after = parts.clock.now_us() - ended_hours * 3_600_000_000
    views = load_tickets(parts, parts.state, ended_after=after, limit=limit)
    return {"now": plain(now), "tickets": [ticket_json(view, now) for view in views]}
