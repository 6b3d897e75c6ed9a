"""Leaks by size: how large one must be to be found, and how soon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gateway.scoring.kinds import Rated, recall_within
from gateway.scoring.ranking import share
from gateway.scoring.rules import (
    DAY_S,
    ENOUGH_D,
    HOUR_S,
    LEAK_AIMS,
    LEAK_SIZES_PCT,
    LEAK_WITHIN_D,
    RELIABLE,
    RELIABLE_FROM,
    RULES,
)

Figures = dict[str, Any]


def leak_figures(rated: Rated) -> Figures:
    """Return recall by size and time at no more false alarms than the budget of leaks allows."""
    truth = rated.truth
    rows = [
        i for i, e in enumerate(truth.events) if e.kind == "leak" and truth.counts(e) and not math.isnan(e.size_pct)
    ]
    by_size = {}
    for low, high in pairwise(LEAK_SIZES_PCT):
        part = [i for i in rows if low <= truth.events[i].size_pct < high]
        if part:
            recalls = {f"{d:g}d": _recall(rated, part, d) for d in LEAK_WITHIN_D}
            by_size[f"{low:g}-{high:g} %"] = {"leaks": len(part), **recalls}
    return {
        "by_size": by_size,
        "smallest_reliable_pct": {f"{d:g}d": _smallest(rated, rows, d) for d in LEAK_WITHIN_D},
        "aims": [_aim(rated, rows, at_least, hours) for at_least, hours in LEAK_AIMS],
        "gas_lost_before_alarm_median_m3": _lost(rated, rows),
    }


def _recall(rated: Rated, rows: Sequence[int], days: float) -> float | None:
    """Return the share found so soon; within the whole horizon of a leak also of those with less data left."""
    delays = rated.delays_d(rated.first_kept, rows)
    if days >= RULES["leak"].horizon_d:
        return share(int(np.isfinite(delays).sum()), len(rows))
    value = recall_within(rated.truth, [rated.truth.events[i] for i in rows], delays, days)
    return None if value is None else round(value, 4)


def _smallest(rated: Rated, rows: Sequence[int], days: float) -> float | None:
    """Return the size down to which nine of ten leaks are found so soon, None if not even the three largest are."""
    truth = rated.truth
    left_s = min(days, ENOUGH_D) * DAY_S
    fair = [i for i in rows if truth.events[i].effective + left_s <= truth.end + HOUR_S]
    fair.sort(key=lambda i: -truth.events[i].size_pct)
    in_time = rated.delays_d(rated.first_kept, fair) <= days
    smallest, hits = None, 0
    for count, (i, hit) in enumerate(zip(fair, in_time, strict=True), start=1):
        hits += bool(hit)
        if count < RELIABLE_FROM:
            continue
        if hits < RELIABLE * count:
            break
        smallest = truth.events[i].size_pct
    return smallest


def _aim(rated: Rated, rows: Sequence[int], at_least_pct: float, hours: float) -> Figures:
    """Count the leaks of at least a size, and those found so soon after they had reached it."""
    truth = rated.truth
    at = np.append(rated.findings.at, math.inf)
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for i in rows:
        event = truth.events[i]
        if event.size_pct >= at_least_pct:
            reached = event.onset + event.ramp_days * DAY_S * at_least_pct / event.size_pct
            prompt = event.zone in truth.zones and truth.zones[event.zone].prompt
            hits[prompt].append(bool(at[rated.first_kept[i]] <= reached + hours * HOUR_S))
    every = hits[True] + hits[False]
    return {
        "at_least_pct": at_least_pct,
        "within_h": hours,
        "all": {"leaks": len(every), "found": sum(every)},
        "prompt": {"leaks": len(hits[True]), "found": sum(hits[True])},
    }


def _lost(rated: Rated, rows: Sequence[int]) -> float | None:
    """Return the median gas lost until the first hit, m3; a growing leak grows in a straight line."""
    lost = []
    for i in rows:
        event = rated.truth.events[i]
        if rated.first_kept[i] >= 0 and not math.isnan(event.size_m3_per_day):
            days = max(0.0, float(rated.findings.at[rated.first_kept[i]]) - event.onset) / DAY_S
            ramp = min(days, event.ramp_days)
            grown = ramp * ramp / (2 * event.ramp_days) if event.ramp_days > 0 else 0.0
            lost.append(event.size_m3_per_day * (grown + days - ramp))
    return round(float(np.median(lost)), 1) if lost else None
