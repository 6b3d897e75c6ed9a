"""Who may listen to the control room, from which page, and for how long: over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from nicegui import core
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api.app import make_rest
from api.auth import SESSION_COOKIE
from api.deps import Parts
from api.pages import room_feed, rooms
from api.roles import Act, Role
from api.services import tokens
from gateway.store import credential_rows, user_rows
from tests.api.sample_state import PASSWORD


@pytest.fixture
async def host(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
    monkeypatch.setattr(rooms, "CHECK_EVERY_S", 0.1)
    app = make_rest(parts)
    app.include_router(rooms.router)
    app.state.rooms = rooms.Rooms(app.state.board, app.state.pulse)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve([taken]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield f"127.0.0.1:{taken.getsockname()[1]}"
        server.should_exit = True
        await serving


async def session_of(host: str, name: str) -> str:
    async with httpx.AsyncClient(base_url=f"http://{host}", timeout=60) as client:
        answer = await client.post("/api/v1/login", json={"name": name, "password": PASSWORD})
        return str(answer.json()["session"])


def listening(host: str, session: str, origin: str | None) -> Any:
    headers = {"cookie": f"{SESSION_COOKIE}={session}"}
    return connect(f"ws://{host}/room/live", origin=origin, additional_headers=headers, proxy=None)  # type: ignore[arg-type]


async def test_only_pages_of_our_own_may_listen(host: str) -> None:
    session = await session_of(host, "viewer")
    async with listening(host, session, f"http://{host}") as own:
        assert "hello" in await own.recv()
    for origin in ("http://127.0.0.1:1", "https://evil.example", "null", ""):
        with pytest.raises(InvalidStatus):
            await listening(host, session, origin)


async def test_the_first_message_has_the_most_urgent_rows_and_counts_all(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_feed, "FIRST_ROWS", 2)
    session = await session_of(host, "viewer")
    async with listening(host, session, f"http://{host}") as there:
        hello = json.loads(await there.recv())
    async with httpx.AsyncClient(base_url=f"http://{host}", cookies={SESSION_COOKIE: session}) as client:
        everything = (await client.get("/room/all")).json()
    active = sorted((row for row in everything["alarms"] if row["tab"] == "active"), key=lambda row: str(row["key"]))
    assert len(active) > 2
    assert hello["alarms"] == active[:2]
    assert hello["counts"]["active"] == len(active)
    assert sum(hello["counts"].values()) == len(everything["alarms"])
    assert {name: hello[name] for name in ("strip", "flood", "horn")} == {
        name: everything[name] for name in ("strip", "flood", "horn")
    }


async def test_who_must_change_the_password_or_may_not_read_sees_nothing(host: str, parts: Parts) -> None:
    owner = parts.auth.of_session(await session_of(host, "operator"))
    assert owner is not None
    _, narrow = tokens.make(parts, owner, "narrow", Role.OPERATOR, days=1, acts=[Act.CALL_TAKE])
    headers = {"authorization": f"Bearer {narrow}"}
    async with connect(f"ws://{host}/room/live", additional_headers=headers, proxy=None) as there:
        with pytest.raises(ConnectionClosed):
            await there.recv()
        assert there.close_code == rooms.LOGGED_OUT
    session = await session_of(host, "viewer")
    with parts.state.write() as connection:
        user_rows.set_user(connection, "viewer", must_change=True)
    async with httpx.AsyncClient(base_url=f"http://{host}") as client:
        assert (await client.get("/room/all", headers=headers)).status_code == 403
        assert (await client.get("/room/all")).status_code == 401
        client.cookies[SESSION_COOKIE] = session
        assert (await client.get("/room/all")).status_code == 403


async def test_listening_is_no_use_of_a_session_and_ends_with_it(host: str, parts: Parts) -> None:
    session = await session_of(host, "viewer")
    key = session.split("_")[1]
    async with listening(host, session, f"http://{host}") as there:
        assert "hello" in await there.recv()
        long_ago = parts.auth.wall_us() - 120_000_000
        with parts.state.write() as connection:
            credential_rows.touch_session(connection, key, long_ago)
        await asyncio.sleep(0.5)
        with parts.state.read() as connection:
            seen = credential_rows.find_session(connection, key)
        assert seen is not None
        assert seen.used_at == long_ago
        with parts.state.write() as connection:
            credential_rows.end_session(connection, key)
        await asyncio.wait_for(there.wait_closed(), 60)
        assert there.close_code == rooms.LOGGED_OUT
