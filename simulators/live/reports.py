"""What remote meters report over MQTT, and when."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simulators import noise
from simulators.city import City
from simulators.dataset.history import report_phase_s

HALF_HOUR_US = 1_800_000_000
READINGS_PER_REPORT = 3
"""a half-hourly report repeats the two readings before, so that one lost report loses nothing"""
_CATCH_UP = 8
"""half-hourly reports of one meter after a pause, at most"""

Message = tuple[str, bytes]
"""topic and payload"""


class Reporter(Protocol):
    """Decides which meters report when, and writes their reports."""

    def due(self, now_us: int) -> list[Message]:
        """Return every report that became due since the last call."""


class HalfHourly:
    """Every remote meter reports each half hour, and again what it reported before."""

    def __init__(self, city: City, since_us: int) -> None:
        """Begin after `since_us`: what was due until then has been reported."""
        self._city = city
        self._terminals = Terminals(city)
        self._columns = np.flatnonzero(~city.plan.customers.ic_card)
        self._phase_us = report_phase_s(city.plan)[self._columns] * 1_000_000
        self._done = self._slot(since_us)

    def _slot(self, at_us: int) -> NDArray[np.int64]:
        """Return the number of the half hour that each meter has reported by a moment."""
        return np.asarray((at_us - self._phase_us) // HALF_HOUR_US, dtype=np.int64)

    def due(self, now_us: int) -> list[Message]:
        """Return every report that became due since the last call."""
        slots = self._slot(now_us)
        wanted = []
        for row in np.flatnonzero(slots > self._done):
            first = max(int(self._done[row]) + 1, int(slots[row]) - _CATCH_UP + 1)
            wanted += [(int(row), slot) for slot in range(first, int(slots[row]) + 1)]
        self._done = slots
        if not wanted:
            return []
        first = max(min(slot for _, slot in wanted) - READINGS_PER_REPORT + 1, self._city.plan.start_hour * 2)
        moments = np.arange(first, max(slot for _, slot in wanted) + 1, dtype=np.int64) * HALF_HOUR_US
        shown = self._city.shown(self._city.registers(moments))[:, self._columns]
        flags = self._city.flags_at(moments)[:, self._columns]
        return [self._report(row, slot, first, shown[:, row], flags[:, row]) for row, slot in wanted]

    def _report(
        self, row: int, slot: int, first: int, shown: NDArray[np.float64], flags: NDArray[np.uint32]
    ) -> Message:
        readings = [
            reading(number * HALF_HOUR_US, float(shown[number - first]), flags=int(flags[number - first]))
            for number in range(max(slot - READINGS_PER_REPORT + 1, first), slot + 1)
        ]
        sent_us = slot * HALF_HOUR_US + int(self._phase_us[row])
        return self._terminals.message(int(self._columns[row]), sent_us, readings)


class Terminals:
    """The radio parts of meters: how a report is written."""

    def __init__(self, city: City) -> None:
        """Draw their reception."""
        self._meters = city.plan.customers.meters
        self._signal_dbm = (-95 + 35 * noise.uniform(city.plan.seed, 52, city.plan.customers.key)).astype(int)

    def message(
        self, column: int, sent_us: int, readings: Sequence[Mapping[str, Any]], battery_v: float = 3.6
    ) -> Message:
        """Return a report of a meter, with its topic; a voltage that nobody knows (NaN) is left out."""
        meter = self._meters[column]
        report = {
            "id": meter.meter_id,
            "sent": sent_us // 1000,
            "readings": list(readings),
            **({} if math.isnan(battery_v) else {"bat": round(battery_v, 2)}),
            "rssi": int(self._signal_dbm[column]),
        }
        return f"gas/{meter.zone_id}/{meter.meter_id}/up", json.dumps(report, separators=(",", ":")).encode()


def reading(at_us: int, register_m3: float, *, valve: int = 1, flags: int = 0) -> dict[str, int]:
    """Return one reading as a terminal writes it: the moment by its own clock, and whole litres."""
    return {"t": at_us // 1000, "v": round(register_m3 * 1000.0), "k": valve, "f": flags}


def reports_an_hour(habits: str) -> float:
    """Return about how many reports a remote meter sends in an hour of the city."""
    return {"half_hourly": 2.0, "prompt": 1.05, "mixed": 0.4, "poor": 0.2}[habits]


def bad_messages(city: City, now_us: int) -> list[Message]:
    """Return what a broken terminal might send: unreadable payloads, and one with another meter's number."""
    meters = city.plan.customers.meters
    remote = [meters[n] for n in np.flatnonzero(~city.plan.customers.ic_card)]
    if not remote:
        return []
    broken, other = remote[4 % len(remote)], remote[9 % len(remote)]
    topic = f"gas/{broken.zone_id}/{broken.meter_id}/up"
    foreign = {"id": other.meter_id, "sent": now_us // 1000, "readings": [reading(now_us, 0.001)]}
    return [
        (topic, b'{"id":"' + broken.meter_id.encode() + b'","readings":[{"t":17'),
        (topic, b"\xff\xfe\x00\x81garbage"),
        (topic, b'{"id":"' + broken.meter_id.encode() + b'","readings":"none"}'),
        (f"gas/{broken.zone_id}/M-999999/up", b'{"id":"M-999999","readings":[]}'),
        (topic, json.dumps(foreign).encode()),
    ]
