"""A ticket desk on a real socket that verifies signatures and misbehaves when told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"fedcba9876543210fedcba9876543210").decode()


class DeskServer:
    def __init__(self, port: int, secret: str = SECRET, hang_s: float = 1.5) -> None:
        self.port, self.hang_s = port, hang_s
        self._webhook = Webhook(secret)
        self.modes: deque[str] = deque()
        self.choose: Callable[[], str] | None = None
        self.tickets: dict[str, dict[str, Any]] = {}
        self.created: Counter[str] = Counter()
        self.changes: list[str] = []
        """keys in the order of their last change; a cursor counts them"""
        self.posts: list[tuple[dict[str, str], dict[str, Any]]] = []
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/tickets"

    def behave(self, *modes: str) -> None:
        self.modes.extend(modes)

    def count(self, dedup_key: str) -> int:
        return self.created[dedup_key]

    def start(self) -> None:
        routes = [
            Route("/tickets", self._post, methods=["POST"]),
            Route("/tickets", self._changed, methods=["GET"]),
            Route("/tickets/by-key/{key:path}", self._by_key),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes),
            host="127.0.0.1",
            port=self.port,
            log_level="critical",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            threading.Event().wait(0.01)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(30)
            self._server = self._thread = None

    async def _post(self, request: Request) -> Response:
        body = await request.body()
        try:
            self._webhook.verify(body, dict(request.headers))
        except WebhookVerificationError:
            return Response(status_code=401)
        envelope = json.loads(body)
        self.posts.append((dict(request.headers), envelope))
        mode = self.modes.popleft() if self.modes else (self.choose() if self.choose else "")
        if mode in ("500", "503", "302", "400", "401", "409", "410"):
            return Response(status_code=int(mode), headers={"location": "/elsewhere"} if mode == "302" else {})
        if mode == "an hour":
            return Response(status_code=503, headers={"retry-after": "3600"})
        if mode == "429":
            return Response(status_code=429, headers={"retry-after": "7"})
        if mode == "reset":
            return StreamingResponse(_broken(b""), headers={"content-length": "100"})
        answer = self._keep(envelope["data"])
        if mode == "202":
            return Response(status_code=202)
        if mode == "hang":
            await asyncio.sleep(self.hang_s)
        if mode == "cut":
            return StreamingResponse(_broken(b'{"external_ti'), headers={"content-length": "100"}, status_code=201)
        if mode == "garbage":
            return Response(b"\xff\xfe<html>", status_code=201)
        if mode == "huge":
            return Response(b"[" * 200_000, status_code=201)
        return answer

    def _keep(self, data: dict[str, Any]) -> JSONResponse:
        key = data["dedup_key"]
        if key in self.tickets or data["command"] != "open":
            return JSONResponse({**self.tickets.get(key, {"external_ticket_id": "?"}), "duplicate": True})
        self.created[key] += 1
        self.tickets[key] = {
            "external_ticket_id": f"D-{len(self.tickets) + 1}",
            "url": f"{self.url}/{len(self.tickets) + 1}",
            "state": "open",
            "dedup_key": key,
            "raised_at": data.get("raised_at", ""),
            "received_at": "2026-01-15T05:00:01Z",
            "version": 0,
            "events": [],
            **{name: data[name] for name in ("ticket_no", "class", "type", "title") if name in data},
        }
        self.changes.append(key)
        return JSONResponse(self.tickets[key], status_code=201)

    async def _by_key(self, request: Request) -> Response:
        found = self.tickets.get(request.path_params["key"])
        return Response(status_code=404) if found is None else JSONResponse(found)

    def advance(self, dedup_key: str, *states: str) -> None:
        for state in states:
            self.move(dedup_key, state)

    def move(self, key: str, *states: str, at: str = "2026-01-15T05:01:00Z", told: bool = True) -> None:
        """Let a crew move a ticket on, without a word to gasgate; `told` keeps the step in the ticket's history."""
        ticket = self.tickets[key]
        for state in states:
            ticket["version"] += 1
            ticket["state"] = state
            step = {"id": f"{ticket['external_ticket_id']}-{ticket['version']}", "type": state, "actor": "crew"}
            if told:
                ticket["events"].append({**step, "version": ticket["version"], "occurred_at": at})
        self.changes.append(key)

    async def _changed(self, request: Request) -> Response:
        known = int(request.query_params.get("changed_since") or 0)
        page = self.changes[known : known + 50]
        tickets = [self.tickets[key] for key in dict.fromkeys(page) if key in self.tickets]
        return JSONResponse({"tickets": tickets, "cursor": str(known + len(page))})


async def _broken(first: bytes) -> Any:
    """Send less than was announced, so that the server cuts the connection."""
    yield first
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0.05)
