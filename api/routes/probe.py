"""What monitoring asks without a person: /healthz for anybody, /metrics for loopback or a token."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api.deps import Parts, PartsDep, user_of
from api.services.live import Board
from api.services.pulse import Pulse, links, role_health
from gateway.errors import GatewayError, RefusedError
from gateway.store import view_rows

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def healthz(request: Request, response: Response, parts: PartsDep) -> dict[str, Any]:
    """Return 200 if every role is well, else 503 with the ones that are not."""
    try:
        roles = role_health(parts)
    except GatewayError as error:
        response.status_code = 503
        return {"ok": False, "problems": [str(error)]}
    board: Board = request.app.state.board
    problems = [f"role {role.role} is not well" for role in roles if not role.ok and role.role != "web"]
    if board.problem:
        problems.append(board.problem)
    response.status_code = 503 if problems else 200
    return {"ok": not problems, "problems": problems}


@router.get("/metrics")
def metrics(request: Request, parts: PartsDep) -> Response:
    """Return gauges in the Prometheus text format."""
    if not _is_loopback(request) and user_of(request) is None:
        raise RefusedError(401, "login_required")
    registry = CollectorRegistry()
    registry.register(_Gauges(parts, request.app.state.board, request.app.state.pulse))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _is_loopback(request: Request) -> bool:
    if "x-forwarded-for" in request.headers or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


class _Gauges(Collector):
    """Reads everything at the moment of the scrape."""

    def __init__(self, parts: Parts, board: Board, pulse: Pulse) -> None:
        self._parts, self._board, self._pulse = parts, board, pulse

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._parts.state.read() as connection:
            alarms = view_rows.alarm_counts(connection)
            outbox = view_rows.outbox_counts(connection)
            dead = view_rows.dead_letter_count(connection)
        yield _family("gasgate_alarms", "Alarms that are not normal.", ("state", "priority"), alarms)
        yield _family("gasgate_outbox", "Commands to ticketing systems.", ("state",), list(outbox.items()))
        yield _family("gasgate_dead_letters", "Dead letters that are kept.", (), [(dead,)])
        roles = [(role.role, int(role.ok)) for role in role_health(self._parts)]
        yield _family("gasgate_role_up", "1 if a role is well.", ("role",), roles)
        known = [(link.name, int(link.up)) for link in links(self._pulse.store) if link.up is not None]
        yield _family("gasgate_link_up", "1 if a link works.", ("link",), known)
        yield _family(
            "gasgate_store_up", "1 if the store service answers.", (), [(int(self._pulse.store is not None),)]
        )
        yield _family("gasgate_page_listeners", "Pages and programs that watch.", (), [(self._board.listeners,)])


def _family(name: str, text: str, labels: tuple[str, ...], rows: list[Any]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for *values, amount in rows:
        family.add_metric([str(value) for value in values], amount)
    return family
