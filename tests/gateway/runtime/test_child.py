"""A child never outlives its parent, whatever state it is in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's help is Linux's alone")

STUBBORN = """
import signal, sys, time
from gateway.runtime.child import die_with_parent
signal.signal(signal.SIGTERM, signal.SIG_IGN)
die_with_parent()
print("ready", flush=True)
time.sleep(600)
"""
PARENT = """
import sys, time
from pathlib import Path
from gateway.runtime import child
print(child.start(sys.argv[2:], log=Path(sys.argv[1])).pid, flush=True)
time.sleep(600)
"""


def test_an_orphan_that_does_not_end_says_where_it_stands_and_is_killed(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    log = tmp_path / "log"
    pid = kill_parent_of(["stubborn"], log, tmp_path)
    assert gone(pid, within_s=12)
    assert "stubborn.py" in log.read_text(), "the stack is in the log"


def test_a_foreign_program_that_ignores_the_signal_dies_with_its_parent(tmp_path: Path) -> None:
    program = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    pid = kill_parent_of(["gateway.runtime.child", "sh", "-c", program], tmp_path / "log", tmp_path)
    assert gone(pid, within_s=5)


def kill_parent_of(module: list[str], log: Path, folder: Path) -> int:
    arguments = [sys.executable, "-c", PARENT, str(log), *module]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        end = time.monotonic() + 60
        while "ready" not in (log.read_text() if log.exists() else "") and time.monotonic() < end:
            time.sleep(0.02)
        assert not gone(pid, within_s=0), log.read_text()
        parent.kill()
    return pid


def gone(pid: int, *, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
