"""A sample city behind the API, in the test's process and as a server of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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


@contextmanager
def serving(module: str, folder: Path, *more: str) -> Iterator[Served]:
    """Serve a city by a program of the tests, until the end of the block."""
    port = pick_free_port()
    with subprocess.Popen([sys.executable, "-m", module, str(folder), str(port), *more]) as process:
        try:
            found = Served(f"http://127.0.0.1:{port}", folder, process.pid)
            wait_for(found.url, process)
            yield found
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving("tests.api.sample_state", tmp_path_factory.mktemp("city")) as found:
        yield found


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server that was started answers."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not come up")


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
