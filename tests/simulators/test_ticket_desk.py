from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from alarms.tickets.webhook import WebhookConfig, WebhookSink
from gateway.model.ticket import Attempt, Command, Confirmed, TicketClass
from gateway.runtime.clock import SystemClock
from simulators.desk_store import DeskStore, NewTicket
from simulators.files import write_secret
from tests.services import pick_free_port

NOW_US = 1_768_424_400_000_000
SPEED = 600.0


class Events:
    """Takes status events like gasgate does, and can refuse."""

    def __init__(self, secret: str) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refuse = 0
        self.bad = 0
        self.strange = ""
        """the ticket that gasgate does not know"""
        self.refused: list[dict[str, Any]] = []
        events, webhook = self, Webhook(secret)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if events.refuse > 0:
                    events.refuse -= 1
                    self.send_response(503)
                else:
                    try:
                        event = webhook.verify(body, dict(self.headers))
                        assert event["id"] == self.headers["webhook-id"]
                    except WebhookVerificationError:
                        events.bad += 1
                        self.send_response(401)
                    else:
                        strange = event["data"]["dedup_key"] == events.strange
                        (events.refused if strange else events.taken).append(event)
                        self.send_response(409 if strange else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/api/v1/ticket-events"


class RunningDesk:
    """The desk as its own process."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        write_secret(folder / "secrets" / "desk.secret")
        self.secret = (folder / "secrets" / "desk.secret").read_text().strip()
        self.events = Events(self.secret)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["desk", "--folder", str(self.folder), "--port", str(self.port), "--events-url", self.events.url]
        self.process = subprocess.Popen([sys.executable, "-m", "simulators", *words], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30.0
        while True:
            with suppress(httpx.TransportError):
                httpx.get(self.base, timeout=1.0)
                return
            assert time.monotonic() < end
            assert self.process.poll() is None
            time.sleep(0.05)

    def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        os.kill(self.process.pid, number)
        return self.process.wait(60.0)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(
        self, data: Any, *, secret: str = "", at: datetime | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        envelope = {"specversion": "1.0", "id": "msg_1", "type": "gasgate.ticket.open.v1", "data": data}
        body = json.dumps(envelope)
        moment = (at or datetime.now(UTC)).replace(microsecond=0)
        signed = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(secret or self.secret).sign("msg_1", moment, body),
        }
        return httpx.post(f"{self.base}/tickets", content=body, headers=signed | dict(headers or {}), timeout=60.0)


def _set_clock(folder: Path, speed: float = SPEED) -> None:
    clock = {"city_us": NOW_US, "wall_us": time.time_ns() // 1000, "factor": speed}
    (folder / "clock.json").write_text(json.dumps(clock))


@contextmanager
def _running(folder: Path) -> Iterator[RunningDesk]:
    _set_clock(folder)
    made = RunningDesk(folder, pick_free_port())
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill(signal.SIGTERM)
    made.events.server.shutdown()
    made.events.server.server_close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[RunningDesk]:
    with _running(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """Return a desk for tests that need no empty one."""
    with _running(tmp_path_factory.mktemp("desk")) as made:
        yield made


def _open(number: int = 1, ticket_class: str = "EMERGENCY", **more: Any) -> dict[str, Any]:
    return {
        "dedup_key": f"demo.1:REG-002:GAS_CONC_HIHI:{number}", "ticket_no": f"T-20260115-{number:06d}",
        "command": "open", "command_no": 1, "class": ticket_class, "type": "gas_concentration", "title": "gas",
        "asset": {"id": "REG-002"}, "alarm": {"raised_at": "2026-01-14T21:00:00Z"}, **more,
    }  # fmt: skip


def test_a_ticket_is_taken_once(shared_desk: RunningDesk) -> None:
    first, again = shared_desk.post(_open()), shared_desk.post(_open())
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["duplicate"] is True
    assert first.json()["external_ticket_id"] == again.json()["external_ticket_id"]
    assert first.json()["received_at"] >= "2026-01-14T21:00:00Z"
    found = httpx.get(f"{shared_desk.base}/tickets/by-key/demo.1%3AREG-002%3AGAS_CONC_HIHI%3A1").json()
    assert found["external_ticket_id"] == first.json()["external_ticket_id"]
    assert found["raised_at"] == "2026-01-14T21:00:00Z"
    assert httpx.get(f"{shared_desk.base}/tickets/by-key/none").status_code == 404
    assert "REG-002" in httpx.get(shared_desk.base).text


def test_only_our_signature_opens_the_desk(shared_desk: RunningDesk) -> None:
    other = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
    assert shared_desk.post(_open(2), secret=other).status_code == 401
    assert shared_desk.post(_open(2), at=datetime.now(UTC) - timedelta(minutes=6)).status_code == 401
    assert shared_desk.post(_open(2), headers={"webhook-signature": "v1"}).status_code == 401
    assert httpx.post(f"{shared_desk.base}/tickets", content=b"\xff", timeout=60.0).status_code == 401
    assert shared_desk.post("x" * 20_001).status_code == 413
    assert shared_desk.post(["no", "object"]).status_code == 400
    assert shared_desk.post({**_open(2), "command_no": "one"}).status_code == 400
    assert shared_desk.post({**_open(2), "dedup_key": ""}).status_code == 400
    assert httpx.get(f"{shared_desk.base}/tickets/by-key/{_open(2)['dedup_key']}").status_code == 404


def test_messages_about_a_ticket(shared_desk: RunningDesk) -> None:
    note = {**_open(3), "command": "note", "command_no": 2}
    assert shared_desk.post(note).status_code == 409
    shared_desk.post(_open(3))
    assert [shared_desk.post(note).status_code, shared_desk.post(note).status_code] == [201, 200]


async def test_gasgate_s_own_sink_and_the_desk_understand_each_other(shared_desk: RunningDesk) -> None:
    secret = shared_desk.folder / "secrets" / "desk.secret"
    config = WebhookConfig.model_validate(
        {"kind": "webhook", "name": "desk", "url": f"{shared_desk.base}/tickets", "secrets": [{"file": secret}]}
    )
    sink = WebhookSink(config, SystemClock())
    body = _open(4, "CHECK")
    command = Command(
        body["dedup_key"], body["ticket_no"], "open", 1, "msg_4", TicketClass.CHECK, datetime.now(UTC), body
    )
    assert await sink.lookup(command.dedup_key) is None
    first = await sink.deliver(command, Attempt(1, 2.0, 5.0))
    second = await sink.deliver(command, Attempt(2, 2.0, 5.0))
    found = await sink.lookup(command.dedup_key)
    await sink.close()
    assert isinstance(first, Confirmed)
    assert isinstance(second, Confirmed)
    assert (first.duplicate, second.duplicate) == (False, True)
    assert found is not None
    assert found.external_id == first.ticket.external_id == second.ticket.external_id
    assert found.raised_at == body["alarm"]["raised_at"]


def test_a_desk_without_its_secret_does_not_start(tmp_path: Path) -> None:
    words = ["desk", "--folder", str(tmp_path), "--port", "1", "--events-url", "http://127.0.0.1:1"]
    done = subprocess.run(
        [sys.executable, "-m", "simulators", *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "desk.secret" in done.stderr


def test_the_crew_reports_each_step_once_and_in_order(desk: RunningDesk) -> None:
    desk.events.refuse = 2
    desk.post(_open())
    _wait(lambda: len(desk.events.taken) >= 6)
    steps = [event["type"] for event in desk.events.taken]
    assert steps == ["accepted", "dispatched", "departed", "arrived", "fixed", "completed"]
    assert [event["data"]["version"] for event in desk.events.taken] == [1, 2, 3, 4, 5, 6]
    assert desk.events.bad == 0
    moments = [datetime.fromisoformat(event["data"]["occurred_at"]) for event in desk.events.taken]
    assert [round((m - moments[0]).total_seconds()) for m in moments] == [0, 40, 100, 820, 1900, 2680]
    repairs = list((desk.folder / "repairs").iterdir())
    assert [json.loads(file.read_text())["asset"] for file in repairs] == ["REG-002"]
    changed = httpx.get(f"{desk.base}/tickets?changed_since=").json()
    assert [ticket["state"] for ticket in changed["tickets"]] == ["completed"]
    later = httpx.get(f"{desk.base}/tickets?changed_since={changed['cursor']}").json()
    assert later == {"tickets": [], "cursor": changed["cursor"]}
    assert httpx.get(f"{desk.base}/tickets?changed_since=yesterday").status_code == 400


def test_a_ticket_that_gasgate_does_not_know_is_told_once_and_holds_nobody_up(desk: RunningDesk) -> None:
    desk.events.strange = _open(1)["dedup_key"]
    desk.post(_open(1))
    desk.post(_open(2))
    _wait(lambda: len(desk.events.taken) >= 6 and len(desk.events.refused) >= 6)
    time.sleep(1.0)
    assert [event["data"]["version"] for event in desk.events.refused] == [1, 2, 3, 4, 5, 6]


def test_kill_9_forgets_nothing(desk: RunningDesk) -> None:
    desk.events.refuse = 10**9
    accepted = {number for number in range(1, 7) if desk.post(_open(number, "CHECK")).status_code == 201}
    desk.kill()
    desk.events.refuse = 0
    desk.start()
    assert len(accepted) == 6
    assert [desk.post(_open(number, "CHECK")).status_code for number in accepted] == [200] * 6
    _wait(lambda: len(desk.events.taken) >= 6)
    time.sleep(0.3)
    assert len({event["id"] for event in desk.events.taken}) == len(desk.events.taken) == 6
    assert desk.kill(signal.SIGTERM) in (0, -signal.SIGTERM)


def test_eight_posts_at_once_make_one_ticket(tmp_path: Path) -> None:
    store = DeskStore(tmp_path / "desk.db")
    new = NewTicket("k", "T-1", "CHECK", "leak", "R-001", "title", "2026-01-14T21:00:00Z")

    async def post_all() -> list[bool]:
        results = await asyncio.gather(*(asyncio.to_thread(store.open, new, NOW_US) for _ in range(8)))
        return [made for _, made in results]

    assert sum(asyncio.run(post_all())) == 1
    store.close()


def _wait(done: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)
