"""Which stations fell silent: no good value of a point that matters for 60 s and for three polls.

Silence is judged by received time, up to the newest record that was seen: if nothing at all arrives, the fault is
ours and not every station's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alarms.delay import MISSING_POLLS
from gateway.model.network import Network, Point
from gateway.model.reading import PointId, ReadingBatch

SHORTEST_US = 60_000_000
UNPROVED_US = 2 * SHORTEST_US
"""without failed polls as proof, silence must last this much longer than twice its limit"""
HOLD_US = 3_000_000
"""a single station's silence is told so long after it was noticed"""
CROWD_HOLD_US = 20_000_000
"""the same while others fall silent, too: perhaps it is a whole area, which is one alarm"""
CROWD = 3
CROWD_WITHIN_US = 60_000_000
NEVER_HEARD_US = 15 * 60_000_000
"""how long after the start a station that was never heard may stay unproved"""


class SilenceJudge:
    """One column per watched point of a station. Not safe for threads."""

    def __init__(self, network: Network, grave: frozenset[str]) -> None:
        """Watch each station's points whose quantity is in `grave`, or all its points where it has none of these."""
        self._station_of: list[int] = []
        self._column: dict[PointId, int] = {}
        self.stations: list[str] = []
        described: dict[str, list[Point]] = {station: [] for station in sorted(network.stations)}
        for point in network.points.values():
            if point.asset in described:
                described[point.asset].append(point)
        for station, points in described.items():
            chosen = [point for point in points if point.quantity.value in grave] or points
            for point in chosen:
                self._column[point.point_id] = len(self._station_of)
                self._station_of.append(len(self.stations))
            if chosen:
                self.stations.append(station)
        count = len(self._station_of)
        self._group = np.array(self._station_of, dtype=np.int64)
        self._of_point = np.zeros(0, dtype=np.int64)
        self._seen = np.zeros(count, dtype=np.int64)
        self._heard = np.zeros(count, dtype=np.bool_)
        self._period = np.zeros(count, dtype=np.int64)
        self._failed = np.zeros(count, dtype=np.int64)
        self._well_since = np.full(len(self.stations), -1, dtype=np.int64)
        self.cond = np.zeros(len(self.stations), dtype=np.bool_)
        self._noticed = np.full(len(self.stations), -1, dtype=np.int64)
        self._started = False

    def adopt(self, points: Sequence[int], names: Sequence[PointId]) -> None:
        """Learn which index a watched point has; others are ignored."""
        if not points:
            return
        room = max(points) + 1
        if room > len(self._of_point):
            more = max(room, 2 * len(self._of_point)) - len(self._of_point)
            self._of_point = np.concatenate([self._of_point, np.full(more, -1, dtype=np.int64)])
        for point, name in zip(points, names, strict=True):
            self._of_point[point] = self._column.get(name, -1)

    def restore(self, station: str) -> None:
        """Set a station silent, as it was at the last commit."""
        if station in self.stations:
            self.cond[self.stations.index(station)] = True

    def feed(self, batch: ReadingBatch) -> None:
        """Take a batch; good rows are a sign of life, bad rows a proof of silence."""
        if not len(batch):
            return
        if not self._started:
            self._seen[:] = int(batch.received_time.min())
            self._started = True
        column = np.full(len(batch), -1, dtype=np.int64)
        known = batch.point < len(self._of_point)
        column[known] = self._of_point[batch.point[known]]
        mine = column >= 0
        good = mine & batch.good
        bad = mine & (batch.severity == 2)
        before = self._seen.copy()
        np.maximum.at(self._seen, column[good], batch.received_time[good])
        self._learn(np.unique(column[good], return_counts=True), before)
        failed = column[bad][batch.received_time[bad] > self._seen[column[bad]]]
        self._failed[column[good]] = 0
        np.add.at(self._failed, failed, 1)

    def _learn(self, fed: tuple[NDArray[np.int64], NDArray[np.intp]], before: NDArray[np.int64]) -> None:
        columns, samples = fed
        step = (self._seen[columns] - before[columns]) // samples
        old = self._period[columns]
        learnt = np.where(old > 0, (4 * old + np.minimum(step, 4 * old)) // 5, step)
        self._period[columns] = np.where(self._heard[columns] & (step > 0), learnt, old)
        self._heard[columns] = True

    def suspects(self) -> list[str]:
        """Return the stations that are silent and were not told yet; as of the last `edges`."""
        return [self.stations[n] for n in np.flatnonzero((self._noticed >= 0) & ~self.cond)]

    def edges(self, now_us: int, off_delay_us: int) -> list[tuple[str, bool, int]]:
        """Return (station, rises, us UTC of its last good value) for every change up to `now_us`."""
        if not self._started or not len(self.stations):
            return []
        limit = np.maximum(SHORTEST_US, MISSING_POLLS * self._period)
        age = now_us - self._seen
        unproved = np.where(self._heard, UNPROVED_US + 2 * limit, NEVER_HEARD_US)
        silent = np.where(self._failed >= MISSING_POLLS, age > limit, age > unproved)
        any_silent = np.bincount(self._group, weights=silent, minlength=len(self.stations)) > 0
        fresh = self._heard & (age <= limit)
        all_fresh = np.bincount(self._group, weights=~fresh, minlength=len(self.stations)) == 0
        self._well_since = np.where(all_fresh, np.where(self._well_since < 0, now_us, self._well_since), -1)
        self._noticed = np.where(any_silent, np.where(self._noticed < 0, now_us, self._noticed), -1)
        crowd = np.count_nonzero(any_silent & (now_us - self._noticed <= CROWD_WITHIN_US)) >= CROWD
        rises = ~self.cond & any_silent & (now_us - self._noticed >= (CROWD_HOLD_US if crowd else HOLD_US))
        falls = self.cond & all_fresh & (now_us - self._well_since >= off_delay_us)
        oldest = np.full(len(self.stations), np.iinfo(np.int64).max)
        np.minimum.at(oldest, self._group, self._seen)
        self.cond = (self.cond | rises) & ~falls
        return [(self.stations[n], bool(rises[n]), int(oldest[n])) for n in np.flatnonzero(rises | falls)]
