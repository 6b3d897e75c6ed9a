"""Where many homes have no gas, as their own meters say: a flag that meters with a pressure switch send. Pure.

A register that stands still proves nothing: nobody may be cooking. So only the flag counts, and a meter that sends
nothing says nothing: it neither begins an alarm nor ends one. Nor does a meter begin one that never said since the
start that it has gas: homes that stand empty behind a closed valve say so day after day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Network, ZoneKind
from gateway.model.quantity import FLAG_NO_GAS, Quantity
from gateway.model.reading import PointId, ReadingBatch, Severity, split_point

LEAST = 10
SHARE = 0.5
"""so many meters, and this share of a building's, begin an alarm"""
TOGETHER_US = 3_600_000_000
"""what was said longer before the newest record begins nothing: old single cases are no common loss"""
KEPT_US = 86_400_000_000
"""for how long a meter's word that gas is back stands against late ones of before"""
APART_US = 100
"""between two looks, for each meter that spoke: a look at a hundred thousand must not hold other alarms up"""
_ROOM = 1024
_UNKNOWN = -1
_JUDGED = (ZoneKind.BUILDING, ZoneKind.REGULATOR)


@dataclass(frozen=True, slots=True)
class _Word:
    no_gas: bool
    at_us: int
    """device time of the newest such report"""
    since_us: int
    """of the first of them; `_UNKNOWN` if the meter was not heard with gas before"""
    zones: tuple[str, ...]
    """the meter's own and those above that are judged"""


class NoGas:
    """What meters said last. Not safe for threads."""

    def __init__(self, network: Network, names_of: Callable[[NDArray[np.uint32]], list[PointId]]) -> None:
        """Watch the meters of a network; `names_of` tells the names of points that were adopted."""
        self._network, self._names_of = network, names_of
        self._is_flags = np.zeros(_ROOM, dtype=np.bool_)
        self._spoke = np.zeros(_ROOM, dtype=np.bool_)
        """points that said once that there is no gas: of the others only that word is kept"""
        self._had_gas = np.zeros(_ROOM, dtype=np.bool_)
        """points that said since the start that there is gas"""
        self._meter: dict[int, str] = {}
        self._words: dict[str, _Word] = {}
        self._newest_us, self._judged_us = 0, 0
        self._told: set[str] = set()
        self._since_us: dict[tuple[str, bool], int] = {}
        """by zone, and whether it begins or ends: since when it would"""

    def adopt(self, numbers: Sequence[int], names: Sequence[PointId]) -> None:
        """Learn the names of points."""
        for number, name in zip(numbers, names, strict=True):
            if not name.endswith(f"/{Quantity.FLAGS.value}") or split_point(name)[0] not in self._network.meters:
                continue
            while number >= len(self._is_flags):
                self._is_flags = np.concatenate([self._is_flags, np.zeros_like(self._is_flags)])
                self._spoke = np.concatenate([self._spoke, np.zeros_like(self._spoke)])
                self._had_gas = np.concatenate([self._had_gas, np.zeros_like(self._had_gas)])
            self._is_flags[number] = True
            if split_point(name)[0] in self._words:
                self._meter[number], self._spoke[number] = split_point(name)[0], True

    def restore(self, zone: str, told_us: int, meters: Iterable[str] = ()) -> None:
        """Go on with a zone that was told at a moment: these meters had said so by then; of none known all may have.

        What they said since, while nobody judged, is still to come.
        """
        said = list(meters) or self._all_in(zone)
        known = (meter for meter in said if meter in self._network.meters)
        self._words |= {meter: _Word(True, told_us, _UNKNOWN, self._zones_of(meter)) for meter in known}
        self._told.add(zone)

    def without_gas(self, zone: str) -> list[str]:
        """Return the meters of a zone that say that there is no gas."""
        return [meter for meter, word in self._words.items() if word.no_gas and zone in word.zones]

    def feed(self, batch: ReadingBatch) -> None:
        """Take the good flags of a record in; of one meter the newest by device time counts."""
        if not len(batch):
            return
        self._newest_us = max(self._newest_us, int(batch.received_time.max()))
        rows = np.flatnonzero(batch.point < len(self._is_flags))
        rows = rows[self._is_flags[batch.point[rows]]]
        rows = rows[(batch.quality[rows] >> 6 == Severity.GOOD) & np.isfinite(batch.value[rows])]
        no_gas = np.clip(batch.value[rows], 0.0, 2.0**31).astype(np.int64) & int(FLAG_NO_GAS) > 0
        self._had_gas[batch.point[rows[~no_gas]]] = True
        counts = no_gas | self._spoke[batch.point[rows]]
        self._learn(np.unique(batch.point[rows[counts]]))
        for row, says in zip(rows[counts].tolist(), no_gas[counts].tolist(), strict=True):
            number, at_us = int(batch.point[row]), int(batch.source_time[row])
            meter = self._meter[number]
            known = self._words.get(meter)
            if known is None or known.at_us <= at_us:
                onset = known.since_us if known is not None and known.no_gas else at_us
                since = onset if self._had_gas[number] else _UNKNOWN
                zones = self._zones_of(meter) if known is None else known.zones
                self._words[meter] = _Word(says, at_us, since, zones)
                self._spoke[number] = True

    def edges(
        self, now_us: int, on_us: int, off_us: int, stopped: Collection[str] = frozenset()
    ) -> list[tuple[str, bool, float]]:
        """Return (zone, begins or ends, number of meters): what held for `on_us`, or held no more for `off_us`.

        Zones and meters that are `stopped` by plan begin nothing elsewhere: not even where they are many of a zone.
        """
        if not (self._words or self._told) or abs(now_us - self._judged_us) < APART_US * len(self._words):
            return []
        self._judged_us = now_us
        self._forget()
        fresh, every = self._counts(self._newest_us - TOGETHER_US, stopped), self._counts(None)
        begins = self._begins(fresh)
        ends = {zone for zone in self._told if every[zone] < self._need(zone)}
        wanted = {**{(zone, True): on_us for zone in begins}, **{(zone, False): off_us for zone in ends}}
        self._since_us = {key: self._since_us.get(key, now_us) for key in wanted}
        due = [key for key, delay_us in wanted.items() if now_us - self._since_us[key] >= delay_us]
        for zone, rises in due:
            (self._told.add if rises else self._told.discard)(zone)
            del self._since_us[zone, rises]
        return [(zone, rises, float(fresh[zone] if rises else every[zone])) for zone, rises in due]

    def _begins(self, fresh: Counter[str]) -> set[str]:
        """Return the zones that explain what was said lately, and that are not told yet, nor one above them.

        A zone explains more than one below it if at least `LEAST` more homes stand elsewhere in it.
        """
        fits = {zone for zone, count in fresh.items() if count >= self._need(zone)}
        inside: Counter[str] = Counter()
        for zone in fits:
            for above in self._above(zone):
                inside[above] = max(inside[above], fresh[zone])
        explains = {zone for zone in fits if fresh[zone] - inside[zone] >= LEAST}
        covering = explains | self._told
        return {zone for zone in explains if zone not in self._told and not covering.intersection(self._above(zone))}

    def _counts(self, since_us: int | None, stopped: Collection[str] = frozenset()) -> Counter[str]:
        """Return how many meters of each building and regulator zone say that there is no gas."""
        counts: Counter[str] = Counter()
        for meter, word in self._words.items():
            if not word.no_gas or meter in stopped or (since_us is not None and word.since_us < since_us):
                continue
            planned = word.zones[:1] and word.zones[0] in stopped
            counts.update([zone for zone in word.zones if zone in stopped] if planned else word.zones)
        return counts

    def _need(self, zone: str) -> float:
        return max(LEAST, SHARE * self._network.affected(zone).customers)

    def _learn(self, points: NDArray[np.uint32]) -> None:
        """Learn whose these points are, of those that speak for the first time."""
        fresh = np.array([number for number in points.tolist() if number not in self._meter], dtype=np.uint32)
        if not len(fresh):
            return
        try:
            names = self._names_of(fresh)
        except KeyError:
            names = [PointId("")] * len(fresh)  # nobody's: it counts nowhere, and holds no other alarm up
        for number, name in zip(fresh.tolist(), names, strict=True):
            self._meter[number] = name.rpartition("/")[0]

    def _zones_of(self, meter: str) -> tuple[str, ...]:
        own = self._network.meters[meter].zone_id if meter in self._network.meters else ""
        zone = self._network.zones.get(own)
        return (own, *self._above(own)) if zone is not None and zone.kind in _JUDGED else ()

    def _above(self, zone: str) -> list[str]:
        """Return the zones above, up to the one of a regulator: what stands above has several feeds."""
        zones = self._network.zones
        found: list[str] = []
        while zone in zones and zones[zone].kind is ZoneKind.BUILDING and zones[zone].parent_id not in found:
            zone = zones[zone].parent_id
            found += [zone] if zone in zones and zones[zone].kind in _JUDGED else []
        return found

    def _all_in(self, zone: str) -> list[str]:
        inside = set(self._network.below(zone)) if zone in self._network.zones else set()
        return [meter.meter_id for meter in self._network.meters.values() if meter.zone_id in inside]

    def _forget(self) -> None:
        """Forget who said long ago that gas is back."""
        old = self._newest_us - KEPT_US
        gone = [meter for meter, word in self._words.items() if not word.no_gas and word.at_us < old]
        for meter in gone:
            del self._words[meter]
