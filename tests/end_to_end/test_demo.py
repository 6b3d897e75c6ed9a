"""The demo as a new user meets it: one command, a story that tells itself, and nothing left behind."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.small_site import wait_until

SPEED = 60
PASSWORD = "demo-only"


class Demo:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.web = ""

    def start(self) -> float:
        began = time.monotonic()
        self.begin()
        self.wait_until_ready()
        return time.monotonic() - began

    def begin(self) -> None:
        with self.folder.with_suffix(".log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "demo", "--folder", str(self.folder), "--speed", str(SPEED)],
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def wait_until_ready(self) -> None:
        assert self.process is not None
        process = self.process
        wait_until(lambda: "is ready" in self.output() or process.poll() is not None, what="the demo", limit_s=90)
        assert process.poll() is None, self.output()
        (self.web, *_) = re.findall(r"http://127\.0\.0\.1:\d+", self.output())

    def output(self) -> str:
        return self.folder.with_suffix(".log").read_text()

    def end(self, number: int = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)

    def pids(self) -> set[int]:
        assert self.process is not None
        return descendants(self.process.pid)

    def client(self, name: str) -> httpx.Client:
        client = httpx.Client(base_url=self.web, timeout=20)
        client.post("/api/v1/login", json={"name": name, "password": PASSWORD}).raise_for_status()
        return client


def descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and _state(pid) != "Z"}


def program(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def listening(pids: set[int]) -> dict[int, str]:
    """Return port > address (hex) of every TCP socket that these processes listen on."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                found[int(port, 16)] = address
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_tells_its_story_and_leaves_nothing_behind(tmp_path):
    demo = Demo(tmp_path / "demo")
    try:
        demo.start()
        pids = demo.pids()
        assert set(listening(pids).values()) == {"0100007F"}, "only loopback"
        with closing(demo.client("engineer")) as client:
            _story(client)
            _no_reading_missing(client, demo.folder)
        assert demo.end() == 0
        wait_until(lambda: not alive(pids), what="the end of every process", limit_s=10)

        assert demo.start() < 40, "the second start"
        pids = demo.pids()
        programs = {pid: program(pid) for pid in pids}
        with closing(demo.client("operator")) as client:
            tickets = _items(client, "/api/v1/tickets")
            assert any(ticket["asset"] == "REG-002" for ticket in tickets), "goes on from where it was"
        demo.end(signal.SIGKILL)
        with suppress(TimeoutError):
            wait_until(lambda: not alive(pids), what="the end of every process after a kill", limit_s=20)
        assert [programs[pid] for pid in alive(pids)] == []
    finally:
        if demo.process is not None and demo.process.poll() is None:
            demo.end()


def _items(client: httpx.Client, path: str, **params: str) -> list[dict[str, Any]]:
    answer = client.get(path, params=params)
    answer.raise_for_status()
    body = answer.json()
    return body if isinstance(body, list) else body[path.rpartition("/")[2].replace("-", "_")]


def _no_reading_missing(client: httpx.Client, folder: Path) -> None:
    """Every half-hour reading of every remote meter is there once, although the broker was away at 05:22."""
    with (folder / "network" / "meters.csv").open(encoding="utf-8") as file:
        remote = [row["meter_id"] for row in csv.DictReader(file) if row["kind"] == "remote"]
    assert len(remote) > 100
    wanted = ["2026-01-14T21:00:00", "2026-01-14T21:30:00", "2026-01-14T22:00:00"]
    for meter in remote[::7]:
        span = {"start": "2026-01-14T20:59:00Z", "end": "2026-01-14T22:01:00Z"}
        answer = client.get(f"/api/v1/points/{meter}/register_measured_m3/history", params=span).raise_for_status()
        assert [datetime.fromtimestamp(t / 1000, UTC).isoformat()[:19] for t in answer.json()["times_ms"]] == wanted, (
            meter
        )


def _story(client: httpx.Client) -> None:
    def ticket() -> dict[str, Any]:
        return next((one for one in _items(client, "/api/v1/tickets") if one["asset"] == "REG-002"), {})

    def findings() -> set[tuple[str, str]]:
        return {(one["kind"], one["meter"] or one["zone"]) for one in _items(client, "/api/v1/findings")}

    def journal_of_silence() -> list[str]:
        return [one["id"] for one in _items(client, "/api/v1/alarms") if "COMM_LOSS" in one["id"]]

    wait_until(lambda: ticket().get("arrived_at"), what="the crew at REG-002", limit_s=60)
    assert ticket()["ticket_class"] == "EMERGENCY"
    wait_until(journal_of_silence, what="the alarm of the silent station", limit_s=40)
    assert journal_of_silence() == ["STATION_COMM_LOSS@S-02"], "one alarm, not a hundred"
    wait_until(lambda: _items(client, "/api/v1/dead-letters"), what="the dead letters", limit_s=40)
    wait_until(
        lambda: {("theft", "M-000229"), ("non_moving", "M-000036")} <= findings(), what="both meters", limit_s=90
    )
    assert len(findings()) == 2, "nobody else is suspected"
