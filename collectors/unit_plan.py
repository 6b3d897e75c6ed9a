"""The requests that read one device, around the addresses that it turned out not to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from collectors.plan import Limits, LineCost, Request, plan
from gateway.model.profile import PointSpec, Profile, RegisterTable, Span

HOLE_LIFE_US = 86_400_000_000
_planned = lru_cache(maxsize=1024)(plan)
"""Thousands of devices of one type are planned once."""


class UnitPlan:
    """Plans reads of some of a device's points; a row is the place of a point among `specs`."""

    def __init__(self, profile: Profile, specs: tuple[PointSpec, ...], line: LineCost | None) -> None:
        """Plan for a device of which nothing is known yet. Raises ValueError for points that no request can read."""
        self.holes: dict[int, int] = {}
        """row of a point that the device does not have -> us UTC when that was found"""
        self.gaps: dict[Span, int] = {}
        """addresses between points that cannot be read through -> us UTC when that was found"""
        self._profile, self._specs, self._line = profile, specs, line
        self._plans: dict[tuple[int, ...], tuple[Request, ...]] = {}
        self._sized, self._size = (-1, -1), (0, 0)
        _planned(specs, self._limits(()))

    def requests(self, rows: tuple[int, ...]) -> tuple[Request, ...]:
        """Return the requests for rows of which none is a hole."""
        if rows not in self._plans:
            self._plans[rows] = self.plan_rows(rows)
        return self._plans[rows]

    def plan_rows(self, rows: Sequence[int]) -> tuple[Request, ...]:
        """Return the requests for these rows, around all holes that are known; they are not kept."""
        holes = [self._specs[row] for row in self.holes]
        gaps = (
            *self.gaps,
            *(span for hole in holes for span in self._unneeded(hole.table, range(hole.first, hole.past))),
        )
        torn = {hole.together for hole in holes} | self._torn_by(gaps)
        chosen = [self._specs[row] for row in rows]
        specs = [replace(spec, together="") if spec.together in torn else spec for spec in chosen]
        return tuple(
            replace(request, rows=tuple(rows[row] for row in request.rows))
            for request in _planned(tuple(specs), self._limits(gaps))
        )

    def size(self) -> tuple[int, int]:
        """Return how many requests read everything that the device has, and how many addresses they ask for."""
        known = (len(self.holes), len(self.gaps))
        if self._sized != known:
            requests = self.requests(tuple(row for row in range(len(self._specs)) if row not in self.holes))
            self._sized, self._size = known, (len(requests), sum(request.count for request in requests))
        return self._size

    def note_hole(self, row: int, now_us: int) -> None:
        """Remember a point that the device does not have."""
        self.holes[row] = now_us
        self._plans.clear()

    def note_gap(self, table: RegisterTable, between: range, now_us: int) -> None:
        """Remember that not all of these addresses can be read; none of them belongs to a point that can."""
        for span in self._unneeded(table, between):
            self.gaps[span] = now_us
            self._plans.clear()

    def forget_old(self, now_us: int) -> None:
        """Let each hole be tried again once a day: the device may have been repaired or given a new program."""
        before = len(self.holes) + len(self.gaps)
        if not before:
            return
        self.holes = {row: at for row, at in self.holes.items() if 0 <= now_us - at < HOLE_LIFE_US}
        self.gaps = {span: at for span, at in self.gaps.items() if 0 <= now_us - at < HOLE_LIFE_US}
        if len(self.holes) + len(self.gaps) != before:
            self._plans.clear()

    def _unneeded(self, table: RegisterTable, addresses: range) -> list[Span]:
        """Return those of the addresses on which no point stands that the device may have."""
        needed = {
            address
            for row, spec in enumerate(self._specs)
            if spec.table is table and row not in self.holes
            for address in range(max(spec.first, addresses.start), min(spec.past, addresses.stop))
        }
        return [Span(table, address, address) for address in addresses if address not in needed]

    def _torn_by(self, gaps: Sequence[Span]) -> set[str]:
        """Return the `together` sets that cannot be read at once, because an unreadable gap lies inside them."""
        sets: dict[tuple[str, str], list[PointSpec]] = {}
        for spec in self._specs:
            sets.setdefault((spec.together, spec.table.value), []).append(spec)
        return {
            name
            for (name, _), specs in sets.items()
            if any(
                span.touches(specs[0].table, min(one.first for one in specs), max(one.past for one in specs))
                for span in gaps
            )
        }

    def _limits(self, gaps: Sequence[Span]) -> Limits:
        profile = self._profile
        forbidden = (*profile.never_read, *gaps)
        return Limits(profile.max_registers, profile.max_bits, profile.max_gap, forbidden, self._line)
