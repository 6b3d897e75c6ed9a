"""Episodes of findings: raised once, updated while they last, not raised again on what a visit has settled. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from gateway.model.finding import (
    FOUND,
    LASTING,
    LIKELY,
    SAME_CAUSE,
    SAME_ONSET,
    Detection,
    EndCause,
    Finding,
    FindingStatus,
    Verdict,
)
from gateway.model.reading import from_us

LEAK = "leak"
ZONE_KINDS = frozenset({LEAK, "supply_drift"})
ALIKE = 0.0005
"""scores nearer than this to 0 or 1 are alike"""
CERTAIN = frozenset({"unauthorised", "ic_mismatch", "flow_when_closed", "silent"})
"""kinds that are certain whatever their size, which follows the season: people are told again when the score moves"""
CauseOf = Callable[[Finding, datetime], EndCause | None]
"""says what the company did, between a finding's onset and a moment, that explains that it is over"""


@dataclass(frozen=True, slots=True)
class EpisodeConfig:
    """When a finding is new, changed or over."""

    odds_step: float = 7.0
    """factor by which the odds of a leak, or of a certain kind, rise before people are told again; that they fell is
    not told"""
    meter_odds_step: float = 19.0
    """the same of a meter, under its own name: from a faint suspicion to an even chance to near certainty"""
    leak_again: float = 2.0
    """the same of a leak that had ended and came back with the same evidence; from an even chance it is always told"""
    size_step: float = 0.5
    """rise of the size, as a share of the size before"""
    sure: float = 0.95
    """score of a leak from which it is not told again that it is likelier still"""
    suspected: float = LIKELY
    """score from which a finding explains others, and its size is worth telling again"""
    same_onset: timedelta = SAME_ONSET
    """an onset this near to that of a settled finding is the same evidence"""
    stronger: float = 20.0
    """so many times the odds that an inspector was shown are stronger evidence than what he saw"""
    looks_again: timedelta = timedelta(days=14)
    """a customer who was found honest is not suspected for the same loss before so long after the visit"""
    repair_shows: timedelta = timedelta(days=7)
    """a loss that is still there so long after a repair was not what was repaired"""
    remembers: timedelta = timedelta(days=200)
    """a pass that looks back 240 days cannot say that what began longer ago than this has ended"""
    overrules: float = 0.98
    """probability from which a leak is raised although a meter of the zone is open for the same loss"""
    ends_after: timedelta = timedelta(days=3)
    """a finding ends when its subject was judged normal, this long after the finding was last seen"""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be written: new findings, and known ones with new figures or an end."""

    raised: tuple[Finding, ...] = ()
    updated: tuple[Finding, ...] = ()
    ended: tuple[Finding, ...] = ()
    seen: tuple[Finding, ...] = ()
    """known ones that were seen again, with their newest figures and evidence; nobody need be told"""
    reopened: tuple[Finding, ...] = ()
    """ended ones of which the same evidence is there again, as they were told; they are seen or updated, too"""


def update(
    known: Sequence[Finding],
    detections: Sequence[Detection],
    now: datetime,
    zone_of: Callable[[str], str],
    *,
    seen_at: Mapping[tuple[str, str], datetime] | None = None,
    cause_of: CauseOf | None = None,
    config: EpisodeConfig | None = None,
) -> Changes:
    """Return what a pass changes.

    `known` holds the findings so far, of any status; `zone_of` names the zone of a meter; `seen_at` says when an
    open finding, by kind and subject, was last confirmed by a pass (its detection where unknown); `cause_of` names
    what the company did that ends one. A subject that is UNKNOWN changes nothing. A meter that is open as one kind is
    not raised as another one with the same cause, unless that is much likelier and takes its place; and it does not
    end while the loss that it explains is still there and only bears another name, that of a leak. What ended because
    it was not seen any more, and comes back with the same evidence, is the same episode: a faint suspicion that comes
    and goes is told once, and again when it is stronger. A leak that began after the open one of its zone was found
    is another one, and takes its place.
    """
    config, seen = config or EpisodeConfig(), seen_at or {}
    newest = {(f.kind, f.subject): f for f in sorted(known, key=lambda f: f.episode_no)}
    visited = _visited(known)
    raised: list[Finding] = []
    updated: list[Finding] = []
    ended: list[Finding] = []
    again: list[Finding] = []
    replaced: list[Finding] = []
    reopened: list[Finding] = []
    leaks = [leak for detection in detections for leak in _leaks(detection, now, zone_of)]
    for detection in detections:
        for row in np.flatnonzero(detection.verdict == Verdict.ABNORMAL):
            new = _finding(detection, int(row), now, zone_of)
            old = newest.get((new.kind, new.subject))
            if old is not None and old.status is FindingStatus.OPEN and not _another(old, new, config):
                kept = _kept(old, new)
                (updated if _changed(old, new, config) else again).append(kept)
            elif _told(newest, new, config) or _settled(visited.get(new.subject, ()), new, now, config):
                continue
            elif old is not None and _came_back(old, new, config):
                reopened.append(replace(old, status=FindingStatus.OPEN, cause=""))
                (updated if _told_anew(old, new, config) else again).append(_kept(old, new))
                replaced += _same_meter(newest, new)
            else:
                raised.append(replace(new, episode_no=1 if old is None else old.episode_no + 1))
                replaced += _same_meter(newest, new)
                if old is not None and old.status is FindingStatus.OPEN:
                    replaced.append(old)
        normal = {detection.assets[row] for row in np.flatnonzero(detection.verdict == Verdict.NORMAL)}
        for (kind, subject), finding in newest.items():
            if kind != detection.condition or subject not in normal or finding.status not in LASTING:
                continue
            done = cause_of(finding, now) if cause_of is not None else None
            if done is None and not _may_end(finding):
                continue
            if (
                not any(_same_loss(leak, finding, config) for leak in leaks)
                and (done is not None or now - finding.onset <= config.remembers)
                and now - seen.get((kind, subject), finding.detected_at) >= config.ends_after
            ):
                ended.append(replace(finding, status=FindingStatus.ENDED, cause=done or _cause(finding)))
    other = [replace(finding, status=FindingStatus.ENDED, cause=EndCause.OTHER) for finding in replaced]
    gone = {(finding.kind, finding.subject) for finding in other}
    ended = [finding for finding in ended if (finding.kind, finding.subject) not in gone]
    return Changes(tuple(raised), tuple(updated), (*ended, *other), tuple(again), tuple(reopened))


def _same_meter(newest: Mapping[tuple[str, str], Finding], new: Finding) -> list[Finding]:
    """Return what is open for the same cause at a meter under other names."""
    kinds = SAME_CAUSE - {new.kind} if new.kind in SAME_CAUSE else frozenset()
    others = (newest.get((kind, new.subject)) for kind in sorted(kinds))
    return [other for other in others if other is not None and other.status is FindingStatus.OPEN]


def _came_back(old: Finding, new: Finding, config: EpisodeConfig) -> bool:
    """Say whether evidence that nobody settled was only hidden.

    Of a meter it began before it was first told; of a zone, where one loss may follow another, when the old one did.
    """
    if old.status is not FindingStatus.ENDED or old.cause not in {EndCause.GONE, EndCause.OTHER}:
        return False
    if new.kind in ZONE_KINDS:
        return abs(new.onset - old.onset) <= config.same_onset
    return new.kind in SAME_CAUSE and new.onset <= old.detected_at + config.same_onset


def _another(old: Finding, new: Finding, config: EpisodeConfig) -> bool:
    """Say whether a leak began after the open one was found: a second place loses gas, and people must hear of it."""
    begun_since = new.onset > old.detected_at + config.same_onset
    return new.kind == LEAK and begun_since and new.score >= config.suspected


def _told_anew(old: Finding, new: Finding, config: EpisodeConfig) -> bool:
    """Say whether people should be told of a finding that came back: of a leak sooner than of one that was there."""
    leak = new.kind in ZONE_KINDS
    return _changed(old, new, config) or (
        leak and (new.score >= config.suspected or _log_odds(new) - _log_odds(old) >= math.log(config.leak_again))
    )


def _kept(old: Finding, new: Finding) -> Finding:
    """Return an episode with its newest figures; it cannot have begun after it was found."""
    onset = new.onset if new.onset <= old.detected_at else min(old.onset, old.detected_at)
    return replace(new, detected_at=old.detected_at, onset=onset, episode_no=old.episode_no)


def _cause(finding: Finding) -> EndCause:
    """Return why a finding ended that the readings no longer show."""
    return EndCause.REPAIRED if finding.status in FOUND else EndCause.GONE


def _may_end(finding: Finding) -> bool:
    """Say whether a pass may end a finding: an open one; and of a zone one that people confirmed, once it is gone."""
    confirmed_zone = finding.kind in ZONE_KINDS and finding.status is FindingStatus.CONFIRMED
    return finding.status is FindingStatus.OPEN or confirmed_zone


def _told(newest: Mapping[tuple[str, str], Finding], new: Finding, config: EpisodeConfig) -> bool:
    """Say whether the same cause is open already under another name.

    That is another kind for the same meter, unless this one is much more certain, or, for a leak, a meter of the zone
    that began to count less then.
    """
    if new.kind in SAME_CAUSE:
        return any(not _likelier(other, new, config) for other in _same_meter(newest, new))
    return new.kind == LEAK and explained_by_a_meter(new, newest.values(), config)


def explained_by_a_meter(leak: Finding, known: Iterable[Finding], config: EpisodeConfig | None = None) -> bool:
    """Say whether a finding that lasts on a meter of the zone accounts for a leak: alike in onset and size.

    A faint suspicion explains no leak that is likelier; and a leak that is nearly certain is never explained away.
    """
    config = config or EpisodeConfig()
    return leak.score < config.overrules and any(
        other.status in LASTING
        and (other.status in FOUND or other.score >= min(leak.score, config.suspected))
        and _same_loss(leak, other, config)
        for other in known
    )


def _leaks(detection: Detection, now: datetime, zone_of: Callable[[str], str]) -> list[Finding]:
    if detection.condition != LEAK:
        return []
    return [
        _finding(detection, int(row), now, zone_of) for row in np.flatnonzero(detection.verdict == Verdict.ABNORMAL)
    ]


def _same_loss(leak: Finding, meter: Finding, config: EpisodeConfig) -> bool:
    return (
        meter.kind in SAME_CAUSE
        and meter.zone == leak.zone
        and abs(meter.onset - leak.onset) <= config.same_onset
        and _alike(meter.estimate_m3_per_day, leak.estimate_m3_per_day)
    )


def _alike(one: float | None, other: float | None) -> bool:
    """Say whether two sizes are within a factor of two."""
    return one is not None and other is not None and one > 0 and other > 0 and 0.5 <= one / other <= 2.0


def _finding(detection: Detection, row: int, now: datetime, zone_of: Callable[[str], str]) -> Finding:
    asset = detection.assets[row]
    size = float(detection.estimate_m3_per_day[row])
    return Finding(
        kind=detection.condition,
        zone=asset if detection.condition in ZONE_KINDS else zone_of(asset),
        meter=None if detection.condition in ZONE_KINDS else asset,
        detected_at=now,
        onset=from_us(int(detection.onset[row])),
        score=round(float(detection.score[row]), 6),
        estimate_m3_per_day=round(size, 3) if np.isfinite(size) else None,
        evidence=detection.evidence[row],
    )


def _changed(old: Finding, new: Finding, config: EpisodeConfig) -> bool:
    """Say whether score or size moved so much that people should be told."""
    if new.kind in CERTAIN:
        return _likelier(old, new, config)
    if _likelier(old, new, config) and not (new.kind in ZONE_KINDS and old.score >= config.sure):
        return True
    if new.score < config.suspected or old.estimate_m3_per_day is None or new.estimate_m3_per_day is None:
        return False
    return new.estimate_m3_per_day - old.estimate_m3_per_day >= config.size_step * abs(old.estimate_m3_per_day)


def _likelier(old: Finding, new: Finding, config: EpisodeConfig) -> bool:
    """Say whether the odds are larger by the step that is worth telling."""
    step = config.meter_odds_step if old.kind == new.kind and new.kind in SAME_CAUSE else config.odds_step
    return _log_odds(new) - _log_odds(old) >= math.log(step)


def _visited(known: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Return by subject the findings of which people said something, of all episodes."""
    found: dict[str, list[Finding]] = {}
    for finding in known:
        if finding.inspected_at is not None or finding.status in FOUND or finding.status is FindingStatus.HONEST:
            found.setdefault(finding.subject, []).append(finding)
    return found


def _settled(visited: Iterable[Finding], new: Finding, now: datetime, config: EpisodeConfig) -> bool:
    """Say whether people have looked into this very evidence already, under this name or one of the same cause."""
    kinds = SAME_CAUSE if new.kind in SAME_CAUSE else frozenset({new.kind})
    return any(old.kind in kinds and _same_evidence(old, new, now, config) for old in visited)


def _same_evidence(old: Finding, new: Finding, now: datetime, config: EpisodeConfig) -> bool:
    """Say whether what people said of an old finding answers a new one.

    What began before they looked was there when they looked. It is raised again only after some time, and then: if
    they found the customer honest, when the odds have grown much since; if they found no leak or repaired something,
    when the loss goes on all the same. What they found and did not repair yet is not raised a second time.
    """
    repaired = old.status is FindingStatus.ENDED and old.cause == EndCause.REPAIRED and old.inspected_at is not None
    if old.status not in FOUND and old.status is not FindingStatus.HONEST and not repaired:
        return False
    if new.onset > max(old.onset + config.same_onset, old.inspected_at or old.onset):
        return False
    if old.status in FOUND:
        return True
    since = timedelta(0) if old.inspected_at is None else now - old.inspected_at
    if repaired:
        return since < config.repair_shows
    if since < config.looks_again:
        return True
    return old.kind not in ZONE_KINDS and _log_odds(new) - _log_odds(old) < math.log(config.stronger)


def _log_odds(finding: Finding) -> float:
    score = min(max(finding.score, ALIKE), 1.0 - ALIKE)
    return math.log(score / (1.0 - score))
