"""Server-sent events: what changes, as it changes, to listeners that may be slow or gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.types import Message, Send

from api.auth import User
from api.deps import Parts, PartsDep, Reader
from api.services.live import Board, Change
from api.shapes import alarm_json, ticket_json
from gateway.errors import RefusedError

router = APIRouter(tags=["system"])
LIVE_LISTENERS = 200
SEND_WITHIN_S = 20.0
"""real seconds that a listener may take to receive one event"""
_WAITING = 200
_HEARTBEAT_S = 15.0


class Streams:
    """Counts open streams and writes each change as text once for all of them. Used on the event loop only."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.open = 0
        self._number, self._text = -1, ""

    def text(self, change: Change) -> str:
        """Return a change as one event."""
        if change.number != self._number:
            body = json.dumps(_change(change, self._parts))
            self._number, self._text = change.number, f"id: {change.number}\nevent: change\ndata: {body}\n\n"
        return self._text


class _Stream(StreamingResponse):
    """Ends when its reader does not take an event in time, and says when it ended, however that came."""

    def __init__(self, streams: Streams, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._streams, self._events = streams, events

    async def stream_response(self, send: Send) -> None:
        async def in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_WITHIN_S):
                await send(message)

        self._streams.open += 1
        try:
            with contextlib.suppress(TimeoutError):
                await super().stream_response(in_time)
        finally:
            self._streams.open -= 1
            await self._events.aclose()


@router.get("/live")
async def live(user: Reader, request: Request, parts: PartsDep) -> StreamingResponse:
    """Stream changes of alarms, tickets and findings as server-sent events.

    A listener that is 200 changes behind is sent away: it must read the lists anew when it comes back. So is one
    whose session or token has ended.
    """
    board: Board = request.app.state.board
    streams: Streams = request.app.state.streams
    if streams.open >= LIVE_LISTENERS:
        raise RefusedError(503, "too_many_listeners")
    return _Stream(streams, _events(board, streams, parts, user))


async def _events(board: Board, streams: Streams, parts: Parts, user: User) -> AsyncGenerator[str, None]:
    changes: asyncio.Queue[str] = asyncio.Queue(_WAITING)
    behind = False

    def take(change: Change) -> None:
        nonlocal behind
        if changes.full():
            behind = True
            end()
        else:
            changes.put_nowait(streams.text(change))

    end = board.listen(take)
    loop = asyncio.get_running_loop()
    check_at = loop.time() + _HEARTBEAT_S
    try:
        yield ": listening\n\n"
        while not behind:
            try:
                async with asyncio.timeout_at(check_at):
                    event = await changes.get()
            except TimeoutError:
                if await asyncio.to_thread(parts.auth.still, user) is None:
                    return
                check_at = loop.time() + _HEARTBEAT_S
                event = ": still here\n\n"
            yield event
    finally:
        end()


def _change(change: Change, parts: Parts) -> dict[str, Any]:
    now = parts.clock.now()
    return {
        "number": change.number,
        "alarms": [alarm_json(view) for view in change.alarms],
        "alarms_gone": list(change.gone),
        "tickets": [ticket_json(view, now) for view in change.tickets],
        "tickets_gone": list(change.tickets_gone),
        "findings": change.findings,
    }
