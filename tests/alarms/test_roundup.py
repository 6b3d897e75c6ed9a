from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from alarms.route import iso
from alarms.tickets.roundup import RoundupConfig, RoundupSink
from gateway.errors import PermanentError
from gateway.model.ticket import Command, Confirmed, ExternalTicket, Misconfigured, Refused, TicketClass, Unknown
from gateway.runtime.clock import ManualClock
from gateway.settings import Secret
from tests.alarms.alarm_fixtures import START
from tests.alarms.roundup_desk import PASSWORD, USER, RoundupDesk, make_tracker
from tests.contracts import sink_contract
from tests.contracts.sink_contract import ATTEMPT, rekeyed
from tests.services import pick_free_port


def opening(key: str) -> Command:
    body = {
        "dedup_key": key,
        "ticket_no": f"T-{key}",
        "title": "燃气浓度 very high",
        "priority": 1,
        "type": "gas_concentration",
        "raised_at": iso(START),
        "asset": {"id": "REG-001", "address": "1 Main Street"},
        "sla": {"depart_by": iso(START), "arrive_by": None},
    }
    return Command(
        dedup_key=key,
        ticket_no=f"T-{key}",
        command="open",
        command_no=1,
        webhook_id=f"msg_{key}",
        ticket_class=TicketClass.EMERGENCY,
        created_at=START,
        body=body,
    )


def follow_up(key: str, number: int, **body: object) -> Command:
    return replace(
        opening(key),
        command="update",
        command_no=number,
        webhook_id=f"msg_{key}_{number}",
        body={"priority": 1, "alarm": {"id": "GAS_CONC_HI@REG-001", "occurrence_no": 2}, **body},
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoundupDesk]:
    port = pick_free_port()
    made = RoundupDesk(tmp_path_factory.mktemp("tracker") / "home", port, workers=2)
    make_tracker(made.home, port)
    made.start()
    yield made
    made.kill()


def make_sink(url: str, password: str = PASSWORD) -> RoundupSink:
    os.environ["GASGATE_TEST_ROUNDUP"] = password
    config = RoundupConfig(kind="roundup", name="desk", url=url, password=Secret(env="GASGATE_TEST_ROUNDUP"))
    return RoundupSink(config, ManualClock(0))


@pytest.fixture
async def sink(desk: RoundupDesk) -> AsyncIterator[RoundupSink]:
    made = make_sink(desk.url)
    yield made
    await made.close()


async def external(sink: RoundupSink, key: str) -> ExternalTicket:
    found = await sink.lookup(key)
    assert found is not None
    return found


async def test_roundup_makes_a_ticket_once(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_delivers_once(sink, desk, opening("hq.1:REG-001:ONCE:1"))


async def test_eight_posts_at_once_make_one_roundup_ticket(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_many_at_once(sink, desk, opening("hq.1:REG-001:EIGHT:1"))


async def test_a_request_that_fails_half_way_leaves_the_tracker_free(sink: RoundupSink, desk: RoundupDesk) -> None:
    key = "hq.1:REG-001:FREE:1"
    made = await sink.deliver(opening(key), ATTEMPT)
    assert isinstance(made, Confirmed)
    # the link to the ticket is written down before the priority turns out to be none
    message = {"ticket": made.ticket.external_id, "webhook_id": "msg_free", "priority": 10**30}
    headers = {"x-requested-with": "rest", "origin": desk.url, "referer": f"{desk.url}/"}
    async with httpx.AsyncClient(base_url=f"{desk.url}/rest/data", auth=(USER, PASSWORD), headers=headers) as client:
        answer = await client.post("/ticketmessage", json=message)
    assert (answer.status_code, "An error occurred." in answer.text) == (400, True)
    with contextlib.closing(sqlite3.connect(desk.home / "db" / "db", timeout=5, isolation_level=None)) as others:
        others.execute("BEGIN IMMEDIATE")
        others.execute("ROLLBACK")


async def test_a_locked_tracker_is_no_refusal(tmp_path: Path) -> None:
    port = pick_free_port()
    desk = RoundupDesk(tmp_path / "home", port)
    make_tracker(desk.home, port)
    config = desk.home / "config.ini"
    config.write_text(re.sub(r"(?m)^sqlite_timeout = .*$", "sqlite_timeout = 1", config.read_text()))
    desk.start()
    try:
        sink, command = make_sink(desk.url), opening("hq.1:REG-001:LOCKED:1")
        with contextlib.closing(sqlite3.connect(desk.home / "db" / "db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            outcome = await sink.deliver(command, ATTEMPT)
            assert isinstance(outcome, Unknown)
            assert "400" in outcome.reason
        assert isinstance(await sink.deliver(command, ATTEMPT), Confirmed)
        assert desk.count(command.dedup_key) == 1
        await sink.close()
    finally:
        desk.kill()


async def test_unclear_answers_of_roundup_are_unknown(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_unclear_answers_are_unknown(sink, desk, opening("hq.1:REG-001:UNCLEAR:1"))


async def test_roundup_is_waited_for_as_it_asks(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_waits_as_asked(sink, desk, opening("hq.1:REG-001:WAITS:1"))


async def test_lasting_faults_of_roundup(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_faults_that_last(sink, desk, opening("hq.1:REG-001:FAULTS:1"))


async def test_a_tracker_that_is_gone(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_gone(sink, desk, opening("hq.1:REG-001:GONE:1"))


async def test_a_key_that_roundup_has_for_something_else(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_key_collision(sink, desk, opening("hq.1:REG-001:USED:1"))


async def test_roundup_tells_what_was_missed(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_pull_after_a_gap(sink, desk, opening("hq.1:REG-001:GAP:1"))


async def test_steps_of_roundup_in_any_order(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_shuffled_steps(sink, desk, opening("hq.1:REG-001:SHUFFLED:1"))


async def test_look_up_in_roundup(sink: RoundupSink, desk: RoundupDesk) -> None:
    await sink_contract.check_lookup(sink, desk, opening("hq.1:REG-001:LOOK:1"))


async def test_roundup_away(sink: RoundupSink) -> None:
    away = make_sink(f"http://127.0.0.1:{pick_free_port()}")
    await sink_contract.check_unreachable(away, opening("hq.1:REG-001:AWAY:1"))
    await away.close()


async def test_probe_of_roundup(desk: RoundupDesk) -> None:
    await sink_contract.check_probe_and_close(make_sink(desk.url), desk, opening("hq.1:REG-001:PROBE:1"))
    stranger = make_sink(desk.url, "wrong")
    with pytest.raises(PermanentError, match="401"):
        await stranger.probe()
    assert isinstance(await stranger.deliver(opening("hq.1:REG-001:STRANGER:1"), ATTEMPT), Misconfigured)
    await stranger.close()


async def test_a_ticket_tells_the_dispatcher_all_that_was_known(sink: RoundupSink, desk: RoundupDesk) -> None:
    key = "hq.1:REG-001:ALL:1"
    made = await sink.deliver(opening(key), ATTEMPT)
    assert isinstance(made, Confirmed)
    assert made.ticket.url == f"{desk.url}/ticket{made.ticket.external_id}"
    found = await external(sink, key)
    assert (found.state, found.version, found.raised_at) == ("open", 0, iso(START))
    assert (found.ticket_class, found.type, found.asset) == ("EMERGENCY", "gas_concentration", "REG-001")
    (row,) = [row for row in desk.tickets() if row["_dedup_key"] == key]
    assert (row["_title"], row["_address"]) == ("燃气浓度 very high", "1 Main Street")
    assert (row["_depart_by"], row["_arrive_by"]) == (iso(START), None)


async def test_what_comes_later_stands_on_the_ticket_once(sink: RoundupSink, desk: RoundupDesk) -> None:
    key = "hq.1:REG-001:LATER:1"
    calm = opening(key)
    await sink.deliver(replace(calm, body={**calm.body, "priority": 3}), ATTEMPT)
    first = await sink.deliver(follow_up(key, 2), ATTEMPT)
    again = await sink.deliver(follow_up(key, 2), ATTEMPT)
    assert isinstance(first, Confirmed)
    assert isinstance(again, Confirmed)
    assert (first.duplicate, again.duplicate) == (False, True)
    (row,) = [row for row in desk.tickets() if row["_dedup_key"] == key]
    assert row["_priority"] == 1
    nobody = await sink.deliver(follow_up("hq.1:nobody:X:1", 2), ATTEMPT)
    assert isinstance(nobody, Refused)


async def test_a_crews_steps_come_back_in_order_and_by_pull(sink: RoundupSink, desk: RoundupDesk) -> None:
    key = "hq.1:REG-001:CREW:1"
    made = await sink.deliver(opening(key), ATTEMPT)
    assert isinstance(made, Confirmed)
    desk.set_state(made.ticket.external_id, "accepted", "departed", "arrived")
    found = await external(sink, key)
    assert (found.state, found.version) == ("arrived", 3)
    assert [(step.version, step.type, step.actor) for step in found.events] == [
        (1, "accepted", "crew"),
        (2, "departed", "crew"),
        (3, "arrived", "crew"),
    ]
    every = [change async for change in sink.changed_since("")]
    assert {change.ticket.dedup_key: change.ticket for change in every}[key] == found
    recent = [change.ticket.dedup_key async for change in sink.changed_since(every[-1].cursor)]
    assert key in recent
    assert [change async for change in sink.changed_since("2099-01-01.00:00:00")] == []


async def test_pages_of_changes_leave_none_out(
    sink: RoundupSink, desk: RoundupDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alarms.tickets.roundup.PAGE", 3)
    for number in range(7):
        await sink.deliver(opening(f"hq.1:REG-001:PAGE:{number}"), ATTEMPT)
    seen = [change.ticket.dedup_key async for change in sink.changed_since("")]
    assert sorted(seen) == sorted(row["_dedup_key"] for row in desk.tickets())


async def test_nobody_frees_a_key(sink: RoundupSink, desk: RoundupDesk) -> None:
    from roundup import instance
    from roundup.exceptions import Reject

    key = "hq.1:REG-001:KEPT:1"
    made = await sink.deliver(opening(key), ATTEMPT)
    assert isinstance(made, Confirmed)
    database = instance.open(str(desk.home)).open("admin")
    with pytest.raises(Reject, match="kept"):
        database.getclass("ticket").retire(made.ticket.external_id)
    with pytest.raises(Reject, match="never changes"):
        database.getclass("ticket").set(made.ticket.external_id, dedup_key="another")
    database.rollback()
    database.close()
    assert desk.count(key) == 1


async def test_another_key_is_another_ticket(sink: RoundupSink, desk: RoundupDesk) -> None:
    one = opening("hq.1:REG-001:A:1")
    await sink.deliver(one, ATTEMPT)
    await sink.deliver(rekeyed(one, "hq.1:REG-001:A:2"), ATTEMPT)
    assert (desk.count("hq.1:REG-001:A:1"), desk.count("hq.1:REG-001:A:2")) == (1, 1)
