from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import Acknowledge, ConditionRises
from alarms.service.desk import ServiceDesk
from alarms.tickets.desk import Order, TicketDesk
from gateway.errors import RefusedError
from gateway.model.ticket import DeliveryState, Ticket, TicketAct, TicketState
from gateway.store import delivery_rows, outbox_rows, promise_rows, ticket_rows, user_rows
from tests.alarms.alarm_fixtures import START, make_desk, minutes

FIRST = "T-20260115-000001"
SECOND = "T-20260115-000002"


@pytest.fixture
def alarms(tmp_path: Path) -> AlarmDesk:
    made = make_desk(tmp_path)
    rise(made, "GAS_CONC_HIHI@REG-001")
    return made


@pytest.fixture
def desk(alarms: AlarmDesk) -> TicketDesk:
    return TicketDesk(alarms.state, alarms.definitions, alarms.network, alarms.clock, alarms.policy)


def rise(alarms: AlarmDesk, alarm_id: str, *, after: float = 0.0) -> None:
    alarms.clock.advance(after * 60)  # type: ignore[attr-defined]
    alarms.commit([Edge(alarm_id, ConditionRises(alarms.clock.now(), 28.0))])


def ticket_of(alarms: AlarmDesk, alarm_id: str, number: int = 1) -> Ticket:
    with alarms.state.read() as connection:
        found = ticket_rows.ticket_of(connection, alarm_id, number)
    assert found is not None
    return found


def sent(alarms: AlarmDesk, number: str) -> list[str]:
    with alarms.state.read() as connection:
        return [row.command.command for row in outbox_rows.outbox_of(connection, number)]


def test_a_split_alarm_has_its_own_ticket_and_clock_and_none_joins_either(alarms: AlarmDesk, desk: TicketDesk) -> None:
    rise(alarms, "GAS_CONC_HI@REG-001", after=5)
    assert ticket_of(alarms, "GAS_CONC_HI@REG-001").ticket_no == FIRST
    answer = desk.split(FIRST, "GAS_CONC_HI@REG-001", 1, who="li", reason="another street", request_id="r1")
    own = ticket_of(alarms, "GAS_CONC_HI@REG-001")
    assert answer["ticket_no"] == own.ticket_no == SECOND
    assert own.dedup_key == "hq.1:REG-001:GAS_CONC_HI:1"
    assert own.raised_at == START + minutes(5)
    assert own.depart_by == START + minutes(8)
    assert sent(alarms, FIRST) == ["open", "update", "note"]
    assert sent(alarms, SECOND) == ["open"]
    rise(alarms, "OVERPRESS_HIHI@REG-001")
    assert ticket_of(alarms, "OVERPRESS_HIHI@REG-001").ticket_no not in (FIRST, SECOND)
    again = desk.split(FIRST, "GAS_CONC_HI@REG-001", 1, who="li", reason="another street", request_id="r1")
    assert again == answer
    with alarms.state.read() as connection:
        assert [act.act for act in delivery_rows.acts_on(connection, FIRST)] == [TicketAct.SPLIT]
        assert user_rows.list_audit(connection, None, 1)[0].act == "ticket.act"


@pytest.mark.parametrize(
    ("number", "alarm_id", "code"),
    [
        ("T-1", "GAS_CONC_HIHI@REG-001", "unknown_ticket"),
        (FIRST, "GAS_CONC_HIHI@REG-001", "not_joined"),
        (FIRST, "GAS_CONC_HI@REG-001", "not_joined"),
        (FIRST, "nonsense", "not_joined"),
    ],
)
def test_what_did_not_join_cannot_be_split(
    alarms: AlarmDesk, desk: TicketDesk, number: str, alarm_id: str, code: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        desk.split(number, alarm_id, 1, who="li", reason="x", request_id="r1")
    assert refused.value.code == code
    assert sent(alarms, FIRST) == ["open"]


def test_two_tickets_are_linked_and_both_live(alarms: AlarmDesk, desk: TicketDesk) -> None:
    rise(alarms, "GAS_CONC_HIHI@REG-002")
    desk.link(FIRST, SECOND, who="li", reason="one smell", request_id="r1")
    with alarms.state.read() as connection:
        for here, there in ((FIRST, SECOND), (SECOND, FIRST)):
            (act,) = delivery_rows.acts_on(connection, here)
            assert (act.act, act.who, act.data["ticket_no"]) == (TicketAct.LINK, "li", there)
        assert {one.state for one in ticket_rows.list_open(connection)} == {TicketState.OPEN}
    assert sent(alarms, FIRST) == ["open", "note"]


def test_an_emergency_links_the_lower_ticket_of_its_incident(alarms: AlarmDesk) -> None:
    rise(alarms, "OVERPRESS_HI@REG-002")
    rise(alarms, "OVERPRESS_HIHI@REG-002")
    lower, grave = ticket_of(alarms, "OVERPRESS_HI@REG-002"), ticket_of(alarms, "OVERPRESS_HIHI@REG-002")
    assert lower.ticket_no != grave.ticket_no
    assert sent(alarms, lower.ticket_no) == ["open", "note"]
    with alarms.state.read() as connection:
        (act,) = delivery_rows.acts_on(connection, grave.ticket_no)
        opened = outbox_rows.outbox_of(connection, grave.ticket_no)[0]
    assert act.data["ticket_no"] == lower.ticket_no
    assert opened.command.body["linked"] == [lower.ticket_no]


def test_only_a_supervisor_asks_for_the_end_of_an_emergency_and_nothing_ends_by_it(
    alarms: AlarmDesk, desk: TicketDesk
) -> None:
    before = ticket_of(alarms, "GAS_CONC_HIHI@REG-001")
    with pytest.raises(RefusedError, match="supervisor"):
        desk.ask_to_cancel(FIRST, who="li", reason="false alarm", supervisor=False, request_id="r1")
    desk.ask_to_cancel(FIRST, who="wang", reason="false alarm", supervisor=True, request_id="r2")
    assert sent(alarms, FIRST) == ["open", "cancel_request"]
    assert ticket_of(alarms, "GAS_CONC_HIHI@REG-001") == before


def test_a_request_id_serves_one_person_and_one_ticket(alarms: AlarmDesk, desk: TicketDesk) -> None:
    rise(alarms, "GAS_CONC_HIHI@REG-002")
    desk.note(FIRST, who="li", text="the gate is locked", request_id="r1")
    for number, who in ((FIRST, "wang"), (SECOND, "li")):
        with pytest.raises(RefusedError, match="request id"):
            desk.note(number, who=who, text="the gate is locked", request_id="r1")
    assert sent(alarms, FIRST) == ["open", "note"]


def test_given_up_commands_are_sent_again_with_their_own_id(alarms: AlarmDesk, desk: TicketDesk) -> None:
    with alarms.state.write() as connection:
        (row,) = outbox_rows.outbox_of(connection, FIRST)
        outbox_rows.set_delivery(connection, row.id, DeliveryState.DEAD, attempts=3, next_at=0.0, error="400")
    assert desk.send_again([row.id, row.id + 1], who="li", request_id="r1")["sent_again"] == [row.id]
    with alarms.state.read() as connection:
        (after,) = outbox_rows.outbox_of(connection, FIRST)
    assert (after.state, after.attempts) == (DeliveryState.UNKNOWN, 0)
    assert after.command.webhook_id == row.command.webhook_id


def test_a_ticket_that_was_given_up_takes_no_further_alarm(alarms: AlarmDesk) -> None:
    with alarms.state.write() as connection:
        (row,) = outbox_rows.outbox_of(connection, FIRST)
        outbox_rows.set_delivery(connection, row.id, DeliveryState.DEAD, attempts=3, next_at=0.0, error="400")
    rise(alarms, "GAS_CONC_HI@REG-001")
    assert ticket_of(alarms, "GAS_CONC_HI@REG-001").ticket_no == SECOND


def test_a_request_id_of_a_ticket_serves_no_alarm(alarms: AlarmDesk, desk: TicketDesk) -> None:
    desk.note(FIRST, who="li", text="the gate is locked", request_id="r1")
    with pytest.raises(RefusedError, match="request id"):
        alarms.apply("GAS_CONC_HIHI@REG-001", Acknowledge(1, "li"), "li", "r1")


ORDER = Order("complaint", START, "1 Main Street", "Mrs Li", "13800000000", note="the crew came late")


def service_of(alarms: AlarmDesk) -> ServiceDesk:
    policy = alarms.policy
    return ServiceDesk(alarms.state, policy.promises, policy.calendar, alarms.network, alarms.clock)


def standing(alarms: AlarmDesk, number: str) -> dict[str, str]:
    with alarms.state.read() as connection:
        return {row.clock: row.standing for row in promise_rows.clocks_of(connection, number)}


def test_a_complaint_is_a_ticket_whose_clocks_people_stop(alarms: AlarmDesk, desk: TicketDesk) -> None:
    number = desk.order(ORDER, who="li", request_id="o1")["ticket_no"]
    assert desk.order(ORDER, who="li", request_id="o1")["ticket_no"] == number
    service = service_of(alarms)
    service.sweep()
    assert standing(alarms, number) == {"hand_over": "running", "first_answer": "running", "solution": "running"}
    alarms.clock.advance(3600)  # type: ignore[attr-defined]
    service.step(number, "responded", START + minutes(30), "li", "called her")
    alarms.clock.advance(4 * 86_400)  # type: ignore[attr-defined]
    service.step(number, "answered", alarms.clock.now(), "li")
    after = standing(alarms, number)
    assert (after["first_answer"], after["solution"]) == ("met", "breached")
    with alarms.state.read() as connection:
        (opened,) = outbox_rows.outbox_of(connection, number)
    assert opened.command.body["contact"] == {"name": "Mrs Li", "phone": "13800000000"}
    assert opened.command.dedup_key == f"hq.1:ORDER:COMPLAINT:{number.removeprefix('T-')}"


def test_steps_and_orders_that_cannot_be_are_refused(alarms: AlarmDesk, desk: TicketDesk) -> None:
    number = desk.order(ORDER, who="li", request_id="o1")["ticket_no"]
    service = service_of(alarms)
    service.sweep()
    steps = (
        ("T-1", "responded", START, "unknown_ticket"),
        (number, "danced", START, "unknown_step"),
        (number, "dispatched", START, "not_ours"),
        (number, "reported", START, "not_ours"),
        (number, "responded", START - minutes(1), "step_time"),
        (number, "responded", START + minutes(10), "step_time"),
    )
    for ticket_no, step, at, code in steps:
        with pytest.raises(RefusedError) as refused:
            service.step(ticket_no, step, at, "li")
        assert refused.value.code == code
    orders = (
        (replace(ORDER, type="dance"), "unknown_type"),
        (replace(ORDER, asset="M-9"), "unknown_asset"),
        (replace(ORDER, reported_at=START - minutes(8 * 1440)), "reported_at"),
    )
    for count, (order, code) in enumerate(orders):
        with pytest.raises(RefusedError) as refused:
            desk.order(order, who="li", request_id=f"bad {count}")
        assert refused.value.code == code
    assert set(standing(alarms, number).values()) == {"running"}
