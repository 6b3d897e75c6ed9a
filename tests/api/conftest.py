"""A sample city behind the API, in the test's process and as a server of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from api.app import make_rest
from api.deps import Parts
from tests.api.sample_state import PASSWORD, sample_parts
from tests.services import pick_free_port


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = sample_parts(tmp_path, factor=1.0)
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


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("city")
    port = pick_free_port()
    with subprocess.Popen([sys.executable, "-m", "tests.api.sample_state", str(folder), str(port)]) as process:
        try:
            served = Served(f"http://127.0.0.1:{port}", folder, process.pid)
            _wait_for(served.url, process)
            yield served
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not come up")
