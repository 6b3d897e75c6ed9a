"""What monitoring asks without a person: /healthz for anybody, /metrics for loopback or a token."""

from __future__ import annotations

import ipaddress
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from api.deps import PartsDep, user_of
from api.services.live import Board
from api.services.metrics import Figures
from api.services.pulse import role_health
from gateway.errors import GatewayError, RefusedError

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def healthz(request: Request, response: Response, parts: PartsDep) -> dict[str, Any]:
    """Return 200 if every role is well, else 503 with the ones that are not.

    `revision` is the configuration that all of them run, the older one while they change over, 0 while one begins.
    """
    try:
        roles = role_health(parts)
    except GatewayError as error:
        response.status_code = 503
        return {"ok": False, "problems": [str(error)]}
    board: Board = request.app.state.board
    revision = min((int(role.detail.get("revision") or 0) for role in roles if role.ok), default=0)
    problems = [f"role {role.role} is not well" for role in roles if not role.ok and role.role != "web"]
    if board.problem:
        problems.append(board.problem)
    response.status_code = 503 if problems else 200
    return {"ok": not problems, "problems": problems, "revision": revision}


@router.get("/metrics")
def metrics(request: Request, parts: PartsDep) -> Response:
    """Return figures in the Prometheus text format."""
    if not _is_loopback(request) and user_of(request) is None:
        raise RefusedError(401, "login_required")
    registry = CollectorRegistry()
    registry.register(Figures(parts, request.app.state.board, request.app.state.pulse))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _is_loopback(request: Request) -> bool:
    if "x-forwarded-for" in request.headers or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
