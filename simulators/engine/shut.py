"""Time in which no gas comes: the hours of closed valves, and what the pipes behind a closed regulator still give.

Behind a closed regulator nothing is supplied. Customers and leaks draw on the gas in the pipes, and as the pressure
falls they draw less: the flow is taken as proportional to the gauge pressure, so that the gas above atmospheric
pressure decays exponentially and never more is used than there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simulators.faults.fault import ENDLESS, HOUR_US
from simulators.valves import Closure

Floats = NDArray[np.float64]
Span = tuple[float, float]
"""part of an hour, 0 to 1"""


def open_shares(closures: Iterable[Closure], hours: NDArray[np.int64]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return (share of each hour in which a valve is open, whether it is open when the hour begins), (h,)."""
    begin = hours * HOUR_US
    shut_us = np.zeros(len(hours), dtype=np.int64)
    at_begin = np.ones(len(hours), dtype=np.bool_)
    for start_us, end_us in _apart(closures):
        shut_us += np.maximum(0, np.minimum(end_us, begin + HOUR_US) - np.maximum(start_us, begin))
        at_begin &= ~((start_us <= begin) & (begin < end_us))
    return np.maximum(0.0, 1.0 - shut_us / HOUR_US), at_begin


def _apart(closures: Iterable[Closure]) -> list[tuple[int, int]]:
    """Return (begin, end) of the times in which a valve is closed, us UTC; closures may overlap."""
    spans = sorted((one.start_us, ENDLESS if one.end_us is None else one.end_us) for one in closures)
    found: list[tuple[int, int]] = []
    for start_us, end_us in spans:
        if found and start_us <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_us))
        else:
            found.append((start_us, end_us))
    return found


def open_spans(closures: Iterable[Closure], hour: int) -> list[Span]:
    """Return the parts of an hour in which a valve is open."""
    return _complement(_within(closures, hour))


def shut_spans(closures: Iterable[Closure], hour: int) -> list[Span]:
    """Return the parts of an hour in which a valve is closed, in order and apart from each other."""
    return _complement(open_spans(closures, hour))


def _within(closures: Iterable[Closure], hour: int) -> list[Span]:
    begin, spans = hour * HOUR_US, []
    for closure in closures:
        first = max(0, closure.start_us - begin)
        last = min(HOUR_US, (ENDLESS if closure.end_us is None else closure.end_us) - begin)
        if first < last:
            spans.append((first / HOUR_US, last / HOUR_US))
    return sorted(spans)


def _complement(spans: Sequence[Span]) -> list[Span]:
    free, at = [], 0.0
    for first, last in spans:
        if first > at:
            free.append((at, first))
        at = max(at, last)
    return [*free, (at, 1.0)] if at < 1.0 else free


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an hour in which a zone's regulator is open, or in which it is closed."""

    begin: float
    end: float
    is_open: bool
    served: float
    """hours' worth of use that customers had before"""
    packed_m3: float
    """gas in the pipes when it begins"""
    fill_m3h: float
    """what the pipes gain while it is open"""
    gas_h: float
    """while closed: hours that the gas above atmospheric pressure would last at full flow; 0 if there is none, infinite
    if nobody draws"""

    def served_until(self, share: Floats | float) -> Floats:
        """Return the hours' worth of use that customers had by moments in the hour, (t,)."""
        lasted = np.clip(share, self.begin, self.end) - self.begin
        if self.is_open or math.isinf(self.gas_h):
            return np.asarray(self.served + lasted)
        if self.gas_h <= 0.0:
            return np.asarray(self.served + 0.0 * lasted)
        return np.asarray(self.served - self.gas_h * np.expm1(-lasted / self.gas_h))


@dataclass(frozen=True, slots=True)
class ZoneHour:
    """One hour of a zone whose regulator is closed for all or a part of it."""

    pieces: tuple[Piece, ...]
    floor_m3: float
    """gas in the pipes at atmospheric pressure"""
    packed_m3: float
    """gas in the pipes at the end"""

    def served(self, share: Floats | float) -> Floats:
        """Return how many hours' worth of use customers have had by moments in the hour, (t,)."""
        total = np.zeros(np.shape(share))
        for piece in self.pieces:
            total = np.where(np.asarray(share) >= piece.begin, piece.served_until(share), total)
        return np.asarray(total)

    def open_h(self, share: Floats | float) -> Floats:
        """Return how long the regulator has been open by moments in the hour, (t,)."""
        total = np.zeros(np.shape(share))
        for piece in self.pieces:
            if piece.is_open:
                total = total + np.clip(share, piece.begin, piece.end) - piece.begin
        return np.asarray(total)

    def supplied(self, share: Floats | float, flow_m3h: float) -> Floats:
        """Return what came through the regulator by moments in the hour if customers and leaks draw `flow_m3h`."""
        total = np.zeros(np.shape(share))
        for piece in self.pieces:
            if piece.is_open:
                lasted = np.clip(share, piece.begin, piece.end) - piece.begin
                total = total + lasted * (flow_m3h + piece.fill_m3h)
        return np.asarray(total)

    def is_open(self, share: Floats | float) -> NDArray[np.bool_]:
        """Say whether the regulator is open at moments in the hour, (t,)."""
        result = np.zeros(np.shape(share), dtype=np.bool_)
        for piece in self.pieces:
            result = np.where(np.asarray(share) >= piece.begin, piece.is_open, result)
        return np.asarray(result, dtype=np.bool_)

    def packed(self, share: Floats | float) -> Floats:
        """Return the gas in the pipes at moments in the hour, base m3, (t,)."""
        at = np.asarray(share)
        total = np.full(np.shape(share), self.pieces[0].packed_m3)
        for piece in self.pieces:
            lasted = np.clip(at, piece.begin, piece.end) - piece.begin
            if piece.is_open:
                now = piece.packed_m3 + piece.fill_m3h * lasted
            elif piece.gas_h > 0.0:
                now = self.floor_m3 + (piece.packed_m3 - self.floor_m3) * np.exp(-lasted / piece.gas_h)
            else:
                now = np.full(np.shape(share), piece.packed_m3)
            total = np.where(at >= piece.begin, now, total)
        return np.asarray(total)


@dataclass(frozen=True, slots=True)
class Uneven:
    """A customer whose valve moves within an hour."""

    spans: tuple[Span, ...]
    """when it is open"""
    in_load: bool
    """its valve was open when the hour began; pressures are computed as if it stayed so, for what an order changes
    must come after it"""

    def open_h(self, share: Floats | float, hour: ZoneHour | None = None) -> Floats:
        """Return how many hours' worth of use the customer has had by moments in the hour, (t,)."""
        if hour is None:
            return self._within(share, np.asarray)
        return self._within(share, hour.served if self.in_load else hour.open_h)

    def missing_h(self, share: Floats | float, hour: ZoneHour | None = None) -> Floats:
        """Return by how many hours' worth of its use the supply is less than the hour's load says, (t,)."""
        supplied: Callable[[Floats | float], Floats] = np.asarray if hour is None else hour.open_h
        return np.asarray(self.in_load * supplied(share) - self._within(share, supplied))

    def _within(self, share: Floats | float, until: Callable[[Floats | float], Floats]) -> Floats:
        total = np.zeros(np.shape(share))
        for begin, end in self.spans:
            total = total + until(np.clip(share, begin, end)) - until(begin)
        return np.asarray(total)


def zone_hour(
    shut: Sequence[Span], *, packed_m3: float, wanted_m3: float, floor_m3: float, flow_m3h: float
) -> ZoneHour:
    """Follow a zone through an hour.

    `packed_m3` is in the pipes when it begins, `wanted_m3` what an open regulator would have put into them by its end,
    `flow_m3h` what customers and leaks draw at full pressure.
    """
    cuts = sorted({0.0, 1.0, *(edge for span in shut for edge in span)})
    pieces: list[Piece] = []
    packed, served, ever_shut = packed_m3, 0.0, False
    for begin, end in pairwise(cuts):
        lasts = end - begin
        if any(first <= begin < last for first, last in shut):
            gas = packed - floor_m3
            gas_h = gas / flow_m3h if gas > 0.0 and flow_m3h > 0.0 else 0.0
            if flow_m3h <= 0.0:
                gas_h = math.inf
            piece = Piece(begin, end, is_open=False, served=served, packed_m3=packed, fill_m3h=0.0, gas_h=gas_h)
            ever_shut = True
            if math.isfinite(gas_h) and gas_h > 0.0:
                packed = floor_m3 + gas * math.exp(-lasts / gas_h)
        else:
            gain = wanted_m3 - packed if ever_shut else (wanted_m3 - packed_m3) * lasts
            fill = max(gain / lasts, -flow_m3h)
            piece = Piece(begin, end, is_open=True, served=served, packed_m3=packed, fill_m3h=fill, gas_h=0.0)
            packed += fill * lasts
        pieces.append(piece)
        served = float(piece.served_until(end))
    return ZoneHour(tuple(pieces), floor_m3, packed)
