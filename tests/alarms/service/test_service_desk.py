"""Clocks of tickets in a real state database: set once, read after each step, told once, whatever is killed."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from alarms.route import TicketPolicy, clocks
from alarms.service.calendar import WorkCalendar, official
from alarms.service.clocks import Standing
from alarms.service.desk import ServiceDesk
from alarms.service.policy import Promise, shipped
from gateway.errors import RefusedError
from gateway.model.reading import to_us
from gateway.model.ticket import Ticket, TicketClass, TicketState
from gateway.roles.service_clocks import ServiceClocks
from gateway.runtime.clock import ManualClock
from gateway.store import promise_rows, ticket_event_rows, ticket_rows, user_rows
from gateway.store.state import State
from gateway.store.ticket_event_rows import TicketEvent
from tests.alarms.alarm_fixtures import small_network

RAISED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
NUMBERS = itertools.count(1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(to_us(RAISED))


@pytest.fixture
def desk(tmp_path: Path, clock: ManualClock) -> ServiceDesk:
    return ServiceDesk(State.in_folder(tmp_path), shipped(), official(), small_network(), clock)


def raise_ticket(
    desk: ServiceDesk, wanted: TicketClass, ticket_type: str = "leak", asset: str = "REG-001", *, size: str = ""
) -> str:
    number = f"T-{next(NUMBERS):06d}"
    ticket = Ticket(
        ticket_no=number,
        dedup_key=number,
        ticket_class=wanted,
        type=ticket_type,
        asset=asset,
        join_group="",
        scope=asset,
        state=TicketState.OPEN,
        raised_at=desk.clock.now(),
        depart_by=None,
        arrive_by=None,
        title="",
        description="",
        size=size,
    )
    with desk.state.write() as connection:
        ticket_rows.insert_ticket(connection, ticket)
    return number


def report(desk: ServiceDesk, number: str, step: str, at: datetime) -> None:
    """Do what the door for events does."""
    event = TicketEvent("desk", f"e{next(NUMBERS)}", number, step, next(NUMBERS), at, at, "crew", {})
    with desk.state.write() as connection:
        ticket_event_rows.insert_event(connection, event)
        ticket = ticket_rows.find_ticket(connection, number)
        assert ticket is not None
        ticket_rows.update_ticket(connection, replace(ticket, state=TicketState(step)))


def settle(desk: ServiceDesk) -> None:
    while desk.sweep():
        pass


def standings(desk: ServiceDesk, number: str) -> dict[str, str]:
    with desk.state.read() as connection:
        return {row.clock: row.standing for row in promise_rows.clocks_of(connection, number)}


def told(desk: ServiceDesk, number: str) -> list[tuple[str, str, float]]:
    with desk.state.read() as connection:
        calls = promise_rows.told(connection, ticket_no=number)
    return [(call.clock, call.tell, (call.told_at - RAISED) / timedelta(minutes=1)) for call in reversed(calls)]


def acts(desk: ServiceDesk) -> list[tuple[str, str, str]]:
    with desk.state.read() as connection:
        return [(row.who, row.act, row.subject) for row in reversed(user_rows.list_audit(connection, None, 100))]


def test_an_emergency_is_told_of_in_time_and_stops_when_the_crew_is_there(
    desk: ServiceDesk, clock: ManualClock
) -> None:
    number = raise_ticket(desk, TicketClass.EMERGENCY)
    for second in range(0, 26 * 60, 15):
        clock.set(RAISED + timedelta(seconds=second))
        if second == 180:
            report(desk, number, "departed", clock.now())
        if second == 25 * 60:
            report(desk, number, "arrived", clock.now())
        settle(desk)
    assert told(desk, number) == [
        ("depart", "second_dispatcher", 1.25),
        ("depart", "duty_manager", 2.25),
        ("arrive", "crew", 15),
        ("arrive", "duty_manager", 24),
    ]
    assert standings(desk, number) == {"depart": "met", "arrive": "met", "fix": "running", "stay": "waiting"}
    with desk.state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, number)
    assert ticket is not None
    assert (ticket.depart_by, ticket.arrive_by) == (RAISED + timedelta(minutes=3), RAISED + timedelta(minutes=30))


def test_a_remote_station_has_fifty_minutes(desk: ServiceDesk) -> None:
    number = raise_ticket(desk, TicketClass.EMERGENCY, asset="S-01")
    settle(desk)
    with desk.state.read() as connection:
        due = {row.clock: row.due_at for row in promise_rows.clocks_of(connection, number)}
    assert due["arrive"] == RAISED + timedelta(minutes=50)


def test_a_gateway_that_was_off_tells_the_newest_step_once_and_another_process_does_not_repeat_it(
    desk: ServiceDesk, clock: ManualClock, tmp_path: Path
) -> None:
    number = raise_ticket(desk, TicketClass.EMERGENCY)
    clock.set(RAISED + timedelta(minutes=61))
    settle(desk)
    late = [entry for entry in told(desk, number) if entry[0] == "arrive"]
    assert late == [("arrive", "crew", 61), ("arrive", "duty_manager", 61), ("arrive", "head_of_emergency", 61)]
    settle(replace(desk, state=State.in_folder(tmp_path)))
    assert [entry for entry in told(desk, number) if entry[0] == "arrive"] == late
    assert standings(desk, number)["arrive"] == "late"


def test_a_step_that_was_not_reported_counts_as_late(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.EMERGENCY)
    report(desk, number, "completed", RAISED + timedelta(minutes=5))
    clock.set(RAISED + timedelta(minutes=6))
    settle(desk)
    assert set(standings(desk, number).values()) == {"not_recorded"}
    before = told(desk, number)
    clock.set(RAISED + timedelta(days=2))
    settle(desk)
    assert told(desk, number) == before


def test_a_step_dated_a_moment_ahead_is_taken_now(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.EMERGENCY)
    report(desk, number, "departed", RAISED + timedelta(seconds=90))
    clock.set(RAISED + timedelta(seconds=30))
    settle(desk)
    assert standings(desk, number)["depart"] == "met"


def test_a_pause_moves_only_clocks_that_may_stand_and_leaves_its_trace(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.CHECK, "theft", "M-000001")
    settle(desk)
    desk.pause(number, "customer absent", "ann")
    assert standings(desk, number) == {"hand_over": "running", "done": "paused"}
    clock.set(RAISED + timedelta(days=5))
    desk.resume(number, "bob")
    with desk.state.read() as connection:
        (done,) = [row for row in promise_rows.clocks_of(connection, number) if row.clock == "done"]
        changes = promise_rows.changes_of(connection, number)
    assert done.due_at == datetime(2026, 11, 27, 10, tzinfo=UTC)
    shown = datetime(2026, 11, 25, 10, tzinfo=UTC)
    assert [(one.clock, one.actor, one.old_due_at, one.new_due_at) for one in changes] == [
        ("done", "ann", shown, None),
        ("done", "bob", None, done.due_at),
    ]
    assert acts(desk) == [("ann", "ticket.pause", number), ("bob", "ticket.resume", number)]
    emergency = raise_ticket(desk, TicketClass.EMERGENCY)
    settle(desk)
    with pytest.raises(RefusedError) as refused:
        desk.pause(emergency, "later", "ann")
    assert refused.value.code == "never_stands"


def test_an_agreed_date_keeps_the_old_one_on_record(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.CHECK, "theft", "M-000001")
    settle(desk)
    agreed = RAISED + timedelta(days=20)
    desk.agree(number, "done", agreed, "customer travels", "ann")
    with desk.state.read() as connection:
        (change,) = promise_rows.changes_of(connection, number)
    assert (change.old_due_at, change.new_due_at) == (datetime(2026, 11, 25, 10, tzinfo=UTC), agreed)
    assert "customer travels" in change.reason
    assert acts(desk) == [("ann", "ticket.agree", number)]
    emergency = raise_ticket(desk, TicketClass.EMERGENCY)
    settle(desk)
    for ticket_no, code in ((emergency, "no_agreement"), ("T-none", "unknown_ticket")):
        with pytest.raises(RefusedError) as refused:
            desk.agree(ticket_no, "arrive", agreed, "no", "ann")
        assert refused.value.code == code


def test_what_was_broken_cannot_be_agreed_or_paused_away(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.CHECK, "theft", "M-000001")
    report(desk, number, "dispatched", RAISED + timedelta(hours=1))
    clock.set(RAISED + timedelta(days=1))
    settle(desk)
    assert standings(desk, number)["hand_over"] == "breached"
    later = RAISED + timedelta(days=20)
    with pytest.raises(RefusedError, match="was stopped"):
        desk.agree(number, "hand_over", later, "no", "ann")
    clock.set(RAISED + timedelta(days=7))
    settle(desk)
    desk.pause(number, "customer_absent", "ann")
    assert standings(desk, number) == {"hand_over": "breached", "done": "late"}
    report(desk, number, "completed", RAISED + timedelta(days=8))
    clock.set(RAISED + timedelta(days=9))
    settle(desk)
    assert standings(desk, number) == {"hand_over": "breached", "done": "breached"}
    with pytest.raises(RefusedError, match="has ended"):
        desk.agree(number, "done", later, "no", "ann")
    with pytest.raises(RefusedError, match="has ended"):
        desk.pause(number, "later", "ann")


def test_an_agreed_date_that_passes_is_told_anew(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.CHECK, "theft", "M-000001")
    report(desk, number, "dispatched", RAISED)
    clock.set(RAISED + timedelta(days=6))
    settle(desk)
    before = told(desk, number)
    assert [tell for _, tell, _ in before] == ["owner", "supervisor"]
    agreed = RAISED + timedelta(days=10)
    desk.agree(number, "done", agreed, "customer travels", "ann")
    clock.set(agreed - timedelta(minutes=1))
    settle(desk)
    assert [tell for _, tell, _ in told(desk, number)] == ["owner", "supervisor", "owner"]
    clock.set(agreed)
    settle(desk)
    assert told(desk, number)[-1] == ("done", "supervisor", 10 * 1440)


def test_a_step_that_takes_the_place_of_a_pulled_one_is_looked_at(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.EMERGENCY)
    clock.set(RAISED + timedelta(minutes=4))
    pulled = TicketEvent("pull:desk", "p1", number, "departed", 1, clock.now(), clock.now(), "crew", {"pulled": True})
    with desk.state.write() as connection:
        ticket_event_rows.insert_event(connection, pulled)
    settle(desk)
    assert standings(desk, number)["depart"] == "breached"
    with desk.state.write() as connection:
        assert not ticket_event_rows.drop_pulled_step(connection, number, 1, "departed")
        itself = replace(pulled, source="desk", event_id="e1", occurred_at=RAISED + timedelta(minutes=2))
        ticket_event_rows.insert_event(connection, itself)
    settle(desk)
    assert standings(desk, number)["depart"] == "met"


def test_a_clock_that_was_ahead_once_silences_no_repetition(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.EMERGENCY)
    for minute in (1440, 5, 6, 7):
        clock.set(RAISED + timedelta(minutes=minute))
        report(desk, number, "accepted", RAISED)
        settle(desk)
        settle(desk)
    late = [at for _, tell, at in told(desk, number) if tell == "next_on_duty"]
    assert late == [5, 7, 1440]


async def test_clocks_wake_when_time_goes_back(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.EMERGENCY)
    clock.set(RAISED + timedelta(days=1))

    async def until(count: int) -> None:
        while sum(tell == "next_on_duty" for _, tell, _ in told(desk, number)) < count:  # noqa: ASYNC110 - a task writes
            await asyncio.sleep(0.02)

    running = asyncio.create_task(ServiceClocks(desk).run())
    try:
        await asyncio.wait_for(until(1), 60)
        clock.set(RAISED + timedelta(minutes=5))
        await asyncio.wait_for(until(2), 60)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_a_clock_that_is_set_back_loses_no_promise(desk: ServiceDesk, clock: ManualClock) -> None:
    number = raise_ticket(desk, TicketClass.EMERGENCY)
    clock.set(RAISED - timedelta(seconds=2))
    settle(desk)
    with desk.state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, number)
        following = promise_rows.next_moment(connection)
    assert ticket is not None
    assert ticket.depart_by == RAISED + timedelta(minutes=3)
    assert following is not None
    assert following < RAISED + timedelta(minutes=2)
    clock.set(RAISED + timedelta(minutes=4))
    settle(desk)
    assert [tell for _, tell, _ in told(desk, number)] == ["second_dispatcher", "duty_manager", "next_on_duty"]


def test_a_provisional_due_time_becomes_certain_when_the_calendar_is_there(
    desk: ServiceDesk, clock: ManualClock
) -> None:
    known = official()
    short = WorkCalendar(known.timezone, known.listed, known.first, date(2026, 11, 21))
    early = replace(desk, calendar=short)
    number = raise_ticket(early, TicketClass.CHECK, "theft", "M-000001")
    settle(early)
    with desk.state.read() as connection:
        assert any(row.provisional for row in promise_rows.clocks_of(connection, number))
    desk.anew()
    with desk.state.read() as connection:
        assert not any(row.provisional for row in promise_rows.clocks_of(connection, number))


def longer(row: Promise) -> Promise:
    return row.model_copy(update={"limit": row.limit + 1, "revision": row.revision + 1})


def test_each_active_row_changes_what_its_ticket_is_promised(desk: ServiceDesk) -> None:
    def limits(rows: tuple[Promise, ...], row: Promise) -> dict[str, int]:
        changed = replace(desk, promises=rows)
        place = "S-01" if row.place == "remote" else "REG-001"
        number = raise_ticket(changed, row.ticket_class, row.type, place, size=row.size)
        settle(changed)
        with desk.state.read() as connection:
            return {one.promise["id"]: one.promise["limit"] for one in promise_rows.clocks_of(connection, number)}

    rows = [row for row in shipped() if row.active]
    assert len(rows) >= 57
    for row in rows:
        edited = tuple(longer(one) if one.id == row.id else one for one in shipped())
        assert limits(edited, row)[row.id] == row.limit + 1


def test_standings_are_words_that_pages_know() -> None:
    assert {one.value for one in Standing} == {
        "waiting", "running", "paused", "late", "met", "breached", "not_recorded", "cancelled",
    }  # fmt: skip


def test_the_first_message_of_a_ticket_says_what_the_companys_own_promises_say() -> None:
    own = tuple(longer(row) if row.clock in {"depart", "arrive", "visit"} else row for row in shipped())
    for wanted, ticket_type in ((TicketClass.EMERGENCY, "leak"), (TicketClass.URGENT, "communication")):
        ticket = Ticket("", "", wanted, ticket_type, "REG-001", "", "", TicketState.OPEN, RAISED, None, None, "", "")
        told = clocks(ticket, small_network(), TicketPolicy(promises=own))
        usual = clocks(ticket, small_network(), TicketPolicy())
        for one, other in zip(told, usual, strict=True):
            assert (one is None) == (other is None)
            assert one is None or other is None or one - other == timedelta(minutes=1)
