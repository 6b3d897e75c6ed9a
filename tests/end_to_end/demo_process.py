"""The demo as a process of its own, started and ended as a user does it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from simulators.city import demo_plan, story_meters
from tests.end_to_end.small_site import wait_until

SPEED = 60
PASSWORD = "demo-only-city"
BUSINESS, HOME = story_meters(demo_plan(1, 60))
"""the meters that the story of the demo's city is about"""


class Demo:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.web = ""
        self.first_s = 0.0
        """processor seconds of the first start, which makes the city"""

    def start(self) -> float:
        """Start it, and return the processor seconds that it and its processes took until it was ready."""
        self.begin()
        self.wait_until_ready()
        return sum(map(_processor_s, self.pids()))

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


def _processor_s(pid: int) -> float:
    """Return what a process and those of its own that ended took, s."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


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
