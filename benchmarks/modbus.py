"""Reads 125 registers at a time over 100 links: the whole collector, its links alone, and bare pymodbus, by turns.

The devices are a process of their own. Every side asks as fast as replies come, one question in flight on each link.
The collector also decodes: 25 meters of 3 points stand in the 125 registers, and each reply becomes a batch.
Each reply carries the moment at which the device sent it, so that it shows how much later the collector stamped it: at
full speed, and with the links polled ten times a second by the runner. Then 32 units are polled every second on one
link while one of them is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import struct
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymodbus.client import AsyncModbusTcpClient

from benchmarks.measure import p99
from collectors.modbus import ModbusCollector
from collectors.modbus_config import ModbusConfig
from collectors.modbus_link import Link
from collectors.plan import Request
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Zone, ZoneKind
from gateway.model.profile import RegisterTable
from gateway.model.reading import PointId, ReadingBatch
from gateway.ports import Delivery, Job
from gateway.runtime.clock import SystemClock
from gateway.runtime.runner import PollRunner

LINKS, MEMBERS, REGISTERS = 100, 25, 125
UNITS, DEAD = 32, 5
DEVICE = """
name = "block"
description = "25 meters in 125 registers"
every_s = {every_s}
[members]
count = {members}
base = 0
stride = 5
point = [
  {{ quantity = "register_measured_m3", at = "holding:0", type = "uint32", scale = 0.001 }},
  {{ quantity = "balance_m3", at = "holding:2", type = "int32", scale = 0.01 }},
  {{ quantity = "valve", at = "holding:4", type = "bit", bit = 0 }},
]
[[golden]]
ask = "03 0000 0002"
reply = "03 04 0000 03E8"
gives = {{ "0/register_measured_m3" = 1.0 }}
"""

Ask = Callable[[], Awaitable[object]]


class _Device(asyncio.Protocol):
    """Answers every read with the same registers, but for the first two: the time in 10 us; unit `DEAD` is silent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), 12):
            transaction, _, _, unit, function, _, count = struct.unpack_from(">HHHBBHH", data, at)
            if unit != DEAD:
                head = struct.pack(">HHHBBB", transaction, 0, 3 + 2 * count, unit, function, 2 * count)
                now = struct.pack(">I", time.time_ns() // 10_000 % 2**32)
                self._transport.write(head + now + bytes(2 * count - 4))


def _serve(ready: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Device, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


@contextlib.contextmanager
def _devices() -> Iterator[int]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        if not ours.poll(30):
            raise SystemExit("the devices of the benchmark do not start")
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


class _Registry:
    """Gives indices in order of asking."""

    def indices(self, points: Sequence[PointId]) -> NDArray[np.uint32]:
        return np.arange(len(points), dtype=np.uint32)

    def names(self, indices: NDArray[np.uint32]) -> list[PointId]:
        return [PointId(str(index)) for index in indices]

    def find(self, points: Sequence[PointId]) -> NDArray[np.int64]:
        return np.full(len(points), -1, dtype=np.int64)


def run(*, quick: bool) -> dict[str, float]:
    """Measure and return the figures."""
    with _devices() as port, tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(_rates(port, Path(folder), slices=60 if quick else 200, seconds=0.1))
        figures |= asyncio.run(_stamps(port, Path(folder), seconds=3.0 if quick else 30.0))
        figures |= asyncio.run(_dead_unit(port, Path(folder), seconds=15.0 if quick else 600.0))
    return figures


async def _rates(port: int, folder: Path, *, slices: int, seconds: float) -> dict[str, float]:
    collector = _collector(port, folder, [[1]] * LINKS, every_s=0.001)
    await collector.open()
    links = [Link(config, SystemClock()) for config in _config(port, folder, [[1]] * LINKS, 0.001).links]
    clients = [AsyncModbusTcpClient("127.0.0.1", port=port, retries=0) for _ in range(LINKS)]
    for client in clients:
        await client.connect()
    request = Request(RegisterTable.HOLDING, 0, REGISTERS, ())
    sides: dict[str, list[Ask]] = {
        "bare": [partial(client.read_holding_registers, 0, count=REGISTERS, device_id=1) for client in clients],
        "link": [partial(link.read, 1, request) for link in links],
        "collector": [partial(collector.collect, job) for job in collector.jobs()],
    }
    reads = dict.fromkeys(sides, 0)
    work = dict.fromkeys(sides, 0.0)
    for _ in range(slices):
        for side, asks in sides.items():
            began = time.process_time()
            reads[side] += await _as_fast_as_it_goes(asks, seconds)
            work[side] += time.process_time() - began
    for client in clients:
        client.close()
    for link in links:
        link.drop()
    await collector.close()
    rate = {side: count / (slices * seconds) for side, count in reads.items()}
    cost = {side: work[side] / reads[side] for side in sides}
    return {
        "bare_ratio": rate["collector"] / rate["bare"],
        "link_ratio": rate["link"] / rate["bare"],
        "bare_processor_ratio": cost["bare"] / cost["collector"],
        "registers_per_s": rate["collector"] * REGISTERS,
        "bare_registers_per_s": rate["bare"] * REGISTERS,
        "collector_us_per_request": cost["collector"] * 1e6,
        "bare_us_per_request": cost["bare"] * 1e6,
    }


async def _as_fast_as_it_goes(asks: Sequence[Ask], seconds: float) -> int:
    until = time.monotonic() + seconds

    async def ask_again(ask: Ask) -> int:
        count = 0
        while time.monotonic() < until:
            await ask()
            count += 1
        return count

    return sum(await asyncio.gather(*(ask_again(ask) for ask in asks)))


async def _stamps(port: int, folder: Path, *, seconds: float) -> dict[str, float]:
    """Return how many milliseconds after it was sent a reply was stamped, at full speed and at ten polls a second."""
    busy = _collector(port, folder, [[1]] * LINKS, every_s=0.001)
    await busy.open()
    late: list[float] = []

    await _as_fast_as_it_goes([partial(_ask_late, busy, job, late) for job in busy.jobs()], seconds)
    await busy.close()
    polled: list[float] = []

    async def put(delivery: Delivery) -> None:
        polled.append(_lateness_ms(delivery.batch))

    calm = _collector(port, folder, [[1]] * LINKS, every_s=0.1)
    task = asyncio.create_task(PollRunner(calm, put, SystemClock()).run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return {
        "stamp_ms_p99_at_full_speed": p99(late),
        "stamp_ms_worst_at_full_speed": max(late),
        "stamp_ms_p99_at_1000_polls_per_s": p99(polled),
        "stamp_ms_worst_at_1000_polls_per_s": max(polled),
        "polls_per_s": len(polled) / seconds,
    }


async def _ask_late(collector: ModbusCollector, job: Job, late: list[float]) -> None:
    late.append(_lateness_ms(await collector.collect(job)))


def _lateness_ms(batch: ReadingBatch) -> float:
    sent = round(float(batch.value[0]) * 1000)
    return (int(batch.received_time[0]) // 10 - sent) % 2**32 / 100


async def _dead_unit(port: int, folder: Path, *, seconds: float) -> dict[str, float]:
    """Return which part of its cadence a living unit keeps beside a dead one: the worst unit's, and the mean."""
    collector = _collector(port, folder, [list(range(1, UNITS + 1))], every_s=1.0, members=1)
    good = np.zeros(UNITS, int)

    async def put(delivery: Delivery) -> None:
        if delivery.batch.good.all():
            good[int(delivery.batch.point[0]) // 3] += 1

    task = asyncio.create_task(PollRunner(collector, put, SystemClock()).run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    kept = np.delete(good, DEAD - 1) / seconds
    return {"cadence_beside_dead_unit_worst": float(kept.min()), "cadence_beside_dead_unit_mean": float(kept.mean())}


def _collector(port: int, folder: Path, units: Sequence[Sequence[int]], every_s: float, **more: int) -> ModbusCollector:
    names = [f"M-{number:06d}" for number in range(LINKS * MEMBERS)]
    return ModbusCollector(_config(port, folder, units, every_s, **more), _Registry(), _network(names), SystemClock())


def _config(
    port: int, folder: Path, units: Sequence[Sequence[int]], every_s: float, members: int = MEMBERS
) -> ModbusConfig:
    profile = folder / f"block-{members}.toml"
    profile.write_text(DEVICE.format(every_s=every_s, members=members), encoding="utf-8")
    numbers = iter(range(LINKS * MEMBERS))
    links = [
        {
            "name": f"link-{place}",
            "url": f"tcp://127.0.0.1:{port}",
            "unit": [
                {"unit": unit, "profile": str(profile), "members": [f"M-{next(numbers):06d}" for _ in range(members)]}
                for unit in on_link
            ],
        }
        for place, on_link in enumerate(units)
    ]
    return ModbusConfig.model_validate({"name": "benchmark", "link": links})


def _network(names: Sequence[str]) -> Network:
    kind = (MeterRole.CUSTOMER, MeterKind.REMOTE, "residential", 8, 3, 6.0, False, date(2020, 1, 1), "open")
    return Network(
        zones={"CITY": Zone("CITY", "", ZoneKind.CITY, "City")},
        meters={name: Meter(name, "CITY", *kind) for name in names},
        stations={},
        points={},
    )
