"""Rows of `points.parquet`: what the instruments of regulators and gates showed at each hour."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gateway.model.network import Station
from gateway.model.quantity import Quantity
from simulators.city import City, Flows, Plan
from simulators.dataset import tables
from simulators.dataset.network_files import measured
from simulators.engine import instruments, mains
from simulators.faults import HOUR_US, Fault, FaultKind, sensors_with_faults

Shown = dict[Quantity, NDArray[np.float64]]
_DELAY_MS = 500


class StationRows:
    """Makes the rows of some stations, span after span; remembers where a stuck sensor stood."""

    def __init__(self, stations: Sequence[Station], faults: Sequence[Fault], metered: Collection[str]) -> None:
        """Take the stations or regulators, all faults, and the zones that have a supply meter."""
        self._stations, self._metered = list(stations), set(metered)
        names = {station.station_id for station in stations}
        self._faults = [fault for fault in faults if fault.asset in names]
        self._stuck: dict[tuple[str, int], dict[Quantity, float]] = {}

    def table(self, at_us: NDArray[np.int64], sound: Mapping[str, Shown]) -> pa.Table:
        """Return the rows of t moments, given what sound instruments of each station show then."""
        ids: list[str] = []
        point, time_us, value = [], [], []
        for station in self._stations:
            shown = self._with_faults(station.station_id, at_us, sound[station.station_id])
            speaks = self._speaks(station.station_id, at_us)
            for quantity in measured(station, self._metered):
                point.append(np.full(int(speaks.sum()), len(ids), dtype=np.int32))
                ids.append(f"{station.station_id}/{quantity.value}")
                time_us.append(at_us[speaks])
                value.append(shown[quantity][speaks])
        none = np.empty(0, dtype=np.int64)
        time_ms = np.concatenate([none, *time_us]) // 1000
        return tables.points(
            ids,
            np.concatenate([none, *point]),
            time_ms,
            time_ms + _DELAY_MS,
            np.round(np.concatenate([none.astype(np.float64), *value]), 4),
            np.zeros(len(time_ms), np.uint8),
        )

    def _with_faults(self, station: str, at_us: NDArray[np.int64], sound: Shown) -> Shown:
        mine = [fault for fault in self._faults if fault.asset == station]
        for fault in mine:
            if fault.kind is FaultKind.SENSOR_STUCK and at_us[0] <= fault.start_us < at_us[-1] + HOUR_US:
                row = int(np.searchsorted(at_us, fault.start_us, side="right")) - 1
                self._stuck[station, fault.start_us] = {name: float(column[row]) for name, column in sound.items()}
        if not mine:
            return sound
        return sensors_with_faults(mine, station, at_us, sound, lambda start_us: self._stuck[station, start_us])

    def _speaks(self, station: str, at_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        speaks = np.ones(len(at_us), dtype=np.bool_)
        for fault in self._faults:
            if fault.kind is FaultKind.SILENT and fault.asset == station:
                end_us = np.iinfo(np.int64).max if fault.end_us is None else fault.end_us
                speaks &= ~((at_us >= fault.start_us) & (at_us < end_us))
        return speaks


class RegulatorRows:
    """Makes the rows of the regulators of a city, or of a part of one."""

    def __init__(self, city: City, metered: Sequence[int]) -> None:
        """Take the positions of the zones that have a supply meter."""
        self._city = city
        ground = city.plan.ground
        regulators = [ground.regulator_of(zone) for zone in ground.regulator_zones]
        self._rows = StationRows(regulators, city.faults, {ground.regulator_zones[at] for at in metered})

    def table(self, flows: Flows) -> pa.Table:
        """Return what the instruments showed at the begin of each hour."""
        at_us = flows.hours * HOUR_US
        plan, faults = self._city.plan, tuple(self._city.faults)
        sound = instruments.of_regulators(plan, faults, at_us, flows.supply, flows.pressure_kpa[:-1])
        return self._rows.table(at_us, sound)


def gate_rows(
    plan: Plan, faults: Sequence[Fault], supply_m3: NDArray[np.float64], pieces: Iterator[tuple[int, int]]
) -> Iterator[pa.Table]:
    """Yield the rows of the gates for pieces (first hour, hours), given what went into the parents, (h, parents)."""
    gates = [station for station in plan.ground.stations if station.kind == "station"]
    rows = StationRows(gates, faults, {station.zone_id for station in gates})
    nominal = mains.nominal_m3h(plan)
    for first, count in pieces if gates else ():
        hours = np.arange(first, first + count, dtype=np.int64)
        flow = supply_m3[first - plan.start_hour : first - plan.start_hour + count]
        yield rows.table(hours * HOUR_US, instruments.of_gates(plan, tuple(faults), hours * HOUR_US, flow, nominal))
