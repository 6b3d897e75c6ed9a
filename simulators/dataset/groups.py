"""A group of zones, computed from the begin of the history to its end with little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simulators.city import City, Flows
from simulators.dataset import tables
from simulators.dataset.ledger import DAY_H, Ledger, Sums
from simulators.dataset.points import RegulatorRows
from simulators.dataset.rows import ReadingRows, Silence
from simulators.dataset.supply import supply_rows
from simulators.faults import FaultKind
from simulators.meters.habits import Habits
from simulators.meters.quirks import Quirks
from simulators.meters.registers import Done, RegisterBank
from simulators.meters.traits import meter_traits
from simulators.meters.troubles import Trouble, troubles

CELLS_AT_ONCE = 400_000
"""meters times hours that are computed at a time"""
CELLS_OF_A_GROUP = 4_000_000
"""meters times hours of a group, unless one zone has more"""
METERS_OF_A_GROUP = 5000
"""the same for its meters"""


@dataclass(frozen=True, slots=True)
class GroupFiles:
    """Rows of a group, each an Arrow stream that is deleted once it has been copied."""

    readings: Path
    points: Path


@dataclass(frozen=True, slots=True, eq=False)
class GroupResult:
    """What is known of a group when all hours have passed."""

    files: GroupFiles
    first_zone: int
    """position of its first zone in the city"""
    first_meter: int
    meters: int
    sums: Sums
    supply_m3: NDArray[np.float64]
    """what went into each zone in each hour, base m3, (h, zones)"""
    parents: tuple[str, ...]
    """levels above its zones"""
    parent_leak_m3: NDArray[np.float64]
    """what leaked between a parent and what is below it, (h, parents)"""
    parent_gain: NDArray[np.float64]
    """what the parents' supply meters count for each base m3, (h, parents)"""
    done: tuple[Done, ...]
    """exchanges of meters"""
    rolled: tuple[tuple[int, int], ...]
    """(column of the meter, hour) of registers that rolled over"""
    troubles: tuple[Trouble, ...]
    odd: tuple[tuple[str, int], ...]
    """(what, column) of meters whose registers do odd things all the time"""


def groups_of(meters_per_zone: Sequence[int], days: int) -> list[tuple[int, int]]:
    """Part zones into groups (first, count) of a bounded number of readings."""
    groups: list[tuple[int, int]] = []
    most = max(1, min(METERS_OF_A_GROUP, CELLS_OF_A_GROUP // (days * DAY_H)))
    taken = most
    for zone, meters in enumerate(meters_per_zone):
        if taken + meters + 1 > most:
            groups.append((zone, 0))
            taken = 0
        taken += meters + 1
        groups[-1] = (groups[-1][0], groups[-1][1] + 1)
    return groups


def spans(first_hour: int, days: int, columns: int) -> Iterator[tuple[int, int]]:
    """Yield (first hour, number of hours) of spans of whole days."""
    at_once = max(1, CELLS_AT_ONCE // (DAY_H * max(1, columns)))
    for day in range(0, days, at_once):
        yield first_hour + day * DAY_H, min(at_once, days - day) * DAY_H


def write_group(city: City, days: int, habits: Habits, metered: Sequence[int], files: GroupFiles) -> GroupResult:
    """Compute a city of its zones for so many days and write its rows.

    `metered` are the positions of those of its zones that have a supply meter. Everything is a function of the city, so
    the groups of a city together say what the whole would.
    """
    plan = city.plan
    end_us = (plan.start_hour + days * DAY_H) * 3_600_000_000
    ledger = Ledger(city, city.faults)
    traits = meter_traits(plan.seed, plan.customers)
    quirks = Quirks(plan.seed, traits)
    bank = RegisterBank(traits, plan.customers.start_m3, city.exchanges, quirks)
    names = [meter.meter_id for meter in plan.customers.meters]
    customers = ReadingRows(names, traits, bank=bank, habits=habits, end_us=end_us, silences=_silences(city))
    at = np.asarray(metered, dtype=np.intp)
    supply = supply_rows(plan, at.tolist(), end_us)
    points = RegulatorRows(city, at.tolist())
    taken = _Taken()
    with _stream(files.readings, tables.READINGS) as readings, _stream(files.points, tables.POINTS) as measured:
        for first, count in spans(plan.start_hour, days, len(plan.customers) + len(plan.ground.regulator_zones)):
            flows = city.flows(first, count)
            ledger.add(flows)
            taken.add(flows)
            readings.write_table(customers.of_customers(flows, plan.customers.ic_card))
            for fault_id, column, hour in list(ledger.unread()):
                arrival = customers.arrival_hour(column, hour)
                if arrival is not None:
                    ledger.read(fault_id, arrival)
            if len(at):
                readings.write_table(supply.of_supply(flows.hours, flows.supply_counted[:, at]))
            measured.write_table(points.table(flows))
    return GroupResult(
        files=files,
        first_zone=plan.ground.first_zone,
        first_meter=plan.ground.first_place,
        meters=len(plan.customers),
        sums=ledger.close(),
        supply_m3=np.concatenate(taken.supply),
        parents=plan.parents,
        parent_leak_m3=np.concatenate(taken.leak),
        parent_gain=np.concatenate(taken.gain),
        done=tuple(bank.done),
        rolled=tuple(customers.rolled),
        troubles=tuple(troubles(habits, plan.start_hour, days * DAY_H)),
        odd=(
            *(("stray_pulses", column) for column in quirks.loose.tolist()),
            *(("back_flow", column) for column in quirks.open_back.tolist()),
        ),
    )


@dataclass(slots=True, eq=False)
class _Taken:
    """What the levels above must know, span by span."""

    supply: list[NDArray[np.float64]] = field(default_factory=list)
    leak: list[NDArray[np.float64]] = field(default_factory=list)
    gain: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, flows: Flows) -> None:
        self.supply.append(flows.supply)
        self.leak.append(flows.parent_leak)
        ones = np.ones(flows.parent_supply.shape)
        self.gain.append(
            np.divide(flows.parent_counted, flows.parent_supply, out=ones, where=flows.parent_supply > 0.0)
        )


def _silences(city: City) -> list[Silence]:
    column = {meter.meter_id: index for index, meter in enumerate(city.plan.customers.meters)}
    return [
        (column[fault.asset], fault.start_hour, fault.end_hour)
        for fault in city.faults
        if fault.kind is FaultKind.METER_SILENT and fault.asset in column
    ]


@contextmanager
def _stream(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatchStreamWriter]:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
        yield stream
