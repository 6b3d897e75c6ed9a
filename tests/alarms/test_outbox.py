from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionFalls, ConditionRises
from alarms.outbox import OutboxWorker, sinks_by_class
from alarms.tickets.lanes import LANES, Lane
from alarms.tickets.webhook import WebhookConfig, WebhookSink
from gateway.errors import ConfigError
from gateway.model.ticket import Capabilities, DeliveryState, DifferenceKind, TicketClass
from gateway.runtime.clock import ManualClock
from gateway.settings import Secret
from gateway.store import delivery_rows, outbox_rows, tables, ticket_rows
from tests.alarms.alarm_fixtures import START, make_desk
from tests.alarms.desk_server import SECRET, DeskServer

QUICK = {name: replace(lane, gaps_s=(0.05, 0.1), connect_s=2.0, total_s=2.0) for name, lane in LANES.items()}


@pytest.fixture
def server(free_port: Callable[[], int]) -> Iterator[DeskServer]:
    made = DeskServer(free_port(), hang_s=2.5)
    made.start()
    yield made
    made.stop()


def make_sink(url: str, name: str = "desk") -> WebhookSink:
    os.environ["GASGATE_TEST_SECRET"] = SECRET
    config = WebhookConfig(kind="webhook", name=name, url=url, secrets=(Secret(env="GASGATE_TEST_SECRET"),))
    return WebhookSink(config, ManualClock(0))


@asynccontextmanager
async def working(
    desk: AlarmDesk, url: str, lanes: dict[TicketClass, Lane] | None = None
) -> AsyncIterator[WebhookSink]:
    sink = make_sink(url)
    worker = OutboxWorker(desk.state, {"desk": sink}, desk.clock, lanes=lanes or QUICK, rng=random.Random(3))
    task = asyncio.create_task(worker.run())
    try:
        yield sink
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await sink.close()


def raise_gas(desk: AlarmDesk, number: int) -> None:
    desk.commit([Edge(f"HOME_GAS_SENSOR@X-{number:06d}", ConditionRises(START, 64.0))])


def states(desk: AlarmDesk) -> list[DeliveryState]:
    with desk.state.read() as connection:
        tickets = ticket_rows.list_open(connection)
        return [row.state for one in tickets for row in outbox_rows.outbox_of(connection, one.ticket_no)]


async def until(check: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def all_confirmed(desk: AlarmDesk) -> bool:
    return set(states(desk)) == {DeliveryState.CONFIRMED}


async def test_what_waited_for_no_ticketing_system_goes_to_the_first_that_is_configured(
    tmp_path: Path, server: DeskServer
) -> None:
    desk = make_desk(tmp_path)
    for number in (1, 2, 3):
        raise_gas(desk, number)
    with desk.state.write() as connection:
        kept, removed, ended = (one.ticket_no for one in ticket_rows.list_open(connection))
        outbox, ticket = tables.outbox, tables.ticket
        for key, name in ((removed, "gone"), (ended, "")):
            connection.execute(outbox.update().where(outbox.c.ticket_no == key).values(sink=name))
        connection.execute(ticket.update().where(ticket.c.ticket_no == ended).values(state="completed"))
    sink = make_sink(server.url)
    for ways, confirmed in ({}, {kept}), (dict.fromkeys(TicketClass, "desk"), {kept, removed}):
        worker = OutboxWorker(desk.state, {"desk": sink}, desk.clock, ways=ways, lanes=QUICK, rng=random.Random(3))
        task = asyncio.create_task(worker.run())
        await until(lambda wanted=confirmed: sent(desk, (kept, removed, ended)) == wanted)  # type: ignore[misc]
        await asyncio.sleep(0.3)
        assert sent(desk, (kept, removed, ended)) == confirmed
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await sink.close()


def test_a_ticket_that_a_system_had_taken_does_not_follow_to_another(tmp_path: Path) -> None:
    desk, outbox = make_desk(tmp_path), tables.outbox
    for number in (1, 2):
        raise_gas(desk, number)
    with desk.state.write() as connection:
        taken, waits = (one.ticket_no for one in ticket_rows.list_open(connection))
        for row in connection.execute(outbox.select()).mappings().all():
            note = {name: value for name, value in row.items() if name != "id"}
            connection.execute(
                outbox.insert(),
                note | {"command": "note", "command_no": 2, "webhook_id": f"note of {row['ticket_no']}"},
            )
        connection.execute(outbox.update().values(sink="gone"))
        opened = outbox.update().where(outbox.c.ticket_no == taken, outbox.c.command == "open")
        connection.execute(opened.values(state=DeliveryState.CONFIRMED.value))
        assert outbox_rows.adopt(connection, dict.fromkeys(TicketClass, "desk"), ["desk"], wall_now_s=1.0) == 2
        sinks = {number: {one.sink for one in outbox_rows.outbox_of(connection, number)} for number in (taken, waits)}
    assert sinks == {taken: {"gone"}, waits: {"desk"}}


def sent(desk: AlarmDesk, numbers: tuple[str, ...]) -> set[str]:
    with desk.state.read() as connection:
        rows = {number: outbox_rows.outbox_of(connection, number) for number in numbers}
    return {number for number, of in rows.items() if all(one.state is DeliveryState.CONFIRMED for one in of)}


async def test_a_new_ticket_is_confirmed_quickly_and_known_by_its_external_id(
    tmp_path: Path, server: DeskServer
) -> None:
    desk = make_desk(tmp_path)
    async with working(desk, server.url):
        await asyncio.sleep(0.2)
        begun = time.monotonic()
        raise_gas(desk, 1)
        await until(lambda: all_confirmed(desk))
        assert time.monotonic() - begun < 10
    with desk.state.read() as connection:
        (ticket,) = ticket_rows.list_open(connection)
    assert ticket.delivery is DeliveryState.CONFIRMED
    assert (ticket.external_id, ticket.external_url) == ("D-1", f"{server.url}/1")


async def test_a_bad_receiver_gets_each_ticket_exactly_once(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    rng = random.Random(11)
    modes = ["", "", "", "500", "503", "302", "202", "409", "reset", "cut", "garbage", "hang"]
    server.choose = lambda: rng.choice(modes)
    async with working(desk, server.url):
        for number in range(25):
            raise_gas(desk, number)
        await until(lambda: all_confirmed(desk))
    assert len(states(desk)) == 25
    assert set(server.created.values()) == {1}
    assert len(server.created) == 25


async def test_commands_of_one_ticket_arrive_in_order(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    server.behave("500", "500", "reset")
    desk.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionRises(START, 28.0))])
    desk.commit([Edge("GAS_CONC_HI@REG-001", ConditionRises(START, 28.0))])
    desk.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionFalls())])
    async with working(desk, server.url):
        await until(lambda: all_confirmed(desk))
    sent = [envelope["data"]["command"] for _, envelope in server.posts]
    assert list(dict.fromkeys(sent)) == ["open", "update", "rtn"]
    assert sent[-2:] == ["update", "rtn"]
    ids = {envelope["data"]["command"]: envelope["id"] for _, envelope in server.posts}
    assert all(envelope["id"] == ids[envelope["data"]["command"]] for _, envelope in server.posts)


async def test_a_slow_class_holds_no_emergency(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    for number in range(30):
        desk.commit([Edge(f"OVERPRESS_HI@X-{number}", ConditionRises(START, 3.0))])
    server.behave(*["hang"] * 8)
    server.hang_s = 20.0
    patient = {name: replace(lane, total_s=20.0) for name, lane in QUICK.items()}
    async with working(desk, server.url, patient):
        await until(lambda: len(server.posts) >= 8)
        raise_gas(desk, 1)
        begun = time.monotonic()
        await until(lambda: server.count("hq.1:X-000001:HOME_GAS_SENSOR:1") == 1)
        assert time.monotonic() - begun < 15, "not when the others are given up"


async def test_a_lease_left_behind_is_looked_up_before_it_is_sent_again(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    raise_gas(desk, 1)
    server.behave("hang")
    async with working(desk, server.url, dict(LANES)):
        await until(lambda: len(server.created) == 1)
    assert states(desk) == [DeliveryState.SENDING]
    async with working(desk, server.url):
        await until(lambda: all_confirmed(desk))
    assert len(server.posts) == 1


async def test_an_emergency_waits_for_a_dead_receiver_and_the_rest_is_given_up_when_refused(
    tmp_path: Path, server: DeskServer
) -> None:
    desk = make_desk(tmp_path)
    server.stop()
    raise_gas(desk, 1)
    async with working(desk, server.url):
        await until(lambda: states(desk) == [DeliveryState.UNKNOWN])
        await asyncio.sleep(0.3)
        server.start()
        await until(lambda: all_confirmed(desk))
        server.behave("401", "401")
        raise_gas(desk, 2)
        await until(lambda: all_confirmed(desk))
        server.behave("400")
        desk.commit([Edge("OVERPRESS_HI@REG-001", ConditionRises(START, 3.0))])
        desk.commit([Edge("OVERPRESS_HI@REG-001", ConditionFalls())])
        await until(lambda: DeliveryState.DEAD in states(desk))
        await asyncio.sleep(0.2)
    with desk.state.write() as connection:
        (dead,) = outbox_rows.list_dead(connection)
        assert dead.last_error.startswith("400")
        assert states(desk).count(DeliveryState.PENDING) == 1
        assert outbox_rows.replay_dead(connection, dead.id, wall_now_s=time.time())
    async with working(desk, server.url):
        await until(lambda: all_confirmed(desk))
    assert server.count("hq.1:REG-001:OVERPRESS_HI:1") == 1


async def test_an_emergency_does_not_wait_for_the_hour_that_comes_twice(tmp_path: Path, server: DeskServer) -> None:
    shift_s = 0.0

    def wall() -> float:
        return time.time() + shift_s

    desk = make_desk(tmp_path)
    desk._wall = wall
    sink = make_sink(server.url)
    worker = OutboxWorker(desk.state, {"desk": sink}, desk.clock, lanes=QUICK, wall=wall, rng=random.Random(3))
    server.stop()
    raise_gas(desk, 1)
    task = asyncio.create_task(worker.run())
    try:
        await until(lambda: states(desk) == [DeliveryState.UNKNOWN])
        shift_s = -3600.0
        server.start()
        await until(lambda: all_confirmed(desk))
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await sink.close()
    assert set(server.created.values()) == {1}


def test_an_unconfirmed_emergency_is_told_although_the_clock_was_set_back(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    desk._wall = lambda: 10_000.0
    raise_gas(desk, 1)
    with desk.state.write() as connection:
        outbox_rows.bring_forward(connection, wall_now_s=6400.0)
        (row,) = outbox_rows.outbox_of(connection, "T-20260115-000001")
        unconfirmed = outbox_rows.list_unconfirmed(connection, [TicketClass.EMERGENCY], wall_before_s=6400.0)
    assert (row.next_at, unconfirmed) == (6400.0, [row.command.ticket_no])


async def test_a_used_key_never_swallows_a_new_leak(tmp_path: Path, server: DeskServer) -> None:
    old = make_desk(tmp_path / "old")
    raise_gas(old, 1)
    async with working(old, server.url):
        await until(lambda: all_confirmed(old))
    restored = make_desk(tmp_path / "restored")
    assert isinstance(restored.clock, ManualClock)
    restored.clock.advance(86400)
    raise_gas(restored, 1)
    async with working(restored, server.url):
        await until(lambda: all_confirmed(restored))
    raise_gas(restored, 2)
    with restored.state.read() as connection:
        keys = [one.dedup_key for one in ticket_rows.list_open(connection)]
        (found,) = delivery_rows.list_differences(connection)
    assert keys == ["hq.2:X-000001:HOME_GAS_SENSOR:1", "hq.2:X-000002:HOME_GAS_SENSOR:1"]
    assert (found.kind, found.dedup_key) == (DifferenceKind.COLLISION, "hq.1:X-000001:HOME_GAS_SENSOR:1")
    assert found.settled_at is not None
    assert server.created == {"hq.1:X-000001:HOME_GAS_SENSOR:1": 1, "hq.2:X-000001:HOME_GAS_SENSOR:1": 1}


def test_a_sink_that_cannot_look_up_takes_no_emergency(server: DeskServer) -> None:
    able = make_sink(server.url)

    class Blind:
        name = "blind"
        capabilities = Capabilities(create_once=True, lookup=False, push=False, pull=False, update=False)

    every = tuple(TicketClass)
    assert sinks_by_class({"desk": able, "b": able}, {"desk": every[:1], "b": every}) == {
        **dict.fromkeys(every, "b"),
        TicketClass.EMERGENCY: "desk",
    }
    with pytest.raises(ConfigError, match="EMERGENCY"):
        sinks_by_class({"blind": Blind()}, {"blind": every})  # type: ignore[dict-item]


async def test_a_receiver_cannot_make_an_emergency_wait_for_an_hour(tmp_path: Path, server: DeskServer) -> None:
    desk = make_desk(tmp_path)
    answers = iter(["an hour"])
    server.choose = lambda: next(answers, "")
    async with working(desk, server.url):
        raise_gas(desk, 1)
        await until(lambda: all_confirmed(desk))


async def test_an_outcome_that_cannot_be_stored_holds_no_other_ticket_up(
    tmp_path: Path, server: DeskServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path)
    real, broken = ticket_rows.set_external, [2]

    def set_external(connection: object, number: str, *named: str) -> None:
        if number.endswith("000001") and broken[0]:
            broken[0] -= 1
            raise ValueError("odd")
        real(connection, number, *named)  # type: ignore[arg-type]

    monkeypatch.setattr(ticket_rows, "set_external", set_external)
    for number in range(4):
        raise_gas(desk, number)
    async with working(desk, server.url):
        await until(lambda: all_confirmed(desk))
    assert broken == [0]
    assert set(server.created.values()) == {1}
