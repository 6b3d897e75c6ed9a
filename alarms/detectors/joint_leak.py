"""One verdict on leaks from the daily and the hourly balance, and from whether a loss runs at all hours alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from scipy import special

from alarms.analysis.city import ZoneTree
from alarms.analysis.hourly import Hours
from alarms.analysis.hourly_shape import steadiness
from alarms.detectors.answer import Hit, answer
from gateway.meterdata.series import HOUR_US
from gateway.model.finding import LIKELY, SAME_ONSET, Detection, Verdict

YOUNG_H, OLD_H = 4 * 24, 20 * 24
"""a leak younger than the one the daily balance may not see yet; one older than the other is usual in the hours"""
UNSEEN, FAINTEST, SUREST = 0.05, 0.003, 0.999
"""probability of a leak that the daily balance could see and does not, and the least and the greatest one of others"""
AGREED = 1.0
"""log odds that are added where both see a leak: they look at the same readings, though not with the same errors"""
OLD_ODDS, OLD_WEIGHT = -0.8, 0.5
"""log odds of an old leak where the daily balance, which alone can see it, leaves it open, and the weight of its own"""
FOLLOWS = 0.3
"""odds of a loss that follows the use of gas to a leak, once the meters of the zone have been weighed against it"""
SHAPE_H = (18.0, 20 * 24.0)
"""age of a leak in which its hours show whether it runs at all of them alike"""
TOLD_FROM = 0.06
"""probability"""


def joined(daily: Detection, hourly: Detection) -> Detection:
    """Return one verdict of two detectors of the same kind, with the evidence of the surer one.

    Where both could see a leak, the odds of one that both see are their geometric mean and a bit more, and one that
    only one of them sees is doubted. A zone is NORMAL only where the daily balance, which sees slow losses as well,
    says so.
    """
    at_us = int(max(daily.at.max(initial=0), hourly.at.max(initial=0)))
    assets = list(dict.fromkeys([*daily.assets, *hourly.assets]))
    rows = [{name: at for at, name in enumerate(one.assets)} for one in (daily, hourly)]
    verdict = np.full(len(assets), int(Verdict.UNKNOWN), dtype=np.int8)
    hits: list[Hit] = []
    for number, name in enumerate(assets):
        day, hour = (_said(one, row.get(name)) for one, row in zip((daily, hourly), rows, strict=True))
        verdict[number] = int(Verdict.NORMAL) if day.verdict == Verdict.NORMAL else int(Verdict.UNKNOWN)
        seen = [(of, found) for of, found in ((day, daily), (hour, hourly)) if of.verdict == Verdict.ABNORMAL]
        if not seen:
            continue
        surer, source = max(seen, key=lambda one: one[0].score)
        if len(seen) == 2 and hourly.onset[hour.row] - daily.onset[day.row] > SAME_ONSET / timedelta(microseconds=1):
            # the hours see another leak than the days do
            surer, source = (hour, hourly) if hour.score >= LIKELY else (day, daily)
            day, hour = (_UNSEEN, hour) if surer is hour else (day, _UNSEEN)
        begun_us = int(source.onset[surer.row])
        score = _together(day, hour, (at_us - begun_us) / HOUR_US)
        value, size = float(source.value[surer.row]), float(source.estimate_m3_per_day[surer.row])
        hits.append(Hit(name, score, begun_us, value, size, source.evidence[surer.row]))
    return answer(daily.condition, assets, verdict, at_us, hits)


def abnormal_only(found: Detection) -> Detection:
    """Return a detection in which nothing is NORMAL: it can raise a finding and end none."""
    verdict = np.where(found.verdict == Verdict.ABNORMAL, found.verdict, int(Verdict.UNKNOWN)).astype(np.int8)
    return replace(found, verdict=verdict)


def running_alike(found: Detection, hours: Hours | None, tree: ZoneTree | None) -> Detection:
    """Return leaks with the odds that they have against losses that follow the use of gas, where the hours tell.

    One that is improbable then is UNKNOWN.
    """
    score, verdict = found.score.copy(), found.verdict.copy()
    rows = np.flatnonzero(found.verdict == Verdict.ABNORMAL)
    known = [] if hours is None or not len(rows) else [hours.zones(name) for name in ("loss", "flow", "guess_sigma")]
    for row in rows:
        age_h = float(found.at[row] - found.onset[row]) / HOUR_US
        ratio = 0.0
        if known and tree is not None and SHAPE_H[0] <= age_h <= SHAPE_H[1]:
            zone = tree.zones.index(found.assets[row])
            loss, flow, guess = (part[:, zone] for part in known)
            ratio = steadiness(loss, flow, guess, age_h)
        score[row] *= special.expit(ratio - np.log(FOLLOWS))
        if score[row] < TOLD_FROM:
            verdict[row], score[row] = Verdict.UNKNOWN, 0.0
    return replace(found, score=score, verdict=verdict)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one detector said of a zone."""

    row: int
    verdict: int
    score: float


_UNSEEN = _Said(-1, int(Verdict.UNKNOWN), 0.0)


def _said(found: Detection, row: int | None) -> _Said:
    if row is None or found.verdict[row] == Verdict.UNKNOWN:
        return _UNSEEN
    return _Said(row, int(found.verdict[row]), float(found.score[row]))


def _together(day: _Said, hour: _Said, age_h: float) -> float:
    """Return the probability of a leak of some age by what both detectors say."""
    if Verdict.UNKNOWN in (day.verdict, hour.verdict):
        return max(day.score, hour.score)
    of_day, of_hour = special.logit(np.clip([day.score, hour.score], [UNSEEN, FAINTEST], SUREST))
    if day.verdict == hour.verdict:
        return float(special.expit(0.5 * (of_day + of_hour) + AGREED))
    if hour.verdict == Verdict.NORMAL and age_h > OLD_H:
        return float(special.expit(OLD_ODDS + OLD_WEIGHT * of_day))
    if hour.verdict == Verdict.NORMAL or age_h > YOUNG_H:
        return float(special.expit(0.5 * (of_day + of_hour)))
    return hour.score
