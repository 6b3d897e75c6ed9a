from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionRises
from alarms.reconcile import Reconciler
from alarms.tickets.webhook import WebhookConfig, WebhookSink
from gateway.model.ticket import Difference, DifferenceKind, Ticket, TicketState
from gateway.runtime.clock import ManualClock
from gateway.settings import Secret
from gateway.store import delivery_rows, ticket_event_rows, ticket_rows
from gateway.store.state_copies import copy_state, restore_from
from tests.alarms.alarm_fixtures import START, make_desk, minutes
from tests.alarms.desk_server import SECRET, DeskServer
from tests.alarms.test_events import event, post
from tests.alarms.test_outbox import all_confirmed, raise_gas, until, working


@pytest.fixture(autouse=True)
def _what_was_just_confirmed_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alarms.reconcile.YOUNG_S", -1.0)


@pytest.fixture
def server(free_port: Callable[[], int]) -> Iterator[DeskServer]:
    made = DeskServer(free_port())
    made.start()
    yield made
    made.stop()


def pulling(url: str, *, pull: bool = True) -> WebhookSink:
    os.environ["GASGATE_TEST_SECRET"] = SECRET
    secret = Secret(env="GASGATE_TEST_SECRET")
    return WebhookSink(
        WebhookConfig(kind="webhook", name="desk", url=url, secrets=(secret,), pull=pull), ManualClock(0)
    )


async def compare(desk: AlarmDesk, url: str, *, full: bool = True, pull: bool = True) -> None:
    sink = pulling(url, pull=pull)
    await Reconciler(desk, {"desk": sink}).round(full=full)
    await sink.close()


def key(number: int) -> str:
    return f"hq.1:X-{number:06d}:HOME_GAS_SENSOR:1"


def found(desk: AlarmDesk) -> list[Difference]:
    with desk.state.read() as connection:
        return delivery_rows.list_differences(connection, limit=10_000)


def ticket(desk: AlarmDesk, number: int) -> Ticket:
    with desk.state.read() as connection:
        one = ticket_rows.find_by_key(connection, key(number))
    assert one is not None
    return one


async def deliver(desk: AlarmDesk, server: DeskServer, count: int) -> None:
    for number in range(count):
        raise_gas(desk, number)
    desk.clock.set(START + minutes(20))  # type: ignore[attr-defined]
    async with working(desk, server.url):
        await until(lambda: all_confirmed(desk))


async def test_equal_tickets_differ_in_nothing(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    await deliver(desk, server, 3)
    for full in (True, False, True):
        await compare(desk, server.url, full=full)
    assert found(desk) == []


@pytest.mark.parametrize("pull", [True, False])
async def test_steps_that_were_never_told_are_taken_over(pull: bool, tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    await deliver(desk, server, 2)
    server.move(key(0), "accepted", "departed", "arrived")
    await compare(desk, server.url, full=False, pull=pull)
    one = ticket(desk, 0)
    assert (one.state, one.external_version) == (TicketState.ARRIVED, 3)
    assert one.departed_at == one.arrived_at == START + minutes(1)
    assert [row.kind for row in found(desk)] == [DifferenceKind.STATE]
    server.move(key(1), "accepted", "dispatched", told=False)
    await compare(desk, server.url, full=False, pull=pull)
    await compare(desk, server.url, pull=pull)
    assert (ticket(desk, 1).state, ticket(desk, 1).external_version) == (TicketState.DISPATCHED, 2)
    assert len(found(desk)) == 2
    assert all(row.settled_at is not None for row in found(desk))


async def test_a_vanished_emergency_is_sent_again_and_told_of(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    await deliver(desk, server, 2)
    del server.tickets[key(1)]
    await compare(desk, server.url, full=False)
    with desk.state.read() as connection:
        assert delivery_rows.tickets_with(connection, DifferenceKind.MISSING_THERE) == [ticket(desk, 1).ticket_no]
    async with working(desk, server.url):
        await until(lambda: all_confirmed(desk))
    assert server.created == {key(0): 1, key(1): 2}
    await compare(desk, server.url)
    assert [(row.kind, row.settled_at is None) for row in found(desk)] == [(DifferenceKind.MISSING_THERE, False)]


async def test_an_ended_ticket_that_was_tidied_away_is_left_alone(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    await deliver(desk, server, 1)
    server.move(key(0), "accepted", "completed")
    await compare(desk, server.url)
    del server.tickets[key(0)]
    await compare(desk, server.url)
    assert [row.kind for row in found(desk)] == [DifferenceKind.STATE]


async def test_a_ticket_that_a_restored_state_does_not_know_is_imported_and_joined(
    tmp_path: Path, server: DeskServer
) -> None:
    lost, kept = make_desk(tmp_path / "lost"), make_desk(tmp_path / "kept")
    for desk in (lost,):
        desk.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionRises(START, 28.0))])
        desk.commit([Edge("GAS_CONC_HIHI@REG-002", ConditionRises(START, 28.0))])
    async with working(lost, server.url):
        await until(lambda: all_confirmed(lost))
    server.move("hq.1:REG-002:GAS_CONC_HIHI:1", "accepted", "departed")
    await compare(kept, server.url)
    assert Counter(row.kind for row in found(kept)) == {DifferenceKind.MISSING_HERE: 2}
    kept.commit([Edge("GAS_CONC_HI@REG-001", ConditionRises(START, 12.0))])
    kept.commit([Edge("GAS_CONC_HI@REG-002", ConditionRises(START, 12.0))])
    with kept.state.read() as connection:
        joined = ticket_rows.ticket_of(connection, "GAS_CONC_HI@REG-001", 1)
        own = ticket_rows.ticket_of(connection, "GAS_CONC_HI@REG-002", 1)
    assert joined is not None
    assert own is not None
    assert joined.dedup_key == "hq.1:REG-001:GAS_CONC_HIHI:1"
    assert own.dedup_key == "hq.1:REG-002:GAS_CONC_HI:1"
    async with working(kept, server.url):
        await until(lambda: all_confirmed(kept))
    assert set(server.created.values()) == {1}
    await compare(kept, server.url)
    assert len(found(kept)) == 2


async def test_another_sites_tickets_are_none_of_ours(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    server._keep({"dedup_key": "north.1:REG-001:GAS_CONC_HIHI:1", "command": "open"})
    await compare(desk, server.url)
    assert found(desk) == []
    with desk.state.read() as connection:
        assert ticket_rows.list_tickets(connection) == []


async def test_a_gap_in_the_steps_is_asked_for(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    await deliver(desk, server, 1)
    server.move(key(0), "accepted", "departed", "arrived")
    assert post(desk, event("arrived", 3, START + minutes(9), dedup_key=key(0))) == 204
    sink = pulling(server.url)
    reconciler = Reconciler(desk, {"desk": sink})
    await reconciler.fill_gaps()
    await sink.close()
    one = ticket(desk, 0)
    assert (one.departed_at, one.arrived_at) == (START + minutes(1), START + minutes(9))
    (gap,) = [row for row in found(desk) if row.kind is DifferenceKind.GAP]
    assert (gap.detail, gap.outcome) == ({"after": 0, "came": 3}, "asked for")


async def test_a_step_that_was_pulled_and_is_told_later_stands_once(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    await deliver(desk, server, 1)
    server.move(key(0), "accepted", told=False)
    await compare(desk, server.url)
    assert post(desk, event("accepted", 1, START + minutes(2), dedup_key=key(0))) == 204
    with desk.state.read() as connection:
        (step,) = ticket_event_rows.events_of(connection, ticket(desk, 0).ticket_no)
    assert (step.source, step.occurred_at) == ("urn:desk", START + minutes(2))


async def test_every_planted_difference_is_found_in_one_night(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    kinds = list(range(6))
    await deliver(desk, server, 60)
    planted: Counter[DifferenceKind] = Counter()
    for number in range(60):
        kind = kinds[number % 6]
        if kind == 0:
            del server.tickets[key(number)]
            planted[DifferenceKind.MISSING_THERE] += 1
        elif kind == 1:
            server.move(key(number), "accepted", "departed")
            planted[DifferenceKind.STATE] += 1
        elif kind == 2:
            server.tickets[key(number)]["type"] = "something else"
            planted[DifferenceKind.FIELD] += 1
        elif kind == 3:
            stranger = f"hq.1:REG-{number:03d}:GAS_CONC_HIHI:7"
            server._keep({"dedup_key": stranger, "command": "open", "raised_at": "2026-01-15T05:00:00Z"})
            planted[DifferenceKind.MISSING_HERE] += 1
        elif kind == 4:
            server.tickets[key(number)]["external_ticket_id"] = f"other-{number}"
            planted[DifferenceKind.DOUBLED] += 1
    await compare(desk, server.url)
    assert Counter(row.kind for row in found(desk)) == planted
    await compare(desk, server.url)
    assert Counter(row.kind for row in found(desk)) == planted
    with desk.state.read() as connection:
        counted = delivery_rows.count_differences(connection)
    assert counted["field"] == (10, 10)
    assert counted["state"] == (10, 0)
    for number in range(60):
        if kinds[number % 6] == 2:
            server.tickets[key(number)]["type"] = ticket(desk, number).type
    await compare(desk, server.url)
    with desk.state.read() as connection:
        assert delivery_rows.count_differences(connection)["field"] == (10, 0)


async def test_everything_is_compared_once_a_night_and_what_changed_in_between(
    tmp_path: Path, server: DeskServer
) -> None:
    desk = make_desk(tmp_path)
    await deliver(desk, server, 1)
    moment = datetime(2026, 1, 20, 1, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
    wall = [moment.timestamp()]
    sink = pulling(server.url)
    reconciler = Reconciler(desk, {"desk": sink}, wall=lambda: wall[0])
    full = []
    for hours in (0, 1, 1, 22, 1, 1):
        wall[0] += hours * 3600
        full.append(reconciler._night_is_due())
        await reconciler.round(full=full[-1])
    await sink.close()
    assert full == [False, True, False, False, True, False]


async def test_judging_after_a_restoration_waits_for_the_tickets_that_were_lost(
    tmp_path: Path, server: DeskServer
) -> None:
    lost = make_desk(tmp_path / "lost")
    lost.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionRises(START, 28.0))])
    async with working(lost, server.url):
        await until(lambda: all_confirmed(lost))
    make_desk(tmp_path / "restored").state.close()
    copy = copy_state(tmp_path / "restored", keep=2)
    restore_from(tmp_path / "restored", copy)
    restored = make_desk(tmp_path / "restored")
    sink = pulling(server.url)
    reconciler = Reconciler(restored, {"desk": sink})
    await reconciler.after_restoration()
    assert [row.kind for row in found(restored)] == [DifferenceKind.MISSING_HERE]
    server.tickets.clear()
    server.changes.clear()
    await reconciler.after_restoration()
    await sink.close()
    assert len(found(restored)) == 1


async def test_a_ticketing_system_that_is_away_stops_no_comparison_with_another(
    tmp_path: Path, server: DeskServer, free_port: Callable[[], int]
) -> None:
    desk = make_desk(tmp_path)
    await deliver(desk, server, 1)
    server.move(key(0), "accepted")
    away, there = pulling(f"http://127.0.0.1:{free_port()}/tickets"), pulling(server.url)
    await Reconciler(desk, {"away": away, "desk": there}).round(full=True)
    await away.close()
    await there.close()
    assert ticket(desk, 0).state is TicketState.ACCEPTED


async def test_odd_answers_of_a_ticketing_system_stand_in_the_way_of_nothing(
    tmp_path: Path, server: DeskServer
) -> None:
    desk = make_desk(tmp_path)
    odd: list[dict[str, object]] = [
        {"ticket_no": "T-20260115-abc"},
        {"ticket_no": "T-20260115-999999"},
        {"ticket_no": "x" * 5000, "title": "\x00", "class": "NONE", "type": "y" * 5000},
        {"raised_at": "0001-01-01T00:00:00+14:00"},
        {"raised_at": "9999-12-31T23:59:59-14:00", "version": 2**40, "state": "arrived"},
        {"state": "strange", "events": [{"id": "a", "type": "strange"}, 5, {"type": "arrived"}]},
    ]
    for number, changes in enumerate(odd):
        one = f"hq.1:REG-00{number}:GAS_CONC_HIHI:9"
        server._keep({"dedup_key": one, "command": "open", "raised_at": "2026-01-15T05:00:00Z"})
        server.tickets[one] |= changes
    for one in ("hq.1:", "hq.1:a", "hq.:a:b:c", "hq.x:::"):
        server._keep({"dedup_key": one, "command": "open"})
    await compare(desk, server.url)
    await compare(desk, server.url)
    raise_gas(desk, 1)
    raise_gas(desk, 2)
    async with working(desk, server.url):
        await until(lambda: all_confirmed(desk))
    with desk.state.read() as connection:
        numbers = [one.ticket_no for one in ticket_rows.list_tickets(connection)]
    assert len(set(numbers)) == len(numbers) > len(odd)
    assert all(len(number) == len("T-20260115-000001") for number in numbers)
