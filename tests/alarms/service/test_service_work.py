"""Reminders, faults that came back, visits, inspections: each figure equals a plain count; unknown is never none."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alarms.service.brief import make_brief
from alarms.service.brief_facts import TicketFact
from alarms.service.telephone import Telephone
from alarms.service.work_done import count_inspections, count_work
from gateway.model.call import Call, Said
from gateway.model.ticket import Ticket, TicketClass, TicketState
from gateway.store import brief_rows, ticket_event_rows, ticket_rows
from gateway.store.brief_rows import MonthTicket
from gateway.store.ticket_event_rows import TicketEvent
from tests.alarms.alarm_fixtures import START, make_desk

DAY = timedelta(days=1)
NUMBERS = ("+86 1", "+86 2")


def fact(number: int, dice: random.Random) -> TicketFact:
    done = dice.choice((None, START))
    return TicketFact(
        f"T-{number}", "REPAIR", "smell", "telephone", "D-1", "", START, None, None, None, done,
        reopened=dice.randrange(2), late_entries=0, not_believed=dice.randrange(2), replies=dice.randrange(4),
        visits=dice.randrange(3), reminders=dice.randrange(3), same_caller=dice.randrange(2),
        repeats=dice.choice(("", "T-0")),
    )  # fmt: skip


def test_each_figure_of_the_work_equals_a_plain_count_and_opens_to_its_tickets() -> None:
    dice = random.Random(8)
    tickets = [fact(number, dice) for number in range(300)]
    found = make_brief("2026-01", tickets)
    assert found.work is not None
    expected = {
        "reminders": sum(one.reminders for one in tickets),
        "same_caller": sum(one.same_caller for one in tickets),
        "repeated": len([one for one in tickets if one.repeats == "T-0"]),
        "visited": len([one for one in tickets if one.completed_at and one.visits > 0]),
        "one_visit": len([one for one in tickets if one.completed_at and (one.visits, one.reopened) == (1, 0)]),
        "untrue": sum(one.not_believed for one in tickets),
    }
    for name, count in expected.items():
        assert found.work.count(name) == len(found.opened[f"work:{name}:tickets"]) == count > 0, name
    assert found.work.one_visit_share == expected["one_visit"] / expected["visited"]
    assert found.work.untrue_share == expected["untrue"] / sum(one.replies for one in tickets)


def test_what_nobody_recorded_is_not_known_and_never_none() -> None:
    quiet = [replace(fact(1, random.Random(1)), visits=0, replies=0, not_believed=0)]
    work = count_work(quiet)
    assert [work.count(name) for name in ("visited", "one_visit", "untrue")] == [None, None, None]
    assert (work.one_visit_share, work.untrue_share) == (None, None)
    assert count_inspections({"homes": 7}, []) is None
    assert make_brief("2026-01", quiet).unrecorded == ("calls_answered", "third_party_survey", "first_ignition")


def test_inspections_count_customers_that_had_as_many_as_they_should() -> None:
    done = [
        ("T-1", "M-1", "homes"), ("T-2", "M-1", "homes"), ("T-3", "M-2", "homes"),
        ("T-4", "M-8", "others"), ("T-5", "M-9", "others"), ("T-6", "M-9", "others"),
    ]  # fmt: skip
    found = count_inspections({"homes": 4, "others": 5}, done)
    assert found is not None
    assert {group: (one.enough, one.share) for group, one in found.items()} == {"homes": (2, 0.5), "others": (1, 0.2)}
    assert found["homes"].tickets == ("T-1", "T-2", "T-3")


class Month:
    """A month of calls and of steps on a real state."""

    def __init__(self, folder: Path) -> None:
        self.desk = make_desk(folder)
        self.telephone = Telephone(self.desk.state, self.desk.network, self.desk.policy, self.desk.clock)
        self.calls = 0

    def at(self, moment: datetime) -> None:
        self.desk.clock.set(moment)  # type: ignore[attr-defined]

    def call(self, number: str, join: str = "", **said: str) -> str:
        self.calls += 1
        call = Call(self.desk.clock.now(), number, "1 Main Street", what=Said.OTHER, **said)  # type: ignore[arg-type]
        return self.telephone.take(call, "li", f"r{self.calls}", wall_s=0.0, join=join).ticket_no

    def step(self, ticket_no: str, version: int, word: str, **data: object) -> None:
        now = self.desk.clock.now()
        event = TicketEvent("desk", f"{ticket_no}-{version}", ticket_no, word, version, now, now, "crew 1", data)
        with self.desk.state.write() as connection:
            ticket_event_rows.insert_event(connection, event)
            ticket = ticket_rows.find_ticket(connection, ticket_no)
            assert ticket is not None
            done = now if word == "completed" else ticket.completed_at
            ticket_rows.update_ticket(connection, replace(ticket, state=TicketState(word), completed_at=done))

    def read(self) -> dict[str, MonthTicket]:
        with self.desk.state.read() as connection:
            found = brief_rows.tickets_between(connection, START - 365 * DAY, START + 365 * DAY)
        return {one.ticket_no: one for one in found}


def test_calls_and_steps_are_counted_as_a_plain_walk_over_what_happened_counts_them(tmp_path: Path) -> None:
    month, dice = Month(tmp_path), random.Random(4)
    calls: dict[str, list[str]] = {}
    steps: dict[str, list[str]] = {}
    for number in range(40):
        month.at(START + number * timedelta(minutes=1))
        caller = dice.choice(NUMBERS)
        known = dice.choice([*calls, ""]) if calls else ""
        calls.setdefault(month.call(caller, join=known), []).append(caller)
    for ticket_no in calls:
        steps[ticket_no] = dice.choices(("departed", "arrived", "fixed"), k=dice.randrange(5))
        for version, word in enumerate(steps[ticket_no], 1):
            month.step(ticket_no, version, word, **({"not_believed": "x"} if word == "fixed" else {}))
    found = month.read()
    assert {name: one.reminders for name, one in found.items()} == {name: len(of) - 1 for name, of in calls.items()}
    assert {name: one.same_caller for name, one in found.items()} == {
        name: sum(of[at] in of[:at] for at in range(1, len(of))) for name, of in calls.items()
    }
    assert {name: (one.replies, one.visits, one.not_believed) for name, one in found.items()} == {
        name: (len(of), of.count("arrived"), of.count("fixed")) for name, of in steps.items()
    }
    assert max(one.same_caller for one in found.values()) > 1
    month.desk.state.close()


@pytest.mark.parametrize(
    ("days", "asset", "again"),
    [(89, "REG-001", True), (91, "REG-001", False), (89, "REG-002", False), (89, "", False)],
)
def test_a_danger_is_back_if_the_same_fault_returns_soon_after_the_work(
    tmp_path: Path, days: int, asset: str, again: bool
) -> None:
    month = Month(tmp_path)
    first = month.call("+86 1", asset="REG-001" if asset else "")
    month.at(START + timedelta(hours=2))
    month.step(first, 1, "completed")
    month.at(START + timedelta(hours=2) + days * DAY)
    second = month.call("+86 2", asset=asset)
    assert {name: one.repeats for name, one in month.read().items()} == {first: "", second: first if again else ""}
    month.desk.state.close()


def test_two_open_tickets_about_one_fault_are_no_return_of_it(tmp_path: Path) -> None:
    month = Month(tmp_path)
    month.call("+86 1", asset="REG-001")
    month.at(START + DAY)
    month.call("+86 2", asset="REG-001")
    assert {one.repeats for one in month.read().values()} == {""}
    month.desk.state.close()


def test_inspections_are_found_by_their_type_and_the_moment_of_completion(tmp_path: Path) -> None:
    month = Month(tmp_path)
    with month.desk.state.write() as connection:
        for number, at in enumerate((START - DAY, START, START + DAY, None)):
            ticket = Ticket(
                f"T-20260115-00000{number}", f"k{number}", TicketClass.SERVICE, brief_rows.INSPECTION, "M-000001", "",
                "", TicketState.OPEN, START - 2 * DAY, None, None, "", "", completed_at=at,
            )  # fmt: skip
            ticket_rows.insert_ticket(connection, ticket)
        found = brief_rows.inspections_between(connection, START, START + DAY)
    assert found == [("T-20260115-000001", "M-000001")]
    month.desk.state.close()
