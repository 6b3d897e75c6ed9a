"""Loss by zone and period: the tree of the loss page and the course of one zone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from api.deps import Parts
from gateway.model.finding import LossVerdict
from gateway.model.network import Network
from gateway.store import view_rows

TREND_DAYS = 62


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
    """standard uncertainty of the rate, days taken as independent"""
    coverage: float | None
    verdict: str
    """of the day; over more days high if any day was high"""
    reason: str
    days: int
    """gas days of the period that have a figure"""
    days_high: int
    days_asked: int


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
            return day.replace(day=1), day
        case Period.CYCLE:
            return day.replace(month=day.month - (day.month - 1) % 2, day=1), day


def loss_tree(parts: Parts, first: date, last: date) -> list[LossLine]:
    """Return every zone from the root down, children below their parent, with its balance over the days."""
    with parts.state.read() as connection:
        rows = view_rows.loss_rows(connection, first.isoformat(), last.isoformat())
    by_zone: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_zone[row["zone"]].append(row)
    asked = (last - first).days + 1
    network = parts.network
    return [_line(network, zone, depth, by_zone[zone], asked) for zone, depth in _walk(network)]


def loss_trend(parts: Parts, zone: str, last: date, days: int = TREND_DAYS) -> list[LossDay]:
    """Return the course of one zone over the gas days up to `last`; a day without a row is there, unknown."""
    first = last - timedelta(days=days - 1)
    with parts.state.read() as connection:
        rows = view_rows.loss_rows(connection, first.isoformat(), last.isoformat(), zone)
    known = {row["gas_day"]: row for row in rows}
    wanted = [(first + timedelta(days=n)).isoformat() for n in range(days)]
    while wanted and wanted[0] not in known:
        wanted.pop(0)
    return [_day(day, known.get(day)) for day in wanted]


def _day(day: str, row: Mapping[Any, Any] | None) -> LossDay:
    if row is None:
        return LossDay(day, None, None, None, None, LossVerdict.NOT_ASSESSABLE)
    return LossDay(day, row["loss_rate"], row["sigma"], row["supply_m3"], row["loss_m3"], row["verdict"])


def _walk(network: Network) -> Iterable[tuple[str, int]]:
    children: dict[str, list[str]] = defaultdict(list)
    for zone in network.zones.values():
        children[zone.parent_id if zone.parent_id in network.zones else ""].append(zone.zone_id)
    stack = [(zone, 0) for zone in sorted(children[""], reverse=True)]
    while stack:
        zone_id, depth = stack.pop()
        yield zone_id, depth
        stack.extend((child, depth + 1) for child in sorted(children[zone_id], reverse=True))


def _line(network: Network, zone_id: str, depth: int, rows: Sequence[Any], asked: int) -> LossLine:
    zone = network.zones[zone_id]
    known = [row for row in rows if row["loss_m3"] is not None and row["supply_m3"]]
    supply = sum(row["supply_m3"] for row in known) if known else None
    loss = sum(row["loss_m3"] for row in known) if known else None
    metered = [row["metered_m3"] for row in known if row["metered_m3"] is not None]
    high = sum(row["verdict"] == LossVerdict.HIGH for row in rows)
    return LossLine(
        zone=zone_id,
        name=zone.name,
        kind=zone.kind,
        depth=depth,
        parent=zone.parent_id,
        supply_m3=supply,
        metered_m3=sum(metered) if metered else None,
        loss_m3=loss,
        loss_rate=loss / supply if supply and loss is not None else None,
        sigma=_sigma(known, supply),
        coverage=sum(row["coverage"] for row in rows) / len(rows) if rows else None,
        verdict=_verdict(known, high),
        reason=next((row["reason"] for row in reversed(rows) if row["reason"]), ""),
        days=len(known),
        days_high=high,
        days_asked=asked,
    )


def _sigma(known: Sequence[Any], supply: float | None) -> float | None:
    parts = [(row["sigma"] * row["supply_m3"]) ** 2 for row in known if row["sigma"] is not None]
    return math.sqrt(sum(parts)) / supply if supply and len(parts) == len(known) else None


def _verdict(known: Sequence[Any], high: int) -> str:
    if high:
        return LossVerdict.HIGH
    assessed = [row for row in known if row["verdict"] != LossVerdict.NOT_ASSESSABLE]
    return LossVerdict.NORMAL if assessed else LossVerdict.NOT_ASSESSABLE
