"""Calls become tickets in one transaction with the outbox; call-backs are drawn from what was finished."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from alarms.route import TicketPolicy
from alarms.service.calendar import official
from alarms.service.call_backs import QUESTIONS, CallBacks
from alarms.service.telephone import Telephone
from gateway.errors import RefusedError
from gateway.model.call import Call, Said
from gateway.model.reading import to_us
from gateway.model.ticket import TicketClass, TicketState
from gateway.runtime.clock import ManualClock
from gateway.store import (
    call_back_rows,
    call_rows,
    delivery_rows,
    outbox_rows,
    tables,
    ticket_event_rows,
    ticket_rows,
)
from gateway.store.state import State
from gateway.store.ticket_event_rows import TicketEvent
from tests.alarms.alarm_fixtures import small_network

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
CALL = Call(NOW - timedelta(seconds=30), "13800000000", "1 Main Street, flat 3")
ANSWERS = dict.fromkeys(QUESTIONS, 5)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(to_us(NOW))


@pytest.fixture
def telephone(tmp_path: Path, clock: ManualClock) -> Telephone:
    return Telephone(
        State.in_folder(tmp_path), small_network(), TicketPolicy(sinks={TicketClass.EMERGENCY: "desk"}), clock
    )


def test_time_number_and_place_are_enough_for_an_emergency(telephone: Telephone) -> None:
    report = telephone.take(CALL, "ann", "r1", wall_s=1.0)
    with telephone.state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, report.ticket_no)
        (sent,) = outbox_rows.outbox_of(connection, report.ticket_no)
    assert ticket is not None
    assert (ticket.ticket_class, ticket.raised_at) == (TicketClass.EMERGENCY, CALL.called_at)
    assert ticket.dedup_key == f"hq.1:CALL:SMELL:{report.ticket_no.removeprefix('T-')}"
    assert ticket.arrive_by == CALL.called_at + timedelta(minutes=30)
    assert sent.sink == "desk"
    assert sent.command.body["asset"]["address"] == CALL.place
    assert sent.command.body["contact"]["phone"] == CALL.number


def test_the_same_request_opens_one_ticket(telephone: Telephone) -> None:
    first = telephone.take(CALL, "ann", "r1", wall_s=1.0)
    assert telephone.take(CALL, "ann", "r1", wall_s=2.0) == first
    with telephone.state.read() as connection:
        assert len(ticket_rows.list_tickets(connection)) == 1
    with pytest.raises(RefusedError) as refused:
        telephone.take(CALL, "bob", "r1", wall_s=2.0)
    assert refused.value.code == "request_id_used"


def test_what_is_asked_later_follows_as_an_update(telephone: Telephone) -> None:
    report = telephone.take(CALL, "ann", "r1", wall_s=1.0)
    telephone.complete(report.ticket_no, {"indoors": True, "valve_closed": False, "asset": "B-1"}, "ann", wall_s=2.0)
    with telephone.state.read() as connection:
        sent = outbox_rows.outbox_of(connection, report.ticket_no)
        (kept,) = call_rows.of_ticket(connection, report.ticket_no)
    assert [row.command.command for row in sent] == ["open", "update"]
    assert "indoors; valve open" in sent[1].command.body["text"]
    assert (kept.call.indoors, kept.call.asset) == (True, "B-1")


def test_a_second_caller_joins_only_what_the_taker_names(telephone: Telephone) -> None:
    first = telephone.take(CALL, "ann", "r1", wall_s=1.0)
    again = telephone.take(replace(CALL, number="2"), "ann", "r2", wall_s=2.0, join=first.ticket_no)
    other = telephone.take(replace(CALL, number="3"), "ann", "r3", wall_s=3.0)
    assert again.ticket_no == first.ticket_no != other.ticket_no
    lower = telephone.take(replace(CALL, what=Said.NO_GAS), "ann", "r4", wall_s=4.0)
    with pytest.raises(RefusedError) as refused:
        telephone.take(CALL, "ann", "r5", wall_s=5.0, join=lower.ticket_no)
    assert refused.value.code == "lower_class"


def test_a_call_from_paper_keeps_its_time_and_is_marked(telephone: Telephone) -> None:
    report = telephone.take(replace(CALL, called_at=NOW - timedelta(hours=2)), "ann", "r1", wall_s=1.0)
    assert report.late
    with telephone.state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, report.ticket_no)
    assert ticket is not None
    assert ticket.raised_at == NOW - timedelta(hours=2)
    for called in (NOW + timedelta(hours=1), NOW - timedelta(days=8)):
        with pytest.raises(RefusedError):
            telephone.take(replace(CALL, called_at=called), "ann", "r2", wall_s=1.0)


def test_a_place_on_the_map_finds_its_zone_and_what_is_near(telephone: Telephone) -> None:
    report = telephone.take(replace(CALL, x_m=2.1, y_m=2.1), "ann", "r1", wall_s=1.0)
    with telephone.state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, report.ticket_no)
    assert ticket is not None
    assert ticket.asset == "R-002"
    assert telephone.is_near("REG-002", "R-002", None, None)
    assert telephone.is_near("M-000001", "B-2", None, None)
    assert not telephone.is_near("REG-003", "R-002", None, None)
    assert telephone.is_near("REG-003", "", 100.0, 100.0)
    assert not telephone.is_near("REG-003", "", 4000.0, 0.0)
    with pytest.raises(RefusedError):
        telephone.take(replace(CALL, asset="nowhere"), "ann", "r9", wall_s=1.0)


def finish(telephone: Telephone, count: int, day: int, first: int) -> list[str]:
    at = NOW + timedelta(days=day)
    finished = []
    for number in range(first, first + count):
        report = telephone.take(replace(CALL, called_at=at, what=Said.OTHER), "ann", f"c{number}", wall_s=1.0)
        event = TicketEvent("desk", f"e{number}", report.ticket_no, "completed", 1, at, at, f"crew {number % 3}", {})
        with telephone.state.write() as connection:
            ticket_event_rows.insert_event(connection, event)
            ticket = ticket_rows.find_ticket(connection, report.ticket_no)
            assert ticket is not None
            ticket_rows.update_ticket(connection, replace(ticket, state=TicketState.COMPLETED, completed_at=at))
        finished.append(report.ticket_no)
    return finished


def test_every_evening_the_share_of_each_level_is_drawn_and_missed_evenings_are_made_up(
    telephone: Telephone, clock: ManualClock
) -> None:
    desk = CallBacks(telephone.state, telephone.network, official(), clock)
    total = 0
    for day, count in enumerate((12, 0, 5, 9)):
        clock.set(NOW + timedelta(days=day))
        finish(telephone, count, day, total)
        total += count
        clock.set(NOW.replace(hour=12, minute=1) + timedelta(days=day))
        if day != 2:
            desk.evening()
            assert desk.evening() == 0
    with telephone.state.read() as connection:
        drawn = call_back_rows.listed(connection)
    sums = {level: sum(one.level == level for one in drawn) for level in ("station", "company", "group")}
    assert sums == {"station": total, "company": math.ceil(total / 10), "group": math.ceil(total * 0.08)}
    assert min(one.due_at for one in drawn if one.level == "station") == datetime(2026, 11, 24, 10, tzinfo=UTC)


def test_gas_on_work_is_called_back_by_sample_within_five_days_of_its_own(
    telephone: Telephone, clock: ManualClock
) -> None:
    desk = CallBacks(telephone.state, telephone.network, official(), clock)
    finished = finish(telephone, 31, 0, 0)
    gas_on = set(finished[:11])
    with telephone.state.write() as connection:
        for place, ticket_no in enumerate(sorted(gas_on)):
            kind = ("first_gas_on", "reconnect", "unseal")[place % 3]
            known = tables.ticket.c.ticket_no == ticket_no
            connection.execute(tables.ticket.update().where(known).values(type=kind))
    clock.set(NOW.replace(hour=12, minute=1))
    desk.evening()
    with telephone.state.read() as connection:
        drawn = [one for one in call_back_rows.listed(connection) if one.level == "gas_on"]
    assert len(drawn) == math.ceil(11 / 10)
    assert {one.ticket_no for one in drawn} <= gas_on
    fifth_day = (NOW + timedelta(hours=8)).date() + timedelta(days=6)
    assert {one.due_at for one in drawn} == {datetime.combine(fifth_day, time(), tzinfo=UTC) - timedelta(hours=8)}


def test_who_is_served_after_the_draw_or_once_more_is_drawn_once(telephone: Telephone, clock: ManualClock) -> None:
    desk = CallBacks(telephone.state, telephone.network, official(), clock)
    evening = NOW.replace(hour=12, minute=1)
    clock.set(evening)
    assert desk.evening() == 0
    clock.set(NOW + timedelta(days=1))
    (late,) = finish(telephone, 1, 0, 0)
    with telephone.state.write() as connection:
        ticket = ticket_rows.find_ticket(connection, late)
        assert ticket is not None
        at = evening + timedelta(hours=1)
        ticket_rows.update_ticket(connection, replace(ticket, completed_at=at))
        event = TicketEvent("desk", "late", late, "completed", 2, at, clock.now(), "crew 0", {})
        ticket_event_rows.insert_event(connection, event)
    clock.set(evening + timedelta(days=1))
    assert desk.evening() == 3
    with telephone.state.write() as connection:
        again = TicketEvent("desk", "again", late, "completed", 3, clock.now(), clock.now(), "crew 0", {})
        ticket_event_rows.insert_event(connection, again)
    clock.set(evening + timedelta(days=2))
    assert desk.evening() == 0


def test_a_clock_that_was_ahead_once_ends_no_draw(telephone: Telephone, clock: ManualClock) -> None:
    desk = CallBacks(telephone.state, telephone.network, official(), clock)
    evening = NOW.replace(hour=12, minute=1)
    finish(telephone, 12, 0, 0)
    clock.set(evening + timedelta(days=3000))
    desk.evening()
    clock.set(evening)
    assert desk.evening() == 15
    assert desk.evening() == 0
    clock.set(evening - timedelta(minutes=2))
    assert desk.evening() == 0
    clock.set(evening)
    assert desk.evening() == 0


def test_a_customer_is_tried_three_times_at_different_hours(telephone: Telephone, clock: ManualClock) -> None:
    desk = CallBacks(telephone.state, telephone.network, official(), clock)
    finish(telephone, 2, 0, 0)
    clock.set(NOW.replace(hour=12, minute=1))
    desk.evening()
    with telephone.state.read() as connection:
        one, two = (found for found in call_back_rows.listed(connection) if found.level == "station")
    for hour in range(3):
        clock.set(NOW.replace(hour=13) + timedelta(hours=2 * hour))
        closed = desk.tried(one.ticket_no, "station", "ann", reached=False)
        assert (closed.closed_at is not None) == (hour == 2)
        if hour < 2:
            with pytest.raises(RefusedError) as refused:
                desk.tried(one.ticket_no, "station", "ann", reached=False)
            assert refused.value.code == "too_soon"
    with pytest.raises(RefusedError):
        desk.tried(two.ticket_no, "station", "ann", reached=True, answers={"conduct": 5})
    assert desk.tried(two.ticket_no, "station", "ann", reached=True, answers=ANSWERS).answers == ANSWERS
    with pytest.raises(RefusedError):
        desk.tried(two.ticket_no, "station", "ann", reached=True, answers=ANSWERS)


def test_who_is_not_satisfied_gets_a_ticket_that_is_called_again(telephone: Telephone, clock: ManualClock) -> None:
    desk = CallBacks(telephone.state, telephone.network, official(), clock, telephone.policy)
    (first,) = finish(telephone, 1, 0, 0)
    clock.set(NOW.replace(hour=12, minute=1))
    desk.evening()
    bad = {**ANSWERS, "skill": 2, "note": "it smells again"}
    closed = desk.tried(first, "station", "ann", reached=True, answers=bad)
    other = desk.tried(first, "company", "bob", reached=True, answers=bad)
    assert other.opened == closed.opened != ""
    with telephone.state.read() as connection:
        again = ticket_rows.find_ticket(connection, closed.opened)
        (sent,) = outbox_rows.outbox_of(connection, closed.opened)
        acts = delivery_rows.acts_on(connection, first)
        kept = call_back_rows.find(connection, first, "station")
    assert again is not None
    assert (again.ticket_class, again.type) == (TicketClass.REPAIR, "not_satisfied")
    assert again.dedup_key == f"hq.1:CALLBACK:STATION:{first.removeprefix('T-')}"
    assert sent.command.body["linked"] == [first]
    assert "it smells again" in sent.command.body["description"]
    assert [act.data["ticket_no"] for act in acts] == [closed.opened]
    assert kept is not None
    assert kept.opened == closed.opened

    with telephone.state.write() as connection:
        at = NOW + timedelta(hours=20)
        event = TicketEvent("desk", "done", closed.opened, "completed", 1, at, at, "crew 1", {})
        ticket_event_rows.insert_event(connection, event)
        ticket_rows.update_ticket(connection, replace(again, state=TicketState.COMPLETED, completed_at=at))
    clock.set(NOW.replace(hour=12, minute=1) + timedelta(days=1))
    assert desk.evening() >= 1
    with telephone.state.read() as connection:
        assert call_back_rows.find(connection, closed.opened, "station") is not None


@pytest.mark.parametrize(("extra", "opens"), [({}, False), ({"improper_gain": True}, True), ({"conduct": 3}, True)])
def test_a_gain_or_a_low_mark_opens_a_ticket_and_contentment_does_not(
    telephone: Telephone, clock: ManualClock, extra: dict[str, object], opens: bool
) -> None:
    desk = CallBacks(telephone.state, telephone.network, official(), clock, telephone.policy)
    (first,) = finish(telephone, 1, 0, 0)
    clock.set(NOW.replace(hour=12, minute=1))
    desk.evening()
    assert bool(desk.tried(first, "station", "ann", reached=True, answers={**ANSWERS, **extra}).opened) is opens
