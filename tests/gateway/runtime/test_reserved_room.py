"""A small disk fills up: readings stop at the room that belongs to the state database, and come back by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gateway.config import load
from gateway.errors import TransientError
from gateway.model.reading import PointId, ReadingBatch
from gateway.ports import DeadLetter, Delivery
from gateway.roles.keep import Keeper
from gateway.runtime.clock import ManualClock
from gateway.runtime.intake import Intake
from gateway.runtime.room import Room
from gateway.store.dead_rows import put_dead
from gateway.store.registry import StateRegistry
from gateway.store.reserve import Reserve
from gateway.store.spool import FileSpool
from gateway.store.state import State
from tests.end_to_end.small_site import SmallSite
from tests.gateway.runtime.waiting import until

MIB = 1 << 20
DISK, FILLER, RESERVE, LOADING, LETTERS = 128 * MIB, 40 * MIB, 12 * MIB, 64 * MIB, 100
ROWS = 4000
GAS = PointId("S-01/gas_lel_pct")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def rows_of(number: int, point: int) -> ReadingBatch:
    times = np.arange(number * ROWS, (number + 1) * ROWS, dtype=np.int64)
    return ReadingBatch.build([point] * ROWS, times, times, times.astype(float))


async def test_readings_wait_while_the_room_that_is_left_is_the_states(
    small_disk: Path, free_port: Callable[[], int]
) -> None:
    site = SmallSite(small_disk / "site", free_port(), meters=2)
    text = site.config.read_text(encoding="utf-8").replace("reserve_mib = 1", f"reserve_mib = {RESERVE // MIB}")
    site.config.write_text(text, encoding="utf-8")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(FILLER))
    config = load(site.config)
    keeper = Keeper(config)
    keeper.intake._retry_s = 0.1
    state = State.in_folder(config.data.folder)
    point = int(StateRegistry(state).indices([PointId("M-000001/register_measured_m3")])[0])
    await keeper.open()
    running = asyncio.create_task(keeper.run())
    acked: list[int] = []
    given = 0

    async def ack(number: int) -> None:
        acked.append(number)

    async def give() -> None:
        nonlocal given
        while keeper.intake.healthy:
            await keeper.intake.put(Delivery("meters", rows_of(given, point), ack=partial(ack, given)))
            given += 1

    giving = asyncio.create_task(give())
    try:
        await until(lambda: not keeper.intake.healthy, 10)
        assert keeper.health()[0] is False
        assert "reserved for alarms" in keeper.health()[1]["problems"][0]
        stopped = len(acked)
        letters = [
            (10**6 + number, 0, DeadLetter("x", "t", bytes(16_000), "because", number)) for number in range(LETTERS)
        ]
        await asyncio.to_thread(put_dead, state, letters)
        await until(lambda: keeper.status()["loader_lag"] == 0, 30)
        assert len(acked) == stopped < given, "nothing was acknowledged without room"
        assert free(small_disk) + 2 * LETTERS * 16_000 > RESERVE + LOADING / 2
        assert keeper.status()["accounting"]["meters"]["in_flight"] == (given - stopped) * ROWS
        filler.unlink()
        await until(lambda: len(acked) == given, 30)
        await asyncio.wait_for(giving, 30)
        assert keeper.health()[0] is True
        await until(lambda: keeper.status()["accounting"]["meters"]["stored"] == given * ROWS, 30)
        assert acked == list(range(given))
    finally:
        giving.cancel()
        running.cancel()
        await asyncio.gather(giving, running, return_exceptions=True)
        await keeper.close()
        state.close()


async def test_what_waits_is_taken_when_there_is_more_than_the_reserve_again(tmp_path: Path) -> None:
    enough = 10 * MIB + LOADING
    left = [enough]
    room = Room(tmp_path, lambda _: [GAS], reserved=lambda: 10 * MIB, usage=lambda _: (10**12, left[0]))
    spool, acked = FileSpool(tmp_path / "spool"), list[int]()
    intake = Intake(spool, ManualClock(5), lambda _: None, room=room, retry_s=0.02)
    running = asyncio.create_task(intake.run())

    async def ack(number: int) -> None:
        acked.append(number)

    with contextlib.closing(spool):
        for number, free_bytes in enumerate((enough, enough - 1)):
            left[0] = free_bytes
            await intake.put(Delivery("a", rows_of(number, 0).take(np.arange(1)), ack=partial(ack, number)))
            await asyncio.sleep(0.1)
        assert (acked, intake.healthy, spool.last_seq()) == ([0], False, 1)
        left[0] = enough
        await intake.close()
        await asyncio.wait_for(running, 30)
        assert (acked, intake.healthy, spool.last_seq()) == ([0, 1], True, 2)


def test_the_loader_stops_behind_the_intake(tmp_path: Path) -> None:
    left = [10 * MIB]
    room = Room(tmp_path, lambda _: [GAS], reserved=lambda: 10 * MIB, usage=lambda _: (10**12, left[0]))
    room.check_loading()
    with pytest.raises(TransientError, match="reserved for alarms"):
        room.check()
    left[0] -= 1
    with pytest.raises(TransientError, match="reserved for alarms"):
        room.check_loading()


def test_room_that_the_file_holds_need_not_be_left_free(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, MIB, much_free=0)
    assert reserve.missing() == MIB
    reserve.keep()
    assert reserve.missing() == 0
    reserve.give()
    assert reserve.missing() == MIB
