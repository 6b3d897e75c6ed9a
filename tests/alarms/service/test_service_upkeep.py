"""Work that needs no alarm: batteries, meters past their life; each becomes one ticket at most."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from alarms.route import TicketPolicy
from alarms.service import upkeep
from alarms.service.calendar import official
from alarms.service.release import Checks
from alarms.service.upkeep import Upkeep
from gateway.errors import RefusedError
from gateway.model.finding import Finding, FindingStatus
from gateway.model.meters import MeterTable
from gateway.model.network import Network
from gateway.model.reading import to_us
from gateway.model.ticket import TicketClass
from gateway.runtime.clock import ManualClock
from gateway.store import finding_rows, outbox_rows, ticket_rows, work_rows
from gateway.store.state import State
from gateway.store.work_rows import StoredItem
from tests.alarms.alarm_fixtures import home, small_network
from tests.alarms.plant import Plant

MORNING = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)


def network(*installed: date) -> Network:
    meters = [replace(home(f"M-{number}", "B-1"), installed_on=day) for number, day in enumerate(installed)]
    return replace(small_network(), meters={one.meter_id: one for one in meters})


def listed(state: State) -> list[StoredItem]:
    with state.read() as connection:
        return work_rows.open_items(connection)


@pytest.mark.parametrize("as_columns", [False, True])
def test_meters_past_ten_years_are_listed_each_morning_once_and_leave_when_exchanged(
    tmp_path: Path, as_columns: bool
) -> None:
    def known(*days: date) -> Network:
        made = network(*days)
        return replace(made, meters=MeterTable.of(made.meters)) if as_columns else made

    state, clock = State.in_folder(tmp_path), ManualClock(to_us(MORNING))
    days = (date(2016, 11, 21), date(2016, 11, 20), date(2010, 1, 1))
    desk = Upkeep(state, known(*days), official(), clock)
    assert desk.morning() == 2
    assert desk.morning() == 0
    assert [one.item.subject for one in listed(state)] == ["M-2", "M-1"]
    clock.set(MORNING + timedelta(hours=22))
    assert desk.morning() == 0
    clock.set(MORNING + timedelta(days=1))
    assert desk.morning() == 1
    clock.set(MORNING + timedelta(days=2))
    assert replace(desk, network=known(days[0], days[1], date(2026, 11, 21))).morning() == 0
    assert [one.item.subject for one in listed(state)] == ["M-1", "M-0"]
    state.close()


def test_a_backlog_is_spread_over_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "A_DAY", 3)
    state, clock = State.in_folder(tmp_path), ManualClock(to_us(MORNING))
    desk = Upkeep(state, network(*(date(2000, 1, day) for day in range(1, 8))), official(), clock)
    counts = []
    for day in range(4):
        clock.set(MORNING + timedelta(days=day))
        counts.append(desk.morning())
    assert counts == [3, 3, 1, 0]
    assert [one.item.subject for one in listed(state)] == [f"M-{number}" for number in range(7)]
    state.close()


def test_ten_years_before_a_leap_day_is_the_day_before(tmp_path: Path) -> None:
    leap = datetime(2028, 2, 29, 1, 0, tzinfo=UTC)
    state, clock = State.in_folder(tmp_path), ManualClock(to_us(leap))
    assert Upkeep(state, network(date(2018, 2, 28), date(2018, 3, 1)), official(), clock).morning() == 1
    state.close()


def test_a_low_battery_is_listed_once_and_only_from_good_flags(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.feed(("M-000001/flags", 0.0), ("M-000002/flags", 9.0))
    plant.feed(("M-000003/flags", 8.0), mark=255)
    for _ in range(3):
        plant.feed(("M-000002/flags", 8.0))
        plant.tick()
    plant.restart()
    plant.feed(("M-000002/flags", 8.0))
    plant.tick()
    (item,) = listed(plant.desk.state)
    assert (item.item.kind, item.item.subject) == ("battery", "M-000002")
    assert plant.state("HOME_GAS_SENSOR@M-000002") == "never"
    plant.desk.state.close()


def test_work_at_a_meter_becomes_one_ticket_that_further_work_joins(tmp_path: Path) -> None:
    state, clock = State.in_folder(tmp_path), ManualClock(to_us(MORNING))
    Upkeep(state, network(date(2010, 1, 1)), official(), clock).morning()
    with state.write() as connection:
        work_rows.add(connection, [work_rows.WorkItem("battery:M-0:2026", "battery", "M-0", {}, MORNING)])
        work_rows.add(connection, [work_rows.WorkItem("c", "chatter", "GAS_CONC_HI@REG-001", {}, MORNING)])
    policy = TicketPolicy(sinks={TicketClass.CHECK: "desk"})
    checks = Checks(state, network(date(2010, 1, 1)), policy, official(), clock)
    first = checks.release_item(1, "li", wall_s=1.0)
    assert checks.release_item(2, "li", wall_s=1.0).joined == first.ticket_no
    for item_id, code in ((1, "released"), (3, "no_meter"), (99, "unknown_item")):
        with pytest.raises(RefusedError) as refused:
            checks.release_item(item_id, "li", wall_s=1.0)
        assert refused.value.code == code
    with state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, first.ticket_no)
        sent = [row.command.command for row in outbox_rows.outbox_of(connection, first.ticket_no)]
    assert ticket is not None
    assert (ticket.type, ticket.dedup_key) == ("exchange", "hq.1:M-0:WORK_EXCHANGE:1")
    assert sent == ["open", "update"]
    state.close()


@pytest.mark.parametrize(
    ("days", "kind"), [(60.0, "visit"), (125.0, "long_unread_4"), (200.0, "long_unread_6"), (400.0, "long_unread_12")]
)
def test_a_visit_to_who_is_long_unread_has_the_clock_of_its_class(days: float, kind: str, tmp_path: Path) -> None:
    state, clock = State.in_folder(tmp_path), ManualClock(to_us(MORNING))
    finding = Finding(
        kind="visit", zone="B-1", meter="M-0", episode_no=1, status=FindingStatus.OPEN,
        detected_at=MORNING, onset=MORNING, score=0.3, estimate_m3_per_day=None, evidence={"days": days},
    )  # fmt: skip
    with state.write() as connection:
        finding_rows.apply_changes(connection, to_us(MORNING), raised=[finding], reopened=[], updated=[], ended=[])
    checks = Checks(state, network(date(2020, 1, 1)), TicketPolicy(), official(), clock)
    with state.read() as connection:
        (stored,) = finding_rows.list_findings(connection)
    done = checks.release(stored.finding_id, "li", wall_s=1.0)
    with state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, done.ticket_no)
    assert ticket is not None
    assert ticket.type == kind
    state.close()
