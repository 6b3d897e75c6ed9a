"""SIGKILL at random moments: what was acknowledged is in the store, once."""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gateway.runtime.loader import Loader
from gateway.store.dead_rows import list_dead, put_dead
from gateway.store.readings import DuckReadings
from gateway.store.spool import FileSpool
from gateway.store.state import State
from tests.gateway.store.rewriting import Here, tidy

SCRIPT = Path(__file__).with_name("keep_process.py")
ROUNDS, LEAST = 7, 200
"""kills, and readings acknowledged in all: a slow machine is killed more often"""


def run_until_killed(folder: Path, first: int, pace_us: int, after_s: float) -> list[int]:
    """Start a keeper, kill it, and return what it had acknowledged."""
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(first), str(pace_us)],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(after_s)
    process.kill()
    out, _ = process.communicate()
    return [int(line) for line in out.split(b"\n")[:-1]]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("pace_us", "longest_s"), [(1, 0.25), (200_000_000, 0.8)], ids=["one day", "many days"])
async def test_what_was_acknowledged_is_stored_once(tmp_path: Path, pace_us: int, longest_s: float) -> None:
    rng = random.Random(5)
    acknowledged: list[int] = []
    rounds = 0
    while rounds < ROUNDS or len(acknowledged) <= LEAST:
        rounds += 1
        first = max(acknowledged, default=-1) + 1
        got = await asyncio.to_thread(run_until_killed, tmp_path, first, pace_us, rng.uniform(0.01, longest_s))
        assert got == list(range(first, first + len(got)))
        acknowledged += got
    state = State.in_folder(tmp_path)
    spool = FileSpool(tmp_path / "spool")
    store = DuckReadings(tmp_path / "readings")
    loader = Loader(spool, store, lambda rows: put_dead(state, rows))
    while await loader.step():
        pass
    await tidy(Here(store))
    _, stored = await store.since(0, 10**9)
    found = await store.history(np.array([1], np.uint32), 0, 2**62)
    assert len(stored) == len(found), "nothing is held twice"
    assert len(set(found.source_time.tolist())) == len(found)
    assert set(acknowledged) <= set(found.source_time.tolist())
    np.testing.assert_array_equal(found.value, found.source_time)
    dead = [int(one.topic) for one in list_dead(state, limit=1_000_000)]
    assert set(acknowledged) <= set(dead)
    assert (spool.damage, store.damage) == ([], [])
    spool.close()
    await store.close()
    state.close()
