"""Lists sorted by score: budgets of false alarms, precision of the first k, the thief's place among the suspects."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.scoring.answer import Findings
from gateway.scoring.matching import IS_ZONE, Matching, Status
from gateway.scoring.rules import KINDS, RULES, SUSPECT_KINDS
from gateway.scoring.truth import TrueZone, Truth

Figures = dict[str, Any]
WITHOUT_METER = ("city", "district")
"""a meter whose nearest supply meter is that of such a zone has none in its own regulator zone"""
_NOWHERE = TrueZone("", clean=False, prompt=False, mean_flow_m3_per_day=math.nan)


def share(hits: float, of: int) -> float | None:
    """Return a share, None of nothing."""
    return round(float(hits) / of, 4) if of else None


def allowed(truth: Truth, kind: str) -> int:
    """Return how many false alarms a kind may raise in this dataset: its budget, but one at least."""
    return max(1, round(RULES[kind].budget * truth.unit_years(kind)))


def limits(truth: Truth, findings: Findings, matching: Matching) -> NDArray[np.float64]:
    """Return the score that a finding of each kind has to exceed for the kind to stay within its budget."""
    result = np.full(len(KINDS), -math.inf)
    for number, kind in enumerate(KINDS):
        false = (findings.kind == number) & (matching.status == Status.FALSE)
        scores = np.sort(findings.rank[false])[::-1]
        if len(scores) > allowed(truth, kind):
            result[number] = scores[allowed(truth, kind)]
    return result


def precision(truth: Truth, findings: Findings, matching: Matching, kind: str, events: int) -> Figures:
    """Return the precision of the first findings of a kind: false ones first among equals, each event right once."""
    number = KINDS.index(kind)
    own = np.array([event.kind == kind for event in truth.events], dtype=np.bool_)
    of_other = (matching.event >= 0) & ~_at(own, matching.event)
    rated = ~np.isin(matching.status, (Status.IMPRECISE, Status.NEUTRAL)) & ~of_other
    rows = np.flatnonzero((findings.kind == number) & rated)
    score = findings.rank[rows]
    best = np.lexsort((-score, matching.event[rows]))
    best = best[matching.event[rows[best]] >= 0]
    _, first = np.unique(matching.event[rows[best]], return_index=True)
    right = np.zeros(len(rows), dtype=np.bool_)
    right[best[first]] = True
    right = right[np.lexsort((right, -score))]
    ranks = np.flatnonzero(right)
    average = float(np.sum(np.arange(1, len(ranks) + 1) / (ranks + 1)))
    return {
        "listed": len(rows),
        "precision_at_n": share(int(right[:events].sum()), events),
        "precision_at_50": _precision_at(right, 50, events),
        "precision_at_100": _precision_at(right, 100, events),
        "average_precision": share(average, events),
    }


def _precision_at(right: NDArray[np.bool_], k: int, events: int) -> float | None:
    if not len(right):
        return 0.0 if events else None
    return share(int(right[:k].sum()), min(k, len(right)))


def _at(values: NDArray[np.bool_], index: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return values by index, False where the index is -1."""
    return np.append(values, False)[index]


def theft_ranks(truth: Truth, findings: Findings, matching: Matching) -> Figures:
    """Return how often the thief is the first, or among the first three, of the suspects of its zone.

    Suspects are the meters reported as theft, non_moving or slow; other true cases are left out. A thief that was not
    reported in its window is missed.
    """
    kinds = [KINDS.index(kind) for kind in SUSPECT_KINDS]
    true_meters = {event.meter for event in truth.events if event.kind in SUSPECT_KINDS}
    others: dict[str, dict[str, float]] = defaultdict(dict)
    score = findings.rank
    for i in np.flatnonzero(np.isin(findings.kind, kinds) & (matching.status == Status.FALSE)):
        best, meter = others[truth.tree.homes.get(findings.subject[i], "")], findings.subject[i]
        if meter not in true_meters:
            best[meter] = max(best.get(meter, -math.inf), float(score[i]))
    ranks: dict[str, list[float]] = defaultdict(list)
    matched = np.isin(matching.status, (Status.HIT, Status.REPEAT))
    top = np.full(len(truth.events), -math.inf)
    np.maximum.at(top, matching.event[matched], findings.score[matched])
    for index, event in enumerate(truth.events):
        if event.kind != "theft" or not truth.counts(event):
            continue
        rank = (
            1 + sum(rival >= top[index] for rival in others[event.zone].values())
            if top[index] > -math.inf
            else math.inf
        )
        ranks[event.type].append(rank)
    every = [rank for rows in ranks.values() for rank in rows]
    return {
        **_hits(every),
        "by_type": {name: {"events": len(rows), **_hits(rows)} for name, rows in sorted(ranks.items())},
    }


def _hits(ranks: Sequence[float]) -> Figures:
    return {f"hit_at_{k}": share(sum(rank <= k for rank in ranks), len(ranks)) for k in (1, 3)}


def unmetered_thefts(truth: Truth, findings: Findings, matching: Matching) -> Figures:
    """Count thieves without a supply meter in their zone, and those ranked above all but 1 % of the honest meters.

    A meter's score is the highest with which it was reported as theft, non_moving or slow; a thief's has to come from a
    finding in its window. Meters that are another true case are left out.
    """
    homes = truth.tree.homes.items()
    top = {meter: -math.inf for meter, zone in homes if truth.zones.get(zone, _NOWHERE).kind in WITHOUT_METER}
    thieves = {e.meter for e in truth.events if e.kind == "theft" and truth.counts(e) and e.meter in top}
    suspects = np.isin(findings.kind, [KINDS.index(kind) for kind in SUSPECT_KINDS])
    for i in np.flatnonzero(suspects & (matching.status <= Status.REPEAT)):
        meter = findings.subject[i]
        if meter in top and (meter not in thieves or matching.event[i] >= 0):
            top[meter] = max(top[meter], float(findings.rank[i]))
    cases = {event.meter for event in truth.events}
    honest = sorted((score for meter, score in top.items() if meter not in cases), reverse=True)
    limit = honest[int(0.01 * len(honest))] if honest else -math.inf
    return {
        "thefts": len(thieves),
        "found": sum(top[meter] > limit for meter in thieves if meter is not None),
        "honest": len(honest),
        "false": sum(score > limit for score in honest),
    }


def inspection(findings: Findings, matching: Matching) -> Figures:
    """Return the precision of one list of meters of all kinds but `silent`, each with its highest score."""
    best: dict[str, tuple[float, bool]] = {}
    score = findings.rank
    rated = (findings.kind >= 0) & (matching.status != Status.NEUTRAL) & (findings.kind != KINDS.index("silent"))
    for i in np.flatnonzero(rated & ~IS_ZONE[findings.kind]):
        rank = (float(score[i]), bool(matching.status[i] == Status.FALSE))
        if findings.subject[i]:
            best[findings.subject[i]] = max(best.get(findings.subject[i], rank), rank)
    order = sorted(best.values(), key=lambda rank: (-rank[0], not rank[1]))
    right = [not false for _, false in order]
    return {"meters": len(order), **{f"precision_at_{k}": share(sum(right[:k]), len(right[:k])) for k in (50, 100)}}
