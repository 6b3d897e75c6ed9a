"""The registers of a city's customers as columns, for what looks at all of them at once."""

from __future__ import annotations

from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gateway.model.meters import MeterTable
from gateway.model.network import Meter, MeterKind, MeterRole, Network, register_of
from gateway.model.reading import PointId, point_id
from gateway.store.registry import StateRegistry
from gateway.store.state import State

HOMES = frozenset({"residential", ""})
"""classes of customers that are households"""
LIFE_YEARS = 10
"""of a home's meter"""


def as_table(network: Network) -> MeterTable:
    """Return the meters as columns."""
    return network.meters if isinstance(network.meters, MeterTable) else MeterTable.of(network.meters)


class Registers:
    """One register for each customer whose account is not closed; all arrays are in the same order.

    Used by one thread at a time.
    """

    def __init__(self, network: Network, state: State) -> None:
        """Remember where to look; nothing is read yet."""
        self._network, self._state = network, state
        self._registry: StateRegistry | None = None
        self._asked = 0
        """points that were registered when the indices were looked up last"""

    @cached_property
    def _table(self) -> MeterTable:
        return as_table(self._network)

    @cached_property
    def _rows(self) -> NDArray[np.intp]:
        open_ = {"account": set(self._table.words["account"]) - {"closed"}}
        return np.flatnonzero(self._table.rows(open_, {"role": MeterRole.CUSTOMER}))

    @cached_property
    def _indices(self) -> NDArray[np.int64]:
        return np.full(len(self._rows), -1, dtype=np.int64)

    @property
    def installed(self) -> NDArray[np.int32]:
        """When each was installed, as the ordinal of a day."""
        found: NDArray[np.int32] = self._table.column("installed_on")[self._rows]
        return found

    def meter(self, place: int) -> Meter:
        """Return the meter at a place of the arrays."""
        return self._table.at(int(self._rows[place]))

    def homes(self) -> NDArray[np.bool_]:
        """Tell which are households'."""
        found: NDArray[np.bool_] = self._table.rows({"customer_class": HOMES}, {})[self._rows]
        return found

    def past_life(self, today: date) -> NDArray[np.bool_]:
        """Tell which were installed `LIFE_YEARS` ago or earlier."""
        days, place = np.unique(self.installed, return_inverse=True)
        over = np.array([_anniversary(date.fromordinal(day)) <= today for day in days.tolist()], dtype=bool)
        return over[place]

    def indices(self) -> NDArray[np.int64]:
        """Return the index of each register in the readings store, -1 for one of which no reading ever came.

        An index never changes, so only what was missing is looked up again. Blocks: at first some seconds for a
        million. Raises TransientError.
        """
        if self._registry is None:
            self._registry = StateRegistry(self._state)
        else:
            self._registry.refresh()
        if len(self._registry) != self._asked:
            missing = np.flatnonzero(self._indices < 0)
            self._indices[missing] = self._registry.find(self._points(missing))
            self._asked = len(self._registry)
        return self._indices

    def _points(self, places: NDArray[np.intp]) -> list[PointId]:
        rows = self._rows[places]
        ends = [point_id("", register_of(kind)) for kind in MeterKind]
        kinds = self._table.column("kind")[rows].tolist()
        names = self._table.names.names(rows.tolist())
        return [PointId(name + ends[kind]) for name, kind in zip(names, kinds, strict=True)]


def _anniversary(installed: date) -> date:
    """Return when a meter's life is over."""
    return date(installed.year + LIFE_YEARS, installed.month, min(installed.day, 28))
