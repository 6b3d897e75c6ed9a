from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionFalls, ConditionRises
from alarms.fallback import FallbackWorker
from alarms.outbox import OutboxWorker
from alarms.service.calendar import official
from alarms.tickets.command import CommandConfig, CommandSink
from alarms.tickets.desk import TicketDesk
from alarms.tickets.lanes import Lane
from alarms.tickets.raising import Raising, Wanted
from alarms.tickets.watch import delivery_alarms
from gateway.errors import RefusedError
from gateway.model.ticket import (
    Attempt,
    Cause,
    Confirmed,
    DeliveryState,
    Misconfigured,
    TicketAct,
    TicketClass,
    TicketState,
    Unknown,
)
from gateway.ports import TicketSink
from gateway.runtime.clock import ManualClock
from gateway.store import delivery_rows, endpoint_rows, outbox_rows, ticket_rows
from gateway.store.delivery_rows import Act, FallbackRow
from tests.alarms.alarm_fixtures import START, make_desk
from tests.alarms.desk_server import DeskServer
from tests.alarms.test_outbox import QUICK, all_confirmed, make_sink, raise_gas, until
from tests.alarms.test_webhook import COMMAND

SOON = {name: replace(lane, fallback_after_s=0.3) for name, lane in QUICK.items()}
LATE = {name: replace(lane, fallback_after_s=1000.0) for name, lane in QUICK.items()}
NUMBER = "T-20260115-000001"


@pytest.fixture
def servers(free_port: Callable[[], int]) -> Iterator[tuple[DeskServer, DeskServer]]:
    made = DeskServer(free_port(), hang_s=2.5), DeskServer(free_port(), hang_s=2.5)
    for one in made:
        one.start()
    yield made
    for one in made:
        one.stop()


@asynccontextmanager
async def working(desk: AlarmDesk, sinks: dict[str, TicketSink], lanes: dict[TicketClass, Lane]) -> AsyncIterator[None]:
    ways = {TicketClass.EMERGENCY: [name for name in sinks if name != "desk"]}
    workers = (
        OutboxWorker(desk.state, sinks, desk.clock, lanes=lanes, rng=random.Random(3)),
        FallbackWorker(desk.state, sinks, ways, lanes=lanes, rng=random.Random(3)),
    )
    tasks = [asyncio.create_task(one.run()) for one in workers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for sink in sinks.values():
            await sink.close()


def fallbacks(desk: AlarmDesk) -> list[FallbackRow]:
    with desk.state.read() as connection:
        return delivery_rows.fallbacks_of(connection, NUMBER)


def confirmed_elsewhere(desk: AlarmDesk) -> bool:
    return [row.state for row in fallbacks(desk)] == [DeliveryState.CONFIRMED]


async def test_a_dead_receiver_is_stood_in_for_and_its_late_success_doubles_nothing(
    tmp_path: Path, servers: tuple[DeskServer, DeskServer]
) -> None:
    first, second = servers
    desk = make_desk(tmp_path)
    first.stop()
    raise_gas(desk, 1)
    async with working(desk, {"desk": make_sink(first.url), "second": make_sink(second.url, "second")}, SOON):
        await until(lambda: confirmed_elsewhere(desk))
        assert not all_confirmed(desk)
        first.start()
        await until(lambda: all_confirmed(desk))
    key = "hq.1:X-000001:HOME_GAS_SENSOR:1"
    assert (first.created, second.created) == ({key: 1}, {key: 1})
    ((_, envelope),) = second.posts
    assert envelope["data"]["fallback"]["instead_of"] == "desk"
    assert envelope["data"]["fallback"]["reason"]
    assert envelope["id"] != first.posts[-1][1]["id"]


@pytest.mark.parametrize("mode", ["400", "401", "an hour"])
async def test_where_waiting_is_hopeless_the_other_way_is_taken_at_once(
    mode: str, tmp_path: Path, servers: tuple[DeskServer, DeskServer]
) -> None:
    first, second = servers
    desk = make_desk(tmp_path)
    first.choose = lambda: mode
    raise_gas(desk, 1)
    async with working(desk, {"desk": make_sink(first.url), "second": make_sink(second.url, "second")}, LATE):
        await until(lambda: confirmed_elsewhere(desk))
    assert first.created == {}


async def test_a_slow_receiver_with_time_left_is_waited_for(
    tmp_path: Path, servers: tuple[DeskServer, DeskServer]
) -> None:
    first, second = servers
    desk = make_desk(tmp_path)
    first.behave(*["503"] * 6)
    raise_gas(desk, 1)
    async with working(desk, {"desk": make_sink(first.url), "second": make_sink(second.url, "second")}, LATE):
        await until(lambda: all_confirmed(desk))
        await asyncio.sleep(0.6)
    assert second.posts == []


async def test_what_a_person_handled_goes_no_other_way_and_is_told_no_more(
    tmp_path: Path, servers: tuple[DeskServer, DeskServer]
) -> None:
    first, second = servers
    desk = make_desk(tmp_path)
    first.stop()
    raise_gas(desk, 1)
    with desk.state.write() as connection:
        old = outbox_rows.outbox_of(connection, NUMBER)[0].wall_created_at + 21
        assert delivery_alarms(connection, old) == {f"TICKET_UNCONFIRMED@{NUMBER}"}
        act = Act(NUMBER, TicketAct.HANDLED_BY_PHONE, "li", "crew 3 drives", {}, START)
        delivery_rows.add_act(connection, act)
        assert delivery_alarms(connection, old) == set()
    async with working(desk, {"desk": make_sink(first.url), "second": make_sink(second.url, "second")}, SOON):
        await asyncio.sleep(1.2)
        assert second.posts == []
        first.start()
        await until(lambda: all_confirmed(desk))


async def test_a_program_gets_the_ticket_as_a_line_of_json(
    tmp_path: Path, servers: tuple[DeskServer, DeskServer]
) -> None:
    first, _ = servers
    desk = make_desk(tmp_path)
    first.stop()
    raise_gas(desk, 1)
    program = (sys.executable, "-c", f"import sys; open({str(tmp_path / 'told')!r}, 'a').write(sys.stdin.read())")
    sink = program_sink(*program)
    async with working(desk, {"desk": make_sink(first.url), "sms": sink}, SOON):
        await until(lambda: confirmed_elsewhere(desk))
    (line,) = (tmp_path / "told").read_text().splitlines()
    assert json.loads(line)["dedup_key"] == "hq.1:X-000001:HOME_GAS_SENSOR:1"


async def test_who_took_a_ticket_the_other_way_hears_what_follows(
    tmp_path: Path, servers: tuple[DeskServer, DeskServer]
) -> None:
    first, second = servers
    desk = make_desk(tmp_path)
    first.stop()
    alarm_id = "HOME_GAS_SENSOR@M-000001"
    desk.commit([Edge(alarm_id, ConditionRises(START, 64.0))])
    async with working(desk, {"desk": make_sink(first.url), "second": make_sink(second.url, "second")}, SOON):
        await until(lambda: confirmed_elsewhere(desk))
        second.behave("503")
        desk.commit([Edge("HOME_GAS_SENSOR@M-000002", ConditionRises(START, 64.0)), Edge(alarm_id, ConditionFalls())])
        await until(lambda: len(second.posts) == 4)
        await until(lambda: fallbacks(desk)[0].sent_no == 3)
        await asyncio.sleep(0.3)
    sent = [(envelope["data"]["command"], envelope["id"]) for _, envelope in second.posts]
    assert [command for command, _ in sent] == ["open", "update", "update", "rtn"]
    assert sent[1][1] == sent[2][1]
    assert len({message for _, message in sent}) == 3
    assert first.posts == []


async def test_a_receiver_that_is_gone_is_switched_off_and_told_of_until_a_person_switches_it_on(
    tmp_path: Path, servers: tuple[DeskServer, DeskServer]
) -> None:
    first, second = servers
    desk = make_desk(tmp_path)
    first.behave("410")
    raise_gas(desk, 1)
    async with working(desk, {"desk": make_sink(first.url), "second": make_sink(second.url, "second")}, LATE):
        await until(lambda: confirmed_elsewhere(desk))
        raise_gas(desk, 2)
        await until(lambda: len(second.created) == 2)
        assert len(first.posts) == 1
        with desk.state.read() as connection:
            told = delivery_alarms(connection, 0.0)
        assert told == {"ENDPOINT_OFF@desk", f"TICKET_UNCONFIRMED@{NUMBER}", "TICKET_UNCONFIRMED@T-20260115-000002"}
        tickets = TicketDesk(desk.state, desk.definitions, desk.network, desk.clock, desk.policy)
        assert tickets.switch_on("desk", who="li", request_id="r1")["sink"] == "desk"
        await until(lambda: all_confirmed(desk))
    with desk.state.read() as connection:
        assert delivery_alarms(connection, 1e12) == set()
    with pytest.raises(RefusedError) as refused:
        tickets.switch_on("desk", who="li", request_id="r2")
    assert refused.value.code == "on"
    assert (sorted(first.created.values()), sorted(second.created.values())) == ([1, 1], [1, 1])


def test_what_ended_on_the_other_way_is_neither_told_nor_sent_when_the_first_is_back(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    raise_gas(desk, 1)
    raise_gas(desk, 2)
    with desk.state.write() as connection:
        done, open_still = ticket_rows.list_open(connection)
        for number in (done.ticket_no, open_still.ticket_no):
            (row,) = outbox_rows.outbox_of(connection, number)
            dead = DeliveryState.DEAD
            outbox_rows.set_delivery(connection, row.id, dead, attempts=1, next_at=0.0, error="410", cause=Cause.GONE)
        endpoint_rows.switch_off(connection, "desk", "410", wall_now_s=0.0)
        ticket_rows.update_ticket(connection, replace(done, state=TicketState.COMPLETED))
        assert delivery_alarms(connection, 1e12) == {"ENDPOINT_OFF@desk", f"TICKET_UNCONFIRMED@{open_still.ticket_no}"}
        assert endpoint_rows.switch_on(connection, "desk", wall_now_s=1.0)
        states = [outbox_rows.outbox_of(connection, one.ticket_no)[0].state for one in (done, open_still)]
    assert states == [DeliveryState.DEAD, DeliveryState.UNKNOWN]


@pytest.mark.parametrize("open_now", [True, False])
async def test_what_is_not_urgent_goes_the_other_way_in_working_hours_only(
    tmp_path: Path, servers: tuple[DeskServer, DeskServer], open_now: bool
) -> None:
    first, second = servers
    desk = make_desk(tmp_path)
    first.stop()
    work = Raising(desk.state, desk.network, desk.policy, START, 0.0)  # type: ignore[arg-type]
    with desk.state.write() as connection:
        wanted = Wanted(TicketClass.REPAIR, "other", "REG-001", "X:{number}", START, "a lamp", "it is broken", 4)
        replace(work, connection=connection).open_other(wanted, {})
    sink = make_sink(second.url, "second")
    ways = {TicketClass.REPAIR: ["second"]}
    worker = FallbackWorker(desk.state, {"second": sink}, ways, working=lambda: open_now, rng=random.Random(3))
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(1.0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await sink.close()
    assert bool(second.posts) is open_now


def test_working_hours_are_those_of_the_calendar() -> None:
    calendar = official("Asia/Shanghai")
    friday = datetime(2026, 11, 20, tzinfo=UTC)
    assert [calendar.is_open(friday + timedelta(hours=hour)) for hour in (-1, 0, 9.9, 10)] == [False, True, True, False]
    assert not calendar.is_open(friday + timedelta(days=1, hours=3))


def program_sink(*argv: str) -> CommandSink:
    config = CommandConfig(kind="command", name="sms", argv=argv, fallback_for=(TicketClass.EMERGENCY,))
    return CommandSink(config, ManualClock(0))


async def test_a_program_that_fails_hangs_or_is_missing_confirms_nothing() -> None:
    quick = Attempt(1, 0.3, 0.5)
    assert isinstance(await program_sink("/bin/true").deliver(COMMAND, quick), Confirmed)
    assert isinstance(await program_sink("/bin/false").deliver(COMMAND, quick), Unknown)
    assert isinstance(await program_sink("/bin/sleep", "30").deliver(COMMAND, quick), Unknown)
    assert isinstance(await program_sink("/nowhere/at/all").deliver(COMMAND, quick), Misconfigured)


def test_a_program_cannot_be_the_only_way_of_an_emergency() -> None:
    with pytest.raises(ValidationError, match="fallback_for"):
        CommandConfig(kind="command", name="sms", argv=("/bin/true",), classes=(TicketClass.EMERGENCY,))
