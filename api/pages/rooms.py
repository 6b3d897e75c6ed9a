"""The control room's connection: a feed for each language, with its snapshot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response, WebSocket
from nicegui import background_tasks
from starlette.websockets import WebSocketDisconnect

from api.auth import User
from api.deps import Parts, parts_of, user_of
from api.pages.room_feed import FACTS_EVERY_S, RoomFeed
from api.roles import Act
from api.services.live import Board
from api.services.pulse import Pulse
from api.text import DEFAULT, LANGUAGES, texts
from gateway.errors import RefusedError

MOST_READERS = 300
SEND_WITHIN_S = 20.0
"""real seconds that a browser may take to receive one message"""
CHECK_EVERY_S = 10.0
"""real seconds between two looks at whether the session still is one; looking does not count as using it"""
LOGGED_OUT, BEHIND, FULL = 4401, 4408, 4429
"""why a connection is closed, as browsers are told"""

router = APIRouter(include_in_schema=False)
log = logging.getLogger(__name__)


class Rooms:
    """The feeds that are read. Used on the event loop only."""

    def __init__(self, board: Board, pulse: Pulse) -> None:
        self._board, self._pulse = board, pulse
        self._feeds: dict[str, RoomFeed] = {}

    @property
    def readers(self) -> int:
        """How many browsers read."""
        return sum(feed.readers for feed in self._feeds.values())

    def begin(self) -> None:
        """Draw every row once in every language, before the first browser asks for them."""
        for language in LANGUAGES:
            self.feed(language)

    def feed(self, language: str) -> RoomFeed:
        """Return the feed of a language."""
        known = language if language in LANGUAGES else DEFAULT
        if known not in self._feeds:
            self._feeds[known] = RoomFeed(self._board, self._pulse, texts(known))
            background_tasks.create(self._look(self._feeds[known]), name=f"look at the control room, {known}")
        return self._feeds[known]

    async def _look(self, feed: RoomFeed) -> None:
        while True:
            await asyncio.sleep(FACTS_EVERY_S)
            if feed.readers:
                try:
                    feed.look()
                except Exception:
                    log.exception("the control room's key figures could not be made")


@router.get("/room/all")
async def everything(
    request: Request, language: Annotated[str, Query(max_length=8)] = DEFAULT, after: Annotated[int, Query(ge=0)] = 0
) -> Response:
    """Return all rows and facts; browsers go on from there with what the connection tells."""
    user = await asyncio.to_thread(user_of, request)
    if user is None:
        raise RefusedError(401, "login_required")
    if not user.may(Act.READ):
        raise RefusedError(403, "forbidden")
    rooms: Rooms = request.app.state.rooms
    body = await rooms.feed(language).everything(after)
    headers = {"content-encoding": "gzip", "cache-control": "no-store"}
    return Response(body, media_type="application/json", headers=headers)


@router.websocket("/room/live")
async def live(socket: WebSocket, language: str = DEFAULT) -> None:
    """Tell a browser of every change until it leaves, its session ends, or it is too far behind.

    Browsers let any page open a connection, cookie and all, if it comes from another port of this host: only pages of
    our own are answered.
    """
    rooms: Rooms = socket.app.state.rooms
    parts = parts_of(socket)
    if not _is_ours(socket, parts.public_url):
        await socket.close()
        return
    await socket.accept()
    user = await asyncio.to_thread(user_of, socket)
    if user is None or not user.may(Act.READ):
        await socket.close(LOGGED_OUT)
        return
    if rooms.readers >= MOST_READERS:
        await socket.close(FULL)
        return
    feed = rooms.feed(language[:8])
    queue = feed.read()
    leaving = asyncio.ensure_future(_until_gone(socket))
    telling = asyncio.ensure_future(_tell(socket, queue, parts, user))
    try:
        await asyncio.wait((leaving, telling), return_when=asyncio.FIRST_COMPLETED)
    finally:
        feed.leave(queue)
        for task in (leaving, telling):
            task.cancel()
        await asyncio.gather(leaving, telling, return_exceptions=True)


def _is_ours(socket: WebSocket, public_url: str) -> bool:
    """Return True if it is a page of this gateway that asks, or a program, which names no page."""
    origin = socket.headers.get("origin")
    own = {socket.headers.get("host", "").lower(), urlsplit(public_url).netloc.lower()} - {""}
    return origin is None or origin.lower().partition("://")[2] in own


def _may_read(parts: Parts, user: User) -> bool:
    now = parts.auth.still(user)
    return now is not None and now.may(Act.READ)


async def _until_gone(socket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()


async def _tell(socket: WebSocket, queue: asyncio.Queue[str | None], parts: Parts, user: User) -> None:
    loop = asyncio.get_running_loop()
    check_at = loop.time() + CHECK_EVERY_S
    while True:
        if loop.time() >= check_at:
            if not await asyncio.to_thread(_may_read, parts, user):
                await socket.close(LOGGED_OUT)
                return
            check_at = loop.time() + CHECK_EVERY_S
        try:
            async with asyncio.timeout_at(check_at):
                text = await queue.get()
        except TimeoutError:
            continue
        if text is None:
            await socket.close(BEHIND)
            return
        async with asyncio.timeout(SEND_WITHIN_S):
            await socket.send_text(text)
