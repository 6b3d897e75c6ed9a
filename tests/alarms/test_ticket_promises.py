"""Whatever is done to alarms, in any order: no ticket of an emergency ends by it and no clock moves."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from alarms.acts import AlarmDesk
from alarms.alarm_events import (
    Acknowledge,
    AlarmEvent,
    ConditionFalls,
    ConditionRises,
    Realarm,
    RemoveFromService,
    Reset,
    ReturnToService,
    RuleOff,
    RuleOn,
    ShelfOver,
    Shelve,
    TicketDue,
    Unshelve,
)
from gateway.errors import RefusedError
from gateway.model.alarm import Alarm
from gateway.model.ticket import Ticket, TicketClass, TicketState
from gateway.runtime.clock import ManualClock
from gateway.store import alarm_rows, outbox_rows, ticket_rows
from tests.alarms.alarm_fixtures import make_desk

ALARMS = ("GAS_CONC_HIHI@REG-001", "OVERPRESS_HI@REG-001", "OVERPRESS_HI@REG-002", "HOME_GAS_SENSOR@M-000001")
STEPS = 150


def acts(alarm: Alarm | None, now: ManualClock) -> list[AlarmEvent]:
    number = 0 if alarm is None else alarm.occurrence_no
    soon = now.now() + timedelta(minutes=10)
    return [
        ConditionRises(now.now(), 50.0),
        ConditionRises(now.now(), 50.0),
        ConditionFalls(1.0),
        Acknowledge(number, "li"),
        Acknowledge(number, "li"),
        Reset("li"),
        Shelve(soon, "works", "li"),
        Unshelve(number, "li"),
        ShelfOver(),
        RuleOn("higher_limit"),
        RuleOff("higher_limit"),
        RemoveFromService("W-1", "a guard", "li", soon, second="wang"),
        ReturnToService("li", "test gas"),
        Realarm(),
        TicketDue(),
    ]


def tickets(desk: AlarmDesk) -> dict[str, Ticket]:
    with desk.state.read() as connection:
        return {one.ticket_no: one for one in ticket_rows.list_tickets(connection, limit=10_000)}


@pytest.mark.parametrize("seed", [1, 2])
def test_no_act_on_an_alarm_ends_a_ticket_or_moves_its_clock(tmp_path: Path, seed: int) -> None:
    dice, clock = random.Random(seed), ManualClock(1_768_453_200_000_000)
    desk = make_desk(tmp_path, clock)
    known: dict[str, Ticket] = {}
    done: Counter[str] = Counter()
    for step in range(STEPS):
        clock.advance(dice.uniform(0.0, 30.0))
        alarm_id = dice.choice(ALARMS)
        with desk.state.read() as connection:
            alarm = alarm_rows.load(connection, alarm_id)
        event = dice.choice(acts(alarm, clock))
        try:
            desk.apply(alarm_id, event, "li")
            done[type(event).__name__] += 1
        except RefusedError:
            done["refused"] += 1
        if step % 50 == 49:
            desk.state.close()
            desk = make_desk(tmp_path, clock)  # a restart
        now = tickets(desk)
        assert {number: now[number] for number in known} == known
        known = now
    assert len(done) > 8, done
    assert len(known) >= 3
    assert {one.state for one in known.values()} == {TicketState.OPEN}
    emergencies = [one for one in known.values() if one.ticket_class is TicketClass.EMERGENCY]
    assert all(one.depart_by == one.raised_at + timedelta(minutes=3) for one in emergencies)
    with desk.state.read() as connection:
        sent = {row.command.command for number in known for row in outbox_rows.outbox_of(connection, number)}
        keys = [one.dedup_key for one in known.values()]
    assert sent <= {"open", "update", "rtn", "note"}
    assert len(set(keys)) == len(keys)
    desk.state.close()
