"""From findings to alarms: grave leaks of zones, and further ones in a zone whose alarm stands already."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from alarms.acts import Edge
from alarms.alarm_events import ConditionFalls, ConditionRises, Realarm
from alarms.findings import explained_by_a_meter
from gateway.model.alarm import Alarm, Definition
from gateway.model.finding import Finding, FindingStatus

LEAK_ZONE, LEAK_LARGE = "LEAK_ZONE", "LEAK_LARGE"
LEAK_SCORE = 0.9
LEAK_M3H = 5.0
"""a leak is grave from either on"""


class ZoneLeaks:
    """Judges the findings that are live; remembers of which leaks people were told."""

    def __init__(self) -> None:
        """Nothing was judged yet."""
        self._told: frozenset[tuple[str, int]] | None = None

    def edges(
        self, findings: Sequence[Finding], active: Mapping[str, Alarm], definitions: Mapping[str, Definition]
    ) -> list[Edge]:
        """Return what begins, ends or grew.

        A finding that grew weaker ends no alarm: it says less surely that there is a leak, not that there is none. A
        leak that is but another name for what a meter of its zone explains stays a work item.
        """
        leaks = _unexplained(findings)
        suspected = {leak.zone for leak in leaks}
        # of several in a zone, as a confirmed one and a new one are, the largest counts
        grave = sorted((leak for leak in leaks if _is_grave(leak)), key=lambda leak: _m3h(leak) or 0.0)
        edges = []
        for zone, largest in {leak.zone: leak for leak in grave}.items():
            names = (f"{LEAK_LARGE}@{zone}", f"{LEAK_ZONE}@{zone}")
            stands = next((active[name] for name in names if name in active and active[name].cond), None)
            named = f"{_alarm_of(largest, definitions)}@{zone}"
            if stands is None or (named == names[0] and stands.alarm_id != named):
                edges.append(Edge(named, ConditionRises(largest.detected_at, _m3h(largest))))
            elif any(self._is_further(leak, stands) for leak in grave if leak.zone == zone):
                edges.append(Edge(stands.alarm_id, Realarm(grew=True, value=_m3h(largest))))
        return edges + [
            Edge(alarm.alarm_id, ConditionFalls())
            for alarm in active.values()
            if alarm.definition in (LEAK_ZONE, LEAK_LARGE) and alarm.cond and alarm.asset not in suspected
        ]

    def committed(self, findings: Sequence[Finding]) -> None:
        """Remember the leaks of which people were told, once that is kept, for as long as they are live."""
        told = {_key(leak) for leak in _unexplained(findings) if _is_grave(leak)} | (self._told or frozenset())
        self._told = frozenset(told & {_key(one) for one in findings if one.kind == "leak"})

    def _is_further(self, leak: Finding, stands: Alarm) -> bool:
        """Tell whether people were told of an earlier leak of the zone only; after a start, by when they answered."""
        if self._told is None:
            return stands.acked_at is not None and leak.detected_at > stands.acked_at
        return _key(leak) not in self._told


def _unexplained(findings: Sequence[Finding]) -> list[Finding]:
    """Return the live leaks that are not but another name for what a meter explains."""
    known = [one for one in findings if one.status in (FindingStatus.OPEN, FindingStatus.CONFIRMED)]
    return [one for one in known if one.kind == "leak" and not explained_by_a_meter(one, known)]


def _key(leak: Finding) -> tuple[str, int]:
    return leak.zone, leak.episode_no


def _alarm_of(finding: Finding, definitions: Mapping[str, Definition]) -> str:
    """Name the alarm of a grave leak: from the limit of LEAK_LARGE on it is as urgent as a burst."""
    large = definitions.get(LEAK_LARGE)
    limit_m3h = math.inf if large is None or large.limit is None else large.limit
    return LEAK_LARGE if (_m3h(finding) or 0.0) >= limit_m3h else LEAK_ZONE


def _is_grave(finding: Finding) -> bool:
    return finding.score >= LEAK_SCORE or (_m3h(finding) or 0.0) >= LEAK_M3H


def _m3h(finding: Finding) -> float | None:
    return None if finding.estimate_m3_per_day is None else finding.estimate_m3_per_day / 24.0
