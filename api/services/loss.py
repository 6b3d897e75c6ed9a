"""Loss by zone and period: the tree of the loss page and the course of one zone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from api.deps import Parts
from gateway.model.finding import LossRow, LossVerdict
from gateway.model.loss_total import LossTotal, month_after, month_of, total
from gateway.model.network import Network
from gateway.store import finding_rows, view_rows

TREND_DAYS = 62
TREND_MONTHS = 13
SPARK_DAYS = 30
_MANY_ZONES = 2000
"""from so many on the small courses are kept for a while"""


class Period(StrEnum):
    """Over how many gas days the tree sums."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    CYCLE = "cycle"
    """two calendar months, as manual readings are taken"""


@dataclass(frozen=True, slots=True)
class LossLine:
    """One zone's balance over a period, m3 at base conditions; None where it cannot be said."""

    zone: str
    name: str
    kind: str
    depth: int
    parent: str
    supply_m3: float | None
    metered_m3: float | None
    loss_m3: float | None
    loss_rate: float | None
    sigma: float | None
    """standard uncertainty of the rate; see `gateway.model.loss_total`"""
    coverage: float | None
    verdict: str
    """of the sum over the days"""
    reason: str
    days: int
    """gas days of the period that have a figure"""
    days_high: int
    days_asked: int
    between_m3: float | None
    """of the loss, between the zone's own supply meter and those right below it; None where there are none below"""
    between_sigma_m3: float | None


@dataclass(frozen=True, slots=True)
class LossMonth:
    """One calendar month of one zone's course."""

    month: str
    days: int
    loss_rate: float | None
    sigma: float | None
    supply_m3: float | None
    loss_m3: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class LossDay:
    """One gas day of one zone's course."""

    gas_day: str
    loss_rate: float | None
    sigma: float | None
    supply_m3: float | None
    loss_m3: float | None
    verdict: str


def known_days(parts: Parts) -> tuple[date, date] | None:
    """Return the first and the last gas day with figures, None if there is none yet."""
    with parts.state.read() as connection:
        days = view_rows.loss_days(connection)
    return None if days is None else (date.fromisoformat(days[0]), date.fromisoformat(days[1]))


def span(period: Period, day: date) -> tuple[date, date]:
    """Return first and last gas day of the period that a day lies in; the last is never after `day`."""
    match period:
        case Period.DAY:
            return day, day
        case Period.WEEK:
            return day - timedelta(days=6), day
        case Period.MONTH:
            return month_of(day), day
        case Period.CYCLE:
            return month_of(day, 2), day


def loss_tree(parts: Parts, first: date, last: date) -> list[LossLine]:
    """Return every zone from the root down, children below their parent, with its balance over the days."""
    with parts.state.read() as connection:
        rows = finding_rows.list_loss(connection, first, last)
    by_zone: dict[str, list[LossRow]] = defaultdict(list)
    for row in rows:
        by_zone[row.zone].append(row)
    asked = (last - first).days + 1
    network = parts.network
    totals = {zone: total(by_zone.get(zone, ()), asked) for zone in network.zones}
    return [_line(network, zone, depth, totals) for zone, depth in _walk(network)]


def zone_total(parts: Parts, zone: str, first: date, last: date) -> LossTotal:
    """Return the balance of one zone over the days, with its terms."""
    with parts.state.read() as connection:
        rows = finding_rows.list_loss(connection, first, last, zones=[zone], terms=True)
    return total(rows, (last - first).days + 1)


def loss_trend(parts: Parts, zone: str, last: date, days: int = TREND_DAYS) -> list[LossDay]:
    """Return the course of one zone over the gas days up to `last`; a day without a row is there, unknown."""
    first = last - timedelta(days=days - 1)
    with parts.state.read() as connection:
        known = {row.gas_day: row for row in finding_rows.list_loss(connection, first, last, zones=[zone])}
    wanted = [first + timedelta(days=n) for n in range(days)]
    while wanted and wanted[0] not in known:
        wanted.pop(0)
    return [_day(day, known.get(day)) for day in wanted]


def loss_sparks(parts: Parts, last: date) -> Mapping[str, Sequence[float | None]]:
    """Return the loss rates of the `SPARK_DAYS` gas days up to `last` by zone, None on days without one. Blocks."""
    if len(parts.network.zones) < _MANY_ZONES:
        return _sparks(parts, last)
    return parts.kept.of(("small courses of loss", last), lambda: _sparks(parts, last))


def _sparks(parts: Parts, last: date) -> dict[str, list[float | None]]:
    first = last - timedelta(days=SPARK_DAYS - 1)
    found: dict[str, list[float | None]] = {}
    with parts.state.read() as connection:
        for zone, day, rate in finding_rows.loss_rates(connection, first, last):
            found.setdefault(zone, [None] * SPARK_DAYS)[(day - first).days] = rate
    return found


def loss_months(parts: Parts, zone: str, last: date, months: int = TREND_MONTHS) -> list[LossMonth]:
    """Return the course of one zone over calendar months up to the one of `last`, from the first that is known on.

    A month that is not over counts the days up to `last`.
    """
    firsts = [month_of(last)]
    while len(firsts) < months:
        firsts.insert(0, month_of(firsts[0] - timedelta(days=1)))
    with parts.state.read() as connection:
        rows = finding_rows.list_loss(connection, firsts[0], last, zones=[zone])
    if not rows:
        return []
    begin = rows[0].gas_day
    return [_month(first, max(first, begin), last, rows) for first in firsts if month_after(first) > begin]


def _month(first: date, begin: date, last: date, rows: Sequence[LossRow]) -> LossMonth:
    end = min(month_after(first) - timedelta(days=1), last)
    whole = total([row for row in rows if begin <= row.gas_day <= end], (end - begin).days + 1)
    return LossMonth(
        f"{first:%Y-%m}", whole.days, whole.loss_rate, whole.sigma, whole.supply_m3, whole.loss_m3, whole.verdict
    )


def _day(day: date, row: LossRow | None) -> LossDay:
    if row is None:
        return LossDay(day.isoformat(), None, None, None, None, LossVerdict.NOT_ASSESSABLE)
    return LossDay(day.isoformat(), row.loss_rate, row.sigma, row.supply_m3, row.loss_m3, row.verdict)


def _walk(network: Network) -> Iterable[tuple[str, int]]:
    children: dict[str, list[str]] = defaultdict(list)
    for zone in network.zones.values():
        children[zone.parent_id if zone.parent_id in network.zones else ""].append(zone.zone_id)
    stack = [(zone, 0) for zone in sorted(children[""], reverse=True)]
    while stack:
        zone_id, depth = stack.pop()
        yield zone_id, depth
        stack.extend((child, depth + 1) for child in sorted(children[zone_id], reverse=True))


def _line(network: Network, zone_id: str, depth: int, totals: Mapping[str, LossTotal]) -> LossLine:
    zone, whole = network.zones[zone_id], totals[zone_id]
    levels = any(totals[child].days for child in network.children(zone_id))
    return LossLine(
        zone=zone_id,
        name=zone.name,
        kind=zone.kind,
        depth=depth,
        parent=zone.parent_id,
        supply_m3=whole.supply_m3,
        metered_m3=whole.metered_m3,
        loss_m3=whole.loss_m3,
        loss_rate=whole.loss_rate,
        sigma=whole.sigma,
        coverage=whole.coverage,
        verdict=whole.verdict,
        reason=whole.reason,
        days=whole.days,
        days_high=whole.days_high,
        days_asked=whole.days_asked,
        between_m3=whole.between_m3 if levels else None,
        between_sigma_m3=whole.between_sigma_m3 if levels else None,
    )
