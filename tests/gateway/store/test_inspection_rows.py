from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gateway.errors import RefusedError
from gateway.model.finding import EndCause, Finding, FindingStatus, InspectionResult
from gateway.model.reading import from_us
from gateway.store import finding_rows, inspection_rows, tables
from gateway.store.inspection_rows import Inspection
from gateway.store.state import State

NOW = datetime(2026, 1, 10, tzinfo=UTC)
NOW_US = 1_768_003_200_000_000
THEFT = Finding("theft", "R-1", "M-1", NOW, NOW - timedelta(days=3), 0.9, 40.0, {"days": ["2026-01-09"]})
BYPASS = Inspection(1, NOW_US, "anna", InspectionResult.CONFIRMED, "theft", 38.5, "bypass pipe")


@pytest.fixture
def state(tmp_path) -> Any:
    state = State.in_folder(tmp_path)
    with state.write() as connection:
        finding_rows.apply_changes(connection, NOW_US, raised=[THEFT])
    yield state
    state.close()


def said(connection, result, at=NOW_US, who="anna") -> Any:
    return inspection_rows.record_inspection(connection, Inspection(1, at, who, result)).finding


def test_a_visit_is_recorded_once_with_who_made_it(state):
    with state.write() as connection:
        for _ in range(2):
            row = inspection_rows.record_inspection(connection, BYPASS)
        audit = connection.execute(select(tables.audit)).all()
        assert inspection_rows.inspections_of(connection, 1) == [BYPASS]
    assert row.finding.status is FindingStatus.CONFIRMED
    assert row.finding.inspected_at == from_us(NOW_US)
    assert [(entry.who, entry.act, entry.subject) for entry in audit] == [("anna", "finding_inspected", "1")]
    assert audit[0].detail == {
        "before": "open",
        "after": "confirmed",
        "result": "confirmed",
        "found_kind": "theft",
        "found_m3_per_day": 38.5,
        "note": "bypass pipe",
    }


def test_that_nobody_was_reached_leaves_the_finding_as_it_is(state):
    with state.write() as connection:
        for day in range(2):
            finding = said(connection, InspectionResult.NOT_REACHABLE, NOW_US + day)
        assert finding == THEFT
        assert len(inspection_rows.inspections_of(connection, 1)) == 2


def test_what_was_found_can_be_put_right_and_honest_ends_a_finding(state):
    with state.write() as connection:
        assert said(connection, InspectionResult.METER_FAULT).cause == ""
        repaired = said(connection, InspectionResult.REPAIRED, NOW_US + 9, "ben")
        again = said(connection, InspectionResult.REPAIRED, NOW_US + 20)
        assert again == repaired
        assert [visit.who for visit in inspection_rows.inspections_of(connection, 1)] == ["anna", "ben"]
        second = replace(THEFT, episode_no=2)
        (raised,) = finding_rows.apply_changes(connection, NOW_US, raised=[second])
        visit = Inspection(raised.finding_id, NOW_US, "anna", InspectionResult.HONEST)
        honest = inspection_rows.record_inspection(connection, visit).finding
    assert (repaired.status, repaired.cause) == (FindingStatus.ENDED, EndCause.REPAIRED)
    assert repaired.inspected_at == from_us(NOW_US + 9)
    assert (honest.status, honest.cause) == (FindingStatus.HONEST, EndCause.HONEST)


@pytest.mark.parametrize(
    ("number", "before", "result", "code"),
    [
        (99, None, InspectionResult.HONEST, 404),
        (1, InspectionResult.CONFIRMED, InspectionResult.HONEST, 409),
        (1, InspectionResult.CONFIRMED, InspectionResult.NOT_REACHABLE, 409),
        (1, InspectionResult.HONEST, InspectionResult.REPAIRED, 409),
    ],
)
def test_a_visit_that_cannot_be_is_refused(state, number, before, result, code):
    with state.write() as connection:
        if before is not None:
            said(connection, before)
        with pytest.raises(RefusedError) as refused:
            inspection_rows.record_inspection(connection, Inspection(number, NOW_US, "ben", result))
    assert refused.value.status == code


@pytest.mark.parametrize(
    ("result", "status", "cause"),
    [
        (InspectionResult.HONEST, FindingStatus.HONEST, EndCause.HONEST),
        (InspectionResult.METER_FAULT, FindingStatus.ENDED, EndCause.OTHER),
        (InspectionResult.NOT_REACHABLE, FindingStatus.OPEN, ""),
    ],
)
def test_a_visit_answers_other_suspicions_of_the_same_loss(state, result, status, cause):
    others = [replace(THEFT, kind="non_moving"), replace(THEFT, kind="silent"), replace(THEFT, meter="M-2")]
    with state.write() as connection:
        finding_rows.apply_changes(connection, NOW_US, raised=others)
        said(connection, result)
        stopped, silent, neighbour = (finding_rows.get_finding(connection, number).finding for number in (2, 3, 4))
    assert (stopped.status, stopped.cause) == (status, cause)
    assert {silent.status, neighbour.status} == {FindingStatus.OPEN}


def test_what_was_said_of_an_older_episode_is_not_forgotten(state):
    with state.write() as connection:
        said(connection, InspectionResult.HONEST)
        finding_rows.apply_changes(connection, NOW_US, raised=[replace(THEFT, episode_no=n) for n in (2, 3)])
        known = [(row.finding.episode_no, row.finding.status) for row in finding_rows.newest_findings(connection)]
    assert known == [(1, FindingStatus.HONEST), (3, FindingStatus.OPEN)]


def test_columns_that_an_older_version_did_not_have_are_added_on_opening(tmp_path):
    state = State.in_folder(tmp_path)
    with state.write() as connection:
        finding_rows.apply_changes(connection, NOW_US, raised=[THEFT])
        for column in ("cause", "inspected_at"):
            connection.exec_driver_sql(f"ALTER TABLE finding DROP COLUMN {column}")
    state.close()
    state = State.in_folder(tmp_path)
    with state.write() as connection:
        assert said(connection, InspectionResult.HONEST).cause == EndCause.HONEST
    state.close()
