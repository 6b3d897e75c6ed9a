"""The store service: how the other processes read what role keep holds. HTTP on loopback with a bearer token."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.errors import GatewayError, RefusedError
from gateway.model.command import CommandOffer
from gateway.model.reading import ReadingBatch
from gateway.ports import ReadingStore, Spool, SpoolRecord
from gateway.store.export_service import ExportService
from gateway.store.record import encode
from gateway.store.tail import TailRing

MOST_POINTS = 1_000_000
MOST_ROWS = 2_000_000
MOST_BODY = 8 << 20
MOST_WAIT_S = 30
_MOST_RECORDS = 1_000
_NEWEST_SEQ = 2**63 - 1
_MOST_TAIL_BYTES = 4 << 20
_BINARY = "application/octet-stream"
_LONGEST_ASSET = 120
_LONGEST_UNIT = 200
_Handler = Callable[[Request], Awaitable[Response]]
Probe = Callable[[str], Awaitable[bytes | None]]
Links = Callable[[str], Mapping[str, Any]]
Offers = Callable[[str], Awaitable[Sequence[CommandOffer]]]


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class HistoryQuery(msgspec.Struct, frozen=True):
    """Body of POST /history and /latest, as msgpack; the span belongs to history only."""

    points: bytes
    """uint32, little-endian"""
    start_us: Int64 = 0
    end_us: Int64 = 0


def make_service(
    store: ReadingStore,
    spool: Spool,
    tail_source: TailRing,
    token: str,
    status: Callable[[], Mapping[str, Any]],
    *,
    offers: Offers | None = None,
    exports: ExportService | None = None,
    probe: Probe | None = None,
    links: Links | None = None,
) -> Starlette:
    """Return the application; `status` gives what GET /status answers, `offers` what an asset can be told.

    `exports` gives days away as files; without it there is no such service. `probe` reads one unit now,
    `links` tells what reads an asset.

    Raises ValueError without a token.
    """
    if not token:
        raise ValueError("the store service needs a token")
    service = _Service(store, spool, tail_source, status, offers)
    days = [] if exports is None else [("GET", "/days", exports.days), ("POST", "/export", exports.export)]
    reads = [] if probe is None else [("POST", "/probe", _probing(probe))]
    reads += [] if links is None else [("GET", "/links", _telling(links))]
    routes = [
        Route("/healthz", service.healthz),
        *(
            Route(path, _guarded(handler, token), methods=[method])
            for method, path, handler in (
                ("GET", "/tail", service.tail),
                ("GET", "/since", service.since),
                ("GET", "/loaded", service.loaded),
                ("GET", "/status", service.status),
                ("GET", "/offers", service.offers),
                *days,
                *reads,
                ("POST", "/history", service.history),
                ("POST", "/latest", service.latest),
            )
        ),
    ]
    return Starlette(routes=routes)


class _Service:
    def __init__(
        self,
        store: ReadingStore,
        spool: Spool,
        ring: TailRing,
        status: Callable[[], Mapping[str, Any]],
        offers: Offers | None,
    ) -> None:
        self._store, self._spool, self._ring, self._status, self._offers = store, spool, ring, status, offers

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def status(self, _request: Request) -> Response:
        return JSONResponse(dict(self._status()))

    async def offers(self, request: Request) -> Response:
        asset = request.query_params.get("asset", "")[:_LONGEST_ASSET]
        found = [] if self._offers is None else await self._offers(asset)
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def loaded(self, _request: Request) -> Response:
        return JSONResponse({"loaded": await self._store.loaded(), "last": self._spool.last_seq()})

    async def tail(self, request: Request) -> Response:
        after = _number(request, "after", 0, 0, _NEWEST_SEQ)
        limit = _number(request, "limit", 100, 1, _MOST_RECORDS)
        wait_s = _number(request, "wait", 0, 0, MOST_WAIT_S)
        records = await self._records(after, limit)
        if not records and wait_s:
            if self._spool.last_seq() <= after:
                await self._ring.wait(wait_s)
            records = await self._records(after, limit)
        body = await asyncio.to_thread(_join, records) if records else b""
        return Response(body, media_type=_BINARY, headers={"X-Last-Seq": str(self._spool.last_seq())})

    async def _records(self, after: int, limit: int) -> list[SpoolRecord]:
        records = self._ring.after(after, limit)
        if records is not None:
            return records
        first = self._spool.first_seq()
        if after + 1 < first:
            raise RefusedError(410, "gone", str(first))
        return await asyncio.to_thread(self._spool.read, after, limit)

    async def since(self, request: Request) -> Response:
        seq = _number(request, "seq", 0, 0, _NEWEST_SEQ)
        limit = _number(request, "limit", 10_000, 1, 200_000)
        upto, batch = await self._store.since(seq, limit)
        return await _answer(batch, {"X-Seq": str(upto)})

    async def history(self, request: Request) -> Response:
        query = await _query(request)
        span = (query.start_us, query.end_us)
        return await _answer(await self._store.history(_points(query), *span, most_rows=MOST_ROWS))

    async def latest(self, request: Request) -> Response:
        return await _answer(await self._store.latest(_points(await _query(request))))


def _probing(probe: Probe) -> _Handler:
    async def read(request: Request) -> Response:
        found = await probe(request.query_params.get("unit", "")[:_LONGEST_UNIT])
        if found is None:
            raise RefusedError(404, "no_unit", "this gateway reads no such unit")
        return Response(found, media_type=_BINARY)

    return read


def _telling(links: Links) -> _Handler:
    async def tell(request: Request) -> Response:
        return JSONResponse(dict(links(request.query_params.get("asset", "")[:_LONGEST_ASSET])))

    return tell


def _guarded(handler: _Handler, token: str) -> _Handler:
    wanted = f"Bearer {token}".encode()

    async def checked(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, wanted):
            return JSONResponse({"code": "unauthorized", "text": "a valid bearer token is needed"}, 401)
        try:
            return await handler(request)
        except RefusedError as error:
            return JSONResponse({"code": error.code, "text": str(error)}, error.status)
        except GatewayError as error:
            return JSONResponse({"code": "unavailable", "text": str(error)}, 503)

    return checked


def _number(request: Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or not low <= int(text) <= high:
        raise RefusedError(400, "bad_number", f"{name} must be a whole number from {low} to {high}")
    return int(text)


async def _query(request: Request) -> HistoryQuery:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise RefusedError(413, "too_large", f"a body may have {MOST_BODY} bytes")
    try:
        return msgspec.msgpack.decode(bytes(body), type=HistoryQuery)
    except msgspec.MsgspecError as error:
        raise RefusedError(400, "bad_body", str(error)) from error


def _points(query: HistoryQuery) -> np.ndarray[Any, np.dtype[np.uint32]]:
    if len(query.points) % 4 or len(query.points) > 4 * MOST_POINTS:
        raise RefusedError(400, "bad_points", f"points are up to {MOST_POINTS} uint32")
    return np.frombuffer(query.points, dtype="<u4").astype(np.uint32)


async def _answer(batch: ReadingBatch, headers: dict[str, str] | None = None) -> Response:
    return Response(await asyncio.to_thread(batch.to_bytes), media_type=_BINARY, headers=headers)


def _join(records: list[SpoolRecord]) -> bytes:
    """Return records as frames, as many as fit into an answer, one at least."""
    parts: list[bytes] = []
    size = 0
    for record in records:
        parts.append(encode(record))
        size += len(parts[-1])
        if size >= _MOST_TAIL_BYTES:
            break
    return b"".join(parts)
