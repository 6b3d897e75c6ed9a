"""The meters of a large city as columns: a `Meter` is made when somebody asks for it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence, ValuesView
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.model.names import NameTable
from gateway.model.network import Meter, MeterKind, MeterRole
from gateway.model.text_column import TextColumn

KINDS: Mapping[str, str] = {
    "zone": "<i4",
    "role": "|i1",
    "kind": "|i1",
    "customer_class": "<i4",
    "digits": "|i1",
    "decimals": "|i1",
    "max_flow_m3h": "<f8",
    "temperature_compensated": "|b1",
    "installed_on": "<i4",
    "account": "|i1",
    "x_m": "<f8",
    "y_m": "<f8",
}
"""the columns: `installed_on` is the ordinal of a day, a position NaN where unknown; zone, class, account are places in
the words of their column, role and kind in their enumerations"""
WORDS = ("zone", "customer_class", "account")
TEXTS = ("account_no", "address")
"""the columns of which nearly every meter has another text"""
_ROLES, _KINDS_OF_METER = tuple(MeterRole), tuple(MeterKind)
_PREFIX = "name_"
_CHUNK = 50_000


class MeterTable(Mapping[str, Meter]):
    """Meters by their id, in the order of the company's file."""

    def __init__(
        self,
        names: NameTable,
        columns: Mapping[str, NDArray[Any]],
        words: Mapping[str, Sequence[str]],
        texts: Mapping[str, TextColumn],
    ) -> None:
        """Take columns of the `KINDS` and `TEXTS`, which are not copied. Raises ValueError if their lengths differ."""
        self.names = names
        self.texts = {name: texts[name] for name in TEXTS}
        self._columns = {name: columns[name] for name in KINDS}
        self._words = {name: tuple(words[name]) for name in WORDS}
        lengths = {len(column) for column in self._columns.values()} | {len(texts) for texts in self.texts.values()}
        if lengths != {len(names)}:
            raise ValueError("columns of meters differ in length")
        self._views = [memoryview(column.data) for column in self._columns.values()]

    @staticmethod
    def of(meters: Mapping[str, Meter]) -> MeterTable:
        """Return the same meters as columns."""
        every = list(meters.values())
        words: dict[str, dict[str, int]] = {name: {} for name in WORDS}

        def place(column: str, word: str) -> int:
            return words[column].setdefault(word, len(words[column]))

        rows = [
            (
                place("zone", one.zone_id),
                _ROLES.index(one.role),
                _KINDS_OF_METER.index(one.kind),
                place("customer_class", one.customer_class),
                one.digits,
                one.decimals,
                one.max_flow_m3h,
                one.temperature_compensated,
                one.installed_on.toordinal(),
                place("account", one.account),
                np.nan if one.x_m is None else one.x_m,
                np.nan if one.y_m is None else one.y_m,
            )
            for one in every
        ]
        parts = zip(*rows, strict=True) if rows else ([] for _ in KINDS)
        columns = {name: np.array(part, dtype=KINDS[name]) for name, part in zip(KINDS, parts, strict=True)}
        texts = {name: TextColumn.of(getattr(one, name) for one in every) for name in TEXTS}
        names = NameTable.of(one.meter_id for one in every)
        return MeterTable(names, columns, {name: list(of) for name, of in words.items()}, texts)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return all columns, those of the names too, to be kept in a file."""
        texts = {part: column for name, of in self.texts.items() for part, column in of.columns(name).items()}
        return {**self._columns, **self.names.columns(_PREFIX), **texts}

    def column(self, name: str) -> NDArray[Any]:
        """Return one of the columns of `KINDS`, by row; it must not be changed."""
        return self._columns[name]

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """What the columns of places stand for."""
        return dict(self._words)

    @staticmethod
    def kept(columns: Mapping[str, NDArray[Any]], words: Mapping[str, Sequence[str]]) -> MeterTable:
        """Return the table whose columns were kept. Raises KeyError if one is missing."""
        texts = {name: TextColumn.kept(columns, name) for name in TEXTS}
        return MeterTable(NameTable(columns, _PREFIX), columns, words, texts)

    def __getitem__(self, meter_id: str) -> Meter:
        """Return a meter. Raises KeyError."""
        row = self.names.find(meter_id)
        if row < 0:
            raise KeyError(meter_id)
        return self.at(row)

    def at(self, row: int) -> Meter:
        """Return the meter of a row. Raises IndexError."""
        cells: list[Any] = [view[row] for view in self._views]
        return self._meter(row, self.names.name(row), *cells)

    def rows(self, words: Mapping[str, Container[str]], enumerated: Mapping[str, str]) -> NDArray[np.bool_]:
        """Return which rows have one of these words in a column of `WORDS`, and these values of role and kind."""
        mask = np.ones(len(self), dtype=bool)
        for name, wanted in words.items():
            codes = [code for code, word in enumerate(self._words[name]) if word in wanted]
            mask &= np.isin(self._columns[name], codes)
        members: dict[str, tuple[str, ...]] = {"role": _ROLES, "kind": _KINDS_OF_METER}
        for name, value in enumerated.items():
            mask &= self._columns[name] == members[name].index(value)
        return mask

    def nearest(self, x_m: float, y_m: float) -> int | None:
        """Return the row of the meter that is nearest to a position, None if no position is known."""
        away = np.hypot(self._columns["x_m"] - x_m, self._columns["y_m"] - y_m)
        known = np.flatnonzero(~np.isnan(away))
        return int(known[np.argmin(away[known])]) if known.size else None

    def __contains__(self, meter_id: object) -> bool:
        """Tell whether there is a meter of that id."""
        return isinstance(meter_id, str) and self.names.find(meter_id) >= 0

    def __iter__(self) -> Iterator[str]:
        """Yield the ids."""
        return iter(self.names)

    def __len__(self) -> int:
        """Return the number of meters."""
        return len(self.names)

    def values(self) -> ValuesView[Meter]:
        """Return the meters; each is made when it is its turn."""
        return _Meters(self)

    def every(self, step: int = 1) -> Iterator[Meter]:
        """Yield the meters in order, or but each of so many."""
        for at in range(0, len(self), _CHUNK * step):
            rows = range(at, min(at + _CHUNK * step, len(self)), step)
            parts = [column[rows.start : rows.stop : step].tolist() for column in self._columns.values()]
            for place, name, *row in zip(rows, self.names.names(rows), *parts, strict=True):
                yield self._meter(place, name, *row)

    def customers(self) -> list[tuple[str, str, int]]:
        """Return (zone, class of customers, number of meters) of all customers, in no order."""
        of_customer = self._columns["role"] == _ROLES.index(MeterRole.CUSTOMER)
        classes = len(self._words["customer_class"])
        pairs = self._columns["zone"][of_customer].astype(np.int64) * classes
        pairs += self._columns["customer_class"][of_customer]
        found, counts = np.unique(pairs, return_counts=True)
        zones, names = self._words["zone"], self._words["customer_class"]
        return [
            (zones[pair // classes], names[pair % classes], count)
            for pair, count in zip(found.tolist(), counts.tolist(), strict=True)
        ]

    def installed_before(self, day: date) -> list[tuple[str, date]]:
        """Return the customers' meters that were installed by a day, the oldest first."""
        on = self._columns["installed_on"]
        rows = np.flatnonzero((on <= day.toordinal()) & (self._columns["role"] == _ROLES.index(MeterRole.CUSTOMER)))
        names = self.names.names(rows.tolist())
        found = zip(names, (date.fromordinal(one) for one in on[rows].tolist()), strict=True)
        return sorted(found, key=lambda pair: (pair[1], pair[0]))

    def _meter(  # noqa: PLR0917 - the columns of a meter
        self,
        row: int,
        meter_id: str,
        zone: int,
        role: int,
        kind: int,
        customer_class: int,
        digits: int,
        decimals: int,
        max_flow_m3h: float,
        compensated: bool,
        installed_on: int,
        account: int,
        x_m: float,
        y_m: float,
    ) -> Meter:
        return Meter(
            meter_id=meter_id,
            zone_id=self._words["zone"][zone],
            role=_ROLES[role],
            kind=_KINDS_OF_METER[kind],
            customer_class=self._words["customer_class"][customer_class],
            digits=digits,
            decimals=decimals,
            max_flow_m3h=max_flow_m3h,
            temperature_compensated=compensated,
            installed_on=date.fromordinal(installed_on),
            account=self._words["account"][account],
            x_m=None if x_m != x_m else x_m,  # noqa: PLR0124 - NaN
            y_m=None if y_m != y_m else y_m,  # noqa: PLR0124
            account_no=self.texts["account_no"][row],
            address=self.texts["address"][row],
        )


class _Meters(ValuesView[Meter]):
    _mapping: MeterTable

    def __iter__(self) -> Iterator[Meter]:
        return self._mapping.every()
