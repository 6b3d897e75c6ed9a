"""Decides of each finding what it is: a hit, a repeat of one, or a false alarm. Scores play no part in that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gateway.scoring.answer import Findings
from gateway.scoring.rules import DAY_S, KINDS, RULES
from gateway.scoring.truth import Event, Truth

PAIRS_AT_ONCE = 4_000_000
IS_ZONE = np.array([RULES[kind].subject == "zone" for kind in KINDS])


class Status(IntEnum):
    """What became of a finding."""

    FALSE = 0
    HIT = 1
    REPEAT = 2
    IMPRECISE = 3
    """a leak named for a zone above or a building below the leaking one"""
    NEUTRAL = 4
    """of an event that leaves too little data to be rated"""


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """What became of the findings of an answer, columns as long as theirs."""

    status: NDArray[np.int8]
    event: NDArray[np.int64]
    """index of the event that a finding is about, -1 for none"""
    in_window: NDArray[np.bool_]
    """whether it came within the window of that event"""
    invalid: NDArray[np.bool_]
    """unknown kind or subject, unreadable or impossible time or score"""


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Events as columns, sorted by what they are about."""

    order: NDArray[np.int64]
    onset: NDArray[np.float64]
    window_end: NDArray[np.float64]
    over: NDArray[np.float64]
    kind: NDArray[np.int64]
    accepts: NDArray[np.bool_]
    """(events, kinds)"""
    first: dict[tuple[bool, str], int]
    count: dict[tuple[bool, str], int]


def match(truth: Truth, findings: Findings) -> Matching:
    """Match findings with events by subject, kind and time."""
    invalid = _invalid(truth, findings)
    columns = _columns(truth.events)
    size = len(findings)
    event = np.full(size, -1, dtype=np.int64)
    candidate = np.zeros(size, dtype=np.bool_)
    for f, e in _pairs(findings, columns, ~invalid):
        accepted = columns.accepts[e, findings.kind[f]]
        f, e = f[accepted], e[accepted]  # noqa: PLW2901 - narrowed step by step
        candidate[f] = True
        inside = (columns.onset[e] <= findings.at[f]) & (findings.at[f] <= columns.window_end[e])
        _choose(event, f[inside], e[inside], findings, columns)
    in_window = event >= 0
    status = np.where(in_window, Status.REPEAT, Status.FALSE).astype(np.int8)
    hit = np.zeros((len(columns.order), len(KINDS)), dtype=np.bool_)
    at = np.flatnonzero(in_window)
    _, first = np.unique(event[at] * len(KINDS) + findings.kind[at], return_index=True)
    status[at[first]] = Status.HIT
    hit[event[at], findings.kind[at]] = True
    for f, e in _pairs(findings, columns, candidate & ~in_window):
        late = (columns.window_end[e] < findings.at[f]) & (findings.at[f] <= columns.over[e])
        late &= columns.accepts[e, findings.kind[f]] & hit[e, findings.kind[f]]
        _choose(event, f[late], e[late], findings, columns)
        status[f[late]] = Status.REPEAT
    known = event >= 0
    event[known] = columns.order[event[known]]
    status[_imprecise(truth, findings, ~invalid & ~candidate)] = Status.IMPRECISE
    counts = np.array([truth.counts(one) for one in truth.events], dtype=np.bool_)
    status[np.flatnonzero(known)[~counts[event[known]]]] = Status.NEUTRAL
    return Matching(status, event, in_window, invalid)


def _invalid(truth: Truth, findings: Findings) -> NDArray[np.bool_]:
    zone = IS_ZONE[findings.kind]
    pairs = zip(findings.subject, zone.tolist(), strict=True)
    tree = truth.tree
    known = np.array([name in (tree.parents if is_zone else tree.meters) for name, is_zone in pairs], dtype=np.bool_)
    in_time = (truth.start <= findings.at) & (findings.at <= truth.end + DAY_S)
    return ~((findings.kind >= 0) & known & in_time & np.isfinite(findings.score))


def _columns(events: Sequence[Event]) -> _Columns:
    about = [(RULES[event.kind].subject == "zone", event.subject or "") for event in events]
    order = np.array(sorted(range(len(events)), key=lambda i: (about[i], i)), dtype=np.int64)
    placed = [events[i] for i in order]
    first: dict[tuple[bool, str], int] = {}
    count: dict[tuple[bool, str], int] = {}
    for place, i in enumerate(order):
        first.setdefault(about[i], place)
        count[about[i]] = count.get(about[i], 0) + 1
    return _Columns(
        order=order,
        onset=np.array([e.onset for e in placed]),
        window_end=np.array([e.window_end for e in placed]),
        over=np.array([e.over for e in placed]),
        kind=np.array([KINDS.index(e.kind) for e in placed], dtype=np.int64),
        accepts=np.array([[kind in e.accepts for kind in KINDS] for e in placed], dtype=np.bool_).reshape(
            -1, len(KINDS)
        ),
        first=first,
        count=count,
    )


def _pairs(
    findings: Findings, columns: _Columns, wanted: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield findings and the events of their subject, all pairs, so many at once that the memory stays bounded."""
    rows = np.flatnonzero(wanted)
    about = [(bool(IS_ZONE[findings.kind[i]]), findings.subject[i]) for i in rows]
    first = np.array([columns.first.get(key, 0) for key in about], dtype=np.int64)
    count = np.array([columns.count.get(key, 0) for key in about], dtype=np.int64)
    groups = np.cumsum(count) // PAIRS_AT_ONCE
    for group in np.unique(groups):
        part = np.flatnonzero(groups == group)
        n = count[part]
        within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        yield np.repeat(rows[part], n), np.repeat(first[part], n) + within


def _choose(
    event: NDArray[np.int64], f: NDArray[np.int64], e: NDArray[np.int64], findings: Findings, columns: _Columns
) -> None:
    """Write to each finding its event: one of its own kind before others, then the one that began last."""
    own = columns.kind[e] == findings.kind[f]
    order = np.lexsort((-e, columns.onset[e], own, f))
    event[f[order]] = e[order]


def _imprecise(truth: Truth, findings: Findings, free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which leaks were named for a zone above the leaking one, or for a building below it."""
    result = np.zeros(len(findings), dtype=np.bool_)
    rows = np.flatnonzero(free & (findings.kind == KINDS.index("leak")))
    zones = np.array([findings.subject[i] for i in rows], dtype=np.str_)
    unmeasured = {z: truth.tree.measured_zone(z) for z in set(zones.tolist()) - truth.tree.measured}
    for event in truth.events:
        if event.kind != "leak" or not len(rows):
            continue
        related = {*truth.tree.above(event.zone), *(z for z, home in unmeasured.items() if home == event.zone)}
        at = findings.at[rows]
        result[rows] |= np.isin(zones, sorted(related)) & (event.onset <= at) & (at <= event.window_end)
    return result
