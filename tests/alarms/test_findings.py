from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from alarms.detectors.answer import Hit, answer
from alarms.findings import update
from gateway.model.finding import FindingStatus, Verdict
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


@pytest.mark.parametrize(("score", "size", "told"), [(0.76, 40.0, 0), (0.75, 40.0, 1), (0.9, 59.0, 0), (0.9, 60.0, 1)])
def test_it_is_updated_when_score_or_size_changed_much(score, size, told):
    again = changes([opened()], found(score=score, size=size), now=NOW + timedelta(days=1))
    assert [(f.detected_at, f.episode_no) for f in again.updated] == [(NOW, 1)] * told


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
    assert changes([opened()], calm, now=ONSET + timedelta(days=43)).ended == ()


def test_a_meter_is_not_raised_twice_for_one_cause():
    known = [opened(kind="non_moving")]
    assert changes(known, found(kind="theft")).raised == ()
    assert [f.subject for f in changes(known, found(kind="theft", asset="M-2")).raised] == ["M-2"]


@pytest.mark.parametrize(("days", "size", "told"), [(0, 40.0, 0), (3, 25.0, 0), (4, 40.0, 1), (0, 90.0, 1)])
def test_a_leak_is_not_raised_for_what_a_meter_of_the_zone_explains(days, size, told):
    leak = found(kind="leak", asset="R-1", size=size, onset=ONSET + timedelta(days=days))
    assert len(changes([opened()], leak).raised) == told


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
