from __future__ import annotations

import itertools
import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionRises
from alarms.tickets.events import LONGEST_BODY, receive
from alarms.tickets.signature import signed_headers
from gateway.model.ticket import Ticket, TicketState
from gateway.runtime.clock import ManualClock
from gateway.store import ticket_event_rows, ticket_rows, user_rows
from tests.alarms.alarm_fixtures import START, make_desk, minutes
from tests.alarms.desk_server import OTHER, SECRET

KEY = "hq.1:REG-001:GAS_CONC_HIHI:1"


@pytest.fixture
def desk(tmp_path: Path) -> AlarmDesk:
    made = make_desk(tmp_path)
    made.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionRises(START, 28.0))])
    assert isinstance(made.clock, ManualClock)
    made.clock.advance(20 * 60)
    return made


def event(step: str, version: int, at: datetime, **changes: Any) -> dict[str, Any]:
    data = {
        "dedup_key": KEY,
        "external_ticket_id": "D-1",
        "version": version,
        "occurred_at": at.isoformat(),
        "actor": "crew 3",
        **changes,
    }
    return {"specversion": "1.0", "id": f"e-{version}", "source": "urn:desk", "type": step, "data": data}


def post(desk: AlarmDesk, envelope: Any, *, secret: str = SECRET, age_s: float = 0.0) -> int:
    body = json.dumps(envelope)
    headers = signed_headers(body, "evt_1", datetime.now(UTC) - timedelta(seconds=age_s), [secret])
    return receive(desk.state, body.encode(), headers, [OTHER, SECRET], desk.clock)


def ticket_of(desk: AlarmDesk) -> Ticket:
    with desk.state.read() as connection:
        ticket = ticket_rows.find_by_key(connection, KEY)
    assert ticket is not None
    return ticket


STORY = [
    event("accepted", 1, START + minutes(1)),
    event("dispatched", 2, START + minutes(2)),
    event("com.example.departed.v1", 3, START + minutes(2.5)),
    event("arrived", 4, START + minutes(14)),
]


def test_a_crews_way_stands_on_the_ticket(desk: AlarmDesk) -> None:
    assert [post(desk, one) for one in STORY] == [204] * 4
    ticket = ticket_of(desk)
    assert (ticket.state, ticket.external_version, ticket.external_id) == (TicketState.ARRIVED, 4, "D-1")
    assert ticket.departed_at == START + minutes(2.5)
    assert ticket.arrived_at == START + minutes(14)
    assert ticket.depart_by == START + minutes(3)
    with desk.state.read() as connection:
        assert ticket_rows.find_joinable(connection, "network", "R-001", [ticket.ticket_class]) is None
        lines = [entry.what for entry in ticket_event_rows.timeline(connection, ticket.ticket_no)]
    assert lines[-4:] == ["accepted", "dispatched", "departed", "arrived"]


def test_shuffled_and_doubled_events_end_in_the_same_ticket(desk: AlarmDesk) -> None:
    for one in STORY:
        post(desk, one)
    in_order = ticket_of(desk)
    for number, order in enumerate(itertools.islice(itertools.permutations(STORY), 0, 24, 5)):
        other = make_desk(desk_folder(desk) / str(number), desk.clock)  # type: ignore[arg-type]
        other.clock.set(START)  # type: ignore[attr-defined]
        other.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionRises(START, 28.0))])
        other.clock.set(START + minutes(20))  # type: ignore[attr-defined]
        assert {post(other, one) for one in [*order, *order]} == {204}
        assert ticket_of(other) == in_order
        with other.state.read() as connection:
            assert len(ticket_event_rows.events_of(connection, in_order.ticket_no)) == 4


def desk_folder(desk: AlarmDesk) -> Path:
    return Path(str(desk.state.engine.url.database)).parent


@pytest.mark.parametrize("step", ["in_progress", "supply_restored", "fixed", "left_site"])
def test_a_ticket_whose_crew_was_there_takes_no_new_leak_though_its_leaving_was_never_told(
    desk: AlarmDesk, step: str
) -> None:
    assert post(desk, event(step, 6, START + minutes(15))) == 204
    desk.commit([Edge("GAS_CONC_HI@REG-001", ConditionRises(START + minutes(20), 12.0))])
    with desk.state.read() as connection:
        second = ticket_rows.ticket_of(connection, "GAS_CONC_HI@REG-001", 1)
    assert second is not None
    assert second.ticket_no != ticket_of(desk).ticket_no


def test_a_lower_version_never_moves_a_ticket_back(desk: AlarmDesk) -> None:
    post(desk, STORY[3])
    post(desk, STORY[1])
    ticket = ticket_of(desk)
    assert (ticket.state, ticket.external_version) == (TicketState.ARRIVED, 4)
    assert ticket.dispatched_at == START + minutes(2)


def test_a_reopened_ticket_is_not_completed(desk: AlarmDesk) -> None:
    post(desk, event("completed", 5, START + minutes(15)))
    post(desk, event("reopened", 6, START + minutes(16)))
    assert ticket_of(desk).completed_at is None
    post(desk, event("completed", 7, START + minutes(18)))
    assert ticket_of(desk).completed_at == START + minutes(18)


@pytest.mark.parametrize("at", [START - minutes(1), START + minutes(23)])
def test_a_time_before_opening_or_in_the_future_is_not_believed(desk: AlarmDesk, at: datetime) -> None:
    assert post(desk, event("arrived", 1, at)) == 204
    assert ticket_of(desk).arrived_at == START + minutes(20)
    with desk.state.read() as connection:
        (stored,) = ticket_event_rows.events_of(connection, ticket_of(desk).ticket_no)
    assert stored.data["not_believed"] == at.isoformat()


def test_an_entry_made_late_is_marked(desk: AlarmDesk) -> None:
    post(desk, event("departed", 1, START + minutes(2)))
    with desk.state.read() as connection:
        (stored,) = ticket_event_rows.events_of(connection, ticket_of(desk).ticket_no)
    assert stored.data == {"late_entry": True}


def test_bad_and_old_signatures_are_401_and_strange_keys_409(desk: AlarmDesk) -> None:
    wrong = SECRET[:-6] + "AAAAA="
    assert post(desk, STORY[0], secret=wrong) == 401
    assert post(desk, STORY[0], age_s=301) == 401
    assert post(desk, STORY[0], age_s=-310) == 401
    assert receive(desk.state, b"{}", {}, [SECRET], desk.clock) == 401
    assert receive(desk.state, b"x" * (LONGEST_BODY + 1), {}, [SECRET], desk.clock) == 413
    assert post(desk, STORY[0], secret=OTHER) == 204
    assert post(desk, event("accepted", 1, START, dedup_key="hq.1:nobody:X:1")) == 409


def test_an_event_about_a_strange_ticket_is_kept_once(desk: AlarmDesk) -> None:
    strange = event("arrived", 4, START, dedup_key="hq.1:nobody:X:1", external_ticket_id="D-77")
    assert [post(desk, strange) for _ in range(3)] == [409, 409, 409]
    assert post(desk, event("completed", 5, START, dedup_key="hq.1:nobody:X:1")) == 409
    with desk.state.read() as connection:
        kept = [row for row in user_rows.list_audit(connection, None, 100) if row.act == "ticket_event.unknown_key"]
    assert [row.subject for row in kept] == ["urn:desk#e-5", "urn:desk#e-4"]
    assert kept[1].who == "urn:desk"
    assert kept[1].detail == {
        "dedup_key": "hq.1:nobody:X:1",
        "external_ticket_id": "D-77",
        "type": "arrived",
        "version": 4,
        "occurred_at": START.isoformat(),
        "actor": "crew 3",
    }


@pytest.mark.parametrize(
    "envelope",
    [
        None,
        [],
        "departed",
        {},
        {"data": 1},
        event("open", 1, START),
        event("vanished", 1, START),
        event("departed", -1, START),
        event("departed", True, START),
        event("departed", 2**40, START),
        event("departed", 1, START, occurred_at="2026-01-15T05:00:00"),
        event("departed", 1, START, occurred_at="0001-01-01T00:00:00+14:00"),
        event("departed", 1, START, dedup_key="\ud800"),
        event("departed", 1, START, dedup_key="a\x00b"),
        event("departed", 1, START, actor="a\x00b"),
        event("departed", 1, START, external_ticket_id="\ud800"),
        event("departed", 1, START, note={"\udfff": 1}),
        event("departed", 1, START, dedup_key=["a"]),
        {**event("departed", 1, START), "id": "x" * 121},
    ],
)
def test_signed_nonsense_is_400(desk: AlarmDesk, envelope: Any) -> None:
    assert post(desk, envelope) == 400
    assert ticket_of(desk).state is TicketState.OPEN


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ["id", "source", "type", "data", "version", "occurred_at", "dedup_key", "actor", "external_ticket_id", "note"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(_FIELDS), json_values, max_size=3))
def test_any_signed_json_is_answered(desk: AlarmDesk, changes: dict[str, Any]) -> None:
    envelope = event("departed", 3, START + minutes(1))
    for name, value in changes.items():
        target = envelope if name in ("id", "source", "type", "data") else envelope["data"]
        if isinstance(target, dict):
            target[name] = value
    assert post(desk, envelope) in (204, 400, 409)


def test_ten_thousand_malformed_posts_never_raise(desk: AlarmDesk) -> None:
    rng = random.Random(5)
    body = json.dumps(STORY[0]).encode()
    good = signed_headers(body.decode(), "evt_1", datetime.now(UTC), [SECRET])
    names = list(good)
    for _ in range(10_000):
        headers = dict(good)
        broken = bytearray(body)
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        name = rng.choice(names)
        choice = rng.randrange(4)
        if choice == 0:
            headers[name] = rng.choice(["", ",", "v1", "v1,", "v1,é", "v2,AAAA", "nan", "1e400", "-1", " ", "v1,a b"])
        elif choice == 1:
            del headers[name]
        sent = rng.choice([bytes(broken), os.urandom(rng.randrange(60)), b"[" * 5000])
        assert receive(desk.state, sent, headers, [SECRET], desk.clock) in (400, 401)
    assert ticket_of(desk).state is TicketState.OPEN


def test_deeply_nested_signed_json_is_400(desk: AlarmDesk) -> None:
    body = "[" * 60_000
    headers = signed_headers(body, "evt_1", datetime.now(UTC), [SECRET])
    assert receive(desk.state, body.encode(), headers, [SECRET], desk.clock) == 400


def test_a_crews_return_lets_the_ticket_stay_open(desk: AlarmDesk) -> None:
    post(desk, replace_type(STORY[0], "returned"))
    with desk.state.read() as connection:
        assert len(ticket_rows.list_open(connection)) == 1


def replace_type(envelope: dict[str, Any], step: str) -> dict[str, Any]:
    return {**envelope, "type": step}
