"""The part of the store service that gives whole days away as Parquet files."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gateway.errors import RefusedError
from gateway.store.exporting import FAMILIES, ExportSource, Points
from gateway.store.journal import PART

_CHUNK = 1 << 20
_PARQUET = "application/vnd.apache.parquet"
_MOST_BODY = 64 << 20


class ExportQuery(msgspec.Struct, frozen=True):
    """Body of POST /export, as msgpack."""

    family: str
    day: date
    points: bytes | None = None
    """uint32, little-endian; None for every point"""


class ExportService:
    """Writes one day at a time beside the store, sends it and removes it."""

    def __init__(self, source: ExportSource, folder: Path) -> None:
        """Make one that writes its files in `folder`, which is swept when the store is opened."""
        self._source, self._folder = source, folder
        self._turn = asyncio.Semaphore(1)

    async def days(self, _request: Request) -> Response:
        """Answer the first and the last received day."""
        return JSONResponse([str(day) for day in await self._source.days() or ()])

    async def export(self, request: Request) -> Response:
        """Answer a day as a Parquet file, 204 if it has no rows."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BODY:
                raise RefusedError(413, "too_large", f"a body may have {_MOST_BODY} bytes")
        try:
            query = msgspec.msgpack.decode(bytes(body), type=ExportQuery)
        except msgspec.MsgspecError as error:
            raise RefusedError(400, "bad_body", str(error)) from error
        if query.family not in FAMILIES or len(query.points or b"") % 4:
            raise RefusedError(400, "bad_body", f"a family is one of {', '.join(FAMILIES)}, points are uint32")
        path = self._folder / f"export-{uuid.uuid4()}{PART}"
        try:
            async with self._turn:
                rows = await self._source.export_day(query.family, query.day, _points(query), path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if not rows:
            return Response(status_code=204)
        return StreamingResponse(_send(path), headers={"X-Rows": str(rows)}, media_type=_PARQUET)


def _points(query: ExportQuery) -> Points | None:
    return None if query.points is None else np.frombuffer(query.points, dtype="<u4").astype(np.uint32)


async def _send(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(path.unlink)
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()
