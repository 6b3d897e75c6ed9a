"""What an interval is: a row for people, columns for the audit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EPOCH = date(1970, 1, 1)
Ints = NDArray[np.int64]
Texts = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """What one meter counted on one gas day, at one revision."""

    meter: str
    gas_day: str
    begins: int
    ends: int
    units: int | None
    """whole register units; None = missing"""
    decimals: int
    """m3 = units / 10**decimals"""
    status: str
    method: str
    rules: str
    """codes of the rules that throw doubt on it"""
    left_at: int | None
    """us: the reading before that it rests on"""
    right_at: int | None
    step_units: int | None
    """register step between the two"""
    who: str
    """who made it by hand; else empty"""
    note: str
    """why it was made by hand; else empty"""
    computed_at: int
    revision: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class IntervalColumns:
    """Intervals as columns of equal length, without revisions; -1 stands for a number that is not known."""

    meter: Texts
    gas_day: Ints
    """days since 1970"""
    begins: Ints
    ends: Ints
    units: Ints
    decimals: Ints
    status: Texts
    method: Texts
    rules: Texts
    left_at: Ints
    right_at: Ints
    step_units: Ints
    who: Texts
    note: Texts
    computed_at: Ints

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.meter)


COLUMNS = tuple(field.name for field in fields(IntervalColumns))
ALL = ", ".join((*COLUMNS, "revision"))


def day_number(day: date) -> int:
    """Return a gas day as days since 1970."""
    return (day - _EPOCH).days


def day_of(number: int) -> date:
    """Return the gas day of a number of `day_number`."""
    return _EPOCH + timedelta(days=number)


def row_of(values: tuple[Any, ...]) -> IntervalRow:
    """Return what a query for `ALL` gave."""
    found = dict(zip((*COLUMNS, "revision"), values, strict=True))
    return IntervalRow(**{**found, "gas_day": day_of(found["gas_day"]).isoformat()})


def as_array(values: list[Any]) -> NDArray[Any]:
    """Return values as a column; -1 stands for None."""
    if isinstance(values[0], str):
        return np.array(values, dtype=object)
    return np.array([-1 if value is None else value for value in values], dtype=np.int64)
