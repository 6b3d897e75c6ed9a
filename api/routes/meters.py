"""What the reading audit keeps of a meter."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from api.auth import User
from api.deps import PartsDep, Require
from api.roles import Act
from api.services import decisions
from api.services.intervals import meter_days
from api.shapes import ChoiceBody, EditBody, plain
from gateway.errors import RefusedError

router = APIRouter(tags=["meters"])


@router.get("/meters/{meter}/intervals")
async def intervals(
    meter: Annotated[str, Path(max_length=120)],
    _user: Annotated[User, Depends(Require(Act.READING_AUDIT))],
    parts: PartsDep,
    first: date,
    last: date,
) -> dict[str, Any]:
    """Return raw readings, verdicts, and the gas days `first` to `last` with estimates and reasons."""
    _sane(first, last)
    return plain(await meter_days(parts, meter, first, last))  # type: ignore[no-any-return]


@router.post("/meters/{meter}/choice")
async def choice(
    meter: Annotated[str, Path(max_length=120)],
    body: ChoiceBody,
    user: Annotated[User, Depends(Require(Act.READING_DECIDE))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Let one of several values of a device time count, or none again."""
    _sane(body.source_time)
    decided = await decisions.choose(parts, user, meter, body.source_time, body.value_m3, reason=body.reason)
    return plain(decided)  # type: ignore[no-any-return]


@router.post("/meters/{meter}/intervals/{gas_day}")
async def set_day(
    meter: Annotated[str, Path(max_length=120)],
    gas_day: date,
    body: EditBody,
    user: Annotated[User, Depends(Require(Act.READING_DECIDE))],
    parts: PartsDep,
) -> dict[str, Any]:
    """Set a gas day by hand, or let it be again what its readings tell."""
    _sane(gas_day)
    return plain(await decisions.set_day(parts, user, meter, gas_day, body.volume_m3, reason=body.reason))  # type: ignore[no-any-return]


def _sane(*moments: date) -> None:
    if not all(1990 <= moment.year <= 2190 for moment in moments):
        raise RefusedError(422, "bad_time", "years 1990 to 2190")
