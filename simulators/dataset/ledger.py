"""What the truth must know of every hour of a zone group, gathered span by span."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.city import City, Flows
from simulators.faults import KINDS, Fault, Shows

DAY_H = 24
SHOWS_M3 = 1.0
"""gas that must have gone unregistered, or have been used, until an event shows in the data"""
VACANT_DAYS = 7
"""days without any use from which on a home counts as vacant"""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one fault at a meter did, by the hour."""

    first_hour: int | None
    """hour by whose end it shows at the meter; None if it never does"""
    read_hour: int | None
    """hour in which the first reading that can show it arrives"""
    m3_per_day: float | None
    """gas that was not registered because of it, or was used without an account, mean of its days; None: not of gas"""


@dataclass(frozen=True, slots=True)
class Idle:
    """Days in a row without any use at a meter, from one hour to another."""

    column: int
    first_hour: int
    end_hour: int


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """The ledger of a group when all hours have passed."""

    supply_m3: NDArray[np.float64]
    """base m3 into each zone by gas day, (days, zones)"""
    loss_m3: NDArray[np.float64]
    """base m3 that left each zone without being registered, (days, zones)"""
    effects: dict[str, Effect]
    """by fault"""
    idle: tuple[Idle, ...]


class Ledger:
    """Takes the flows of consecutive whole days."""

    def __init__(self, city: City, faults: Iterable[Fault]) -> None:
        """Watch those of the faults that concern one of the city's meters and that an analysis should find."""
        customers = city.plan.customers
        zones = len(city.plan.ground.regulator_zones)
        self._start_hour = city.plan.start_hour
        self._member = np.eye(zones)[customers.zone]
        column = {meter.meter_id: index for index, meter in enumerate(customers.meters)}
        self._watched = [
            (fault, column[fault.asset], truth.effective)
            for fault in faults
            if fault.asset in column and (truth := KINDS[fault.kind].truth(fault)).finding not in {None, "silent"}
        ]
        self._gone = dict.fromkeys((fault.fault_id for fault, _, _ in self._watched), 0.0)
        self._hours = dict.fromkeys(self._gone, 0)
        self._first: dict[str, int] = {}
        self._read: dict[str, int] = {}
        self._supply: list[NDArray[np.float64]] = []
        self._loss: list[NDArray[np.float64]] = []
        self._used: list[NDArray[np.bool_]] = []

    def add(self, flows: Flows) -> None:
        """Take the next days."""
        by_day = (len(flows.hours) // DAY_H, DAY_H, -1)
        self._supply.append(flows.supply.reshape(by_day).sum(axis=1))
        self._loss.append((flows.leak + flows.unregistered @ self._member).reshape(by_day).sum(axis=1))
        used = (flows.passing > 0.0) | (flows.stolen > 0.0)
        self._used.append(np.asarray(used.reshape(by_day).any(axis=1), dtype=np.bool_))
        for fault, column, shows in self._watched:
            gas = flows.unregistered if shows is Shows.UNREGISTERED else flows.passing
            self._watch(fault, flows.hours, gas[:, column], 0.0 if shows is Shows.ONSET else SHOWS_M3)

    def unread(self) -> Iterator[tuple[str, int, int]]:
        """Yield (fault, column, hour) of those that show at the meter from an hour on and in no reading so far."""
        for fault, column, _ in self._watched:
            if fault.fault_id in self._first and fault.fault_id not in self._read:
                yield fault.fault_id, column, self._first[fault.fault_id] + 1

    def read(self, fault_id: str, hour: int) -> None:
        """Note in which hour the first reading that can show a fault arrives."""
        self._read[fault_id] = hour

    def _watch(self, fault: Fault, hours: NDArray[np.int64], gas: NDArray[np.float64], shows_m3: float) -> None:
        active = fault.in_hours(hours)
        total = self._gone[fault.fault_id] + np.cumsum(np.where(active, gas, 0.0))
        shown = active & (total >= shows_m3)
        if fault.fault_id not in self._first and shown.any():
            self._first[fault.fault_id] = int(hours[int(shown.argmax())])
        self._gone[fault.fault_id] = float(total[-1])
        self._hours[fault.fault_id] += int(active.sum())

    def close(self) -> Sums:
        """Return the sums of all days."""
        return Sums(
            supply_m3=np.concatenate(self._supply),
            loss_m3=np.concatenate(self._loss),
            effects={fault.fault_id: self._effect(fault.fault_id, shows) for fault, _, shows in self._watched},
            idle=tuple(self._idle(np.concatenate(self._used))),
        )

    def _effect(self, fault_id: str, shows: Shows) -> Effect:
        daily = self._gone[fault_id] * DAY_H / max(1, self._hours[fault_id])
        return Effect(self._first.get(fault_id), self._read.get(fault_id), None if shows is Shows.ONSET else daily)

    def _idle(self, used: NDArray[np.bool_]) -> Iterable[Idle]:
        """Yield runs of at least `VACANT_DAYS` days without use, (days, meters)."""
        edge = np.zeros((1, used.shape[1]), dtype=np.int8)
        steps = np.diff(np.concatenate([edge, (~used).astype(np.int8), edge]), axis=0)
        columns, first = np.nonzero(steps.T == 1)
        _, end = np.nonzero(steps.T == -1)
        for column, begin, stop in zip(columns.tolist(), first.tolist(), end.tolist(), strict=True):
            if stop - begin >= VACANT_DAYS:
                yield Idle(column, self._start_hour + begin * DAY_H, self._start_hour + stop * DAY_H)
