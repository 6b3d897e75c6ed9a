"""A sample city behind the API, in the test's process and as a server of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from api import passwords
from api.app import make_rest
from api.deps import Parts
from tests.api.sample_state import CHEAP, PASSWORD, fill_folder, open_folder
from tests.services import chromium_arguments, pick_free_port

SIZES = ((1366, 768), (1920, 1080), (2560, 1440))
PATIENCE_MS = 30_000
"""how long an expectation of a page is waited for: no promise of the page, a loaded machine is slow"""


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what the sample city has on disk; nobody writes to it."""
    folder = tmp_path_factory.mktemp("sample")
    fill_folder(folder)
    return folder


@pytest.fixture
def parts(sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    monkeypatch.setattr(passwords, "_hasher", CHEAP)
    shutil.copytree(sample_folder, tmp_path, dirs_exist_ok=True)
    made = open_folder(tmp_path, factor=1.0)
    yield made
    made.state.close()


@dataclass
class Api:
    """The app over ASGI; `as_user` gives a client that is logged in."""

    transport: httpx.ASGITransport

    def nobody(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport, base_url="http://gasgate.test")

    @asynccontextmanager
    async def as_user(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        async with self.nobody() as client:
            answer = await client.post("/api/v1/login", json={"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            yield client


@pytest.fixture
async def rest(parts: Parts) -> AsyncIterator[Api]:
    app = make_rest(parts)
    async with app.router.lifespan_context(app):
        await app.state.pulse.refresh()
        yield Api(httpx.ASGITransport(app=app, client=("203.0.113.9", 5555)))


@dataclass(frozen=True)
class Served:
    """A sample city served by a process of its own."""

    url: str
    folder: Path
    pid: int


class Nursery:
    """A process that gives birth to servers; see `tests.api.nursery`."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "tests.api.nursery"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, *words: object) -> int:
        """Start a server and return its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(words), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End when no more servers are wanted."""
        self._process.communicate(timeout=60)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@contextmanager
def serving(nursery: Nursery, module: str, folder: Path, *more: str) -> Iterator[Served]:
    """Serve a city by a module of the tests, until the end of the block."""
    port = pick_free_port()
    found = Served(f"http://127.0.0.1:{port}", folder, nursery.start(module, str(folder), port, *more))
    try:
        wait_for(lambda: answers(found), "the server did not come up")
        yield found
    finally:
        with suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGTERM)
        wait_for(lambda: not lives(found.pid), "the server did not end")


@pytest.fixture(scope="module")
def served(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(nursery, "tests.api.sample_state", tmp_path_factory.mktemp("city")) as found:
        yield found


def wait_for(ready: Callable[[], bool], failure: str) -> None:
    until = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < until, failure
        time.sleep(0.05)


def answers(served: Served) -> bool:
    assert lives(served.pid), "the server ended"
    try:
        return httpx.get(f"{served.url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=chromium_arguments())
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Any]:
    """Give a function that logs a user in and opens a page; a script error on it fails the test."""
    contexts = []
    errors: list[str] = []

    def open_as(
        user: str, path: str = "/", *, language: str = "en", theme: str = "dark", size: tuple[int, int] = SIZES[0]
    ) -> Page:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        contexts.append(context)
        for name, value in (("gasgate_language", language), ("gasgate_theme", theme)):
            context.add_cookies([{"name": name, "value": value, "url": served.url}])
        answer = context.request.post(f"{served.url}/api/v1/login", data={"name": user, "password": PASSWORD})
        assert answer.ok
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: errors.append(request.url) if not _own(request.url, served.url) else None)
        page.goto(served.url + path)
        return page

    yield open_as
    for context in contexts:
        context.close()
    assert errors == []


def _own(address: str, url: str) -> bool:
    return address.startswith((url, url.replace("http", "ws"), "data:", "blob:"))
