"""Listeners of /api/v1/live that read, that never read, that fall behind and that lose their right to listen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from api.app import make_rest
from api.deps import Parts
from api.routes import stream
from api.services.live import Board, Change
from tests.api.sample_state import PASSWORD


@dataclass
class Running:
    """The REST API on a real socket, in this loop."""

    port: int
    app: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def board(self) -> Board:
        board: Board = self.app.state.board
        return board

    def say(self, padding: int = 0) -> None:
        """Tell all listeners one change more."""
        self.board.apply(Change(self.board.number + 1, gone=("x" * padding,)))

    async def until_open(self, count: int) -> None:
        async with asyncio.timeout(60):
            while (self.app.state.streams.open, self.board.listeners) != (count, count):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
async def running(parts: Parts) -> AsyncIterator[Running]:
    app = make_rest(parts)
    taken = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve([taken]))
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    yield Running(taken.getsockname()[1], app)
    server.should_exit = True
    await serving
    taken.close()


@contextlib.asynccontextmanager
async def logged_in(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=60) as client:
        await client.post("/api/v1/login", json={"name": "viewer", "password": PASSWORD})
        yield client


async def never_reads(running: Running, client: httpx.AsyncClient) -> socket.socket:
    """Open a stream and read no byte of it."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", running.port))
    cookie = f"gasgate_session={client.cookies['gasgate_session']}"
    await asyncio.get_running_loop().sock_sendall(
        raw, f"GET /api/v1/live HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n".encode()
    )
    return raw


async def test_every_listener_hears_each_change_and_it_is_written_once(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = stream._change

    def counting(change: Change, parts: Parts) -> dict[str, Any]:
        written.append(change.number)
        return real(change, parts)

    monkeypatch.setattr(stream, "_change", counting)

    async def listen(client: httpx.AsyncClient) -> list[int]:
        heard: list[int] = []
        async with client.stream("GET", "/api/v1/live") as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    heard.append(json.loads(line[5:])["number"])
                if len(heard) == 5:
                    break
        return heard

    async with logged_in(running) as client:
        tasks = [asyncio.create_task(listen(client)) for _ in range(20)]
        await running.until_open(20)
        first = running.board.number + 1
        for _ in range(5):
            running.say()
        assert await asyncio.gather(*tasks) == [list(range(first, first + 5))] * 20
        assert written == list(range(first, first + 5))
        await running.until_open(0)


async def test_a_listener_that_never_reads_is_given_up(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_WITHIN_S", 0.5)
    async with logged_in(running) as client:
        raw = await never_reads(running, client)
        try:
            await running.until_open(1)
            for _ in range(40):
                running.say(500_000)
                await asyncio.sleep(0)
            await running.until_open(0)
        finally:
            raw.close()
        assert (await client.get("/api/v1/me")).status_code == 200


async def test_a_listener_that_falls_behind_is_sent_away_and_the_others_hear(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async with logged_in(running) as client, client.stream("GET", "/api/v1/live") as answer:
        await running.until_open(1)
        for _ in range(stream._WAITING + 10):
            running.say()
        lines = [line async for line in answer.aiter_lines()]
        await running.until_open(0)
    assert sum(line.startswith("data:") for line in lines) <= stream._WAITING, "it ends: a gap is never hidden"
    assert "could not be told" not in caplog.text


async def test_no_more_than_the_bound_may_listen_whether_they_read_or_not(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LIVE_LISTENERS", 2)
    async with logged_in(running) as client:
        hanging = [await never_reads(running, client) for _ in range(2)]
        await running.until_open(2)
        refused = await client.get("/api/v1/live")
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_listeners")
        for raw in hanging:
            raw.close()
        await running.until_open(0)


async def test_a_listener_whose_session_ended_hears_no_more(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_HEARTBEAT_S", 0.2)
    async with logged_in(running) as client, client.stream("GET", "/api/v1/live") as answer:
        await running.until_open(1)
        assert (await client.post("/api/v1/logout", json={})).status_code == 204
        async with asyncio.timeout(60):
            async for _ in answer.aiter_lines():
                running.say()
        await running.until_open(0)
