"""Stands for the store service of the sample city."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np

from gateway.errors import TransientError
from gateway.model.command import CommandOffer
from gateway.model.reading import ReadingBatch, to_us
from gateway.runtime.clock import CityClock
from tests.api import sample_devices


class SampleStore:
    """Stands for the store service: smooth made-up readings of every point."""

    def __init__(self, names: list[str], clock: CityClock, onset: datetime) -> None:
        self.names, self.clock, self.onset = names, clock, to_us(onset)
        self.down = False

    def _value(self, name: str, times: Any) -> Any:
        phase = times / 3.6e9
        if name.endswith("gas_lel_pct"):
            rise = np.clip((times - self.onset) / 60e6 + 20, 0, 28) if name.startswith("REG-002") else 0.0
            return 0.4 + 0.2 * np.sin(phase * 9) + rise
        if name.endswith("flow_base_m3h"):
            return 180 + 60 * np.sin(phase * math.tau / 24) + 6 * np.sin(phase * 40)
        return (400.0 if name.startswith("S-") else 3.0) + 0.06 * np.sin(phase * 3)

    async def history(self, points: Any, start_us: int, end_us: int) -> ReadingBatch:
        self._check()
        times = np.arange(start_us, min(end_us, self.clock.now_us()), 60_000_000, dtype=np.int64)
        return ReadingBatch.concat(
            ReadingBatch.build([int(p)] * len(times), times, times, self._value(self.names[int(p)], times))
            for p in points
        )

    async def latest(self, points: Any) -> ReadingBatch:
        self._check()
        now = np.array([self.clock.now_us() - 5_000_000])
        return ReadingBatch.concat(
            ReadingBatch.build([int(p)], now, now, self._value(self.names[int(p)], now)) for p in points
        )

    async def offers(self, asset: str) -> list[CommandOffer]:
        self._check()
        return sample_devices.offers(asset)

    async def links(self, asset: str) -> dict[str, Any]:
        """A meter comes over the broker; of the others nothing was heard yet."""
        status = await self.status()
        return {"links": [link for link in status["links"] if link["key"] == "remote-meters"], "known": "M-" in asset}

    async def status(self) -> dict[str, Any]:
        self._check()
        now = self.clock.now_us()
        return {
            "ok": True,
            "problems": [],
            "damage": [],
            "loader_lag": 0,
            "links": [
                _link("stations/S-01", "stations", True, now - 2_000_000, ""),
                _link("stations/S-02", "stations", False, now - 190_000_000, "no reply within 1 s"),
                _link("remote-meters", "remote-meters", True, now - 1_000_000, ""),
                _link("correctors/V-001", "correctors", None, None, ""),
            ],
            "accounting": {
                "remote-meters": {
                    "received": 41230,
                    "stored": 41190,
                    "duplicate": 36,
                    "refused": 0,
                    "dead_lettered": 4,
                    "in_flight": 0,
                },
                "stations": {
                    "received": 9120,
                    "stored": 9120,
                    "duplicate": 0,
                    "refused": 0,
                    "dead_lettered": 0,
                    "in_flight": 0,
                },
            },
            "spool": {"last_seq": 1204, "first_seq": 1, "loaded": 1204, "bytes": 8_400_000},
            "outputs": [
                {
                    "name": "influxdb",
                    "connected": True,
                    "cursor": 1204,
                    "lag": 0,
                    "written": 50310,
                    "rejected": 0,
                    "last_error": "",
                }
            ],
        }

    def _check(self) -> None:
        if self.down:
            raise TransientError("the store service is away")


def _link(key: str, source: str, up: bool | None, last: int | None, error: str) -> dict[str, Any]:
    return {
        "key": key,
        "source": source,
        "link": source,
        "up": up,
        "since_us": 0,
        "last_good_us": last,
        "failures": 0,
        "overruns": 0,
        "deliveries": 9,
        "error": error,
        **sample_devices.polled(up, last),
    }
