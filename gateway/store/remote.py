"""The other end of the store service: reads readings and the log of role keep from another process."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.errors import PermanentError, RefusedError, TransientError
from gateway.model.command import CommandOffer
from gateway.model.reading import ReadingBatch
from gateway.ports import SpoolRecord
from gateway.store.export_service import ExportQuery
from gateway.store.record import decode_all
from gateway.store.service import MOST_POINTS, MOST_WAIT_S, HistoryQuery

_ANSWERS_WITHIN_S = 30.0
_PROBED_WITHIN_S = 180.0
_EXPORTS_WITHIN_S = 600.0


class GoneError(RefusedError):
    """The log no longer reaches back as far as was asked; `first_seq` is the oldest record that is left."""

    def __init__(self, first_seq: int) -> None:
        """Keep where the log begins now."""
        super().__init__(410, "gone", f"the log begins at {first_seq}")
        self.first_seq = first_seq


class RemoteStore:
    """Reads through the store service. Every call raises TransientError while role keep is away.

    It raises PermanentError when the token is wrong.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = _ANSWERS_WITHIN_S) -> None:
        """Make one; it connects when it is first asked."""
        self._http = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=timeout_s, trust_env=False
        )
        self._timeout_s = timeout_s

    async def tail(self, after: int, limit: int = 100, wait_s: float = 10.0) -> tuple[list[SpoolRecord], int]:
        """Return durable records with seq > after, oldest first, and the newest seq; waits real seconds for the first.

        An empty list means that none came; what is too much for one answer is not all in it. Raises GoneError if
        records behind `after` are deleted.
        """
        wait = round(min(wait_s, MOST_WAIT_S))
        params = {"after": after, "limit": limit, "wait": wait}
        answer = await self._ask("GET", "/tail", params=params, timeout=self._timeout_s + wait)
        records = await asyncio.to_thread(lambda: list(decode_all(answer.content))) if answer.content else []
        return records, int(answer.headers["X-Last-Seq"])

    async def since(self, seq: int, limit: int) -> tuple[int, ReadingBatch]:
        """Return stored rows with a load seq > `seq` and the seq of the last, as `ReadingStore.since`."""
        answer = await self._ask("GET", "/since", params={"seq": seq, "limit": limit})
        return int(answer.headers["X-Seq"]), ReadingBatch.from_bytes(answer.content)

    async def history(self, points: NDArray[np.uint32], start_us: int, end_us: int) -> ReadingBatch:
        """Return rows with start <= source_time < end of these points, sorted by point and source time.

        A span too large for one answer is asked for in parts.
        """
        wanted = np.unique(points)
        parts = [wanted[at : at + MOST_POINTS] for at in range(0, len(wanted), MOST_POINTS)]
        return ReadingBatch.concat([await self._part(part, start_us, end_us) for part in parts])

    async def latest(self, points: NDArray[np.uint32]) -> ReadingBatch:
        """Return the row with the newest source time of each point that has one."""
        answer = await self._ask("POST", "/latest", content=_body(points))
        return ReadingBatch.from_bytes(answer.content)

    async def loaded(self) -> int:
        """Return the newest seq that was loaded."""
        answer = await self._ask("GET", "/loaded")
        return int(answer.json()["loaded"])

    async def last_seq(self) -> int:
        """Return the sequence of the newest record of the log."""
        answer = await self._ask("GET", "/loaded")
        return int(answer.json()["last"])

    async def days(self) -> tuple[date, date] | None:
        """Return the first and the last received day there may be readings of, None if there is none."""
        found = [date.fromisoformat(day) for day in (await self._ask("GET", "/days")).json()]
        return (found[0], found[1]) if found else None

    async def export_day(self, family: str, day: date, points: NDArray[np.uint32] | None, path: Path) -> int:
        """Write a Parquet file of one family and day, return its rows; none, no file. Raises TransientError."""
        chosen = None if points is None else np.asarray(points, dtype="<u4").tobytes()
        body = msgspec.msgpack.encode(ExportQuery(family, day, chosen))
        try:
            async with self._http.stream("POST", "/export", content=body, timeout=_EXPORTS_WITHIN_S) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise _error_of(answer)
                if answer.status_code == httpx.codes.NO_CONTENT:
                    return 0
                with path.open("wb") as out:
                    async for chunk in answer.aiter_bytes():
                        await asyncio.to_thread(out.write, chunk)
                return int(answer.headers["X-Rows"])
        except httpx.HTTPError as error:
            raise TransientError(f"the store service is away: {error or type(error).__name__}") from error

    async def status(self) -> dict[str, Any]:
        """Return how role keep is doing: accounting, lag, links, outputs."""
        answer = await self._ask("GET", "/status")
        return dict(answer.json())

    async def offers(self, asset: str) -> list[CommandOffer]:
        """Return the commands that can be given to an asset now."""
        answer = await self._ask("GET", "/offers", params={"asset": asset})
        return msgspec.json.decode(answer.content, type=list[CommandOffer])

    async def links(self, asset: str) -> dict[str, Any]:
        """Return `links`, the states of what reads an asset, and `known`, False where they only may be it."""
        answer = await self._ask("GET", "/links", params={"asset": asset})
        return dict(answer.json())

    async def probe(self, unit: str) -> bytes:
        """Return what one read of `<source>/<link>/<unit>` over the gateway's link brought, as role keep encodes it.

        Raises RefusedError (404) if the gateway reads no such unit.
        """
        answer = await self._ask("POST", "/probe", params={"unit": unit}, timeout=_PROBED_WITHIN_S)
        return answer.content

    async def close(self) -> None:
        """Close; may be called twice."""
        await self._http.aclose()

    async def _part(self, points: NDArray[np.uint32], start_us: int, end_us: int) -> ReadingBatch:
        try:
            answer = await self._ask("POST", "/history", content=_body(points, start_us, end_us))
            return await asyncio.to_thread(ReadingBatch.from_bytes, answer.content)
        except RefusedError as error:
            if error.status != httpx.codes.REQUEST_ENTITY_TOO_LARGE or len(points) < 2:
                raise
        middle = len(points) // 2
        return ReadingBatch.concat(
            [await self._part(half, start_us, end_us) for half in (points[:middle], points[middle:])]
        )

    async def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **request)
        except (httpx.HTTPError, RuntimeError) as error:
            raise TransientError(f"the store service is away: {error or type(error).__name__}") from error
        if answer.is_success:
            return answer
        raise _error_of(answer)


def _error_of(answer: httpx.Response) -> Exception:
    try:
        said = answer.json()
        code, text = str(said["code"]), str(said["text"])
    except (ValueError, KeyError, TypeError):
        code, text = "unknown", f"the store service answered {answer.status_code}"
    if answer.status_code == httpx.codes.GONE:
        return GoneError(int(text))
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return PermanentError(f"store service: {text}")
    if answer.status_code >= 500:
        return TransientError(f"store service: {text}")
    return RefusedError(answer.status_code, code, text)


def _body(points: NDArray[np.uint32], start_us: int = 0, end_us: int = 0) -> bytes:
    return msgspec.msgpack.encode(HistoryQuery(np.asarray(points, dtype="<u4").tobytes(), start_us, end_us))
