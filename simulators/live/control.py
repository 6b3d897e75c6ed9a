"""The control API of a live city: HTTP on loopback, a bearer token in a file that only its owner reads."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, Field
from starlette.exceptions import HTTPException

from gateway.errors import RefusedError
from gateway.model.reading import from_us
from gateway.settings import Settings
from simulators.faults import FaultKind
from simulators.live.clock import FASTEST
from simulators.live.orders import Injection, KindShown, Orders, Shown
from simulators.live.running import Live

BODY_LIMIT = 16_384
MOST_ASSETS = 1000
_BEARER = HTTPBearer(auto_error=False, description="content of the file control.token")
_log = logging.getLogger(__name__)

App = Callable[[Any, Any, Any], Awaitable[None]]


class Speed(Settings):
    """A pace."""

    speed: Annotated[float, Field(ge=0, le=FASTEST)]
    """city seconds in a real second; 0 lets the city stand"""


class Forward(Settings):
    """A later moment, and how fast to get there."""

    until: AwareDatetime
    """the city's moment"""
    speed: Annotated[float, Field(gt=0, le=FASTEST)] = FASTEST
    """city seconds in a real second until then"""


class Status(Settings):
    """How the city is."""

    now: datetime
    """the city's moment"""
    speed: float
    city: str
    """which city it is"""
    sizes: str
    active_faults: int
    published: int
    """messages of remote meters since the start"""
    waiting: int
    """of them, not yet taken by the broker"""


def make_app(live: Live, orders: Orders, token: str, sizes: str) -> App:
    """Return the application; every path but `/openapi.json` wants the token."""

    async def owner(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), token.encode()):
            raise RefusedError(401, "unauthorized", "a valid bearer token is needed; it stands in control.token")

    app = FastAPI(title="gasgate live city", version="1", docs_url=None, redoc_url=None, dependencies=[Depends(owner)])
    _add_reading_routes(app, live, orders, sizes)
    _add_acting_routes(app, live, orders)

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse({"code": error.code, "text": str(error)}, error.status)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = [".".join(map(str, one["loc"][1:])) + ": " + one["msg"] for one in error.errors()[:5]]
        return JSONResponse({"code": "invalid", "text": "; ".join(problems)}, 422)

    @app.exception_handler(HTTPException)
    async def failed(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"code": "http", "text": str(error.detail)}, error.status_code)

    return _bounded(app)


def _add_reading_routes(app: FastAPI, live: Live, orders: Orders, sizes: str) -> None:
    @app.get("/status")
    async def status() -> Status:
        """Return the city's moment and pace, and what it sends."""
        counts = live.publisher.counts()
        return Status(
            now=from_us(live.clock.now_us()),
            speed=live.clock.speed,
            city=live.saved.city,
            sizes=sizes,
            active_faults=sum(one.state == "active" for one in orders.faults()),
            published=counts.published,
            waiting=counts.waiting,
        )

    @app.get("/kinds")
    async def kinds() -> list[KindShown]:
        """Return all kinds of faults, with what `asset` and `size` mean."""
        return orders.kinds()

    @app.get("/assets")
    async def assets(
        kind: FaultKind,
        contains: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=MOST_ASSETS)] = 100,
    ) -> list[str]:
        """Return assets that a kind of fault can befall."""
        return list(islice((name for name in orders.assets(kind) if contains in name), limit))

    @app.get("/faults")
    async def faults() -> list[Shown]:
        """Return all faults, active ones first."""
        return orders.faults()


def _add_acting_routes(app: FastAPI, live: Live, orders: Orders) -> None:
    @app.post("/faults", status_code=201)
    async def inject(wanted: Injection, response: Response) -> Shown:
        """Add a fault. 200: it was there already."""
        fault, new = orders.inject(wanted)
        response.status_code = 201 if new else 200
        return fault

    @app.delete("/faults/{fault_id}")
    async def clear(fault_id: str) -> Shown:
        """End a fault, now or at the next whole hour; one that is over stays so."""
        return orders.clear(fault_id)

    @app.put("/speed")
    async def speed(wanted: Speed) -> Speed:
        """Change the pace; the clock makes no step. Returns when it has changed."""
        await orders.run_at(wanted.speed)
        return Speed(speed=live.clock.speed)

    @app.post("/forward")
    async def forward(wanted: Forward) -> Forward:
        """Let the city hurry to a later moment, then go on as before. Returns when it hurries."""
        await orders.forward(wanted.until, wanted.speed)
        return wanted


def _bounded(app: App) -> App:
    """Refuse bodies that no act needs; what has no length is read no further than that."""

    async def checked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body, more = b"", True
        while more and len(body) <= BODY_LIMIT:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > BODY_LIMIT:
            await _too_large(send)
            return
        told = False

        async def again() -> Any:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await app(scope, again, send)

    return checked


async def _too_large(send: Any) -> None:
    text = json.dumps({"code": "too_large", "text": f"a request has at most {BODY_LIMIT} bytes"}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": text})
