"""A bank of hypotheses for the unexplained loss of one zone, weighed against each other. Pure.

Each hypothesis says since which gas day something is wrong: a leak of constant size, which may have ended, or one that
grows; a meter at rest whose customer goes on using gas; a meter that counts a share of what passes it, or nothing on
some days. A hypothesis about a meter must explain two things at once: that the register counts less than the
customer's own past and its peers lead to expect, and that the zone loses just this difference. An absence explains
only the first, a leak only the second. Weights are likelihood ratios times prior rates, so that they compare across
hypotheses and zones.

What explains the loss best is taken out of it, and the rest is weighed again. Where there are several causes, each is
then weighed anew with only the others taken out: the first one was chosen when nothing was known of the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from alarms.analysis.bank_config import RECENT_D, BankConfig
from alarms.analysis.hypotheses import Case, ZoneDays
from alarms.analysis.noise import precision
from alarms.analysis.trial import Trial
from alarms.analysis.weights import Weights


def weigh(zone: ZoneDays, config: BankConfig) -> list[Case]:
    """Return what is wrong in a zone, most telling case first: each explains a part of the loss.

    Behind the accepted ones stand those that are only suspected. A customer is suspected no more than by the days
    until a while ago, the longer the case has lasted: what a hundred days did not tell, the next one does not either,
    but that day may upset how all causes share the loss.
    """
    until: dict[int, list[Case]] = {}
    kept: list[Case] = []
    for case in _weigh(zone, config):
        days = _days_before(zone, case, config)
        if days is None:
            kept.append(case)
            continue
        if days not in until:
            until[days] = _weigh(zone.until(days), config)
        then = max((each.probability for each in until[days] if each.meter == case.meter), default=0.0)
        # what is not believed yet is laid to nothing, so that the odds that are shown add up
        held_back = max(case.probability - then, 0.0)
        if case.probability - held_back >= config.suspect:
            kept.append(replace(case, probability=case.probability - held_back, nothing=case.nothing + held_back))
    return kept


def _days_before(zone: ZoneDays, case: Case, config: BankConfig) -> int | None:
    """Return after how many days a case should have shown, None where it is too new or too little was known then."""
    days = len(zone.loss)
    wait = min(int(config.confirmed_after * (days - case.first_day)), config.confirmed_most_d)
    if case.meter < 0 or not wait:
        return None
    known = np.flatnonzero(np.isfinite(zone.loss) & (zone.supply > 0) & np.isfinite(zone.use[:, case.meter]))
    known = known[(known > case.first_day) & (known < days - wait)]
    return int(known[-1]) + 1 if len(known) else None


def _weigh(zone: ZoneDays, config: BankConfig) -> list[Case]:
    """Return what the days tell so far, as `weigh` does."""
    good = np.isfinite(zone.loss) & (zone.supply > 0)
    if good.sum() <= config.least_days or not good[-RECENT_D:].any():
        return []
    told = precision(
        zone.loss,
        zone.supply,
        known_variance=zone.noise_variance,
        unread_variance=zone.unread_variance,
        steady=zone.steady,
        warmth=zone.warmth,
        use=np.nan_to_num(zone.use),
        config=config.noise,
    )
    if not config.memory:
        told = np.diag(np.diag(told))
    trial = Trial(zone, config, good, told, np.where(good, zone.loss, 0.0), np.arange(zone.use.shape[1]))
    weights = trial.weights(set())
    cases: list[Case] = []
    rounds: list[Weights] = []
    # a large loss hides small ones: who is worth another look is told anew when a part of it is explained
    plausible = set(weights.plausible().tolist())
    while (case := _accepted(weights, config)) is not None and len(cases) < config.most_cases:
        cases.append(case)
        rounds.append(weights)
        weights = _given(trial, cases)
        plausible |= set(weights.plausible().tolist())
    trial = trial.of_meters(np.array(sorted(plausible), dtype=np.int64))
    if len(cases) > 1:
        cases, rounds = _each_anew(trial, cases, config)
        weights = _given(trial, cases)
    # what is likely speaks for itself: its alternatives stand beside it
    undecided = [each for each in rounds if not each.suspects(config.likely)]
    rivals = [case for each in (*undecided, weights) for case in each.suspects(config.suspect)]
    return _one_leak([case for case in cases if case.lasts] + _best_of_each(rivals, cases))


def _accepted(weights: Weights, config: BankConfig) -> Case | None:
    """Return the best hypothesis where something is wrong for certain, even where several compete for it."""
    case = weights.best()
    return case if case is not None and 1.0 - case.nothing >= config.accept else None


def _given(trial: Trial, cases: Iterable[Case]) -> Weights:
    """Weigh what is left when some cases are taken out."""
    cases = list(cases)
    for case in cases:
        trial = trial.without(case)
    return trial.weights({case.meter for case in cases if case.lasts})


def _each_anew(trial: Trial, cases: Sequence[Case], config: BankConfig) -> tuple[list[Case], list[Weights]]:
    """Weigh each case again, given the others; one that the others explain is dropped."""
    kept: list[Case] = list(cases)
    rounds: list[Weights] = []
    for case in cases:
        others = [other for other in kept if other is not case]
        weights = _given(trial, others)
        better = _accepted(weights, config)
        at = kept.index(case)
        kept[at : at + 1] = [] if better is None else [better]
        rounds.append(weights)
    return kept, rounds


def _best_of_each(rivals: Iterable[Case], taken: Sequence[Case]) -> list[Case]:
    """Return the likeliest suspicion of each meter, and of a leak, that is not taken for true already."""
    best: dict[int, Case] = {}
    known = {case.meter for case in taken if case.lasts}
    for case in sorted(rivals, key=lambda case: -case.probability):
        if case.meter not in known:
            best.setdefault(case.meter, case)
    return list(best.values())


def _one_leak(cases: list[Case]) -> list[Case]:
    """Join the leaks of a zone in the one that began last, as people have heard of the others."""
    leaks = [case for case in cases if case.meter < 0]
    if len(leaks) < 2:
        return cases
    sure = [case for case in leaks if case.probability >= 0.5] or leaks[:1]
    newest = max(sure, key=lambda case: case.first_day)
    joined = replace(newest, missing=np.sum([case.missing for case in sure], axis=0))
    return [joined if case is leaks[0] else case for case in cases if case.meter >= 0 or case is leaks[0]]
