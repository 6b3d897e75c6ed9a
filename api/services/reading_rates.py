"""Reading rates: how many of the customers' meters were read in a span of gas days, by district."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from api.deps import Parts
from gateway.model.network import MeterRole, ZoneKind
from gateway.model.reading import to_us

HOMES = frozenset({"residential", ""})
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


@dataclass(slots=True)
class _Count:
    """What was counted of one group so far."""

    meters: int = 0
    read: int = 0
    measured: int = 0


def reading_rates(parts: Parts, first: date, last: date) -> list[RateLine] | None:
    """Return the whole city, then each district; None if no gas day of the span was audited yet.

    Goes through all intervals of the span: in a large city that takes many seconds. Blocks. Raises TransientError.
    """
    network, gas_day = parts.network, parts.site.gas_day
    district = {zone: network.zone_above(zone, ZoneKind.DISTRICT) for zone in network.zones}
    counts: dict[tuple[str, bool], _Count] = defaultdict(_Count)
    for zone, customer_class, count in network.customers():
        counts[district.get(zone, ""), customer_class in HOMES].meters += count
    any_read = False
    found = parts.intervals.read_meters(
        first,
        last,
        begin=to_us(gas_day.begins(first)),
        end=to_us(gas_day.ends(last)),
        parts=len(network.meters) // _METERS_AT_ONCE + 1,
    )
    for name, days in found:
        meter = network.meters.get(name)
        if meter is None or meter.role is not MeterRole.CUSTOMER:
            continue
        any_read = True
        own = counts[district.get(meter.zone_id, ""), meter.customer_class in HOMES]
        own.read += 1
        own.measured += days
    if not any_read:
        return None
    names = sorted({name for name, _ in counts if name})
    days_asked = (last - first).days + 1
    return [
        RateLine(
            wanted,
            network.name_of(wanted),
            _rate(counts, wanted, days_asked, homes=True),
            _rate(counts, wanted, days_asked, homes=False),
        )
        for wanted in ("", *names)
    ]


def _rate(counts: Mapping[tuple[str, bool], _Count], district: str, days: int, *, homes: bool) -> Rate:
    own = [count for (place, of_homes), count in counts.items() if of_homes is homes and district in {"", place}]
    meters = sum(one.meters for one in own)
    return Rate(meters, sum(one.read for one in own), meters * days, sum(one.measured for one in own))
