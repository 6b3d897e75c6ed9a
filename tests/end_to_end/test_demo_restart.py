"""SIGKILL of the demo at each stage of its first start; the next start goes on from whatever was left."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from gateway.dataset import read_dataset
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from tests.end_to_end.demo_process import Demo, alive
from tests.end_to_end.small_site import wait_until


def kill_when(demo: Demo, said: str, there: Path) -> None:
    """Start, and kill with SIGKILL once something was said and a file is there."""
    demo.begin()
    wait_until(lambda: said in demo.output() and there.exists(), what=said, limit_s=60)
    pids = demo.pids()
    demo.end(signal.SIGKILL)
    assert "is ready" not in demo.output(), "too late"
    wait_until(lambda: not alive(pids), what="the end of every process", limit_s=15)


def wait_until_all_run(demo: Demo) -> None:
    """Every role lives, and each has said that it runs the first revision."""
    right = {"ok": True, "problems": [], "revision": 1}
    wait_until(lambda: httpx.get(f"{demo.web}/healthz").json() == right, what="healthy roles", limit_s=15)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_starts_again_whenever_it_was_killed(tmp_path):
    demo = Demo(tmp_path / "demo")
    folder = demo.folder
    try:
        kill_when(demo, "Building the city", folder / "network")
        assert not (folder / "city.json").exists(), "killed too late to tell"
        kill_when(demo, "Loading the history", folder / "data" / "readings" / "lock")
        assert not (folder / "imported").exists(), "killed too late to tell"
        kill_when(demo, "Starting the city", folder / "logs" / "keep.log")
        demo.begin()
        demo.wait_until_ready()

        second = subprocess.run(
            [sys.executable, "-m", "gateway", "demo", "--folder", str(folder)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert second.returncode == 1
        assert "a demo is already running" in second.stderr
        wait_until_all_run(demo)
        pids = demo.pids()
        demo.end(signal.SIGKILL)
        demo.begin()  # at once: what was killed still holds ports and files
        demo.wait_until_ready()
        wait_until(lambda: not alive(pids), what="the end of what was killed", limit_s=15)
        wait_until_all_run(demo)
        assert demo.end() == 0
    finally:
        demo.kill()
    assert asyncio.run(stored_history(folder)) == history(folder)


def history(folder: Path) -> int:
    return sum(len(part.time) for part in read_dataset(folder / "history").columns)


async def stored_history(folder: Path) -> int:
    state, store = State.in_folder(folder / "data"), DuckReadings(folder / "data" / "readings")
    points = np.array(sorted(StateRegistry(state).known()), dtype=np.uint32)
    newest = max(int(part.received.max()) for part in read_dataset(folder / "history").columns)
    batch = await store.history(points, 0, 2**62)
    await store.close()
    state.close()
    return int(np.count_nonzero(batch.received_time <= newest))
