"""The demo ticket desk: takes signed tickets over HTTP, lets a simulated crew work, and reports each step back."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import re
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gateway.errors import ConfigError
from gateway.model.reading import from_us
from gateway.runtime import child
from gateway.runtime.clock import CityClock
from gateway.settings import Secret
from simulators.desk_store import DeskStore, DeskTicket, NewTicket, Step
from simulators.files import replace_file

BODY_LIMIT = 20_000
_LOOK_EVERY_S = 0.1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_NEVER_TAKEN = (400, 409, 413)
_log = logging.getLogger(__name__)


class DeskClock:
    """The city's clock as the simulator writes it; read anew when the simulator was started again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = -1
        self._clock: CityClock | None = None

    def now_us(self) -> int:
        """Return the city's moment in us UTC. Raises ConfigError while there is no clock."""
        try:
            changed = self._path.stat().st_mtime_ns
        except OSError as error:
            raise ConfigError([f"{self._path}: the city has no clock yet"]) from error
        if self._clock is None or changed != self._changed:
            self._clock, self._changed = CityClock.from_file(self._path), changed
        return self._clock.now_us()


@dataclass(frozen=True, slots=True)
class Desk:
    """All that the desk's routes and its crew share."""

    folder: Path
    store: DeskStore
    clock: DeskClock
    webhook: Webhook
    events_url: str
    base_url: str


class _BadMessageError(Exception):
    """The body is not a ticket command."""


def make_app(desk: Desk) -> Starlette:
    """Return the desk's HTTP service; its crew works while the service runs."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        crew = asyncio.create_task(run_crew(desk), name="crew")
        try:
            yield
        finally:
            crew.cancel()
            with suppress(asyncio.CancelledError):
                await crew
            desk.store.close()

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", _page),
            Route("/tickets", _take, methods=["POST"]),
            Route("/tickets", _changed, methods=["GET"]),
            Route("/tickets/by-key/{key:path}", _by_key),
        ],
    )
    app.state.desk = desk
    return app


async def _take(request: Request) -> Response:
    """Answer one command: 201 new, 200 duplicate, 400, 401, 409 unknown ticket, 413."""
    desk: Desk = request.app.state.desk
    body = await _bounded_body(request)
    if body is None:
        return _error(413, "too large")
    try:
        desk.webhook.verify(body, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        return _error(401, "bad signature")
    try:
        data = _command(body)
    except _BadMessageError as error:
        return _error(400, str(error))
    try:
        now_us = desk.clock.now_us()
    except ConfigError:
        return _error(503, "the city has no clock yet")
    if data["command"] == "open":
        ticket, new = await asyncio.to_thread(desk.store.open, _new_ticket(data), now_us)
        _log.info("%s %s %s: %s", "new" if new else "known", ticket.external_id, ticket.ticket_class, ticket.title)
        return JSONResponse({**_shown(desk, ticket), "duplicate": not new}, status_code=201 if new else 200)
    key, command, number = data["dedup_key"], data["command"], data["command_no"]
    known, new = await asyncio.to_thread(desk.store.add_message, key, command, number, body.decode())
    if known is None:
        return _error(409, "no such ticket")
    return JSONResponse({**_shown(desk, known), "duplicate": not new}, status_code=201 if new else 200)


async def _bounded_body(request: Request) -> bytes | None:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            return None
    return body


def _command(body: bytes) -> dict[str, Any]:
    """Return the data of the envelope. Raises _BadMessageError."""
    try:
        envelope = json.loads(body)
    except ValueError as error:
        raise _BadMessageError("not JSON") from error
    data = envelope.get("data") if isinstance(envelope, dict) else None
    if not isinstance(data, dict):
        raise _BadMessageError("no data")
    for name in ("dedup_key", "ticket_no", "command"):
        if not isinstance(data.get(name), str) or not 0 < len(data[name]) <= 300:
            raise _BadMessageError(f"{name} is missing")
    if not isinstance(data.get("command_no"), int):
        raise _BadMessageError("command_no is missing")
    return data


def _text(source: Any, name: str, limit: int = 300) -> str:
    value = source.get(name) if isinstance(source, Mapping) else None
    return value[:limit] if isinstance(value, str) else ""


def _new_ticket(data: Mapping[str, Any]) -> NewTicket:
    return NewTicket(
        dedup_key=data["dedup_key"],
        ticket_no=data["ticket_no"],
        ticket_class=_text(data, "class"),
        type=_text(data, "type"),
        asset=_text(data.get("asset"), "id"),
        title=_text(data, "title"),
        raised_at=_text(data.get("alarm"), "raised_at") or _text(data, "raised_at"),
    )


def _shown(desk: Desk, ticket: DeskTicket) -> dict[str, Any]:
    return {
        "external_ticket_id": ticket.external_id,
        "url": f"{desk.base_url}/#{ticket.external_id}",
        "state": ticket.state,
        "dedup_key": ticket.dedup_key,
        "raised_at": ticket.raised_at,
        "received_at": _iso(ticket.received_us),
        "version": ticket.version,
    }


def _iso(us: int) -> str:
    return from_us(us).isoformat().replace("+00:00", "Z")


def _error(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)


async def _by_key(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    ticket = await asyncio.to_thread(desk.store.by_key, request.path_params["key"])
    return _error(404, "no such ticket") if ticket is None else JSONResponse(_shown(desk, ticket))


async def _changed(request: Request) -> Response:
    """Answer tickets changed after a cursor, and the cursor to ask with next; an empty cursor asks for all."""
    desk: Desk = request.app.state.desk
    cursor = request.query_params.get("changed_since", "") or "0"
    if not re.fullmatch(r"\d{1,15}", cursor):
        return _error(400, "changed_since is a cursor from an earlier answer")
    tickets = await asyncio.to_thread(desk.store.changed_since, int(cursor))
    last = str(tickets[-1].change_no) if tickets else cursor
    return JSONResponse({"tickets": [_shown(desk, ticket) for ticket in tickets], "cursor": last})


async def _page(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    tickets = await asyncio.to_thread(desk.store.changed_since, 0)
    rows = "".join(
        f"<tr id={t.external_id}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in
                         (t.external_id, t.ticket_class, t.asset, t.title, t.state, t.raised_at, t.ticket_no)) + "</tr>"
        for t in reversed(tickets)
    )  # fmt: skip
    return HTMLResponse(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2><title>Ticket desk</title>"
        "<style>body{font:15px sans-serif;margin:2em}td,th{padding:.3em .8em;text-align:left}</style>"
        "<h1>Ticket desk (simulated) 模拟工单系统</h1><table><tr><th>id<th>class<th>asset<th>title<th>state<th>raised"
        f"<th>gasgate</tr>{rows}</table>"
    )


class _Pauses:
    """How long to leave gasgate alone with each ticket's next step after it did not take it."""

    def __init__(self) -> None:
        self._pause_s: dict[str, float] = {}
        self._until: dict[str, float] = {}

    def over(self, key: str) -> bool:
        return time.monotonic() >= self._until.get(key, 0.0)

    def note(self, key: str, *, taken: bool) -> None:
        if taken:
            self._pause_s.pop(key, None)
            self._until.pop(key, None)
            return
        self._pause_s[key] = min(_LONGEST_PAUSE_S, 2.0 * self._pause_s.get(key, _FIRST_PAUSE_S / 2.0))
        self._until[key] = time.monotonic() + self._pause_s[key]


async def run_crew(desk: Desk) -> None:
    """Let crews work and tell gasgate each step, in order, until it has confirmed it."""
    pauses = _Pauses()
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        while True:
            try:
                for step in await asyncio.to_thread(desk.store.take_due, desk.clock.now_us()):
                    if pauses.over(step.dedup_key):
                        pauses.note(step.dedup_key, taken=await _tell(desk, client, step))
            except ConfigError:
                pass  # the city is not running, so its crews rest
            except (sqlite3.Error, OSError):
                _log.exception("the desk cannot keep its state; trying again")
                await asyncio.sleep(_LONGEST_PAUSE_S)
            await asyncio.sleep(_LOOK_EVERY_S)


async def _tell(desk: Desk, client: httpx.AsyncClient, step: Step) -> bool:
    """Post one signed status event; True once it needs no repeat."""
    if step.type == "fixed" and step.ticket_class == "EMERGENCY":
        await asyncio.to_thread(_write_repair, desk.folder, step)
    body = json.dumps(_event(step), separators=(",", ":"))
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": step.event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": desk.webhook.sign(step.event_id, now, body),
    }
    try:
        answer = await client.post(desk.events_url, content=body, headers=headers)
    except httpx.HTTPError:
        return False
    if answer.status_code == httpx.codes.NO_CONTENT:
        await asyncio.to_thread(desk.store.told, step)
        return True
    _log.warning("%s of %s was answered with %d", step.type, step.external_id, answer.status_code)
    if answer.status_code in _NEVER_TAKEN:
        await asyncio.to_thread(desk.store.told, step)  # gasgate keeps what it cannot place; again would be no better
        return True
    return False


def _event(step: Step) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": step.event_id,
        "source": "urn:gasgate:demo-desk",
        "type": step.type,
        "time": _iso(step.occurred_us),
        "datacontenttype": "application/json",
        "data": {
            "dedup_key": step.dedup_key,
            "external_ticket_id": step.external_id,
            "version": step.version,
            "occurred_at": _iso(step.occurred_us),
            "actor": "crew 3 (simulated)",
        },
    }


def _write_repair(folder: Path, step: Step) -> None:
    """Tell the simulated city that the crew has repaired something; it reads the file once."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", step.dedup_key)
    file = folder / "repairs" / f"{name}.json"
    if not file.with_suffix(".done").exists():
        file.parent.mkdir(exist_ok=True)
        repair = {"dedup_key": step.dedup_key, "asset": step.asset, "fixed_at": _iso(step.occurred_us)}
        replace_file(file, json.dumps(repair))


def serve(folder: Path, *, port: int, events_url: str) -> None:
    """Run the desk until SIGTERM or SIGINT, or until the parent dies. Raises ConfigError without its secret."""
    child.die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    desk = Desk(
        folder=folder,
        store=DeskStore(folder / "desk.db"),
        clock=DeskClock(folder / "clock.json"),
        webhook=Webhook(Secret(file=folder / "secrets" / "desk.secret").read()),
        events_url=events_url,
        base_url=f"http://127.0.0.1:{port}",
    )
    uvicorn.run(make_app(desk), host="127.0.0.1", port=port, log_level="warning", access_log=False)
