"""What the reading audit keeps of a meter."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from api.auth import User
from api.deps import PartsDep, Require
from api.roles import Act
from api.services.intervals import meter_days
from api.shapes import plain
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
    if not (1990 <= first.year <= 2190 and 1990 <= last.year <= 2190):
        raise RefusedError(422, "bad_time", "years 1990 to 2190")
    return plain(await meter_days(parts, meter, first, last))  # type: ignore[no-any-return]
