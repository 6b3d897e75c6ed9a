"""The ticket of a planned interruption: its clocks from the notice to the restoring, and what its crew is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from alarms.service import planned
from alarms.service.calendar import official
from alarms.service.desk import ServiceDesk
from alarms.service.policy import shipped
from alarms.tickets.raising import Raising
from gateway.model.affected import Affected
from gateway.model.interruption import Interruption
from gateway.model.reading import to_us
from gateway.model.ticket import TicketClass, TicketState
from gateway.runtime.clock import ManualClock
from gateway.store import interruption_rows, outbox_rows, promise_rows, ticket_rows
from gateway.store.state import Transaction
from tests.alarms.alarm_fixtures import START, make_desk, small_network

HOUR = timedelta(hours=1)
PLAN = Interruption("", ("R-001",), (), "new valve", False, START, START + 60 * HOUR, START + 68 * HOUR, "wu")


@dataclass
class Works:
    """One interruption in a real state database, on a clock of the test's own."""

    folder: Path
    plan: Interruption = PLAN

    def __post_init__(self) -> None:
        self.clock = ManualClock(to_us(START))
        self.desk = make_desk(self.folder, self.clock)
        self.state = self.desk.state
        self.service = ServiceDesk(self.state, shipped(), official(), small_network(), self.clock)
        with self.state.write() as connection:
            made = interruption_rows.add(connection, "r1", self.plan)
            ticket = planned.open_planned(self._work(connection), made)
            self.plan = interruption_rows.set_ticket(connection, made.id, ticket.ticket_no)
        self.ticket_no = ticket.ticket_no
        self._settle()

    def _work(self, connection: Transaction) -> Raising:
        return Raising(connection, self.desk.network, self.desk.policy, self.clock.now(), 1000.0)

    def _settle(self) -> None:
        while self.service.sweep():
            pass

    def at(self, hours: float) -> None:
        self.clock.set(START + hours * HOUR)
        self._settle()

    def record(self, what: str) -> None:
        with self.state.write() as connection:
            self.plan = interruption_rows.record(connection, self.plan.id, what, self.clock.now(), "li")
            planned.record(self._work(connection), self.plan, what, "li")
        self._settle()

    def clocks(self) -> dict[str, str]:
        with self.state.read() as connection:
            rows = promise_rows.clocks_of(connection, self.ticket_no)
        return {row.clock: row.standing for row in rows if row.clock != "hand_over"}

    def told(self) -> list[tuple[str, str, bool]]:
        with self.state.read() as connection:
            rows = promise_rows.told(connection, ticket_no=self.ticket_no)
        return [(row.clock, row.tell, row.breach) for row in reversed(rows) if row.clock != "hand_over"]

    def hand_over(self) -> tuple[str, list[str]]:
        """Return how the promise to hand the work to a crew stands, and who was told of it."""
        with self.state.read() as connection:
            [standing] = [
                row.standing for row in promise_rows.clocks_of(connection, self.ticket_no) if row.clock == "hand_over"
            ]
            told = [
                row.tell for row in promise_rows.told(connection, ticket_no=self.ticket_no) if row.clock == "hand_over"
            ]
        return standing, told[::-1]

    def sent(self) -> list[str]:
        with self.state.read() as connection:
            return [row.command.command for row in outbox_rows.outbox_of(connection, self.ticket_no)]


def test_its_clocks_follow_what_is_recorded_and_people_are_told_at_20_and_24_hours(tmp_path: Path) -> None:
    works = Works(tmp_path)
    with works.state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, works.ticket_no)
        message = outbox_rows.outbox_of(connection, works.ticket_no)[0].command.body
    assert ticket is not None
    assert (ticket.ticket_class, ticket.type, ticket.customers) == (TicketClass.PLANNED, "planned_interruption", 3)
    assert (message["class"], message["asset"]["customers"]) == ("PLANNED", 3)
    assert message["interruption"]["notice_by"] == "2026-01-15T17:00:00.000Z"
    assert works.clocks() == {"notice": "met", "restore": "waiting"}
    works.at(61)
    assert works.clocks()["restore"] == "waiting", "never by the clock alone"
    works.record("closed")
    assert works.clocks()["restore"] == "running"
    works.at(61 + 19.9)
    assert works.told() == []
    works.at(61 + 20.01)
    assert works.told() == [("restore", "duty_manager", False)]
    works.at(61 + 24.01)
    assert works.told()[1:] == [("restore", "head_of_operations", True)]
    works.at(61 + 25.02)
    assert works.told()[2:] == [("restore", "head_of_operations", True)]
    works.record("restored")
    assert works.clocks()["restore"] == "breached"
    assert works.sent() == ["open", "note", "note"]


def test_supply_that_is_back_in_time_keeps_the_promise_although_the_crew_ended_the_ticket_before(
    tmp_path: Path,
) -> None:
    works = Works(tmp_path)
    works.at(60)
    works.record("closed")
    with works.state.write() as connection:
        ticket = ticket_rows.find_ticket(connection, works.ticket_no)
        assert ticket is not None
        ticket_rows.update_ticket(connection, replace(ticket, state=TicketState.COMPLETED))
    works.at(66)
    works.record("restored")
    assert works.clocks() == {"notice": "met", "restore": "met"}
    assert works.sent() == ["open", "note"], "a ticket that has ended gets no more messages"


def test_notice_below_48_hours_is_a_broken_promise(tmp_path: Path) -> None:
    works = Works(tmp_path, replace(PLAN, planned_start=START + 47 * HOUR, short_notice=True))
    assert works.clocks()["notice"] == "breached"


def test_a_crew_is_due_before_the_work_begins_not_when_the_plan_is_entered(tmp_path: Path) -> None:
    works = Works(tmp_path)
    works.at(59.9)
    assert works.hand_over() == ("running", [])
    works.at(59.95)
    assert works.hand_over() == ("late", ["owner", "supervisor"])


def test_a_crew_that_was_sent_the_day_before_is_in_time(tmp_path: Path) -> None:
    works = Works(tmp_path)
    works.at(40)
    with works.state.write() as connection:
        now = works.clock.now()
        promise_rows.add_step(connection, works.ticket_no, "dispatched", now, entered_at=now, actor="crew desk")
        promise_rows.look_again(connection, works.ticket_no)
    works.at(61)
    assert works.hand_over() == ("met", [])


def test_a_plan_that_is_given_up_asks_for_the_end_of_its_ticket(tmp_path: Path) -> None:
    works = Works(tmp_path)
    works.record("cancelled")
    assert works.sent() == ["open", "cancel_request"]
    assert works.clocks() == {"notice": "met", "restore": "waiting"}


@pytest.mark.parametrize(
    ("zones", "assets", "customers"),
    [
        (("R-001",), (), 3),
        (("D-1", "R-001", "B-1"), ("M-000001",), 3),
        (("B-1",), ("M-000001", "M-000003", "M-000003"), 3),
        ((), ("REG-001",), 3),
        ((), ("REG-002", "S-01"), 0),
        (("B-2",), (), 1),
    ],
)
def test_each_customer_without_gas_counts_once(zones: tuple[str, ...], assets: tuple[str, ...], customers: int) -> None:
    assert planned.count_affected(small_network(), zones, assets) == Affected(customers, 0)


def test_a_zone_that_another_regulator_feeds_keeps_its_gas() -> None:
    network = small_network()
    second = replace(network.stations["REG-001"], station_id="REG-009")
    fed_twice = replace(network, stations={**network.stations, "REG-009": second})
    assert planned.stopped_zones(fed_twice, (), ("REG-001", "REG-001")) == set()
    assert planned.stopped_zones(fed_twice, (), ("REG-001", "REG-009")) == {"R-001", "B-1", "B-2"}
    assert planned.stopped_zones(network, (), ("REG-001",)) == {"R-001", "B-1", "B-2"}
