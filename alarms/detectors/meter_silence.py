"""Where many meters fell silent together: a concentrator, a carrier or a broker, and one alarm for all of them. Pure.

Each meter's own pace is learned from its reports, so that hourly and daily ones are judged alike. A single silent meter
is a finding of the daily analysis, never an alarm. Silence is judged by received time up to the newest record: if
nothing at all comes, or came for a while, the fault is ours and proves nothing about meters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch

LEAST = 20
SHARE = 0.3
"""so many of the meters that were due in the window, and this share of them, make an area's silence"""
WINDOW_US = 3_600_000_000
OVERDUE = 2.5
"""a report is missed when so many of the meter's own intervals have gone by since the last one"""
SHORTEST_US, LONGEST_US = 600_000_000, 36 * 3_600_000_000
"""bounds of an interval that is judged: what reports more seldom is no live meter"""
LEARNED = 3
"""reports that tell a meter's pace"""
BACK = 0.7
"""share of the silent meters that must be heard again before an area is well"""
OURS_US = 300_000_000
"""a gap in all records that is as long is our own absence"""
EVERY_US = 60_000_000
_ROOM = 1024
Ints = NDArray[np.int64]


class MeterSilence:
    """One column for each meter that was heard. Not safe for threads."""

    def __init__(self, network: Network) -> None:
        """Watch the meters of a network; none is known before it was heard."""
        self._network = network
        self._zones = list(network.zones)
        self._place = {zone: number for number, zone in enumerate(self._zones)}
        parents = (self._place.get(network.zones[zone].parent_id, -1) for zone in self._zones)
        self._parent = np.array(list(parents), dtype=np.int64)
        self._order = sorted(range(len(self._zones)), key=lambda number: -self._depth(number))
        self._column = np.full(_ROOM, -1, dtype=np.int64)
        """of each point"""
        self._of_meter: dict[str, int] = {}
        self._zone = np.zeros(0, dtype=np.int64)
        self._last = np.zeros(0, dtype=np.int64)
        self._interval = np.zeros(0, dtype=np.float64)
        self._count = np.zeros(0, dtype=np.int64)
        self._newest, self._judged = 0, 0
        self._silent: dict[str, tuple[NDArray[np.bool_] | None, int]] = {}
        """by zone: which meters were silent when it was told, None if nobody knows; and since when they are awaited"""

    def adopt(self, numbers: Sequence[int], names: Sequence[PointId]) -> None:
        """Learn the names of points."""
        for number, name in zip(numbers, names, strict=True):
            asset, slash, _ = name.partition("/")
            meter = self._network.meters.get(asset) if slash else None
            if meter is None or meter.zone_id not in self._place:
                continue
            if number >= len(self._column):
                more = np.full(max(number + 1, 2 * len(self._column)) - len(self._column), -1, dtype=np.int64)
                self._column = np.concatenate([self._column, more])
            self._column[number] = self._column_of(asset, meter.zone_id)

    def restore(self, zone: str, now_us: int, meters: Iterable[str] = ()) -> None:
        """Go on with a zone whose silence was told before a restart, of these meters as far as they are known."""
        known = [self._network.meters.get(one) for one in meters]
        columns = [self._column_of(one.meter_id, one.zone_id) for one in known if one and one.zone_id in self._place]
        inside = np.zeros(len(self._zone), dtype=np.bool_)
        inside[columns] = True
        self._silent[zone] = (inside if columns else None, now_us)

    def silent_in(self, zone: str) -> list[str]:
        """Return the meters that were silent when a zone was told."""
        inside, _ = self._silent.get(zone, (None, 0))
        return [] if inside is None else [one for one, at in self._of_meter.items() if at < len(inside) and inside[at]]

    def feed(self, batch: ReadingBatch) -> None:
        """Take a record in: every message counts, whatever it says."""
        if not len(batch):
            return
        received = int(batch.received_time.max())
        if self._newest and received - self._newest > OURS_US:
            # all clocks stood while we heard nothing: those of meters, and since when silent ones are awaited
            away = received - self._newest
            self._last[self._count > 0] += away
            self._silent = {zone: (who, min(since + away, received - 1)) for zone, (who, since) in self._silent.items()}
        self._newest = max(self._newest, received)
        point = batch.point[batch.point < len(self._column)]
        columns = np.unique(self._column[point])
        columns = columns[columns >= 0]
        gap = received - self._last[columns]
        fresh = (self._count[columns] > 0) & (gap > 0)
        known = self._interval[columns]
        learned = np.where(known > 0, 0.7 * known + 0.3 * gap, gap)
        self._interval[columns] = np.where(fresh, learned, known)
        self._count[columns] += (gap > 0).astype(np.int64)
        self._last[columns] = np.maximum(self._last[columns], received)

    def edges(self) -> list[tuple[str, bool, float]]:
        """Return (zone, begins or ends, number of meters), at most once a minute of received time."""
        if self._newest - self._judged < EVERY_US:
            return []
        self._judged = self._newest
        ended = [zone for zone in self._silent if self._is_back(zone)]
        for zone in ended:
            del self._silent[zone]
        return [*((zone, False, 0.0) for zone in ended), *self._begun()]

    def _begun(self) -> list[tuple[str, bool, float]]:
        pace = np.clip(self._interval, SHORTEST_US, LONGEST_US)
        judged = (self._count >= LEARNED) & (self._interval <= LONGEST_US)
        due = self._last + OVERDUE * pace
        missing = judged & (due <= self._newest) & (due > self._newest - WINDOW_US)
        came = judged & (self._last > self._newest - WINDOW_US)
        silent, heard = self._sums(missing), self._sums(came & ~missing)
        fits = (silent >= LEAST) & (silent >= SHARE * (silent + heard))
        found: list[tuple[str, bool, float]] = []
        for number in self._order:
            if not fits[number] or self._is_told(number) or self._by_parent(number, fits, silent):
                continue
            zone = self._zones[number]
            inside = missing & self._below(number)
            self._silent[zone] = (inside, self._newest)
            found.append((zone, True, float(inside.sum())))
        return found

    def _by_parent(self, number: int, fits: NDArray[np.bool_], silent: Ints) -> bool:
        """Tell whether the zone above explains it as well, and more with it."""
        parent = int(self._parent[number])
        return parent >= 0 and bool(fits[parent]) and int(silent[parent]) > int(silent[number])

    def _is_told(self, number: int) -> bool:
        """Tell whether the zone, one above or one below it has been told already."""
        at = number
        while at >= 0:
            if self._zones[at] in self._silent:
                return True
            at = int(self._parent[at])
        return any(self._is_above(number, self._place[zone]) for zone in self._silent if zone in self._place)

    def _is_above(self, number: int, other: int) -> bool:
        while other >= 0 and other != number:
            other = int(self._parent[other])
        return other == number

    def _is_back(self, zone: str) -> bool:
        if zone not in self._place:
            return True  # the network has it no more
        silent, since = self._silent[zone]
        if silent is None:
            heard = int((self._below(self._place[zone]) & (self._last > since)).sum())
            return heard >= max(1.0, BACK * self._network.affected(zone).customers)
        again = self._last[: len(silent)][silent] > since
        return bool(again.mean() >= BACK)

    def _below(self, number: int) -> NDArray[np.bool_]:
        chosen = np.zeros(len(self._zones), dtype=np.bool_)
        for at in reversed(self._order):
            chosen[at] = at == number or (self._parent[at] >= 0 and bool(chosen[self._parent[at]]))
        mine: NDArray[np.bool_] = chosen[self._zone]
        mine[len(self._of_meter) :] = False
        return mine

    def _sums(self, chosen: NDArray[np.bool_]) -> Ints:
        """Return how many chosen meters each zone has with all below it."""
        found = np.bincount(self._zone[chosen], minlength=len(self._zones)).astype(np.int64)
        for number in self._order:
            if self._parent[number] >= 0:
                found[self._parent[number]] += found[number]
        return found

    def _depth(self, number: int) -> int:
        depth, at = 0, int(self._parent[number])
        while at >= 0 and depth <= len(self._zones):
            depth, at = depth + 1, int(self._parent[at])
        return depth

    def _column_of(self, meter_id: str, zone_id: str) -> int:
        column = self._of_meter.setdefault(meter_id, len(self._of_meter))
        if column >= len(self._zone):
            self._grow()
        self._zone[column] = self._place[zone_id]
        return column

    def _grow(self) -> None:
        more = max(_ROOM, len(self._zone))
        self._zone = np.concatenate([self._zone, np.zeros(more, dtype=np.int64)])
        self._last = np.concatenate([self._last, np.zeros(more, dtype=np.int64)])
        self._interval = np.concatenate([self._interval, np.zeros(more, dtype=np.float64)])
        self._count = np.concatenate([self._count, np.zeros(more, dtype=np.int64)])
