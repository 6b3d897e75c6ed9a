"""Findings become tickets: the most certain first, as many as crews can do, one open ticket a meter."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from alarms.route import TicketPolicy
from alarms.service.calendar import official
from alarms.service.release import Checks
from gateway.errors import RefusedError
from gateway.model.finding import Finding, FindingStatus
from gateway.model.reading import to_us
from gateway.model.ticket import TicketClass
from gateway.runtime.clock import ManualClock
from gateway.store import finding_rows, outbox_rows, promise_rows, ticket_rows
from gateway.store.state import State
from tests.alarms.alarm_fixtures import small_network

FRIDAY = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)
"""8:30 in Shanghai"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(to_us(FRIDAY))


@pytest.fixture
def checks(tmp_path: Path, clock: ManualClock) -> Checks:
    return Checks(State.in_folder(tmp_path), small_network(), TicketPolicy(), official(), clock, a_day=2)


def find(checks: Checks, kind: str, meter: str | None, score: float, zone: str = "R-001") -> int:
    finding = Finding(kind, zone, meter, FRIDAY, FRIDAY, score, 1.5, {"alternatives": {"leak": 0.1}})
    with checks.state.write() as connection:
        (stored,) = finding_rows.apply_changes(connection, 0, raised=[finding])
    return stored.finding_id


def opened(checks: Checks) -> list[tuple[str, str]]:
    with checks.state.read() as connection:
        return sorted((one.asset, one.type) for one in ticket_rows.list_tickets(connection))


def test_each_morning_the_most_certain_go_out_and_weak_ones_never_by_themselves(
    checks: Checks, clock: ManualClock
) -> None:
    for number, score in ((1, 0.7), (2, 0.95), (3, 0.8)):
        find(checks, "theft", f"M-00000{number}", score)
    find(checks, "non_moving", "M-000009", 0.4)
    find(checks, "leak", None, 0.99)
    clock.set(FRIDAY.replace(hour=0, minute=0) - (FRIDAY - FRIDAY.replace(minute=0)))
    assert checks.morning(wall_s=1.0) == 0, "before eight"
    clock.set(FRIDAY)
    assert checks.morning(wall_s=1.0) == 2
    assert opened(checks) == [("M-000002", "theft"), ("M-000003", "theft")]
    assert checks.morning(wall_s=2.0) == 0, "once a day"
    clock.set(datetime(2026, 11, 21, 1, tzinfo=UTC))
    assert checks.morning(wall_s=3.0) == 0, "not on a Saturday"
    clock.set(datetime(2026, 11, 23, 1, tzinfo=UTC))
    assert checks.morning(wall_s=4.0) == 1
    assert len(opened(checks)) == 3


def test_a_clock_that_was_ahead_once_holds_no_check_up(checks: Checks, clock: ManualClock) -> None:
    clock.set(datetime(2028, 11, 20, 1, tzinfo=UTC))
    assert checks.morning(wall_s=1.0) == 0
    find(checks, "theft", "M-000001", 0.9)
    clock.set(FRIDAY)
    assert checks.morning(wall_s=2.0) == 1
    find(checks, "theft", "M-000002", 0.9)
    assert checks.morning(wall_s=3.0) == 0


def test_a_further_finding_of_the_meter_joins_its_open_ticket(checks: Checks) -> None:
    first = checks.release(find(checks, "non_moving", "M-000001", 0.9), "ann", wall_s=1.0)
    again = checks.release(find(checks, "theft", "M-000001", 0.8), "ann", wall_s=2.0)
    assert (again.ticket_no, again.joined) == (first.ticket_no, first.ticket_no)
    with checks.state.read() as connection:
        sent = [row.command for row in outbox_rows.outbox_of(connection, first.ticket_no)]
        steps = promise_rows.steps_of(connection, first.ticket_no, FRIDAY)
    assert [one.command for one in sent] == ["open", "update"]
    assert sent[0].body["title"].startswith("Inspect")
    assert sent[1].body["finding"]["two_persons"] is True
    assert steps["released"] == [FRIDAY]


def test_a_finding_is_released_once_and_only_while_it_is_open(checks: Checks) -> None:
    number = find(checks, "leak", None, 0.6)
    released = checks.release(number, "ann", wall_s=1.0)
    with checks.state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, released.ticket_no)
    assert ticket is not None
    assert (ticket.ticket_class, ticket.type, ticket.asset) == (TicketClass.URGENT, "leak_survey", "R-001")
    with pytest.raises(RefusedError) as refused:
        checks.release(number, "ann", wall_s=2.0)
    assert refused.value.code == "released"
    settled = find(checks, "theft", "M-000002", 0.9)
    with checks.state.write() as connection:
        finding = finding_rows.get_finding(connection, settled).finding
        ended = Finding(
            **{name: getattr(finding, name) for name in Finding.__slots__} | {"status": FindingStatus.ENDED}
        )
        finding_rows.apply_changes(connection, 1, ended=[ended])
    with pytest.raises(RefusedError) as refused:
        checks.release(settled, "ann", wall_s=3.0)
    assert refused.value.code == "not_open"


def test_without_a_number_nothing_goes_out_by_itself(checks: Checks) -> None:
    find(checks, "theft", "M-000001", 0.99)
    silent = Checks(checks.state, checks.network, checks.policy, checks.calendar, checks.clock)
    assert silent.morning(wall_s=1.0) == 0
    assert opened(checks) == []
