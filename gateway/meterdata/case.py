"""What the rules look at, and what they answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from gateway.meterdata.clock_offset import Clocks
from gateway.meterdata.intervals import Built
from gateway.meterdata.series import Columns, Exchanges, Flags, Floats, Ints, Registers, Series


class Result(StrEnum):
    """What a rule that fired does to a reading or an interval."""

    MISSING = "missing"
    OUT = "out"
    """the reading is not used"""
    NOTED = "noted"
    """the register goes on; it is only written down"""
    JOINED = "joined"
    BROKEN = "broken"
    """the register begins anew, somebody has to look"""
    INVALID = "invalid"
    UNCERTAIN = "uncertain"
    """used, and to be audited"""
    EVIDENCE = "evidence"
    """used; a detector may look at it"""
    ADJUSTED = "adjusted"
    VISIT = "visit"


@dataclass(frozen=True, slots=True)
class Limits:
    """When the rules fire. Volumes in m3 a day, counts in gas days."""

    use_times: float = 5.0
    """V09: this many times more or less than usual"""
    use_m3: float = 2.0
    """V09: by no less than this"""
    zero_days: int = 7
    """V10"""
    peers_use_m3: float = 0.1
    """V10: the class uses at least this"""
    repeat_us: int = 60_000_000
    """V11: a copy that comes sooner is a redelivery"""
    jump_days: int = 5
    """V13: days before and after that a level must hold"""
    credit_share: float = 0.1
    """V16: what credit and register may differ by, of the larger"""
    credit_m3: float = 2.0
    """V16: and at least this"""
    corrector_share: float = 0.03
    """V17: what base and measured volume may differ by after correction"""
    corrector_m3: float = 1.0
    """V17: days with less are not judged"""
    estimated_days: int = 14
    """V18"""


@dataclass(frozen=True, slots=True, eq=False)
class Corrector:
    """What a volume corrector's base volume must follow, of (day, asset); NaN where unknown."""

    base_m3: Floats
    measured_m3: Floats
    factor: Floats
    """base over measured volume, from pressure and temperature"""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Meters, their readings and intervals at one moment. Tables are (day, asset) or (boundary, asset)."""

    raw: Series
    """every row with a value, as it came"""
    series: Series
    """rows that volumes may be made of"""
    registers: Registers
    exchanges: Exchanges
    built: Built
    group: Ints
    """customer class of each asset, numbered"""
    clocks: Clocks
    valve: Floats
    """(boundary, asset): 1 open, 0 closed, NaN unknown"""
    shut: Flags
    """(day, asset): the account was closed all day"""
    credit_m3: Floats
    """(boundary, asset): ever purchased less what is left; NaN unknown"""
    corrector: Corrector
    before_units: Ints
    """(day, asset): estimates of an earlier pass in register units, -1 where there was none"""
    limits: Limits = field(default_factory=Limits)
    since_day: int = 0
    """the first day of which the gateway can know anything; runs of days begin there"""
    restated: Flags | None = None
    """(day,): days on which a rule tells again what lasts, such as the first of each month; None = none"""
    too_early: Ints | None = None
    """(asset,): readings with a device time before the meter was installed; None = not looked at"""

    @property
    def bounds(self) -> Ints:
        """Boundaries of the gas days, us."""
        return self.built.intervals.bounds

    @property
    def use(self) -> Floats:
        """Measured m3 of (day, asset), NaN elsewhere."""
        return self.built.intervals.use_m3(self.registers.resolution_m3)


@dataclass(frozen=True, slots=True, eq=False)
class Fired:
    """Where a rule fired; arrays of equal length."""

    column: Columns
    time: Ints
    """us: source time of the reading, or beginning of the gas day, that it is about"""
    since: Ints
    until: Ints
    """us: the stretch of time that it throws doubt on"""
    numbers: Mapping[str, Floats]
    """evidence by name, unit in the name"""
    days: Flags | None = None
    """(day, asset): the days that it throws doubt on, where that is more than what is told; None = since to until"""

    @staticmethod
    def at(column: Columns, time: Ints, numbers: Mapping[str, Floats], since: Ints | None = None) -> Fired:
        """Fire at readings; the doubt is on the time since the reading before, if that is given."""
        return Fired(column, time, time if since is None else since, time, numbers)

    @staticmethod
    def on_days(days: Flags, bounds: Ints, numbers: Mapping[str, Floats]) -> Fired:
        """Fire at gas days where `days` (day, asset) is True; the evidence comes as tables of the same shape."""
        day, column = np.nonzero(days)
        rows = {name: np.broadcast_to(table, days.shape)[day, column] for name, table in numbers.items()}
        return Fired(column.astype(np.int32), bounds[day], bounds[day], bounds[day], rows)

    @staticmethod
    def of_runs(case: Case, run: Flags, numbers: Mapping[str, Floats]) -> Fired:
        """Fire once where a run of days (day, asset) begins, and again on restated days while it lasts.

        So a meter that is silent for a year has twelve verdicts and not 365. A run that lasts since before the days
        of the case began elsewhere, and is only told again.
        """
        begins = run.copy()
        begins[1:] &= ~run[:-1]
        again = np.zeros(len(run), dtype=np.bool_) if case.restated is None else case.restated
        told = Fired.on_days((begins | again[:, None]) & run, case.bounds, numbers)
        last = np.full(run.shape[1], len(run) - 1)
        until = np.zeros(run.shape, dtype=np.int64)
        for day in range(len(run) - 1, -1, -1):
            last = np.where(run[day], last, day - 1)
            until[day] = last
        ends = case.bounds[until[np.searchsorted(case.bounds, told.time), told.column]]
        return Fired(told.column, told.time, told.since, ends, told.numbers, run)
