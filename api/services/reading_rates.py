"""Reading rates: how many of the customers' meters were read in a span of gas days, by district."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from api.deps import Parts
from api.services.registers import HOMES, as_table
from gateway.model.meters import MeterTable
from gateway.model.network import MeterRole, Network, ZoneKind
from gateway.model.reading import to_us

GOALS = {"homes": 0.85, "others": 1.0}
"""shares that the company asks of itself (document 004)"""
_METERS_AT_ONCE = 150_000


@dataclass(frozen=True, slots=True)
class Rate:
    """The meters of one group over a span of gas days."""

    meters: int
    """all that the network's file names, read or not"""
    read: int
    """meters of which at least one register came that lies in the span"""
    days: int
    """gas days of all meters"""
    days_measured: int
    """of them those that rest on registers at both ends, not on an estimate"""

    @property
    def share(self) -> float | None:
        """Return the share of meters that were read; None where there are none."""
        return self.read / self.meters if self.meters else None

    @property
    def share_of_days(self) -> float | None:
        """Return the share of gas days that were measured; None where there are none."""
        return self.days_measured / self.days if self.days else None


@dataclass(frozen=True, slots=True)
class RateLine:
    """One district, or the whole city where `zone` is empty."""

    zone: str
    name: str
    homes: Rate
    others: Rate


def reading_rates(parts: Parts, first: date, last: date) -> list[RateLine] | None:
    """Return the whole city, then each district; None if no gas day of the span was audited yet.

    Quick for a month that the store has counted; else all its intervals are gone through, which takes a large city many
    seconds. An answer is kept for a quarter of an hour. Blocks. Raises TransientError.
    """
    return parts.kept.of(("reading rates", first, last), lambda: _rates(parts, first, last))


def _rates(parts: Parts, first: date, last: date) -> list[RateLine] | None:
    network, gas_day = parts.network, parts.site.gas_day
    table = as_table(network)
    districts, group = _groups(network, table)
    meters = np.bincount(group[group >= 0], minlength=2 * len(districts))
    read, measured = np.zeros_like(meters), np.zeros_like(meters)
    found = parts.intervals.read_meters(
        first,
        last,
        begin=to_us(gas_day.begins(first)),
        end=to_us(gas_day.ends(last)),
        parts=len(network.meters) // _METERS_AT_ONCE + 1,
    )
    for names, days in found:
        rows = np.fromiter(map(table.names.find, names), dtype=np.int64, count=len(names))
        known = rows >= 0
        of = group[rows[known]]
        is_customer = of >= 0
        read += np.bincount(of[is_customer], minlength=len(read))
        counted = np.bincount(of[is_customer], weights=days[known][is_customer], minlength=len(measured))
        measured += counted.astype(np.int64)
    if not read.any():
        return None
    days_asked = (last - first).days + 1
    columns = [one.reshape(-1, 2) for one in (meters, read, measured)]
    lines = [_line(network, "", [one.sum(axis=0) for one in columns], days_asked)]
    return lines + [
        _line(network, name, [one[place] for one in columns], days_asked)
        for place, name in sorted(enumerate(districts), key=lambda pair: pair[1])
        if name and columns[0][place].any()
    ]


def _groups(network: Network, table: MeterTable) -> tuple[Sequence[str], NDArray[np.int64]]:
    """Return the districts ("" for none) and the group of each meter: twice its district, one more for a home.

    A meter that is no customer's has the group -1.
    """
    of_zone = [network.zone_above(zone, ZoneKind.DISTRICT) for zone in table.words["zone"]]
    districts = list(dict.fromkeys(of_zone))
    place = {name: at for at, name in enumerate(districts)}
    district = np.array([place[name] for name in of_zone], dtype=np.int64)
    home = np.array([word in HOMES for word in table.words["customer_class"]], dtype=np.int64)
    group = 2 * district[table.column("zone")] + home[table.column("customer_class")]
    group[~table.rows({}, {"role": MeterRole.CUSTOMER})] = -1
    return districts, group


def _line(network: Network, district: str, counts: Sequence[NDArray[np.int64]], days: int) -> RateLine:
    """Return a line from meters, those read, and days measured, each of (others, homes)."""
    others, homes = (
        Rate(int(meters), int(read), int(meters) * days, int(measured))
        for meters, read, measured in zip(*counts, strict=True)
    )
    return RateLine(district, network.name_of(district), homes, others)
