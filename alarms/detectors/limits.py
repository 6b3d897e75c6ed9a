"""Judges batches of readings against limits: points x definitions as arrays, a loop only where an edge is near.

Columns are per watch: one definition applied to one point. They live in memory and are rebuilt at start from the
committed facts, the committed timers and the readings after the committed cursor.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alarms.delay import MISSING_POLLS, STOPPED, Delay, Timer, shape
from gateway.model.alarm import Definition
from gateway.model.network import Network
from gateway.model.reading import ReadingBatch, Reason, Severity, split_point

MEDIUM_PRESSURE_KPA = 10.0
OLDEST_US = 6 * 3600 * 1_000_000
"""A reading that took longer than this to arrive is history: it proves nothing about now."""
_ODD_CLOCK = (Reason.CLOCK_SUSPECT, Reason.CLOCK_AHEAD, Reason.NO_SOURCE_TIME)


@dataclass(frozen=True, slots=True)
class Watch:
    """One definition applied to one point, with the limits in force there."""

    alarm_id: str
    side: int
    """1: high, -1: low, 0: flag"""
    limit: float
    """in the point's unit; for a flag its bit"""
    clear: float
    """the limit less its deadband"""
    on_delay_s: float
    off_delay_s: float


@dataclass(frozen=True, slots=True)
class LimitEdge:
    """A shaped condition changed at a sample."""

    alarm_id: str
    rises: bool
    source_time: int
    """us UTC, device time of the deciding sample"""
    value: float


def watches_of(point: str, definitions: Mapping[str, Definition], network: Network) -> list[Watch]:
    """Return what is to be watched at a point; empty for a point that no limit is about."""
    try:
        asset, quantity = split_point(point)  # type: ignore[arg-type]
    except ValueError:
        return []
    kind = _kind_of(asset, network)
    fitting = [
        definition
        for definition in definitions.values()
        if definition.quantity == quantity.value and kind in definition.asset_kinds
    ]
    watches = [_watch(one, asset, 0, one.limit) for one in fitting if one.kind == "flag" and one.limit is not None]
    for side, name in ((1, "high_limit"), (-1, "low_limit")):
        limits = {one.id: _default_limit(one, asset, network) for one in fitting if one.kind == name}
        for definition_id, limit in _with_own_limit(limits, _own_limit(point, side, network), side).items():
            watches.append(_watch(definitions[definition_id], asset, side, limit))
    return watches


def _kind_of(asset: str, network: Network) -> str:
    if asset in network.stations:
        return network.stations[asset].kind
    return "meter" if asset in network.meters else ""


def _default_limit(definition: Definition, asset: str, network: Network) -> float | None:
    if definition.limit is not None:
        return definition.limit
    set_pressure = network.stations[asset].set_pressure_gauge_kpa if asset in network.stations else 0.0
    share = definition.limit_of_set_pressure
    if set_pressure >= MEDIUM_PRESSURE_KPA and definition.limit_of_medium_pressure is not None:
        share = definition.limit_of_medium_pressure
    return None if share is None or set_pressure <= 0 else share * set_pressure


def _own_limit(point: str, side: int, network: Network) -> float | None:
    described = network.points.get(point)  # type: ignore[call-overload]
    if described is None:
        return None
    own = described.high if side > 0 else described.low
    return None if own is None else float(own)


def _with_own_limit(limits: Mapping[str, float | None], own: float | None, side: int) -> dict[str, float]:
    """Let the point's own limit replace the first of its definitions; the graver ones never come before it."""
    known = {name: limit for name, limit in limits.items() if limit is not None}
    if own is None:
        return known
    if not known:
        return dict.fromkeys(list(limits)[:1], own)
    first = min(known, key=lambda name: side * known[name])
    graver = {name: side * max(side * limit, side * own) for name, limit in known.items()}
    return {**graver, first: own}


def _watch(definition: Definition, asset: str, side: int, limit: float) -> Watch:
    relative = definition.limit is None and definition.limit_of_set_pressure is not None
    deadband = definition.deadband * abs(limit) if relative else definition.deadband
    alarm_id = f"{definition.id}@{asset}"
    return Watch(alarm_id, side, limit, limit - side * deadband, definition.on_delay_s, definition.off_delay_s)


@dataclass(frozen=True, slots=True)
class Running:
    """Where a watch with a running delay stands; times are us UTC."""

    alarm_id: str
    since: int
    last: int
    seen: int
    period: int
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """A usable reading beside each watch of its point; columns of equal length."""

    watch: NDArray[np.int64]
    at: NDArray[np.int64]
    """us UTC, the time by which it is judged"""
    received: NDArray[np.int64]
    value: NDArray[np.float64]


class _Ids:
    """Alarm ids by the number of their watch, without an object for each: a city has millions."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        return self._text[self._ends[number] : self._ends[number + 1]].decode()

    def add(self, alarm_id: str) -> None:
        self._text += alarm_id.encode()
        self._ends.append(len(self._text))


_COLUMNS: Mapping[str, tuple[type[np.generic], float]] = {
    "shape": (np.int32, 0),
    "cond": (np.bool_, 0),
    "since": (np.int64, STOPPED),
    "last": (np.int64, STOPPED),
    "seen": (np.int64, STOPPED),
    "period": (np.int64, 0),
    "value": (np.float64, 0.0),
}
"""what is known of each watch, and what a new one begins with"""


class LimitJudge:
    """All watches as columns. Not safe for threads: one reader feeds it in the order of the spool."""

    def __init__(self) -> None:
        self._ids = _Ids()
        self._fresh: dict[str, int] = {}
        self._shapes: dict[tuple[int, float, float, float, float], int] = {}
        self._first = np.full(0, -1, dtype=np.int32)
        self._count = np.zeros(0, dtype=np.uint8)
        self._room = {name: np.zeros(0, dtype=kind) for name, (kind, _) in _COLUMNS.items()}
        self._take_columns()
        self._take_shapes()

    def unknown(self, points: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the distinct point indices that were never adopted."""
        distinct = np.unique(points)
        inside = distinct < len(self._first)
        known = np.zeros(len(distinct), dtype=np.bool_)
        known[inside] = self._first[distinct[inside]] >= 0
        return distinct[~known]

    def adopt(self, points: Sequence[int], watches: Sequence[Sequence[Watch]]) -> None:
        """Take in new points, each with its watches; a point without any is remembered as such."""
        if not points:
            return
        room = max(points) + 1
        if room > len(self._first):
            more = max(room, 2 * len(self._first)) - len(self._first)
            self._first = np.concatenate([self._first, np.full(more, -1, dtype=np.int32)])
            self._count = np.concatenate([self._count, np.zeros(more, dtype=np.uint8)])
        begin, shapes = len(self._ids), len(self._shapes)
        kinds: list[int] = []
        self._fresh = {}
        for point, own in zip(points, watches, strict=True):
            self._first[point] = len(self._ids)
            self._count[point] = len(own)
            for watch in own:
                self._fresh[watch.alarm_id] = len(self._ids)
                self._ids.add(watch.alarm_id)
                kinds.append(self._shapes.setdefault(_shape_of(watch), len(self._shapes)))
        self._grow()
        self._shape_of[begin:] = kinds
        if len(self._shapes) > shapes:
            self._take_shapes()

    def restore(self, alarm_id: str, *, cond: bool, last: int = STOPPED, running: Running | None = None) -> None:
        """Set where a watch of the points adopted last stood at the last commit; others are ignored."""
        number = self._fresh.get(alarm_id)
        if number is None:
            return
        self.cond[number], self.last[number] = cond, last
        if running is not None:
            self.since[number], self.last[number] = running.since, running.last
            self._seen[number], self._period[number] = running.seen, running.period
            self._value[number] = running.value

    def running(self) -> list[Running]:
        """Return every watch whose delay runs now."""
        return [
            Running(
                self._ids[number],
                int(self.since[number]),
                int(self.last[number]),
                int(self._seen[number]),
                int(self._period[number]),
                float(self._value[number]),
            )
            for number in np.flatnonzero(self.since != STOPPED).tolist()
        ]

    def judge(self, batch: ReadingBatch) -> list[LimitEdge]:
        """Take a batch, rows in any order; return the edges by device time.

        A row no newer than what its watch has seen is ignored, so a reading that comes twice changes nothing. Bad
        and uncertain rows neither prove nor break; a value whose only fault is the device's clock is judged by its
        time of arrival.
        """
        rows, times = _usable(batch, len(self._first))
        counts = self._count[batch.point[rows]].astype(np.int64)
        if not counts.any():
            return []
        pairs = self._pairs(batch, rows, times, counts)
        edges = self._shape(pairs)
        self._remember(pairs)
        return sorted(edges, key=lambda edge: edge.source_time)

    def overdue(self, now_us: int) -> list[LimitEdge]:
        """Return rises whose on-delay has run out since the last sample, and make them true.

        Only a rise may come without a sample: what is not seen is never returned to normal. `now_us` is the moment
        up to which readings were judged, in received time.
        """
        risen = np.flatnonzero(self.since != STOPPED)
        risen = risen[~self.cond[risen]]
        elapsed, period = now_us - self._seen[risen], self._period[risen]
        ripe = elapsed <= MISSING_POLLS * np.where(period > 0, period, 60_000_000)
        ripe &= self.last[risen] - self.since[risen] + elapsed >= self._on_us[self._shape_of[risen]]
        edges = []
        for number in risen[ripe].tolist():
            self.cond[number], self.since[number] = True, STOPPED
            edges.append(LimitEdge(self._ids[number], True, int(self.last[number]), float(self._value[number])))
        return edges

    def stale(self, now_us: int, at_least_us: int) -> dict[str, bool]:
        """Return for every active watch that has been fed whether its value is out of date at `now_us`."""
        active = np.flatnonzero(self.cond)
        active = active[self._seen[active] != STOPPED]
        allowed = np.maximum(MISSING_POLLS * self._period[active], at_least_us)
        late = now_us - self._seen[active] > allowed
        return {self._ids[number]: is_late for number, is_late in zip(active.tolist(), late.tolist(), strict=True)}

    def _pairs(
        self, batch: ReadingBatch, rows: NDArray[np.intp], times: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> _Pairs:
        row = np.repeat(rows, counts)
        at = np.repeat(times, counts)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        watch = np.repeat(self._first[batch.point[rows]].astype(np.int64), counts) + within
        newer = at > self.last[watch]
        row = row[newer]
        return _Pairs(watch[newer], at[newer], batch.received_time[row], batch.value[row])

    def _sides(self, pairs: _Pairs) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        shapes = self._shape_of[pairs.watch]
        side = self._side[shapes]
        signed = side * pairs.value
        beyond = signed >= side * self._limit[shapes]
        inside = signed < side * self._clear[shapes]
        flags = np.flatnonzero(side == 0)
        if len(flags):
            bits = self._limit[shapes[flags]].astype(np.int64)
            beyond[flags] = (pairs.value[flags].astype(np.int64) & bits) != 0
            inside[flags] = ~beyond[flags]
        return beyond, inside

    def _shape(self, pairs: _Pairs) -> list[LimitEdge]:
        beyond, inside = self._sides(pairs)
        watch = pairs.watch
        wanted = np.where(self.cond[watch], inside, beyond) | (self.since[watch] != STOPPED)
        chosen = np.unique(watch[wanted])
        mine = np.flatnonzero(np.isin(watch, chosen))
        mine = mine[np.lexsort((pairs.at[mine], watch[mine]))]
        ends = np.searchsorted(watch[mine], chosen, side="right")
        starts = np.searchsorted(watch[mine], chosen, side="left")
        edges: list[LimitEdge] = []
        for number, start, end in zip(chosen.tolist(), starts.tolist(), ends.tolist(), strict=True):
            rows = mine[start:end]
            times = pairs.at[rows].tolist()
            timer = Timer(bool(self.cond[number]), int(self.since[number]), int(self.last[number]))
            timer, changes = shape(timer, self._delay(number), times, beyond[rows].tolist(), inside[rows].tolist())
            self.cond[number], self.since[number] = timer.cond, timer.since
            edges += [
                LimitEdge(self._ids[number], one.rises, times[one.at], float(pairs.value[rows[one.at]]))
                for one in changes
            ]
        return edges

    def _delay(self, number: int) -> Delay:
        own = self._shape_of[number]
        gap_us = MISSING_POLLS * int(self._period[number])
        return Delay(int(self._on_us[own]), int(self._off_us[own]), gap_us)

    def _remember(self, pairs: _Pairs) -> None:
        if not len(pairs.watch):
            return
        order = np.argsort(pairs.at, kind="stable")
        watch, at = pairs.watch[order], pairs.at[order]
        fed, samples = np.unique(watch, return_counts=True)
        before = self.last[fed]
        self.last[watch] = at
        self._value[watch] = pairs.value[order]
        np.maximum.at(self._seen, watch, pairs.received[order])
        step = (self.last[fed] - before) // samples
        old = self._period[fed]
        learnt = np.where(old > 0, (4 * old + np.minimum(step, 4 * old)) // 5, step)
        self._period[fed] = np.where(before != STOPPED, learnt, old)

    def _grow(self) -> None:
        """Make room for the watches that have an id; what is there is copied only when the room has doubled."""
        have, wanted = len(self._room["cond"]), len(self._ids)
        if wanted > have:
            more = max(wanted, 2 * have) - have
            self._room = {
                name: np.concatenate([self._room[name], np.full(more, begin, dtype=kind)])
                for name, (kind, begin) in _COLUMNS.items()
            }
        self._take_columns()

    def _take_columns(self) -> None:
        used = {name: column[: len(self._ids)] for name, column in self._room.items()}
        self._shape_of, self.cond, self.since = used["shape"], used["cond"], used["since"]
        self.last, self._seen, self._period, self._value = used["last"], used["seen"], used["period"], used["value"]

    def _take_shapes(self) -> None:
        table = np.array(list(self._shapes), dtype=np.float64).reshape(-1, 5).T
        self._side = table[0].astype(np.int8)
        self._limit, self._clear = table[1], table[2]
        self._on_us, self._off_us = np.round(table[3:] * 1e6).astype(np.int64)


def _shape_of(watch: Watch) -> tuple[int, float, float, float, float]:
    return watch.side, watch.limit, watch.clear, watch.on_delay_s, watch.off_delay_s


def _usable(batch: ReadingBatch, known: int) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return the rows that may prove something, and the time each is judged by (us UTC)."""
    odd = np.isin(batch.quality, [int(Severity.UNCERTAIN) << 6 | int(reason) for reason in _ODD_CLOCK])
    late = ~odd & (batch.received_time - batch.source_time > OLDEST_US)
    chosen = (batch.good | odd) & ~late & ~np.isnan(batch.value) & (batch.point < known)
    rows = np.flatnonzero(chosen)
    times = np.where(odd, batch.received_time, np.minimum(batch.source_time, batch.received_time))
    return rows, times[rows].astype(np.int64)
