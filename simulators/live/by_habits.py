"""Remote meters with the habits that datasets have: late, doubled, out of order, drifting, silent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.city import City
from simulators.faults import HOUR_US, Fault, FaultKind
from simulators.live.reports import Message, Terminals, reading
from simulators.meters.arrivals import Arrivals, Silence
from simulators.meters.habits import build_habits
from simulators.meters.schedule import Schedule, reports

_ENDLESS_HOUR = 10**9
_LEAST_STAMP_US = 1_000_000
"""no terminal writes a moment before 1970"""


class ByHabits:
    """Sends what arrives by now as the meters' terminals would: one message for readings that arrive together."""

    def __init__(self, city: City, since_us: int, mix: str) -> None:
        """Begin after `since_us`; `mix` names the meters' habits. Raises ValueError for an unknown one."""
        self._city = city
        self._terminals = Terminals(city)
        self._columns = np.flatnonzero(~city.plan.customers.ic_card)
        self._place = {city.plan.customers.meters[column].meter_id: place for place, column in enumerate(self._columns)}
        habits = build_habits(city.plan.seed, city.plan.customers, mix).part(self._columns)
        self._faults: tuple[Fault, ...] = city.faults
        self._schedule = Schedule(habits, since_us, self._silences())

    def _silences(self) -> list[Silence]:
        return [
            (
                self._place[fault.asset],
                fault.start_us // HOUR_US,
                _ENDLESS_HOUR if fault.end_us is None else -(-fault.end_us // HOUR_US),
            )
            for fault in self._faults
            if fault.kind is FaultKind.METER_SILENT and fault.asset in self._place
        ]

    def due(self, now_us: int) -> list[Message]:
        """Return every report that arrives since the last call."""
        if self._city.faults is not self._faults:
            before, self._faults = self._silences(), self._city.faults
            if self._silences() != before:
                self._schedule.replace_silences(self._silences())
        rows = self._schedule.due(now_us)
        rows = rows.rows(rows.hour >= self._city.plan.start_hour)
        if not len(rows):
            return []
        hours = np.unique(rows.hour)
        shown = self._city.shown(self._city.registers(hours * HOUR_US))
        flags = self._city.flags_at(hours * HOUR_US)
        return [self._message(report, hours, shown, flags) for report in reports(rows)]

    def _message(
        self, rows: Arrivals, hours: NDArray[np.int64], shown: NDArray[np.float64], said: NDArray[np.uint32]
    ) -> Message:
        column = int(self._columns[int(rows.meter[0])])
        readings = [
            reading(max(int(stamp), _LEAST_STAMP_US), float(shown[at, column]), flags=int(flags | said[at, column]))
            for stamp, at, flags in zip(rows.stamped_us, np.searchsorted(hours, rows.hour), rows.flags, strict=True)
        ]
        return self._terminals.message(column, int(rows.received_us[0]), readings, float(rows.battery_v[0]))
