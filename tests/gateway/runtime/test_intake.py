"""Group commit on a real spool: acks after the disk, bounds, a full disk, the accounting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.errors import TransientError
from gateway.model.reading import PointId, ReadingBatch, Reason, Severity, quality
from gateway.ports import DeadLetter, Delivery, SpoolRecord
from gateway.runtime.accounting import Accounting
from gateway.runtime.clock import ManualClock
from gateway.runtime.intake import AHEAD_US, GROUP_BYTES, GROUP_DELIVERIES, Intake
from gateway.runtime.room import Room
from gateway.store.spool import FileSpool


class Disk(FileSpool):
    """A spool whose disk a test can fill up or slow down."""

    full = False
    slow_s = 0.0

    def append(self, deliveries: Sequence[Delivery]) -> SpoolRecord:
        if self.full:
            raise TransientError("No space left on device")
        if self.slow_s:
            import time

            time.sleep(self.slow_s)
        return super().append(deliveries)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "spool")


class Running:
    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.records: list[SpoolRecord] = []
        self.acked: list[int] = []
        self.intake = Intake(disk, ManualClock(77), self.records.append, retry_s=0.05)

    async def ack(self, number: int) -> None:
        stored = {value for record in self.disk.read(0, 10_000) for value in record.batch.value.tolist()}
        assert number in stored, "acknowledged before it was on disk"
        self.acked.append(number)


@pytest.fixture
async def running(disk: Disk) -> AsyncIterator[Running]:
    running = Running(disk)
    task = asyncio.create_task(running.intake.run())
    yield running
    await running.intake.close()
    await asyncio.wait_for(task, 30)
    disk.close()


def reading(number: int, source: str = "a", count: int = 1) -> Delivery:
    return Delivery(source, ReadingBatch.build([1] * count, [number] * count, number, [float(number)] * count))


async def test_everything_is_acknowledged_in_order_after_it_is_on_disk(running: Running) -> None:
    for number in range(200):
        await running.intake.put(Delivery("a", reading(number).batch, ack=partial(running.ack, number)))
    await asyncio.wait_for(running.intake.drained(), 30)
    assert running.acked == list(range(200))
    assert [value for one in running.records for value in one.batch.value.tolist()] == list(map(float, range(200)))
    assert [one.seq for one in running.records] == list(range(1, len(running.records) + 1))
    assert len(running.records) < 50


async def test_a_lone_reading_does_not_wait_for_company(running: Running) -> None:
    await running.intake.put(reading(1))
    await asyncio.wait_for(running.intake.drained(), 30)
    assert len(running.records) == 1


async def test_put_waits_when_two_groups_wait(running: Running) -> None:
    running.disk.slow_s = 0.3
    taken = 0

    async def feed() -> None:
        nonlocal taken
        for number in range(4 * GROUP_DELIVERIES):
            await running.intake.put(reading(number))
            taken += 1

    feeding = asyncio.create_task(feed())
    await asyncio.sleep(0.2)
    assert 2 * GROUP_DELIVERIES <= taken <= 3 * GROUP_DELIVERIES
    running.disk.slow_s = 0.0
    await asyncio.wait_for(feeding, 30)
    await running.intake.drained()
    assert sum(len(one.batch) for one in running.records) == 4 * GROUP_DELIVERIES
    assert max(len(one.batch) for one in running.records) <= GROUP_DELIVERIES


async def test_a_delivery_larger_than_a_group_passes(running: Running) -> None:
    await running.intake.put(reading(1, count=GROUP_BYTES // 10))
    await running.intake.put(reading(2, count=GROUP_BYTES // 10))
    await asyncio.wait_for(running.intake.drained(), 30)
    assert [len(one.batch) for one in running.records] == [GROUP_BYTES // 10] * 2


async def test_a_full_disk_acknowledges_nothing_and_recovers_by_itself(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.disk.full = True
    await running.intake.put(Delivery("a", reading(1).batch, ack=partial(running.ack, 1)))
    await asyncio.sleep(0.3)
    assert (running.acked, running.records) == ([], [])
    assert (running.intake.healthy, running.intake.reason) == (False, "No space left on device")
    assert running.intake.unhealthy_since_us == 77
    running.disk.full = False
    await asyncio.wait_for(running.intake.drained(), 30)
    assert running.acked == [1]
    assert (running.intake.healthy, running.intake.reason) == (True, "")
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_a_failing_acknowledgement_stops_nobody(running: Running) -> None:
    async def broken() -> None:
        raise ConnectionError("gone")

    await running.intake.put(Delivery("a", reading(1).batch, ack=broken))
    await running.intake.put(Delivery("a", reading(2).batch, ack=partial(running.ack, 2)))
    await asyncio.wait_for(running.intake.drained(), 30)
    assert (running.acked, running.intake.acks_failed) == ([2], 1)


async def test_readings_from_the_future_are_marked_and_keep_their_time(running: Running) -> None:
    bad = quality(Severity.BAD, Reason.NO_REPLY)
    batch = ReadingBatch.build(
        [1, 2, 3], [AHEAD_US, AHEAD_US + 1, AHEAD_US + 1], 0, [1.0, 2.0, float("nan")], [0, 0, bad]
    )
    await running.intake.put(Delivery("a", batch))
    await asyncio.wait_for(running.intake.drained(), 30)
    (record,) = running.records
    assert record.batch.quality.tolist() == [0, quality(Severity.UNCERTAIN, Reason.CLOCK_AHEAD), bad]
    assert record.batch.source_time.tolist() == batch.source_time.tolist()


async def test_a_redelivery_is_acknowledged_and_counted_as_a_double(running: Running) -> None:
    for _ in range(2):
        batch = reading(4).batch
        await running.intake.put(Delivery("mqtt", batch, digest=b"d", ack=partial(running.ack, 4)))
    await running.intake.put(Delivery("mqtt", ReadingBatch.empty(), (DeadLetter("mqtt", "t", b"", "r", 0),)))
    await asyncio.wait_for(running.intake.drained(), 30)
    assert running.acked == [4, 4]
    account = running.intake.accounting.snapshot()["mqtt"]
    assert (account["received"], account["duplicate"], account["in_flight"]) == (3, 1, 2)


async def test_cancelling_does_not_hang(disk: Disk) -> None:
    disk.full = True
    intake = Intake(disk, ManualClock(0), lambda _: None)
    task = asyncio.create_task(intake.run())
    await intake.put(reading(1))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)
    disk.close()


GIB = 1 << 30
QUANTITIES = ["gas_lel_pct", "register_measured_m3", "pressure_gauge_kpa", "battery_v", "no quantity"]


def names(indices: NDArray[np.uint32]) -> list[PointId]:
    return [PointId(f"S-01/{QUANTITIES[index]}") for index in indices.tolist()]


@pytest.mark.parametrize(
    ("total", "free", "kept", "letters"),
    [
        (10 * GIB, 2 * GIB, [0, 1, 2, 3, 4], ""),
        (10 * GIB, 2 * GIB - 1, [0, 1, 2, 4], "D"),
        (10 * GIB, GIB - 1, [0, 1, 4], "CD"),
        (10 * GIB, 64 << 20, [0, 1, 4], "CD"),
        (1000 * GIB, 49 * GIB, [0, 1, 2, 4], "D"),
    ],
)
async def test_without_room_diagnostics_go_before_network_and_the_rest_never(
    disk: Disk, tmp_path: Path, *, total: int, free: int, kept: list[int], letters: str
) -> None:
    room = Room(tmp_path, names, usage=lambda _: (total, free))
    records: list[SpoolRecord] = []
    intake = Intake(disk, ManualClock(0), records.append, room=room)
    task = asyncio.create_task(intake.run())
    for _ in range(2):
        await intake.put(Delivery("a", ReadingBatch.build([0, 1, 2, 3, 4], [0] * 5, 0, [1.0] * 5)))
    await intake.close()
    await asyncio.wait_for(task, 30)
    assert [point for one in records for point in one.batch.point.tolist()] == kept * 2
    account = intake.accounting.snapshot()["a"]
    assert (account["received"], account["refused"]) == (10, 10 - 2 * len(kept))
    assert account["in_flight"] == 2 * len(kept)
    assert room.refused_classes == letters
    disk.close()


def test_room_is_looked_at_again(tmp_path: Path) -> None:
    now, free = [0.0], [0]
    room = Room(tmp_path, names, usage=lambda _: (10 * GIB, free[0]), real=lambda: now[0])
    batch = ReadingBatch.build([3], [0], 0, [1.0])
    assert room.refused(batch) is not None
    free[0] = 9 * GIB
    now[0] = 1.5
    assert room.refused(batch) is None
    assert room.refused_classes == ""


def test_memory_is_bounded_while_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.runtime.accounting._MOST_RECORDS", 3)
    accounting = Accounting()
    accounting.live_after = 0
    for seq in range(1, 6):
        accounting.received("a", 2)
        accounting.committed(seq, [("a", 2, 0)])
    for seq in range(1, 6):
        accounting.settled(seq, 2, 0, [])
    books = accounting.snapshot()
    assert {name: (one["received"], one["stored"]) for name, one in books.items()} == {"a": (6, 6), "spool": (4, 4)}


def test_accounts_add_up_whatever_comes_first() -> None:
    accounting = Accounting()
    accounting.live_after = 10
    accounting.settled(10, rows=5, dead=1, duplicate_rows=[0])
    accounting.received("a", 4)
    accounting.received("b", 3)
    accounting.settled(11, rows=5, dead=2, duplicate_rows=[2, 3])
    accounting.committed(11, [("a", 3, 1), ("b", 2, 1)])
    books = accounting.snapshot()
    assert books["spool"]["stored"] == 4
    assert {name: (one["stored"], one["duplicate"], one["dead_lettered"]) for name, one in books.items()} == {
        "spool": (4, 1, 1),
        "a": (2, 1, 1),
        "b": (1, 1, 1),
    }
    assert all(one["in_flight"] == 0 for one in books.values())
