from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import Acknowledge, ConditionFalls, ConditionRises, Reset, RuleOn, ShelfOver, Shelve, TicketDue
from gateway.errors import RefusedError
from gateway.model.alarm import Alarm, AlarmState, Priority
from gateway.model.ticket import DeliveryState, TicketClass
from gateway.runtime.clock import ManualClock
from gateway.store import alarm_rows, outbox_rows, tables, ticket_event_rows, ticket_rows
from tests.alarms.alarm_fixtures import START, make_desk, minutes

GAS = "GAS_CONC_HIHI@REG-001"
LOW = "UNDERPRESS_LO@REG-001"


def rise(desk: AlarmDesk, alarm_id: str, value: float = 28.0) -> Alarm:
    return desk.commit([Edge(alarm_id, ConditionRises(desk.clock.now(), value))])[0]


def fall(desk: AlarmDesk, alarm_id: str) -> Alarm:
    return desk.commit([Edge(alarm_id, ConditionFalls())])[0]


def advance(desk: AlarmDesk, by: timedelta) -> None:
    assert isinstance(desk.clock, ManualClock)
    desk.clock.advance(by.total_seconds())


def test_an_emergency_gets_a_ticket_with_its_clocks_in_the_same_commit(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    alarm = rise(desk, GAS)
    assert alarm.state is AlarmState.UNACKNOWLEDGED
    with desk.state.read() as connection:
        (ticket,) = ticket_rows.list_open(connection)
        (sent,) = outbox_rows.outbox_of(connection, ticket.ticket_no)
        events = [entry.event for entry in alarm_rows.journal(connection, GAS)]
    assert ticket.ticket_no == "T-20260115-000001"
    assert ticket.dedup_key == "hq.1:REG-001:GAS_CONC_HIHI:1"
    assert ticket.depart_by == START + minutes(3)
    assert ticket.arrive_by == START + minutes(30)
    assert (sent.command.command, sent.command.command_no, sent.state) == ("open", 1, DeliveryState.PENDING)
    assert sent.command.body["alarm"]["value"] == 28.0
    assert events == ["raised", "announced"]


def test_a_remote_station_has_fifty_minutes(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    rise(desk, "GAS_CONC_HIHI@S-01")
    with desk.state.read() as connection:
        assert ticket_rows.list_open(connection)[0].arrive_by == START + minutes(50)


def test_alarms_of_one_regulator_zone_join_one_ticket_until_the_crew_has_left(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    rise(desk, GAS)
    rise(desk, "OVERPRESS_HIHI@REG-001")
    rise(desk, "LEAK_ZONE@R-001")
    rise(desk, "GAS_CONC_HIHI@REG-002")
    with desk.state.read() as connection:
        first, second = ticket_rows.list_open(connection)
        assert len(ticket_rows.alarms_of(connection, first.ticket_no)) == 3
        commands = [row.command.command for row in outbox_rows.outbox_of(connection, first.ticket_no)]
    assert commands == ["open", "update", "update"]
    assert second.scope == "R-002"
    with desk.state.write() as connection:
        ticket_rows.close_to_joining(connection, first.ticket_no)
    rise(desk, "LEAK_BURST@REG-001")
    with desk.state.read() as connection:
        assert len(ticket_rows.list_open(connection)) == 3


def test_an_emergency_never_joins_an_urgent_ticket_but_the_reverse_may(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    rise(desk, "OVERPRESS_HI@REG-001")
    rise(desk, "OVERPRESS_HIHI@REG-001")
    with desk.state.read() as connection:
        assert {ticket.ticket_class for ticket in ticket_rows.list_open(connection)} == {
            TicketClass.URGENT,
            TicketClass.EMERGENCY,
        }
    other = make_desk(tmp_path / "other")
    rise(other, "OVERPRESS_HIHI@REG-001")
    rise(other, "OVERPRESS_HI@REG-001")
    with other.state.read() as connection:
        assert len(ticket_rows.list_open(connection)) == 1


def test_homes_of_two_buildings_never_share_a_ticket(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    for meter in ("M-000001", "M-000002", "M-000003"):
        rise(desk, f"HOME_GAS_SENSOR@{meter}")
    with desk.state.read() as connection:
        scopes = sorted(ticket.scope for ticket in ticket_rows.list_open(connection))
    assert scopes == ["B-1", "B-2"]


def test_a_new_occurrence_after_the_latch_gets_its_own_key_and_an_old_ack_is_refused(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    rise(desk, GAS)
    assert fall(desk, GAS).state is AlarmState.LATCHED_UNACKNOWLEDGED
    with desk.state.write() as connection:
        (ticket,) = ticket_rows.list_open(connection)
        ticket_rows.close_to_joining(connection, ticket.ticket_no)
    assert rise(desk, GAS).occurrence_no == 2
    with pytest.raises(RefusedError) as refused:
        desk.apply(GAS, Acknowledge(1, "li"), "li")
    assert refused.value.code == "stale_occurrence"
    with desk.state.read() as connection:
        keys = [ticket.dedup_key for ticket in ticket_rows.list_open(connection)]
    assert keys == ["hq.1:REG-001:GAS_CONC_HIHI:1", "hq.1:REG-001:GAS_CONC_HIHI:2"]
    assert desk.apply(GAS, Acknowledge(2, "li"), "li").acked


def test_a_request_id_is_for_one_alarm(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    first, second = "GAS_CONC_HIHI@REG-001", "GAS_CONC_HIHI@REG-002"
    desk.commit([Edge(one, ConditionRises(START, 28.0)) for one in (first, second)])
    desk.apply(first, Acknowledge(1, "li"), "li", "same-id")
    with pytest.raises(RefusedError, match="another alarm") as refused:
        desk.apply(second, Acknowledge(1, "li"), "li", "same-id")
    assert (refused.value.status, refused.value.code) == (409, "request_id_used")
    with desk.state.read() as connection:
        alarm = alarm_rows.load(connection, second)
    assert alarm is not None
    assert not alarm.acked, "nobody may believe to have acknowledged what is still unacknowledged"


def test_the_same_request_id_answers_the_same_and_does_nothing(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    rise(desk, GAS)
    first = desk.apply(GAS, Acknowledge(1, "li"), "li", "r-1")
    again = desk.apply(GAS, Acknowledge(1, "li"), "li", "r-1")
    assert again == first
    with pytest.raises(RefusedError, match="another person"):
        desk.apply(GAS, Acknowledge(1, "wu"), "wu", "r-1")
    for _ in range(2):
        with pytest.raises(RefusedError) as refused:
            desk.apply(GAS, Reset("li"), "li", "r-2")
        assert refused.value.code == "condition_active"
    with desk.state.read() as connection:
        events = [entry.event for entry in alarm_rows.journal(connection, GAS)]
    assert events == ["raised", "announced", "acknowledged"]


def test_an_old_version_and_an_unknown_alarm_are_refused(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    alarm = rise(desk, GAS)
    with pytest.raises(RefusedError) as refused:
        desk.apply(GAS, Acknowledge(1, "li"), "li", version=alarm.version - 1)
    assert (refused.value.status, refused.value.code) == (409, "conflict")
    for unknown in ("GAS_CONC_HIHI@nobody", "NOTHING@REG-001", "GAS_CONC_HIHI", ""):
        with pytest.raises(RefusedError) as refused:
            desk.apply(unknown, Acknowledge(1, "li"), "li")
        assert refused.value.status == 404
    with pytest.raises(RefusedError, match="rule_only"):
        desk.apply(LOW, RuleOn("higher_limit", person=True), "li")


def test_a_shelf_ends_to_unacknowledged_and_announces_again(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    rise(desk, LOW, 1.4)
    desk.apply(LOW, Shelve(START + minutes(30), "filter exchange", "li"), "li")
    assert desk.commit([Edge(LOW, ShelfOver())])[0].state is AlarmState.SHELVED
    advance(desk, minutes(30))
    alarm = desk.commit([Edge(LOW, ShelfOver())])[0]
    assert (alarm.state, alarm.acked) == (AlarmState.UNACKNOWLEDGED, False)
    with desk.state.read() as connection:
        assert alarm_rows.journal(connection, LOW)[-1].event == "announced_again"


def test_a_delayed_ticket_opens_when_due_and_counts_from_raised(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    silent = "STATION_COMM_LOSS@REG-002"
    rise(desk, silent)
    advance(desk, minutes(4))
    desk.commit([Edge(silent, TicketDue())])
    with desk.state.read() as connection:
        assert ticket_rows.list_open(connection) == []
    advance(desk, minutes(1))
    desk.commit([Edge(silent, TicketDue()), Edge(silent, TicketDue())])
    with desk.state.read() as connection:
        (ticket,) = ticket_rows.list_open(connection)
    assert (ticket.raised_at, ticket.arrive_by) == (START, START + minutes(240))


def test_a_return_is_told_to_the_ticket_and_ends_nothing(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    rise(desk, GAS)
    fall(desk, GAS)
    with desk.state.read() as connection:
        (ticket,) = ticket_rows.list_open(connection)
        assert [row.command.command for row in outbox_rows.outbox_of(connection, ticket.ticket_no)] == ["open", "rtn"]
        assert [entry.what for entry in ticket_event_rows.timeline(connection, ticket.ticket_no)] == [
            "sent:open",
            "sent:rtn",
            "alarm",
        ]


def test_one_changed_byte_in_the_journal_is_found(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    rise(desk, GAS)
    rise(desk, LOW)
    desk.apply(GAS, Acknowledge(1, "li"), "li")
    with desk.state.write() as connection:
        assert alarm_rows.verify_journal(connection) is None
        wanted = tables.journal.c.seq == 3
        connection.execute(tables.journal.update().where(wanted).values(actor="lo"))
        assert alarm_rows.verify_journal(connection) == 3


def test_lists_and_counts_show_what_waits(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    rise(desk, LOW, 1.4)
    advance(desk, minutes(1))
    rise(desk, GAS)
    desk.apply(LOW, Acknowledge(1, "li"), "li")
    with desk.state.read() as connection:
        assert [alarm.alarm_id for alarm in alarm_rows.list_active(connection)] == [GAS, LOW]
        assert alarm_rows.list_active(connection, assets=["REG-009"]) == []
        assert alarm_rows.count_unacknowledged(connection) == {
            Priority.P1: 1,
            Priority.P2: 0,
            Priority.P3: 0,
            Priority.P4: 0,
        }
        assert alarm_rows.last_journal_seq(connection) == 5
        assert [entry.event for entry in alarm_rows.journal_after(connection, 4)] == ["acknowledged"]
