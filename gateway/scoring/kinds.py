"""The figures of one kind of finding: what was found, how late, at how many false alarms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.scoring.answer import Findings
from gateway.scoring.causes import causes
from gateway.scoring.matching import Matching, Status
from gateway.scoring.ranking import allowed, limits, precision, share
from gateway.scoring.rules import DAY_S, HOUR_S, KINDS, RECALL_WITHIN_D, RULES
from gateway.scoring.truth import Event, Truth

Figures = dict[str, Any]
_Z95 = 1.96
_MOST_ERROR = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """An answer matched with the truth, and what follows from it for every event."""

    truth: Truth
    findings: Findings
    matching: Matching
    limits: NDArray[np.float64]
    """the score to exceed, by kind"""
    first: NDArray[np.int64]
    """the finding that first hit each event, -1 for none"""
    first_kept: NDArray[np.int64]
    """the same of only those findings that are within the budgets of their kinds"""
    first_own: NDArray[np.int64]
    """the same of only findings of the event's own kind"""

    def delays_d(self, first: NDArray[np.int64], rows: Sequence[int]) -> NDArray[np.float64]:
        """Return the days from the effect of some events to their first hits, infinite for none."""
        effective = np.array([self.truth.events[i].effective for i in rows])
        at = np.append(self.findings.at, math.inf)[first[rows]]
        return np.asarray(np.maximum(0.0, at - effective) / DAY_S, dtype=np.float64)


def rate(truth: Truth, findings: Findings, matching: Matching) -> Rated:
    """Work out when each event was hit."""
    bounds = limits(truth, findings, matching)
    inside = matching.in_window & (matching.event >= 0)
    own = np.array([KINDS.index(event.kind) for event in truth.events] + [-1])[matching.event] == findings.kind
    kept = findings.rank > bounds[findings.kind]

    def first(wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
        # findings stand in the order of time: of those written to one place the earliest has to be the last
        rows = np.flatnonzero(wanted)[::-1]
        result = np.full(len(truth.events), -1, dtype=np.int64)
        result[matching.event[rows]] = rows
        return result

    return Rated(truth, findings, matching, bounds, first(inside), first(inside & kept), first(inside & own))


def kind_figures(rated: Rated, kind: str) -> Figures:
    """Return all figures of one kind; None stands where there is nothing to divide by."""
    truth, rule = rated.truth, RULES[kind]
    rows = [i for i, event in enumerate(truth.events) if event.kind == kind and truth.counts(event)]
    events = [truth.events[i] for i in rows]
    delays, kept_delays = rated.delays_d(rated.first, rows), rated.delays_d(rated.first_kept, rows)
    found = delays[np.isfinite(delays)]
    kept = {f"{d:g}d": recall_within(truth, events, kept_delays, d) for d in rule.within_d}
    of_kind = rated.findings.kind == KINDS.index(kind)
    false = of_kind & (rated.matching.status == Status.FALSE)
    quality = [value for value in kept.values() if value is not None]
    within = {
        f"recall_{name}": _rounded(recall_within(truth, events, delays, d), 4) for name, d in RECALL_WITHIN_D.items()
    }
    return {
        "events": len(rows),
        "found": len(found),
        "recall": share(len(found), len(rows)),
        "recall_ci95": wilson(len(found), len(rows)),
        "recall_exact_kind": share(int((rated.first_own[rows] >= 0).sum()), len(rows)),
        **within,
        "delay_median_d": _percentile(found, 50),
        "delay_p90_d": _percentile(found, 90),
        "findings": int(of_kind.sum()),
        "repeats": int((of_kind & (rated.matching.status == Status.REPEAT)).sum()),
        "false_alarms": int(false.sum()),
        "false_per_unit_year": round(float(false.sum()) / truth.unit_years(kind), 5) if truth.unit_years(kind) else 0.0,
        "unit": f"{rule.subject}-year",
        "budget_per_unit_year": rule.budget,
        "budget_count": allowed(truth, kind),
        "budget_threshold": _lowest_kept(rated, kind),
        "recall_at_budget": share(int(np.isfinite(kept_delays).sum()), len(rows)),
        "events_within": {f"{d:g}d": int(with_data_left(truth, events, d).sum()) for d in rule.within_d},
        "recall_within_at_budget": {name: _rounded(value, 4) for name, value in kept.items()},
        "quality": round(100 * sum(quality) / len(quality), 1) if quality else None,
        "false_by_cause": dict(Counter(causes(truth, rated.findings, rated.matching, false)).most_common()),
        "recall_by_type": dict(_by_type(events, delays, kept_delays)),
        **precision(truth, rated.findings, rated.matching, kind, len(rows)),
        "estimate_error_median": _estimate_error(rated, rows),
    }


def recall_within(truth: Truth, events: Sequence[Event], delays: NDArray[np.float64], days: float) -> float | None:
    """Return the share of events found so soon, of those with that much data left; None if there are none."""
    left = with_data_left(truth, events, days)
    return float((delays[left] <= days).mean()) if left.any() else None


def with_data_left(truth: Truth, events: Sequence[Event], days: float) -> NDArray[np.bool_]:
    """Tell which events have that much data after they took effect."""
    return np.array([event.effective + days * DAY_S <= truth.end + HOUR_S for event in events], dtype=np.bool_)


def wilson(hits: int, of: int) -> list[float] | None:
    """Return the 95 % interval of a share after Wilson (1927), None of nothing."""
    if not of:
        return None
    p, z2 = hits / of, _Z95**2
    middle, half = p + z2 / (2 * of), _Z95 * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    return [round(max(0.0, (middle - half) / (1 + z2 / of)), 3), round(min(1.0, (middle + half) / (1 + z2 / of)), 3)]


def _by_type(
    events: Sequence[Event], delays: NDArray[np.float64], kept: NDArray[np.float64]
) -> Iterable[tuple[str, Figures]]:
    for name in sorted({event.type for event in events}):
        rows = np.array([event.type == name for event in events])
        hits, within = int(np.isfinite(delays[rows]).sum()), int(np.isfinite(kept[rows]).sum())
        count = int(rows.sum())
        yield name, {"events": count, "recall": share(hits, count), "at_budget": share(within, count)}


def _estimate_error(rated: Rated, rows: Sequence[int]) -> float | None:
    """Return the median error of the estimated size as a share of the true one, over the first hits that give one."""
    errors = []
    for i in rows:
        size, finding = rated.truth.events[i].size_m3_per_day, rated.first[i]
        estimate = float(rated.findings.estimate_m3_per_day[finding]) if finding >= 0 else math.nan
        if size and math.isfinite(estimate) and math.isfinite(size):
            errors.append(min(abs(estimate / size - 1), _MOST_ERROR))
    return round(float(np.median(errors)), 3) if errors else None


def _lowest_kept(rated: Rated, kind: str) -> float | None:
    """Return the lowest score that is within the budget, None if there is none."""
    number = KINDS.index(kind)
    scores = rated.findings.rank[rated.findings.kind == number]
    kept = scores[scores > rated.limits[number]]
    return float(kept.min()) if len(kept) else None


def _percentile(values: NDArray[np.float64], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 2) if len(values) else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
