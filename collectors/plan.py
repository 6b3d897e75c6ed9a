"""Points into requests: as few requests as the device allows, then as few registers. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.model.profile import PointSpec, RegisterTable, Span


@dataclass(frozen=True, slots=True)
class LineCost:
    """What reading takes on a serial line, in us of line time."""

    request_us: int
    """question, empty reply, and the silence around both"""
    register_us: int
    bit_us: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What the device allows."""

    max_registers: int = 125
    max_bits: int = 2000
    max_gap: int = 0
    """most addresses in a row that may be read and thrown away"""
    forbidden: tuple[Span, ...] = ()
    """addresses that no request may touch"""
    line: LineCost | None = None
    """set where time on the line counts more than the number of requests"""

    def longest(self, table: RegisterTable) -> int:
        """Return the most addresses that one request may read."""
        return self.max_bits if table.of_bits else self.max_registers

    def cost(self, table: RegisterTable, addresses: int) -> tuple[int, int]:
        """Return what one request costs; costs add up, and the first number outweighs the second."""
        if self.line is None:
            return 1, addresses
        one_us = self.line.bit_us if table.of_bits else self.line.register_us
        return self.line.request_us + one_us * addresses, 1


@dataclass(frozen=True, slots=True)
class Request:
    """One read; `rows` are the places in the planned sequence of the points that it answers."""

    table: RegisterTable
    start: int
    count: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    """What must not be split: a value, or all values of one `together` set."""

    start: int
    end: int
    rows: tuple[int, ...]


def plan(points: Sequence[PointSpec], limits: Limits) -> tuple[Request, ...]:
    """Return the requests that read all points, each exactly once, ordered by table and address.

    Of all sets of requests that keep the limits and split neither a value nor a `together` set, the result has the
    fewest requests, and of those the fewest registers; on a serial line the least line time, and of those the fewest
    requests. Dynamic programming over the sorted points.
    Raises ValueError for a point or set that no allowed request can read.
    """
    requests: list[Request] = []
    for table in RegisterTable:
        items = _items(points, table)
        for item in items:
            _check(item, table, limits, points)
        requests += _cut(items, table, limits)
    return tuple(requests)


def hull(points: Sequence[PointSpec], rows: Sequence[int]) -> Request:
    """Return the one request that covers these rows of `points`, which stand in one table."""
    start = min(points[row].first for row in rows)
    end = max(points[row].past for row in rows)
    return Request(points[rows[0]].table, start, end - start, tuple(rows))


def _items(points: Sequence[PointSpec], table: RegisterTable) -> list[_Item]:
    """Return what must not be split, sorted; what lies inside another item is joined to it."""
    groups: dict[str, list[int]] = {}
    for row, spec in enumerate(points):
        if spec.table is table:
            groups.setdefault(spec.together or f"\0{row}", []).append(row)
    spans = [
        _Item(min(points[row].first for row in rows), max(points[row].past for row in rows), tuple(rows))
        for rows in groups.values()
    ]
    items: list[_Item] = []
    for item in sorted(spans, key=lambda item: (item.start, -item.end)):
        if items and item.end <= items[-1].end:
            items[-1] = _Item(items[-1].start, items[-1].end, items[-1].rows + item.rows)
        else:
            items.append(item)
    return items


def _check(item: _Item, table: RegisterTable, limits: Limits, points: Sequence[PointSpec]) -> None:
    names = ", ".join(points[row].quantity.value for row in item.rows)
    if item.end - item.start > limits.longest(table):
        raise ValueError(f"{names}: {item.end - item.start} addresses do not fit into one request")
    for span in limits.forbidden:
        if span.touches(table, item.start, item.end):
            raise ValueError(f"{names}: stands in {table}:{span.first}-{span.last}, which must not be read")


def _cut(items: Sequence[_Item], table: RegisterTable, limits: Limits) -> list[Request]:
    """Cut the sorted items into runs with the least cost."""
    joined = [_may_join(left, right, table, limits) for left, right in pairwise(items)]
    longest = limits.longest(table)
    best: list[tuple[float, float]] = [(0, 0)]
    cuts = [0]
    for last, item in enumerate(items):
        cost, cut = (math.inf, math.inf), last
        first = last
        while item.end - items[first].start <= longest:
            major, minor = limits.cost(table, item.end - items[first].start)
            before = best[first]
            cost, cut = min((cost, cut), ((before[0] + major, before[1] + minor), first))
            if first == 0 or not joined[first - 1]:
                break
            first -= 1
        best.append(cost)
        cuts.append(cut)
    runs: list[Request] = []
    at = len(items)
    while at:
        run = items[cuts[at] : at]
        rows = tuple(row for item in run for row in item.rows)
        runs.append(Request(table, run[0].start, run[-1].end - run[0].start, rows))
        at = cuts[at]
    return runs[::-1]


def _may_join(left: _Item, right: _Item, table: RegisterTable, limits: Limits) -> bool:
    gap = right.start - left.end
    return gap <= limits.max_gap and not (
        gap > 0 and any(span.touches(table, left.end, right.start) for span in limits.forbidden)
    )
