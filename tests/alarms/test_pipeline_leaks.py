from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from alarms.alarm_events import Acknowledge
from gateway.model.finding import Finding, FindingStatus
from gateway.store import tables, ticket_rows
from tests.alarms.alarm_fixtures import START
from tests.alarms.plant import Plant


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def test_only_grave_leak_findings_are_alarms(plant: Plant) -> None:
    weak = Finding("leak", "R-001", None, START, START - timedelta(days=1), 0.7, 40.0)
    plant.pipeline.judge_findings([weak, replace(weak, kind="theft", meter="M-000001", score=0.99)])
    assert plant.state("LEAK_ZONE@R-001") == "never"
    sure, large = replace(weak, score=0.95), replace(weak, zone="R-002", estimate_m3_per_day=121.0)
    plant.pipeline.judge_findings([sure, large])
    plant.pipeline.judge_findings([sure, large])
    assert (plant.state("LEAK_ZONE@R-001"), plant.state("LEAK_ZONE@R-002")) == ("B", "B")
    plant.pipeline.judge_findings([replace(sure, status=FindingStatus.HONEST), large])
    assert (plant.state("LEAK_ZONE@R-001"), plant.state("LEAK_ZONE@R-002")) == ("L1", "B")


def test_a_leak_from_50_m3_an_hour_on_is_as_urgent_as_a_burst(plant: Plant) -> None:
    leak = Finding("leak", "R-001", None, START, START - timedelta(days=1), 0.6, 49.9 * 24)
    plant.pipeline.judge_findings([leak])
    assert (plant.state("LEAK_ZONE@R-001"), plant.state("LEAK_LARGE@R-001")) == ("B", "never")
    for m3h in (50.0, 20.0):
        plant.pipeline.judge_findings([replace(leak, estimate_m3_per_day=m3h * 24)])
        assert plant.state("LEAK_LARGE@R-001") == "B", "less than at first is still that leak"
    with plant.desk.state.read() as connection:
        tickets = {ticket_rows.ticket_of(connection, f"{name}@R-001", 1) for name in ("LEAK_ZONE", "LEAK_LARGE")}
    assert len(tickets) == 1
    plant.pipeline.judge_findings([])
    assert (plant.state("LEAK_ZONE@R-001"), plant.state("LEAK_LARGE@R-001")) == ("L1", "L1")


@pytest.mark.parametrize("largest", [0, 1])
def test_of_several_leaks_of_a_zone_the_largest_tells_how_urgent_it_is(plant: Plant, largest: int) -> None:
    leak = Finding("leak", "R-001", None, START, START - timedelta(days=1), 0.95, 10.0 * 24)
    both = [replace(leak, status=FindingStatus.CONFIRMED), leak]
    both[largest] = replace(both[largest], estimate_m3_per_day=60.0 * 24)
    plant.pipeline.judge_findings(both)
    assert plant.state("LEAK_LARGE@R-001") == "B"


def test_a_leak_that_is_less_sure_stays_an_alarm_until_its_finding_ends(plant: Plant) -> None:
    leak = Finding("leak", "R-001", None, START, START - timedelta(days=1), 0.91, 40.0)
    for score in (0.91, 0.89, 0.91, 0.5):
        plant.pipeline.judge_findings([replace(leak, score=score)])
        alarm = plant.alarm("LEAK_ZONE@R-001")
        assert alarm is not None
        assert (alarm.cond, alarm.occurrence_no) == (True, 1), "one leak is one occurrence and one ticket"
    plant.pipeline.judge_findings([])
    assert plant.state("LEAK_ZONE@R-001") == "L1"


def test_a_leak_that_a_meter_of_the_zone_explains_stays_a_work_item(plant: Plant) -> None:
    leak = Finding("leak", "R-001", None, START, START - timedelta(days=1), 0.95, 130.0)
    theft = replace(leak, kind="theft", meter="M-000001", score=0.7)
    plant.pipeline.judge_findings([leak, theft])
    assert plant.state("LEAK_ZONE@R-001") == "never"
    plant.pipeline.judge_findings([leak, replace(theft, status=FindingStatus.HONEST)])
    assert plant.state("LEAK_ZONE@R-001") == "B", "an honest customer explains nothing"


@pytest.mark.parametrize("restarted", [False, True])
def test_a_further_leak_of_a_zone_is_announced_once_and_its_ticket_told(plant: Plant, *, restarted: bool) -> None:
    name = "LEAK_ZONE@R-001"
    first = Finding("leak", "R-001", None, START, START - timedelta(days=1), 0.95, 10.0 * 24)
    plant.pipeline.judge_findings([first])
    plant.desk.apply(name, Acknowledge(1, "li"), "li")
    plant.pipeline.judge_findings([replace(first, score=0.99)])
    assert plant.state(name) == "C", "the same leak says nothing new"
    plant.after(3600)
    if restarted:
        plant.restart()
    again = replace(first, episode_no=2, detected_at=plant.clock.now(), estimate_m3_per_day=18.0 * 24)
    plant.pipeline.judge_findings([replace(again, score=0.6, estimate_m3_per_day=3.0 * 24)])
    assert plant.state(name) == "C", "what is not grave is no alarm"
    for _ in range(2):
        plant.pipeline.judge_findings([again])
        alarm = plant.alarm(name)
        assert alarm is not None
        assert (alarm.state.value, alarm.occurrence_no, alarm.value) == ("B", 1, 18.0)
    plant.desk.apply(name, Acknowledge(1, "li"), "li")
    plant.pipeline.judge_findings([again])
    assert plant.state(name) == "C"
    with plant.desk.state.read() as connection:
        ticket = ticket_rows.ticket_of(connection, name, 1)
        assert ticket is not None
        bodies = select(tables.outbox.c.body).where(tables.outbox.c.command == "update")
        sent = list(connection.execute(bodies).scalars())
    assert [body["alarm"]["value"] for body in sent] == [18.0]


def test_a_further_leak_that_a_meter_explained_at_first_is_announced_when_it_does_no_more(plant: Plant) -> None:
    name = "LEAK_ZONE@R-001"
    first = Finding("leak", "R-001", None, START, START - timedelta(days=9), 0.95, 10.0 * 24)
    plant.pipeline.judge_findings([first])
    plant.desk.apply(name, Acknowledge(1, "li"), "li")
    again = replace(first, episode_no=2, onset=START, estimate_m3_per_day=240.0)
    theft = replace(again, kind="theft", meter="M-000001", score=0.96)
    kept = replace(first, status=FindingStatus.CONFIRMED, estimate_m3_per_day=20.0 * 24)
    plant.pipeline.judge_findings([kept, again, theft])
    assert plant.state(name) == "C"
    plant.pipeline.judge_findings([kept, again, replace(theft, status=FindingStatus.HONEST)])
    assert plant.state(name) == "B"


def test_a_further_leak_that_came_before_anybody_answered_waits_with_the_first(plant: Plant) -> None:
    name = "LEAK_ZONE@R-001"
    first = Finding("leak", "R-001", None, START, START - timedelta(days=1), 0.95, 10.0 * 24)
    plant.pipeline.judge_findings([first])
    plant.pipeline.judge_findings([first, replace(first, episode_no=2, estimate_m3_per_day=12.0 * 24)])
    alarm = plant.alarm(name)
    assert alarm is not None
    assert (alarm.state.value, alarm.value) == ("B", 12.0)
