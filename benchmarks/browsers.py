"""Twenty browsers on the control room with 10,000 active rows while 50 alarms a second change.

A few are real Chromium pages, the others clients that hold the same two connections and read what they are sent.
`visible` runs from the commit in which an alarm was raised to the frame in which Chromium shows its row, `told` to the
message at a client; `web_core_share` is processor time of the web role by time passed; `rows_shown` is from the
opening of a page, under the same load, to its first row.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import socketio
import websockets

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import Acknowledge, ConditionFalls, ConditionRises
from alarms.definitions import load_definitions
from benchmarks.browsers_city import METERS_PER_ZONE
from benchmarks.measure import p99
from gateway.model.reading import to_us
from gateway.runtime import child
from gateway.runtime.clock import CityClock
from gateway.store.state import State
from tests.api.sample_network import sample_network
from tests.api.sample_state import PASSWORD, POLICY, START
from tests.services import accepts, chromium_arguments, find_program, pick_free_port

ROWS = 10_000
BROWSERS, PAGES = 20, 3
CHANGES_PER_S = 50.0
_STANDING, _NEW = "UNDERPRESS_LO", "TICKET_MISSING"
_AT_ONCE = 500
_CLIENT = re.compile(r"'client_id': '([0-9a-f-]+)'")
_WATCH = """
window.seen = {};
const look = () => {
  const now = Date.now();
  for (const row of document.querySelectorAll(".gg-row[data-id^='TICKET_MISSING']"))
    if (!(row.dataset.id in window.seen)) window.seen[row.dataset.id] = now;
};
new MutationObserver(() => requestAnimationFrame(look)).observe(document.body, {childList: true, subtree: true});
"""


@dataclass
class Load:
    """Changes alarms in a thread of its own; `raised` holds when each new one was committed, in ms."""

    state: State
    clock: CityClock
    raised: dict[str, float] = field(default_factory=dict)
    changes: int = 0
    late: int = 0
    """changes that came later than planned by over 50 ms"""
    _stop: threading.Event = field(default_factory=threading.Event)

    def fill(self) -> None:
        """Raise the alarms that stand all the time."""
        desk = self._desk()
        for at in range(0, ROWS, _AT_ONCE):
            now = self.clock.now()
            names = [f"{_STANDING}@M-{number:06}" for number in range(at + 1, at + _AT_ONCE + 1)]
            desk.commit([Edge(name, ConditionRises(now, 1.2)) for name in names])

    def run(self) -> None:
        """Raise, acknowledge and end alarms of the highest priority until told to stop."""
        desk, begun, open_ones = self._desk(), time.monotonic(), []
        for number in range(10_000_000):
            due = begun + number / CHANGES_PER_S
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            self.late += time.monotonic() - due > 0.05
            now = self.clock.now()
            step = number % 3
            if step == 0:
                name = f"{_NEW}@M-{number // 3 + 1:06}"
                desk.commit([Edge(name, ConditionRises(now, None))])
                self.raised[name] = time.time() * 1000
                open_ones.append(name)
            elif step == 1:
                desk.commit([Edge(open_ones[-1], Acknowledge(1, "operator"))], actor="operator")
            elif len(open_ones) > 30:
                desk.commit([Edge(open_ones.pop(0), ConditionFalls(None))])
            else:
                desk.commit([Edge(open_ones[0], ConditionRises(now, None))])
            self.changes += 1

    def stop(self) -> None:
        """End the changes."""
        self._stop.set()

    def _desk(self) -> AlarmDesk:
        return AlarmDesk(self.state, load_definitions(), sample_network(METERS_PER_ZONE), self.clock, POLICY)


def run(*, quick: bool) -> dict[str, float]:
    """Measure for 15 s (quick) or a minute and return the figures."""
    program = find_program("chromium")
    if program is None:
        raise SystemExit("this benchmark needs Chromium (scripts/install-services.sh installs it on Debian 12)")
    seconds = 15.0 if quick else 60.0
    with tempfile.TemporaryDirectory(prefix="gasgate-browsers-") as name, _city(Path(name)) as (url, pid):
        state = State.in_folder(Path(name))
        load = Load(state, CityClock(to_us(START), int(time.time() * 1e6), 1.0))
        load.fill()
        figures = _measure(program, url, pid, load, seconds)
        state.close()
    return figures


@contextlib.contextmanager
def _city(folder: Path) -> Iterator[tuple[str, int]]:
    port = pick_free_port()
    process = child.start(["benchmarks.browsers_city", str(folder), str(port)], log=folder / "web.log")
    try:
        until = time.monotonic() + 60
        while not accepts("127.0.0.1", port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit((folder / "web.log").read_text())
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        child.stop([process])


def _measure(program: str, url: str, pid: int, load: Load, seconds: float) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    with httpx.Client(base_url=url, timeout=30) as client:
        client.post("/api/v1/login", json={"name": "operator", "password": PASSWORD}).raise_for_status()
        cookies = dict(client.cookies)
    readers = Readers(url, cookies)
    loading = threading.Thread(target=load.run, daemon=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=chromium_arguments())
        contexts = [browser.new_context(viewport={"width": 1366, "height": 768}) for _ in range(PAGES + 1)]
        for context in contexts:
            context.add_cookies([{"name": name, "value": value, "url": url} for name, value in cookies.items()])
        pages = [context.new_page() for context in contexts[1:]]
        for page in pages:
            page.goto(url)
            page.locator(".gg-row").first.wait_for()
            page.evaluate(_WATCH)
        readers.start(BROWSERS - PAGES)
        loading.start()
        pages[0].wait_for_timeout(5000)
        warm = set(load.raised)
        cpu, begun = _cpu_s(pid), time.monotonic()
        pages[0].wait_for_timeout(seconds * 1000)
        spent, passed = _cpu_s(pid) - cpu, time.monotonic() - begun
        last = set(load.raised)
        opening = _opening(contexts[0], url)
        load.stop()
        loading.join()
        seen = [page.evaluate("window.seen") for page in pages]
        memory = _memory_mb(pid)
        browser.close()
    told = readers.stop()
    fresh = {name: at for name, at in load.raised.items() if name in last - warm}
    visible = [one[name] - at for one in seen for name, at in fresh.items() if name in one]
    heard = [one[name] - at for one in told for name, at in fresh.items() if name in one]
    return {
        "browsers": float(BROWSERS),
        "chromium_pages": float(PAGES),
        "rows": float(ROWS),
        "changes_per_s": load.changes / (time.monotonic() - begun + 5),
        "changes_late": float(load.late),
        "new_alarms": float(len(fresh)),
        "not_seen": float(len(fresh) * PAGES - len(visible)),
        "not_told": float(len(fresh) * len(told) - len(heard)),
        "visible_p50_ms": float(sorted(visible)[len(visible) // 2]) if visible else float("nan"),
        "visible_p99_ms": p99(visible),
        "told_p99_ms": p99(heard),
        "web_core_share": spent / passed,
        "web_memory_mb": memory,
        "rows_shown_s": max(opening),
    }


def _opening(context: Any, url: str) -> list[float]:
    """Return how long it took to the first row, of three pages opened one after the other."""
    took = []
    for _ in range(3):
        page = context.new_page()
        begun = time.monotonic()
        page.goto(url, wait_until="commit")
        page.locator(".gg-row").first.wait_for()
        took.append(time.monotonic() - begun)
        page.close()
    return took


def _cpu_s(pid: int) -> float:
    """Return the processor seconds that a process has used, in all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


class Readers:
    """Clients that hold what a page holds: the pages' own socket, and the room's, whose messages they read."""

    def __init__(self, url: str, cookies: dict[str, str]) -> None:
        self._url, self._cookie = url, "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._seen: list[dict[str, float]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: list[Any] = []

    def start(self, count: int) -> None:
        """Connect so many, one after the other."""
        self._thread.start()
        for _ in range(count):
            ready = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(30)
            self._tasks.append(ready)

    def stop(self) -> list[dict[str, float]]:
        """End; return when each client was told of each new alarm, in ms."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        return self._seen

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self) -> asyncio.Task[None]:
        seen: dict[str, float] = {}
        self._seen.append(seen)
        headers = {"cookie": self._cookie}
        async with httpx.AsyncClient(base_url=self._url, headers=headers, timeout=30) as client:
            page = (await client.get("/")).text
            await client.get("/room/all?language=zh&after=0")
        found = _CLIENT.search(page)
        if found is None:
            raise RuntimeError("the page names no client")
        own = socketio.AsyncClient()
        query = (
            f"client_id={found[1]}&document_id=d&tab_id=t{len(self._seen)}&next_message_id=0&implicit_handshake=true"
        )
        await own.connect(f"{self._url}?{query}", headers, ["websocket"], socketio_path="/_nicegui_ws/socket.io")
        return asyncio.create_task(self._read(own, seen))

    async def _read(self, own: socketio.AsyncClient, seen: dict[str, float]) -> None:
        address = self._url.replace("http", "ws") + "/room/live?language=zh"
        headers = {"cookie": self._cookie}
        try:
            async with websockets.connect(address, additional_headers=headers, max_size=None) as socket:
                async for text in socket:
                    now = time.time() * 1000
                    for row in json.loads(text).get("alarms", ()):
                        if row["id"].startswith(_NEW):
                            seen.setdefault(row["id"], now)
        finally:
            await own.disconnect()
