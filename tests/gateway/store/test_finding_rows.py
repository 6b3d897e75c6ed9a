from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gateway.model.finding import Finding, FindingStatus, InspectionResult, LossRow, LossVerdict
from gateway.store import finding_rows, inspection_rows, tables
from gateway.store.inspection_rows import Inspection
from gateway.store.state import State

NOW = datetime(2026, 1, 10, tzinfo=UTC)
NOW_US = 1_768_003_200_000_000
THEFT = Finding("theft", "R-1", "M-1", NOW, NOW - timedelta(days=3), 0.9, 40.0, {"days": ["2026-01-09"]})
LEAK = Finding("leak", "R-2", None, NOW, NOW - timedelta(days=1), 0.7, None)
LOSS = LossRow("R-1", date(2026, 1, 9), 100.0, 97.0, 0.5, 2.5, 0.025, 0.008, 0.99, LossVerdict.NORMAL)
TOLD_APART = replace(LOSS, steady_sigma=0.006, between_m3=1.5, between_sigma_m3=0.4, terms={"rest": (2.5, 0.8)})


@pytest.fixture
def state(tmp_path) -> Any:
    state = State.in_folder(tmp_path)
    yield state
    state.close()


@pytest.fixture
def stored(state) -> Any:
    with state.write() as connection:
        return finding_rows.apply_changes(connection, NOW_US, raised=[THEFT, LEAK])


def test_findings_come_back_as_they_were_most_certain_first(state, stored):
    with state.read() as connection:
        found = finding_rows.list_findings(connection)
        assert [row.finding for row in found] == [THEFT, LEAK]
        assert found == stored
        assert [r.finding for r in finding_rows.list_findings(connection, kind="leak")] == [LEAK]
        assert [r.finding for r in finding_rows.list_findings(connection, zones=["R-1"])] == [THEFT]
        assert [r.finding for r in finding_rows.list_findings(connection, subject="R-2")] == [LEAK]
        assert len(finding_rows.list_findings(connection, limit=1)) == 1
        assert finding_rows.get_finding(connection, stored[1].finding_id).finding == LEAK


def test_raising_the_same_episode_again_changes_nothing(state, stored):
    with state.write() as connection:
        assert finding_rows.apply_changes(connection, NOW_US + 1, raised=[replace(THEFT, score=0.1)]) == []
        assert [row.finding for row in finding_rows.open_findings(connection)] == [THEFT, LEAK]


def test_an_update_keeps_the_moment_of_detection(state, stored):
    later = replace(THEFT, score=0.99, detected_at=NOW + timedelta(days=1))
    with state.write() as connection:
        finding_rows.apply_changes(connection, NOW_US + 5, updated=[later])
        row = finding_rows.get_finding(connection, stored[0].finding_id)
    assert (row.finding.score, row.finding.detected_at, row.updated_us) == (0.99, NOW, NOW_US + 5)


def test_what_people_settled_is_not_overwritten_by_a_pass(state, stored):
    with state.write() as connection:
        visit = Inspection(stored[0].finding_id, NOW_US + 1, "anna", InspectionResult.HONEST)
        inspection_rows.record_inspection(connection, visit)
        ended = replace(THEFT, status=FindingStatus.ENDED)
        finding_rows.apply_changes(connection, NOW_US + 2, updated=[THEFT], ended=[ended])
        finding_rows.touch(connection, [("theft", "M-1"), ("leak", "R-2")], NOW_US + 3)
        newest = {row.finding.kind: row for row in finding_rows.newest_findings(connection)}
    assert newest["theft"].finding.status is FindingStatus.HONEST
    assert newest["theft"].updated_us == NOW_US + 1
    assert newest["leak"].updated_us == NOW_US + 3


def test_the_newest_episode_of_each_subject_is_what_a_pass_must_know(state, stored):
    second = replace(THEFT, episode_no=2, onset=NOW)
    with state.write() as connection:
        finding_rows.apply_changes(connection, NOW_US, ended=[replace(THEFT, status=FindingStatus.ENDED)])
        finding_rows.apply_changes(connection, NOW_US, raised=[second])
        assert [row.finding for row in finding_rows.newest_findings(connection)] == [LEAK, second]


def test_a_loss_gets_a_new_revision_only_where_it_changed(state):
    other = replace(LOSS, zone="R-2")
    with state.write() as connection:
        assert finding_rows.save_loss(connection, [LOSS, other], 1) == 2
        assert finding_rows.save_loss(connection, [LOSS, other], 2) == 0
        changed = replace(LOSS, loss_m3=None, verdict=LossVerdict.NOT_ASSESSABLE, reason="supply meter was not read")
        assert finding_rows.save_loss(connection, [changed, other], 3) == 1
        assert finding_rows.list_loss(connection, LOSS.gas_day, LOSS.gas_day) == [changed, other]
        revisions = connection.execute(select(tables.loss.c.revision).where(tables.loss.c.zone == "R-1")).scalars()
        assert sorted(revisions) == [1, 2]


@pytest.mark.parametrize(
    ("changed", "revisions"),
    [
        ({"loss_m3": 2.53, "metered_m3": 96.97, "loss_rate": 0.0253}, 0),
        ({"loss_m3": 2.56, "metered_m3": 96.94, "loss_rate": 0.0256}, 1),
        ({"sigma": 0.0083}, 0),
        ({"sigma": 0.009}, 1),
        ({"coverage": 0.98}, 1),
        ({"terms": {"rest": (2.5, 0.8)}}, 1),
    ],
)
def test_what_moves_by_a_small_part_of_its_uncertainty_is_no_revision(state, changed, revisions):
    with state.write() as connection:
        finding_rows.save_loss(connection, [LOSS], 1)
        assert finding_rows.save_loss(connection, [replace(LOSS, **changed)], 2) == revisions


def test_losses_are_listed_by_day_and_zone(state):
    days = [LOSS.gas_day + timedelta(days=back) for back in range(3)]
    rows = [replace(TOLD_APART, gas_day=day, zone=zone) for day in days for zone in ("R-1", "R-2")]
    with state.write() as connection:
        assert finding_rows.last_loss_day(connection) is None
        assert finding_rows.save_loss(connection, [], 1) == 0
        finding_rows.save_loss(connection, rows, 1)
        assert finding_rows.last_loss_day(connection) == days[-1]
        assert finding_rows.list_loss(connection, days[0], days[-1], terms=True) == rows
        bare = replace(rows[3], terms={})
        assert finding_rows.list_loss(connection, days[1], days[1], zones=["R-2"]) == [bare]


def test_a_live_leak_is_found_behind_more_old_ones_than_a_list_holds(state, stored):
    """Judging must see each live leak however many surer ones ended before it."""
    live = (FindingStatus.OPEN, FindingStatus.CONFIRMED)
    with state.write() as connection:
        row = dict(connection.execute(select(tables.finding).where(tables.finding.c.kind == "leak")).mappings().one())
        old = row | {"id": None, "status": FindingStatus.ENDED.value, "score": 0.99}
        many = [old | {"subject": f"old {n}", "zone": f"R-{n}"} for n in range(finding_rows.MAX_ROWS + 1)]
        connection.execute(tables.finding.insert(), many)
        assert all(one.finding != LEAK for one in finding_rows.list_findings(connection, kind="leak", limit=10**6))
        assert [one.finding for one in finding_rows.live_findings(connection, live, kind="leak")] == [LEAK]
        zones = [f"R-{n}" for n in range(1200)]
        assert [one.finding for one in finding_rows.live_findings(connection, live, zones=zones)] == [THEFT, LEAK]
        assert finding_rows.live_findings(connection, live, zones=[]) == []
