"""The audit trail: who did what, when, to what, from where. Nothing here changes it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from api.auth import User
from api.deps import PartsDep, Require
from api.roles import Act
from api.services import audit_trail
from api.shapes import Name, plain

router = APIRouter(tags=["system"])


@router.get("/audit")
def audit(  # noqa: PLR0917 - FastAPI names them
    user: Annotated[User, Depends(Require(Act.AUDIT_READ))],
    parts: PartsDep,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    who: Name | None = None,
    act: Name | None = None,
    subject: Name | None = None,
    first: AwareDatetime | None = None,
    last: AwareDatetime | None = None,
) -> list[dict[str, Any]]:
    """Return who did what, newest first; `before` is the last seq seen.

    `act` is one, or its beginning up to a dot; `subject` any part of it; from `first` on, before `last`.
    """
    wanted = audit_trail.wanted(who or "", act or "", subject or "", first, last)
    return [plain(row) for row in audit_trail.lines(parts, user, wanted, before, limit)]
