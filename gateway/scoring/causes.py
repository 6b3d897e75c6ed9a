"""Names what probably led to a false alarm, so that a person knows where to look. No figure depends on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.scoring.answer import Findings
from gateway.scoring.matching import IS_ZONE, Matching
from gateway.scoring.rules import DAY_S, KINDS, RULES, SUSPECT_KINDS
from gateway.scoring.truth import Event, Truth

CONFUSED_FOR_S = 30 * DAY_S
"""a confounder may still mislead an analysis so long after it is over"""


def causes(truth: Truth, findings: Findings, matching: Matching, false: NDArray[np.bool_]) -> Iterator[str]:
    """Yield the likely cause of each false finding of one subject kind."""
    own: dict[str, list[Event]] = defaultdict(list)
    in_zone: dict[str, list[Event]] = defaultdict(list)
    for event in truth.events:
        own[event.subject or ""].append(event)
        in_zone[event.zone].append(event)
    misleading: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for one in truth.confounders:
        misleading[one.meter or one.zone].append((one.start, one.end + CONFUSED_FOR_S, one.cause))
    for i in np.flatnonzero(false):
        name, kind, at = findings.subject[i], KINDS[findings.kind[i]], float(findings.at[i])
        if matching.invalid[i]:
            yield "invalid"
            continue
        zone = truth.tree.measured_zone(name) if IS_ZONE[findings.kind[i]] else truth.tree.homes.get(name, "")
        active = [event for event in own[name] if event.onset <= at <= event.over]
        confusing = _first(misleading[name], at) or _first(misleading[zone], at)
        unseen = [event for event in in_zone[zone] if event.onset <= at <= event.over]
        if any(kind in event.accepts for event in own[name]):
            yield "too early or too late"
        elif active:
            yield "wrong kind"
        elif RULES[kind].subject == "zone" and any(event.kind in SUSPECT_KINDS for event in unseen):
            yield "theft or bad meter in the zone"
        elif confusing:
            yield confusing
        elif unseen:
            yield "true case nearby"
        else:
            yield "none known"


def _first(misleading: Sequence[tuple[float, float, str]], at: float) -> str:
    """Return the shortest confounder of a moment, empty if there is none: the longer one lasts the less it explains."""
    return min(((end - start, cause) for start, end, cause in misleading if start <= at <= end), default=(0.0, ""))[1]
