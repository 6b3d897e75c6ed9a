"""A small network, a registry in memory and a collector's configuration, for the collectors' tests."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collectors.modbus import ModbusCollector
from collectors.modbus_config import ModbusConfig
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Station, Zone, ZoneKind
from gateway.model.reading import PointId, ReadingBatch, Reason
from gateway.ports import Clock
from gateway.runtime.clock import SystemClock

START_US = 1_768_435_200_000_000
"""us UTC, where these tests begin"""
METERS = tuple(f"M-{number:06d}" for number in range(1, 31))


def network() -> Network:
    meter = {
        name: Meter(
            name,
            "CITY",
            MeterRole.CUSTOMER,
            MeterKind.REMOTE,
            "residential",
            8,
            3,
            6.0,
            False,
            date(2020, 1, 1),
            "open",
        )
        for name in METERS
    }
    station = Station("S-01", "station", "CITY", "North", "", 0.0, 0.0, 200.0, remote=False)
    return Network(
        zones={"CITY": Zone("CITY", "", ZoneKind.CITY, "City")}, meters=meter, stations={"S-01": station}, points={}
    )


class MemoryRegistry:
    """Gives indices in the order in which points are first seen."""

    def __init__(self) -> None:
        self.points: list[PointId] = []

    def indices(self, points: Sequence[PointId]) -> NDArray[np.uint32]:
        for point in points:
            if point not in self.points:
                self.points.append(point)
        return np.asarray([self.points.index(point) for point in points], np.uint32)

    def names(self, indices: NDArray[np.uint32]) -> list[PointId]:
        return [self.points[index] for index in indices]

    def find(self, points: Sequence[PointId]) -> NDArray[np.int64]:
        return np.asarray([self.points.index(point) if point in self.points else -1 for point in points], np.int64)

    def table(self, batch: ReadingBatch) -> dict[str, float | Reason]:
        """Return a batch as point -> value, or the reason where it is bad."""
        return {
            name: float(value) if mark >> 6 < 2 else Reason(int(mark) & 63)
            for name, value, mark in zip(self.names(batch.point), batch.value, batch.quality, strict=True)
        }


PROFILE = """
name = "test_device"
description = "four registers and a gap"
max_gap = 20
every_s = {every_s}
point = [
  {{ quantity = "register_measured_m3", at = "holding:10", type = "uint32", scale = 0.001, together = "a" }},
  {{ quantity = "balance_m3", at = "holding:12", type = "int32", scale = 0.01, together = "a" }},
  {{ quantity = "flow_measured_m3h", at = "holding:20", type = "uint16", scale = 0.1 }},
  {{ quantity = "valve", at = "holding:21", type = "bit", bit = 0{more} }},
]
golden = [{{ ask = "03 0014 0001", reply = "03 02 0005", gives = {{ flow_measured_m3h = 0.5 }} }}]
{tail}
"""


def write_profile(folder: Path, *, more: str = "", tail: str = "", every_s: float = 60) -> str:
    path = folder / "test_device.toml"
    path.write_text(PROFILE.format(more=more, tail=tail, every_s=every_s), encoding="utf-8")
    return str(path)


def modbus(registry: MemoryRegistry, *links: dict[str, Any], clock: Clock | None = None) -> ModbusCollector:
    config = ModbusConfig.model_validate({"kind": "modbus", "name": "site", "link": list(links)})
    return ModbusCollector(config, registry, network(), clock or SystemClock())


def link(port: int, *units: dict[str, Any], name: str = "a", timeout_s: float = 0.3) -> dict[str, Any]:
    return {"name": name, "url": f"tcp://127.0.0.1:{port}", "timeout_s": timeout_s, "unit": list(units)}


@asynccontextmanager
async def opened(collector: ModbusCollector) -> AsyncIterator[ModbusCollector]:
    await collector.open()
    try:
        yield collector
    finally:
        await collector.close()
