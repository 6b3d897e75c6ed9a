"""Readings of customers' meters as they came, each row with all that was said at once, and when each meter was heard.

Registers at gas-day boundaries hide what a single reading proves, so the detectors of certain evidence read rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import SHUT, CityModel
from alarms.analysis.study import trim
from gateway.meterdata.arrivals import first_at, in_ranges
from gateway.meterdata.series import HOUR_US, Columns, Flags, Floats, Ints, Series, in_order
from gateway.model.network import MeterRole
from gateway.model.quantity import Quantity
from gateway.model.reading import Window, to_us

REGISTERS = (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3)
BESIDES = (Quantity.VALVE, Quantity.PURCHASED_M3, Quantity.BALANCE_M3)
LONG_AGO_US = -(2**62)
"""closed since before anything is known"""
HEARD_EACH_US = 2 * HOUR_US


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """When anything came from each meter, whatever its clock said; sorted by arrival."""

    column: Columns
    received: Ints
    """us UTC"""
    before: Ints
    """when the meter was heard before that; LONG_AGO_US if never"""

    @classmethod
    def build(cls, column: Columns, received: Ints) -> Self:
        """Sort the arrivals, and keep the first of each meter in each `HEARD_EACH_US`: what follows adds nothing."""
        order = in_order(column, received, received, received)
        column, received = column[order].astype(np.int32), received[order]
        first = np.ones(len(column), dtype=np.bool_)
        first[1:] = (np.diff(column) != 0) | (np.diff(received // HEARD_EACH_US) != 0)
        column, received = column[first], received[first]
        before = np.full(len(column), LONG_AGO_US, dtype=np.int64)
        before[1:] = np.where(column[1:] == column[:-1], received[:-1], LONG_AGO_US)
        order = np.argsort(received, kind="stable")
        return cls(column[order], received[order], before[order])

    def between(self, since_us: int, until_us: int) -> Self:
        """Return what came after one moment and by another."""
        rows = slice(*np.searchsorted(self.received, [since_us, until_us], side="right"))
        return type(self)(self.column[rows], self.received[rows], self.before[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Accounts:
    """Which accounts were shut at first, and what changed, as columns sorted by time."""

    shut: Flags
    column: Columns
    at_us: Ints
    opened: Flags

    @classmethod
    def build(cls, model: CityModel, assets: Sequence[str]) -> Self:
        """Read the company's list."""
        place = {name: index for index, name in enumerate(assets)} if model.accounts else {}
        found = sorted(
            (c.at_us, place[name], c.opened) for name, cs in model.accounts.items() if name in place for c in cs
        )
        return cls(
            np.array([model.network.meters[name].account in SHUT for name in assets], dtype=np.bool_),
            np.array([one[1] for one in found], dtype=np.int32),
            np.array([one[0] for one in found], dtype=np.int64),
            np.array([one[2] for one in found], dtype=np.bool_),
        )

    @property
    def ever_shut(self) -> Flags:
        """Which accounts are shut at some time."""
        result = self.shut.copy()
        result[self.column[~self.opened]] = True
        return result

    def shut_since(self, now_us: int) -> tuple[Flags, Ints]:
        """Return which accounts are shut at a moment, and since when; LONG_AGO_US if since before the first entry."""
        known = slice(0, int(np.searchsorted(self.at_us, now_us, side="right")))
        shut, since = self.shut.copy(), np.full(len(self.shut), LONG_AGO_US, dtype=np.int64)
        # of several entries for one meter the last one stands
        shut[self.column[known]] = ~self.opened[known]
        since[self.column[known]] = self.at_us[known]
        return shut, since


@dataclass(frozen=True, slots=True, eq=False)
class MeterRows:
    """Readings of n customers' meters; rows sorted by meter, device time and arrival. NaN stands for what was not said.

    Only meters with a card, a valve or an account that is shut at some time have rows; all of them are in `heard`.
    """

    assets: tuple[str, ...]
    column: Columns
    time: Ints
    received: Ints
    register_m3: Floats
    valve: Floats
    purchased_m3: Floats
    balance_m3: Floats
    accounts: Accounts
    heard: Heard
    modulus_m3: Floats
    """by meter, as the two that follow"""
    resolution_m3: Floats
    max_flow_m3h: Floats
    zone: NDArray[np.int64]
    """number of the zone on which each meter hangs"""
    closed: Flags
    """whether the meter's valve was ever reported closed, (n,)"""
    card: Flags
    """whether purchases were ever read of the meter, (n,)"""

    def known(self, until_us: int, since_us: int, meters: Flags | None = None) -> Self:
        """Return what had arrived by a moment and is not older than another; rows of some of the meters only."""
        edges = np.searchsorted(self.column, np.arange(len(self.assets) + 1))
        low, high = edges[:-1], edges[1:]
        if meters is not None:
            low, high = low[meters], high[meters]
        rows, _ = in_ranges(first_at(self.time, low, high, np.full(len(low), since_us)), high)
        part = self.take(rows[self.received[rows] <= until_us])
        return replace(part, heard=self.heard.between(since_us, until_us))

    def take(self, chosen: Flags | NDArray[np.intp]) -> Self:
        """Return some of the rows."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in _OF_ROWS})

    def once(self) -> Self:
        """Return each device time of a meter once, as it arrived first."""
        first = np.ones(len(self.time), dtype=np.bool_)
        first[1:] = (np.diff(self.column) != 0) | (np.diff(self.time) != 0)
        return self.take(first)


_OF_ROWS = [f.name for f in fields(MeterRows)][1:8]


def rows_of(model: CityModel, series: Mapping[Quantity, Series], heard: Mapping[Quantity, Series]) -> MeterRows:
    """Join what was read at the same moment of a meter; `heard` holds all rows of registers, usable or not."""
    names = [
        name
        for quantity in REGISTERS
        for name in (series[quantity].assets if quantity in series else ())
        if model.network.meters[name].role is MeterRole.CUSTOMER
    ]
    place = {name: index for index, name in enumerate(names)}
    accounts = Accounts.build(model, names)
    wanted = accounts.ever_shut
    for quantity in BESIDES:
        if quantity in series:
            wanted[_present(_placed(series[quantity], place))] = True
    column, time, received, register = _registers(series, place, wanted)
    besides: list[Floats] = []
    for quantity in BESIDES:
        value, arrived = _beside(column, time, series.get(quantity), place)
        besides.append(value)
        received = np.maximum(received, arrived)
    meters = [model.network.meters[name] for name in names]
    zones = {name: number for number, name in enumerate(model.network.zones)}
    came = [(_placed(part, place), part.received) for part in heard.values()]
    at = np.concatenate([np.empty(0, dtype=np.int64), *(column for column, _ in came)])
    when = np.concatenate([np.empty(0, dtype=np.int64), *(received for _, received in came)])
    return MeterRows(
        tuple(names),
        column,
        time,
        received,
        register,
        besides[0],
        besides[1],
        besides[2],
        accounts,
        Heard.build(at[at >= 0], when[at >= 0]),
        np.array([10.0**meter.digits for meter in meters]),
        np.array([10.0**-meter.decimals for meter in meters]),
        np.array([meter.max_flow_m3h for meter in meters]),
        np.array([zones[meter.zone_id] for meter in meters], dtype=np.int64),
        _marked(column[besides[0] == 0.0], len(names)),
        _marked(column[np.isfinite(besides[1])], len(names)),
    )


def rows_of_windows(model: CityModel, windows: Mapping[Quantity, Window], now: datetime) -> MeterRows:
    """Take each known value of windows as a reading that arrived at once."""
    series = {}
    for quantity, window in trim(windows, now).items():
        if quantity in (*REGISTERS, *BESIDES):
            row, column = np.nonzero(np.isfinite(window.value))
            time = window.times[row]
            series[quantity] = Series.build(
                window.assets, column.astype(np.int32), time, time, window.value[row, column]
            )
    heard = {quantity: part for quantity, part in series.items() if quantity in REGISTERS}
    return rows_of(model, series, heard).known(to_us(now), LONG_AGO_US)


def _placed(part: Series, place: Mapping[str, int]) -> Ints:
    """Return where the asset of each row stands among the customers, -1 for others."""
    where = np.array([place.get(name, -1) for name in part.assets], dtype=np.int64)
    return where[part.column] if len(part.column) else np.empty(0, dtype=np.int64)


def _marked(column: Columns, count: int) -> Flags:
    return np.bincount(column, minlength=count) > 0


def _present(column: Ints) -> Ints:
    return np.unique(column[column >= 0])


def _registers(
    series: Mapping[Quantity, Series], place: Mapping[str, int], wanted: Flags
) -> tuple[Columns, Ints, Ints, Floats]:
    parts = []
    for quantity in REGISTERS:
        if quantity in series:
            part, column = series[quantity], _placed(series[quantity], place)
            mine = column >= 0
            mine[mine] = wanted[column[mine]]
            parts.append((column[mine], part.time[mine], part.received[mine], part.value[mine]))
    if not parts:
        return np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    column, time, received, value = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = in_order(column, time, received, value)
    return column[order].astype(np.int32), time[order], received[order], value[order]


def _beside(column: Columns, time: Ints, part: Series | None, place: Mapping[str, int]) -> tuple[Floats, Ints]:
    """Return value and arrival of another quantity of the same meters at the same moments; NaN and 0 for none.

    Where a moment came several times, its first row is joined with the first one there, and so on.
    """
    value, received = np.full(len(column), np.nan), np.zeros(len(column), dtype=np.int64)
    if part is None or not len(part.time) or not len(column):
        return value, received
    other = _placed(part, place)
    order = np.flatnonzero(other >= 0)
    order = order[in_order(other[order], part.time[order], part.received[order], part.value[order])]
    if not len(order):
        return value, received
    origin = min(int(time.min()), int(part.time.min()))
    width = max(int(time.max()), int(part.time.max())) - origin + 1
    if width * len(place) >= 2**62:
        raise ValueError("the span of time is too long for that many assets")
    mine, theirs = column.astype(np.int64) * width + (time - origin), other[order] * width + (part.time[order] - origin)
    first = np.ones(len(mine), dtype=np.bool_)
    first[1:] = mine[1:] != mine[:-1]
    row = np.arange(len(mine))
    number = row - np.maximum.accumulate(np.where(first, row, 0))
    at = np.searchsorted(theirs, mine, side="left") + number
    found = np.minimum(at, len(theirs) - 1)
    same = (at < len(theirs)) & (theirs[found] == mine)
    value[same] = part.value[order][found[same]]
    received[same] = part.received[order][found[same]]
    return value, received
