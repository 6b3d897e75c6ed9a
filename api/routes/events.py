"""What ticketing systems report: signed by their secret, without a session."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from alarms.tickets.events import receive
from api.deps import PartsDep

router = APIRouter(tags=["tickets"])


@router.post("/ticket-events", status_code=204)
async def ticket_events(request: Request, parts: PartsDep) -> Response:
    """Take one signed status event; the answer comes after the durable commit."""
    body = await request.body()
    headers = dict(request.headers)
    answer = await run_in_threadpool(receive, parts.state, body, headers, parts.ticket_secrets, parts.clock)
    return Response(status_code=answer)
