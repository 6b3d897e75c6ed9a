"""The same arrivals one after the other, for a city that lives: what reaches the company by now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from simulators.meters.arrivals import LONGEST_DELAY_H, Arrivals, Presented, Silence, arrivals, iter_arrivals
from simulators.meters.habits import Habits

HOUR_US = 3_600_000_000


class Schedule:
    """Tells, call by call, which readings arrive. Two that begin at different moments agree from then on."""

    def __init__(
        self,
        habits: Habits,
        since_us: int,
        silences: Sequence[Silence] = (),
        presented: Presented | None = None,
    ) -> None:
        """Begin after `since_us` (us UTC): what arrived until then is done, what was read before may still come."""
        self._habits = habits
        self._silences, self._presented = tuple(silences), presented
        self._told_us = since_us
        self._next_hour = since_us // HOUR_US + 1
        self._waiting = self._on_the_way()

    def due(self, now_us: int) -> Arrivals:
        """Return what has arrived since the last call, by the time of arrival; nothing if the time went back."""
        hours = now_us // HOUR_US + 1 - self._next_hour
        if hours > 0:
            more = arrivals(self._habits, self._next_hour, hours, self._silences, self._presented)
            self._waiting = Arrivals.joined([self._waiting, more])
            self._next_hour += hours
        self._told_us = max(self._told_us, now_us)
        waiting = self._waiting
        here = waiting.received_us <= now_us
        if not here.any():
            return waiting.rows(here)
        self._waiting = waiting.rows(~here)
        rows = waiting.rows(here)
        return rows.rows(np.lexsort((rows.copy, rows.hour, rows.meter, rows.received_us)))

    def replace_silences(self, silences: Sequence[Silence]) -> None:
        """Let other meters be silent from now on; what waits already is judged anew."""
        self._silences = tuple(silences)
        self._waiting = self._on_the_way()

    def _on_the_way(self) -> Arrivals:
        """Return what was read so far and has not arrived; in pieces, since most of it has."""
        first = self._next_hour - LONGEST_DELAY_H
        known = iter_arrivals(self._habits, first, LONGEST_DELAY_H, self._silences, self._presented)
        return Arrivals.joined([piece.rows(piece.received_us > self._told_us) for piece in known])


def reports(rows: Arrivals) -> Iterator[Arrivals]:
    """Part rows into messages: what one meter's readings have in common that arrive at the same moment."""
    if not len(rows):
        return
    order = np.lexsort((rows.hour, rows.copy, rows.meter, rows.received_us))
    rows = rows.rows(order)
    differs = (np.diff(rows.received_us) != 0) | (np.diff(rows.meter) != 0) | (np.diff(rows.copy) != 0)
    for piece in np.split(np.arange(len(rows)), np.flatnonzero(differs) + 1):
        yield rows.rows(piece)
