"""The store service over a real socket, read by its own client and by a stranger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn

from gateway.errors import PermanentError, RefusedError, TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import DeadLetter, Delivery, SpoolRecord
from gateway.store import service
from gateway.store.readings import DuckReadings
from gateway.store.remote import GoneError, RemoteStore
from gateway.store.spool import FileSpool
from gateway.store.tail import TailRing
from tests.contracts.spool_contract import rows
from tests.contracts.store_contract import HOUR, T0, StoreContract, batch_of, rows_of

TOKEN = "a token"


class Keep:
    """What role keep serves, on a port of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.spool = FileSpool(folder / "spool", segment_bytes=300, cap_bytes=0)
        self.store = DuckReadings(folder / "readings")
        self.ring = TailRing(most_records=5)
        self.url = f"http://127.0.0.1:{port}"
        app = service.make_service(self.store, self.spool, self.ring, TOKEN, lambda: {"lag": 3})
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off", ws="none")
        self.server = uvicorn.Server(config)

    async def start(self) -> None:
        self.task = asyncio.create_task(self.server.serve())
        while not self.server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.server.should_exit = True
        await self.task

    def append(self, *values: float, dead: tuple[DeadLetter, ...] = ()) -> None:
        self.ring.push(self.spool.append([Delivery("a", rows(*values), dead)]))


@pytest.fixture
async def keep(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Keep]:
    keep = Keep(tmp_path, free_port())
    await keep.start()
    yield keep
    await keep.stop()
    keep.spool.close()
    await keep.store.close()


@pytest.fixture
async def remote(keep: Keep) -> AsyncIterator[RemoteStore]:
    remote = RemoteStore(keep.url, TOKEN, timeout_s=5)
    yield remote
    await remote.close()


class Both:
    """Loads into the store and reads through the service, so that the store's contract covers the way between."""

    def __init__(self, keep: Keep, remote: RemoteStore) -> None:
        self.load = keep.store.load
        self.loaded, self.since = remote.loaded, remote.since
        self.history, self.latest = remote.history, remote.latest
        self.close = remote.close


class TestRemoteStore(StoreContract):
    @pytest.fixture
    def store(self, keep: Keep, remote: RemoteStore) -> Both:
        return Both(keep, remote)


async def test_the_tail_is_what_was_appended(keep: Keep, remote: RemoteStore) -> None:
    letter = DeadLetter("mqtt", "t", b"\xff", "unreadable", 9)
    keep.append(1.0, 2.0, dead=(letter,))
    keep.append(3.0)
    (first, second), newest = await remote.tail(0, wait_s=0)
    assert newest == 2
    assert (first.seq, first.batch.value.tolist(), first.dead) == (1, [1.0, 2.0], (letter,))
    assert (second.seq, second.batch.value.tolist(), second.dead) == (2, [3.0], ())
    assert [one.seq for one in (await remote.tail(0, limit=1, wait_s=0))[0]] == [1]
    assert await remote.last_seq() == 2


async def test_a_tail_too_long_for_one_answer_says_how_much_there_is(keep: Keep, remote: RemoteStore) -> None:
    for _ in range(4):
        keep.append(*range(80_000))  # 2.3 MB each
    records, newest = await remote.tail(0, wait_s=0)
    assert [one.seq for one in records] == [1, 2]
    assert newest == 4


async def test_the_tail_waits_for_the_next_record(keep: Keep, remote: RemoteStore) -> None:
    waiting = asyncio.create_task(remote.tail(0, wait_s=service.MOST_WAIT_S))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    begun = time.monotonic()
    keep.append(5.0)
    assert [one.batch.value[0] for one in (await waiting)[0]] == [5.0]
    assert time.monotonic() - begun < service.MOST_WAIT_S / 2
    assert (await remote.tail(1, wait_s=1))[0] == []


async def test_what_memory_forgot_comes_from_disk_and_then_is_gone(keep: Keep, remote: RemoteStore) -> None:
    for value in range(20):
        keep.append(float(value))
    assert [one.seq for one in (await remote.tail(2, limit=100))[0]] == list(range(3, 21))
    keep.spool.release(20)
    first = keep.spool.first_seq()
    assert first > 3
    with pytest.raises(GoneError) as caught:
        await remote.tail(2)
    assert caught.value.first_seq == first
    assert [one.seq for one in (await remote.tail(first - 1, limit=100))[0]][-1] == 20


@pytest.mark.parametrize("path", ["/tail", "/since", "/loaded", "/status"])
async def test_nothing_is_told_without_the_token(keep: Keep, path: str) -> None:
    async with httpx.AsyncClient(base_url=keep.url) as stranger:
        assert (await stranger.get(path)).status_code == 401
        for value in ("Bearer", f"Bearer {TOKEN}x", TOKEN, "Basic YTpi"):
            assert (await stranger.get(path, headers={"Authorization": value})).status_code == 401
        assert (await stranger.get("/healthz")).json() == {"ok": True}


async def test_a_wrong_token_is_permanent(keep: Keep) -> None:
    remote = RemoteStore(keep.url, "wrong")
    with pytest.raises(PermanentError, match="token"):
        await remote.loaded()
    await remote.close()


def test_an_empty_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="token"):
        service.make_service(None, None, None, "", dict)  # type: ignore[arg-type]


async def test_the_status_goes_through(remote: RemoteStore) -> None:
    assert await remote.status() == {"lag": 3}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/tail?after=-1", b"", 400),
        ("GET", "/tail?after=1&limit=9999999", b"", 400),
        ("GET", "/tail?wait=%C2%B2", b"", 400),
        ("GET", "/since?seq=1e3", b"", 400),
        ("POST", "/history", b"\xc1", 400),
        ("POST", "/history", b"x" * (service.MOST_BODY + 1), 413),
        ("POST", "/latest", b"\x81\xa6points\xc4\x03abc", 400),
        ("POST", "/history", b"\x83\xa6points\xc4\x00\xa8start_us\xcf" + b"\xff" * 8 + b"\xa6end_us\x00", 400),
    ],
)
async def test_a_bad_question_is_refused(keep: Keep, method: str, path: str, body: bytes, status: int) -> None:
    async with httpx.AsyncClient(base_url=keep.url, headers={"Authorization": f"Bearer {TOKEN}"}) as stranger:
        answer = await stranger.request(method, path, content=body)
        assert (answer.status_code, set(answer.json())) == (status, {"code", "text"})


async def test_a_history_too_long_for_one_answer_is_asked_for_in_parts(
    keep: Keep, remote: RemoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_ROWS", 4)
    await keep.store.load(1, batch_of([(point, hour, 1.0) for point in range(4) for hour in range(3)]))
    found = await remote.history(np.arange(4, dtype=np.uint32), 0, 2**62)
    assert [row[:2] for row in rows_of(found)] == [(point, hour) for point in range(4) for hour in range(3)]
    await keep.store.load(2, batch_of([(9, hour, 1.0) for hour in range(5)]))
    with pytest.raises(RefusedError, match="shorter span"):
        await remote.history(np.array([9], np.uint32), 0, 2**62)
    assert len(await remote.history(np.array([9], np.uint32), T0, T0 + 4 * HOUR)) == 4


async def test_while_keep_is_away_everything_is_transient_and_then_works_again(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    remote = RemoteStore(f"http://127.0.0.1:{port}", TOKEN, timeout_s=2)
    for call in (remote.loaded(), remote.tail(0), remote.status(), remote.latest(np.array([1], np.uint32))):
        with pytest.raises(TransientError, match="away"):
            await call
    keep = Keep(tmp_path, port)
    await keep.start()
    assert await remote.loaded() == 0
    await keep.stop()
    keep.spool.close()
    await keep.store.close()
    with pytest.raises(TransientError):
        await remote.loaded()
    await remote.close()


async def test_a_closed_store_is_transient(keep: Keep, remote: RemoteStore) -> None:
    await keep.store.close()
    with pytest.raises(TransientError, match="closed"):
        await remote.since(0, 10)


def test_the_ring_forgets_the_oldest() -> None:
    async def check() -> None:
        ring = TailRing(most_bytes=1000)
        assert ring.after(0, 10) is None
        spooled = [Delivery("a", ReadingBatch.build([1] * 10, [0] * 10, 0, [1.0] * 10)) for _ in range(9)]
        for seq, delivery in enumerate(spooled, start=1):
            ring.push(SpoolRecord(seq, delivery.batch))
        assert ring.after(0, 10) is None
        assert [one.seq for one in ring.after(7, 10) or ()] == [8, 9]
        assert ring.after(9, 10) == []

    asyncio.run(check())
