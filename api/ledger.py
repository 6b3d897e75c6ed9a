"""Sees to it that the audit trail tells of every act that came over HTTP, and from where."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.deps import Parts
from gateway.errors import GatewayError
from gateway.store import audit_origin
from gateway.store.audit_origin import Origin

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Ledger:
    """Tells the audit trail where a request comes from, and sees to it that no changing one goes unwritten.

    Whoever adds a route need not think of it: a request of somebody that may have changed something and led to no line
    of its own gets one, with its method and path.
    """

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if origin.who and not origin.written and status < 400 and scope["method"] not in _READING:
                    await asyncio.to_thread(self._write, origin.who, f"{scope['method']} {scope['path']}")
            await send(message)

        client = scope.get("client")
        origin = Origin(client[0][:60] if client else "")
        token = audit_origin.current.set(origin)
        try:
            await self._app(scope, receive, watching)
        finally:
            audit_origin.current.reset(token)

    def _write(self, who: str, what: str) -> None:
        """Write that somebody asked for something; what was done is done, whether this can be written or not."""
        with contextlib.suppress(GatewayError):
            self._parts.auth.audit(who, "request", what)
