"""The configuration files: looked at, and taken anew without a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from api.auth import User
from api.deps import PartsDep, Require
from api.roles import Act
from api.services import configuration
from api.shapes import plain
from gateway.errors import RefusedError

router = APIRouter(tags=["system"])
_STATUS: Mapping[str, int] = {"refused": 422, "failed": 503}


@router.post("/reload")
async def reload(user: Annotated[User, Depends(Require(Act.CONFIGURATION_RELOAD))], parts: PartsDep) -> JSONResponse:
    """Check the configuration files and apply what is different; a file that is wrong changes nothing.

    200: outcome `reloaded` or `unchanged`. 422: `refused`, with each problem's file, line and key. 503: `failed`, some
    role did not take it. 409: no supervisor started this process.
    """
    if parts.reload is None:
        raise RefusedError(409, "no_reload", "this process cannot reload; use gasgate reload")
    outcome: dict[str, Any] = dict(await parts.reload(user.name))
    return JSONResponse(outcome, _STATUS.get(str(outcome.get("outcome")), 200))


@router.get("/configuration/check")
async def check(user: Annotated[User, Depends(Require(Act.CONFIGURATION_RELOAD))], parts: PartsDep) -> dict[str, Any]:
    """Return errors and warnings of the configuration files as they are now, each with file, line and key.

    Nothing is taken over. 409: no supervisor started this process.
    """
    return {"problems": [plain(one) for one in await configuration.check(parts, user)]}
