from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from alarms.analysis.city import AccountChange
from alarms.city_data import Exchange
from alarms.company_events import cause_in
from alarms.detectors.answer import Hit, answer
from alarms.findings import update
from gateway.model.finding import EndCause, FindingStatus, Verdict
from gateway.model.reading import to_us

NOW = datetime(2026, 1, 10, tzinfo=UTC)
ONSET = NOW - timedelta(days=4)


def found(kind="theft", asset="M-1", *, score=0.9, size=40.0, onset=ONSET, verdict=Verdict.UNKNOWN) -> Any:
    hits = [Hit(asset, score, to_us(onset), size, size, {"why": "curves"})] if asset else []
    assets = ("M-1", "M-2", "R-1")
    return answer(kind, assets, np.full(3, int(verdict), dtype=np.int8), to_us(NOW), hits)


def changes(known, *detections, now=NOW, **more) -> Any:
    return update(known, detections, now, lambda _asset: "R-1", **more)


def opened(**figures) -> Any:
    return changes([], found(**figures)).raised[0]


def test_a_case_is_raised_once():
    new = opened()
    assert (new.kind, new.zone, new.meter, new.subject) == ("theft", "R-1", "M-1", "M-1")
    assert (new.detected_at, new.onset, new.score, new.estimate_m3_per_day) == (NOW, ONSET, 0.9, 40.0)
    again = changes([new], found(), now=NOW + timedelta(days=1))
    assert (again.raised, again.updated, again.ended) == ((), (), ())


def test_a_leak_names_the_zone():
    new = opened(kind="leak", asset="R-1")
    assert (new.zone, new.meter) == ("R-1", None)


@pytest.mark.parametrize(
    ("score", "size", "told"),
    [(0.994, 40.0, 0), (0.995, 40.0, 1), (0.9, 59.0, 0), (0.9, 60.0, 1), (0.4, 80.0, 0), (0.1, 9.0, 0)],
)
def test_it_is_updated_when_odds_or_size_rose_much(score, size, told):
    again = changes([opened()], found(score=score, size=size), now=NOW + timedelta(days=1))
    assert [(f.detected_at, f.episode_no) for f in again.updated] == [(NOW, 1)] * told


@pytest.mark.parametrize(
    ("before", "score", "told"), [(0.8, 0.96, 0), (0.8, 0.97, 1), (0.97, 0.996, 1), (0.97, 0.8, 0), (0.999, 0.9995, 0)]
)
@pytest.mark.parametrize("kind", ["silent", "unauthorised", "flow_when_closed"])
def test_what_is_certain_is_told_again_as_it_becomes_surer_and_not_when_it_fades(kind, before, score, told):
    again = changes([opened(kind=kind, score=before)], found(kind=kind, score=score), now=NOW + timedelta(days=1))
    assert (len(again.updated), len(again.seen)) == (told, 1 - told)


@pytest.mark.parametrize(("before", "size", "told"), [(0.94, 40.0, 1), (0.95, 40.0, 0), (0.95, 60.0, 1)])
def test_a_sure_leak_is_told_again_only_when_it_grew(before, size, told):
    leak = opened(kind="leak", asset="R-1", score=before)
    again = changes([leak], found("leak", "R-1", score=0.9995, size=size), now=NOW + timedelta(days=1))
    assert (len(again.updated), len(again.seen)) == (told, 1 - told)


def test_what_was_judged_honest_is_not_raised_again_on_the_same_evidence():
    honest = replace(opened(), status=FindingStatus.HONEST)
    assert changes([honest], found(onset=ONSET + timedelta(days=3))).raised == ()
    later = changes([honest], found(onset=ONSET + timedelta(days=4))).raised
    assert [(f.episode_no, f.status) for f in later] == [(2, FindingStatus.OPEN)]


def test_unknown_never_ends_a_finding_and_normal_ends_it_after_days():
    known = [opened()]
    much_later = NOW + timedelta(days=9)
    assert changes(known, found(asset=""), now=much_later).ended == ()
    calm = found(asset="", verdict=Verdict.NORMAL)
    assert changes(known, calm, now=NOW + timedelta(days=2)).ended == ()
    ended = changes(known, calm, now=much_later).ended
    assert [f.status for f in ended] == [FindingStatus.ENDED]
    seen = {("theft", "M-1"): much_later - timedelta(days=1)}
    assert changes(known, calm, now=much_later, seen_at=seen).ended == ()


def test_what_began_before_the_lookback_is_not_ended_by_it():
    calm = found(asset="", verdict=Verdict.NORMAL)
    assert changes([opened()], calm, now=ONSET + timedelta(days=201)).ended == ()


def test_what_is_much_likelier_takes_the_place_of_a_faint_suspicion_of_another_kind():
    faint = replace(opened(kind="non_moving"), score=0.1)
    named_anew = changes([faint], found(score=0.9))
    assert [f.kind for f in named_anew.raised] == ["theft"]
    assert [(f.kind, f.status, f.cause) for f in named_anew.ended] == [
        ("non_moving", FindingStatus.ENDED, EndCause.OTHER)
    ]
    unchanged = changes([faint], found(score=0.4))
    assert (unchanged.raised, unchanged.ended) == ((), ())


def test_a_meter_that_is_named_by_turns_is_told_once_under_the_likeliest_name():
    stages = [("theft", 0.6), ("slow", 0.95), ("theft", 0.96), ("slow", 0.96), ("theft", 0.9), ("slow", 0.9)]
    known: dict[tuple[str, int], Any] = {}
    told: list[str] = []
    for kind, score in stages:
        done = changes(list(known.values()), found(kind=kind, score=score))
        told += [f.kind for f in (*done.raised, *done.updated)]
        known |= {(f.kind, f.episode_no): f for f in (*done.raised, *done.updated, *done.ended)}
    assert told == ["theft", "slow"]
    assert [f.kind for f in known.values() if f.status is FindingStatus.OPEN] == ["slow"]


def test_what_takes_the_place_of_another_kind_ends_it_once():
    faint = replace(opened(kind="non_moving"), score=0.1)
    moves = found(kind="non_moving", asset="", verdict=Verdict.NORMAL)
    later = NOW + timedelta(days=5)
    assert [f.cause for f in changes([faint], moves, found(score=0.9), now=later).ended] == [EndCause.OTHER]


def test_a_meter_is_not_raised_twice_for_one_cause():
    known = [opened(kind="non_moving")]
    assert changes(known, found(kind="theft")).raised == ()
    assert [f.subject for f in changes(known, found(kind="theft", asset="M-2")).raised] == ["M-2"]


@pytest.mark.parametrize(("days", "size", "told"), [(0, 40.0, 0), (3, 25.0, 0), (4, 40.0, 1), (0, 90.0, 1)])
def test_a_leak_is_not_raised_for_what_a_meter_of_the_zone_explains(days, size, told):
    leak = found(kind="leak", asset="R-1", size=size, onset=ONSET + timedelta(days=days))
    assert len(changes([opened()], leak).raised) == told


@pytest.mark.parametrize(
    ("of_meter", "of_leak", "raised"), [(0.1, 0.75, 1), (0.1, 0.2, 1), (0.2, 0.2, 0), (0.5, 0.75, 0)]
)
def test_a_faint_suspicion_of_a_meter_explains_no_leak_that_is_likelier(of_meter, of_leak, raised):
    leak = found(kind="leak", asset="R-1", score=of_leak)
    assert len(changes([opened(score=of_meter)], leak).raised) == raised


def test_a_visited_meter_explains_a_leak_however_faintly_it_was_suspected():
    visited = replace(opened(score=0.1), status=FindingStatus.METER_FAULT)
    assert changes([visited], found(kind="leak", asset="R-1", score=0.75)).raised == ()


@pytest.mark.parametrize(
    ("kind", "asset", "days", "score", "raised"),
    [("leak", "R-1", 4, 0.6, 1), ("leak", "R-1", 4, 0.4, 0), ("leak", "R-1", 3, 0.6, 0), ("theft", "M-1", 4, 0.6, 0)],
)
def test_a_leak_that_began_after_one_was_found_is_another_and_takes_its_place(kind, asset, days, score, raised):
    first = opened(kind=kind, asset=asset)
    further = found(kind, asset, score=score, onset=NOW + timedelta(days=days))
    later = changes([first], further, now=NOW + timedelta(days=9))
    assert [(f.episode_no, f.onset) for f in later.raised] == [(2, NOW + timedelta(days=days))] * raised
    assert [(f.episode_no, f.cause) for f in later.ended] == [(1, EndCause.OTHER)] * raised
    assert len(later.seen) + len(later.updated) == 1 - raised


def test_what_is_said_of_the_first_leak_afterwards_is_said_of_the_further_one():
    further = replace(opened(kind="leak", asset="R-1"), episode_no=2, detected_at=NOW + timedelta(days=9))
    again = changes([further], found("leak", "R-1"), now=NOW + timedelta(days=10))
    assert (again.raised, again.ended) == ((), ())
    assert [f.episode_no for f in again.seen] == [2]


def test_a_nearly_certain_leak_is_raised_beside_a_meter_of_the_same_size():
    leak = found(kind="leak", asset="R-1", score=0.985)
    assert [f.kind for f in changes([opened()], leak).raised] == ["leak"]


@pytest.mark.parametrize(("leak_onset", "ended"), [(ONSET, 0), (ONSET + timedelta(days=9), 1)])
def test_a_meter_does_not_end_while_its_loss_is_there_under_the_name_of_a_leak(leak_onset, ended):
    normal = found(asset="", verdict=Verdict.NORMAL)
    leak = found(kind="leak", asset="R-1", score=0.8, onset=leak_onset)
    later = changes([opened()], normal, leak, now=NOW + timedelta(days=9))
    assert len(later.ended) == ended


@pytest.mark.parametrize(("kind", "asset", "ended"), [("leak", "R-1", 1), ("theft", "M-1", 0)])
def test_a_confirmed_leak_ends_when_its_loss_is_gone_and_a_confirmed_theft_stays(kind, asset, ended):
    confirmed = replace(opened(kind=kind, asset=asset), status=FindingStatus.CONFIRMED)
    normal = found(kind=kind, asset="", verdict=Verdict.NORMAL)
    assert len(changes([confirmed], normal, now=NOW + timedelta(days=9)).ended) == ended


def test_an_ended_finding_that_comes_back_is_a_new_episode():
    ended = replace(opened(), status=FindingStatus.ENDED)
    assert [f.episode_no for f in changes([ended], found()).raised] == [2]


VISIT = NOW + timedelta(days=1)


def visited(status=FindingStatus.HONEST, cause="", **figures) -> Any:
    return replace(opened(**figures), status=status, cause=cause, inspected_at=VISIT)


@pytest.mark.parametrize("kind", ["theft", "non_moving", "slow"])
def test_what_began_before_the_visit_that_found_a_customer_honest_accuses_nobody_under_any_name(kind):
    later = VISIT + timedelta(days=5)
    before_visit = found(kind=kind, score=0.999, onset=VISIT - timedelta(hours=1))
    assert changes([visited()], before_visit, now=later).raised == ()
    after_visit = found(kind=kind, onset=VISIT + timedelta(hours=1))
    assert [f.kind for f in changes([visited()], after_visit, now=later).raised] == [kind]


@pytest.mark.parametrize(
    ("score", "days", "raised"),
    [(0.9, 60, 0), (0.993, 60, 0), (0.995, 60, 1), (0.995, 14, 1), (0.995, 13, 0)],
)
def test_an_honest_customer_is_suspected_again_only_when_the_odds_grew_much_since(score, days, raised):
    again = changes([visited(score=0.9)], found(score=score), now=VISIT + timedelta(days=days)).raised
    assert [f.episode_no for f in again] == [2] * raised


@pytest.mark.parametrize("status", [FindingStatus.CONFIRMED, FindingStatus.METER_FAULT])
def test_what_people_found_is_not_raised_again_while_it_is_not_put_right(status):
    certain = found(score=0.999999)
    assert changes([visited(status)], certain, now=VISIT + timedelta(days=90)).raised == ()


@pytest.mark.parametrize(("days", "raised"), [(6, 0), (7, 1)])
def test_a_loss_that_goes_on_after_a_repair_is_raised_again(days, raised):
    repaired = visited(FindingStatus.ENDED, EndCause.REPAIRED)
    assert len(changes([repaired], found(), now=VISIT + timedelta(days=days)).raised) == raised


def test_a_finding_ends_with_its_cause():
    calm = found(asset="", verdict=Verdict.NORMAL)
    later = NOW + timedelta(days=9)

    def cause(status, **more) -> list[str]:
        return [f.cause for f in changes([replace(opened(), status=status)], calm, now=later, **more).ended]

    exchanged = {"cause_of": lambda _finding, _now: EndCause.EXCHANGED}
    assert cause(FindingStatus.OPEN) == [EndCause.GONE]
    assert cause(FindingStatus.OPEN, **exchanged) == [EndCause.EXCHANGED]
    assert cause(FindingStatus.METER_FAULT) == []
    assert cause(FindingStatus.METER_FAULT, **exchanged) == [EndCause.EXCHANGED]
    assert cause(FindingStatus.HONEST, **exchanged) == []


def test_what_is_seen_again_keeps_its_episode_and_gets_its_newest_evidence():
    old = opened()
    again = changes([old], found(score=0.91), now=NOW + timedelta(days=1))
    assert [(f.score, f.detected_at, f.episode_no) for f in again.seen] == [(0.91, NOW, 1)]


@pytest.mark.parametrize(("score", "told"), [(0.9, 0), (0.995, 1)])
def test_evidence_that_was_hidden_for_some_time_is_the_same_episode_and_told_when_it_is_stronger(score, told):
    gone = replace(opened(), status=FindingStatus.ENDED, cause=EndCause.GONE)
    back = changes([gone], found(score=score, onset=NOW - timedelta(days=1)), now=NOW + timedelta(days=20))
    assert [(f.status, f.cause, f.score, f.episode_no) for f in back.reopened] == [(FindingStatus.OPEN, "", 0.9, 1)]
    assert (len(back.raised), len(back.updated), len(back.seen)) == (0, told, 1 - told)


@pytest.mark.parametrize(
    ("before", "score", "told"), [(0.1, 0.11, 0), (0.1, 0.17, 0), (0.1, 0.19, 1), (0.4, 0.45, 0), (0.45, 0.5, 1)]
)
@pytest.mark.parametrize("kind", ["leak", "supply_drift"])
def test_a_faint_leak_that_comes_and_goes_is_told_once_and_again_when_it_is_stronger(kind, before, score, told):
    gone = replace(opened(kind=kind, asset="R-1", score=before), status=FindingStatus.ENDED, cause=EndCause.GONE)
    back = changes([gone], found(kind, "R-1", score=score), now=NOW + timedelta(days=20))
    assert [(f.status, f.episode_no) for f in back.reopened] == [(FindingStatus.OPEN, 1)]
    assert (len(back.raised), len(back.updated), len(back.seen)) == (0, told, 1 - told)


@pytest.mark.parametrize(("days", "raised"), [(-4, 1), (-3, 0), (3, 0), (4, 1)])
def test_a_leak_that_began_at_another_time_is_a_new_one(days, raised):
    gone = replace(opened(kind="leak", asset="R-1"), status=FindingStatus.ENDED, cause=EndCause.GONE)
    other = found("leak", "R-1", onset=ONSET + timedelta(days=days))
    assert len(changes([gone], other, now=NOW + timedelta(days=20)).raised) == raised


def test_what_begins_after_an_episode_was_told_or_put_right_is_a_new_one():
    later = found(onset=NOW + timedelta(days=4))
    gone = replace(opened(), status=FindingStatus.ENDED, cause=EndCause.GONE)
    exchanged = replace(gone, cause=EndCause.EXCHANGED)
    assert [f.episode_no for f in changes([gone], later, now=NOW + timedelta(days=9)).raised] == [2]
    assert [f.episode_no for f in changes([exchanged], found(), now=NOW + timedelta(days=9)).raised] == [2]


def test_exchanges_and_accounts_name_the_cause_if_they_came_since_the_onset():
    day_us = 86_400_000_000
    begun = to_us(ONSET)
    accounts = {"M-2": (AccountChange(begun + day_us, opened=True),)}
    cause_of = cause_in([Exchange("M-1", begun + day_us, None, None), Exchange("M-2", begun - 1, None, None)], accounts)
    assert cause_of(opened(), NOW) is EndCause.EXCHANGED
    assert cause_of(opened(), ONSET + timedelta(hours=23)) is None
    assert cause_of(opened(asset="M-2"), NOW) is EndCause.EVENT
    assert cause_of(opened(kind="leak", asset="R-1"), NOW) is None


def test_an_older_visit_answers_as_well_as_the_newest_episode():
    second = replace(opened(onset=VISIT + timedelta(days=1)), episode_no=2, status=FindingStatus.ENDED)
    later = VISIT + timedelta(days=9)
    assert changes([visited(), second], found(onset=ONSET), now=later).raised == ()
    fresh = changes([visited(), second], found(onset=VISIT + timedelta(days=2)), now=later).raised
    assert [f.episode_no for f in fresh] == [3]


@pytest.mark.parametrize(("days", "raised"), [(13, 0), (14, 1)])
def test_a_leak_that_nobody_found_is_raised_again_if_the_loss_goes_on(days, raised):
    unfound = visited(kind="leak", asset="R-1")
    again = changes([unfound], found(kind="leak", asset="R-1"), now=VISIT + timedelta(days=days))
    assert len(again.raised) == raised


@pytest.mark.parametrize(("days", "onset_after"), [(-10, -10), (3, 3), (5, 0)])
def test_an_episode_cannot_have_begun_after_it_was_found(days, onset_after):
    again = changes([opened()], found(onset=ONSET + timedelta(days=days)), now=NOW + timedelta(days=9))
    assert [f.onset - ONSET for f in again.seen] == [timedelta(days=onset_after)]
