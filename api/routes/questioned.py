"""Readings that a rule questioned, what an auditor decides on them, and meters that wait for a reading."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field

from api.auth import User
from api.deps import PartsDep, Require
from api.roles import Act
from api.services import questioned
from api.services.questioned import PAGE, Answer
from api.services.unread import WaitingMeters
from api.shapes import Body, Reason, plain
from gateway.errors import RefusedError

router = APIRouter(tags=["meters"])
Auditor = Annotated[User, Depends(Require(Act.READING_AUDIT))]
Volume = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None


class DecisionBody(Body):
    """Whether a questioned reading counts."""

    accept: bool
    reason: Reason
    value_m3: Volume = None
    """of several values of one moment (V02) the one that counts"""
    gas_day: date | None = None
    volume_m3: Volume = None
    """of a rejected one: what its gas day comes to"""


@router.get("/questioned-readings")
def listed(
    user: Auditor,
    parts: PartsDep,
    rule: Annotated[str, Query(pattern=r"^(V[0-9]{2})?$")] = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
) -> dict[str, Any]:
    """Return readings that a rule questioned and nobody decided on, the newest first, and how many of each rule."""
    found = questioned.cases(parts, user, [rule] if rule else [], before=before, limit=limit)
    return {"counts": questioned.counts(parts), "cases": [plain(one) for one in found]}


@router.post("/questioned-readings/{case_id}/decision")
async def decide(
    case_id: Annotated[int, Path(ge=1, le=2**53)],
    body: DecisionBody,
    user: Annotated[User, Depends(Require(Act.READING_DECIDE))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Accept a questioned reading as it is, or reject it and set its gas day by hand."""
    if body.gas_day is not None and not 1990 <= body.gas_day.year <= 2190:
        raise RefusedError(422, "bad_time", "years 1990 to 2190")
    answer = Answer(body.accept, body.reason, body.value_m3, body.gas_day, body.volume_m3)
    return plain(await questioned.decide(parts, user, case_id, answer))  # type: ignore[no-any-return]


@router.get("/waiting-meters")
async def waiting(_user: Auditor, request: Request) -> dict[str, Any]:
    """Return meters long unread, by class, and homes' meters past their life; found at most half an hour ago."""
    watch: WaitingMeters = request.app.state.waiting
    return plain(await watch.look())  # type: ignore[no-any-return]
