"""The web role's one FastAPI app: REST and pages over the same services."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.deps import Parts
from api.ledger import Ledger
from api.routes import (
    alarm_report,
    alarms,
    analysis,
    audit,
    commands,
    definitions,
    events,
    interruptions,
    meters,
    network,
    probe,
    questioned,
    reload,
    reports,
    service,
    session,
    stream,
    system,
    tickets,
    tokens,
    users,
)
from api.services.city import CityFile, Tiles
from api.services.live import Board
from api.services.pulse import Pulse
from api.services.unread import WaitingMeters
from gateway import __version__
from gateway.errors import PermanentError, RefusedError, TransientError

LARGEST_BODY = 64 * 1024
STATIC = Path(__file__).parent / "static"
POLICY = "content-security-policy"
HEADERS = {
    POLICY: (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

log = logging.getLogger(__name__)


def make_rest(parts: Parts) -> FastAPI:
    """Return the REST API alone."""
    app = FastAPI(
        title="gasgate",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.parts = parts
    app.state.board = Board(parts)
    app.state.pulse = Pulse(parts)
    app.state.streams = stream.Streams(parts)
    app.state.waiting = WaitingMeters(parts)
    app.state.city = CityFile(parts.network, parts.tiles)
    for router in (
        session.router,
        tokens.router,
        users.router,
        audit.router,
        alarms.router,
        alarm_report.router,
        reports.router,
        definitions.router,
        interruptions.router,
        analysis.router,
        meters.router,
        questioned.router,
        network.router,
        commands.router,
        system.router,
        reload.router,
        stream.router,
        events.router,
        tickets.router,
        service.router,
    ):
        app.include_router(router, prefix="/api/v1")
    app.include_router(probe.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(TransientError, _unavailable)
    app.add_exception_handler(PermanentError, _broken)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_middleware(Ledger, parts=parts)
    app.add_middleware(Shield, tiles=parts.tiles)
    return app


def make_app(parts: Parts) -> FastAPI:
    """Return REST and pages. A process can hold one such app, for the pages' library has one of its own."""
    from nicegui import app as pages_app
    from nicegui import ui

    from api.pages.register import register

    app = make_rest(parts)
    pages_app.state.parts = parts
    pages_app.state.board = app.state.board
    pages_app.state.pulse = app.state.pulse
    pages_app.state.waiting = app.state.waiting
    register(app)
    ui.run_with(
        app,
        title="gasgate",
        favicon=STATIC / "favicon.svg",
        tailwind=False,
        reconnect_timeout=30.0,
        show_welcome_message=False,
    )
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep board and pulse fresh while the app runs."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(app.state.board.run(), name="board"),
            group.create_task(app.state.pulse.run(), name="pulse"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


class Shield:
    """Adds security headers to every answer and refuses bodies beyond a bound, with or without a length."""

    def __init__(self, app: ASGIApp, tiles: Tiles | None = None) -> None:
        self._app = app
        self._headers = HEADERS if tiles is None else {**HEADERS, POLICY: _with_images(HEADERS[POLICY], tiles.url)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > LARGEST_BODY:
            await JSONResponse({"code": "too_large"}, 413)(scope, receive, _with_headers(send, self._headers))
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > LARGEST_BODY:
                raise RefusedError(413, "too_large")
            return message

        await self._app(scope, bounded, _with_headers(send, self._headers))


def _with_images(policy: str, address: str) -> str:
    """Return a policy that lets images come from the server of an address too."""
    parts = urlsplit(address)
    return policy.replace("img-src 'self'", f"img-src 'self' {parts.scheme}://{parts.netloc}")


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message["headers"]}
            added = [(n.encode(), v.encode()) for n, v in headers.items() if n.encode() not in known]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sending


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    headers = {} if error.retry_after_s is None else {"retry-after": f"{error.retry_after_s:.0f}"}
    return JSONResponse({"code": error.code, "detail": _safe(str(error))}, error.status, headers)


async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"code": "unavailable", "detail": _safe(str(error))}, 503, {"retry-after": "2"})


async def _broken(request: Request, error: Exception) -> JSONResponse:
    """Say that a person must help; what is broken and where is for the log alone."""
    log.error("%s cannot be answered: %s", request.url.path, error)
    return JSONResponse({"code": "unavailable", "detail": "the gateway's log tells what is broken"}, 503)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Say where and why, but never repeat the input: it may be secret, and it may not be valid text."""
    assert isinstance(error, RequestValidationError)
    problems = [{"at": [_safe(str(part)) for part in e["loc"]], "why": _safe(e["msg"])} for e in error.errors()[:20]]
    return JSONResponse({"code": "invalid", "detail": problems}, 422)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"code": "http", "detail": _safe(str(error.detail))}, error.status_code, error.headers)


async def _left(_request: Request, _error: Exception) -> JSONResponse:
    """Answer to nobody: whoever asked hung up before the whole question was there."""
    return JSONResponse({"code": "incomplete"}, 400)


def _safe(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[:500]
