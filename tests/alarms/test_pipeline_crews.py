from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alarms.acts import Edge
from alarms.alarm_events import Acknowledge, ConditionRises
from gateway.model.ticket import TicketClass
from gateway.store import outbox_rows, ticket_rows
from tests.alarms.alarm_fixtures import START
from tests.alarms.plant import Plant


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def test_crews_that_are_late_raise_their_own_alarms_and_end_them(plant: Plant) -> None:
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    number = "T-20260115-000001"
    plant.after(179)
    plant.tick()
    assert plant.state(f"DEPART_OVERDUE@{number}") == "never"
    plant.after(1)
    plant.tick()
    assert plant.state(f"DEPART_OVERDUE@{number}") == "B"
    with plant.desk.state.write() as connection:
        ticket = ticket_rows.find_ticket(connection, number)
        assert ticket is not None
        ticket_rows.update_ticket(connection, replace(ticket, departed_at=plant.clock.now()))
    plant.tick()
    assert plant.state(f"DEPART_OVERDUE@{number}") == "D"
    plant.after(27 * 60)
    plant.tick()
    assert plant.state(f"ARRIVE_OVERDUE@{number}") == "B"


def test_an_emergency_that_nobody_confirms_is_on_the_screen_within_20_real_seconds(plant: Plant) -> None:
    plant.desk._wall = lambda: plant.wall
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    unconfirmed = "TICKET_UNCONFIRMED@T-20260115-000001"
    plant.wall += 17.9
    plant.tick()
    assert plant.state(unconfirmed) == "never"
    plant.wall += 0.1
    plant.tick()
    assert plant.state(unconfirmed) == "B"
    with plant.desk.state.write() as connection:
        (row,) = [
            one for one in outbox_rows.outbox_of(connection, "T-20260115-000001") if one.command.command == "open"
        ]
        outbox_rows.set_confirmed(connection, row.id, attempts=3, at=START, wall_now_s=plant.wall)
    plant.tick()
    assert plant.state(unconfirmed) == "D"


def test_a_late_crew_is_seen_behind_thousands_of_other_tickets(plant: Plant) -> None:
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    number = "T-20260115-000001"
    with plant.desk.state.write() as connection:
        ticket = ticket_rows.find_ticket(connection, number)
        assert ticket is not None
        for n in range(2100):
            other = replace(
                ticket,
                ticket_no=f"T-20260101-{n:06d}",
                dedup_key=f"old:{n}",
                ticket_class=TicketClass.CHECK,
                join_group="",
                raised_at=START - timedelta(days=14),
                depart_by=None,
                arrive_by=None,
            )
            ticket_rows.insert_ticket(connection, other)
    plant.after(180)
    plant.tick()
    assert plant.state(f"DEPART_OVERDUE@{number}") == "B"


def test_many_unconfirmed_emergencies_are_one_alarm_that_sounds_for_each_new_one(plant: Plant) -> None:
    plant.desk._wall = lambda: plant.wall
    down, numbers = "DELIVERY_DOWN@gasgate", [f"TICKET_UNCONFIRMED@T-20260115-{number:06d}" for number in range(1, 8)]

    def raise_homes(first: int, last: int) -> None:
        homes = [f"HOME_GAS_SENSOR@X-{number}" for number in range(first, last + 1)]
        plant.desk.commit([Edge(one, ConditionRises(START, 64.0)) for one in homes])
        plant.wall += 18.0
        plant.after(18)
        plant.tick()

    raise_homes(1, 3)
    assert [plant.state(one) for one in (down, *numbers[:3])] == ["never", "B", "B", "B"]
    raise_homes(4, 6)
    assert [plant.state(one) for one in (down, *numbers[:6])] == ["B", *["F"] * 6]
    alarm = plant.alarm(numbers[5])
    assert alarm is not None
    assert (alarm.cond, alarm.announced_no) == (True, 0)
    plant.desk.apply(down, Acknowledge(1, "li"), "li")
    plant.tick()
    assert plant.state(down) == "C"
    raise_homes(7, 7)
    assert [plant.state(down), plant.state(numbers[6])] == ["B", "F"]
    with plant.desk.state.write() as connection:
        for number in range(1, 7):
            (row,) = outbox_rows.outbox_of(connection, f"T-20260115-{number:06d}")
            outbox_rows.set_confirmed(connection, row.id, attempts=3, at=START, wall_now_s=plant.wall)
    plant.tick()
    assert plant.state(down) == "D"
    assert plant.state(numbers[6]) == "B"
