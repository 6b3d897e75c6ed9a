"""The whole way of a ticket with the demo desk as an independent peer: out by webhook, back by signed events."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionFalls, ConditionRises
from alarms.definitions import load_definitions
from alarms.outbox import OutboxWorker
from alarms.route import TicketPolicy
from alarms.tickets.events import receive
from alarms.tickets.webhook import WebhookConfig, WebhookSink
from gateway.model.reading import to_us
from gateway.model.ticket import DeliveryState, Ticket, TicketClass, TicketState
from gateway.runtime.clock import CityClock
from gateway.settings import Secret
from gateway.store import outbox_rows, ticket_rows
from gateway.store.state import State
from simulators.desk_store import DeskStore
from simulators.ticket_desk import Desk, DeskClock, make_app
from tests.alarms.alarm_fixtures import START, minutes, small_network
from tests.alarms.desk_server import SECRET

FASTER = 900.0


@contextmanager
def serving(app: ASGIApp, port: int) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join(30)


def found(state: State) -> Ticket:
    with state.read() as connection:
        (ticket,) = ticket_rows.list_tickets(connection)
    return ticket


async def test_an_emergency_goes_out_and_its_crews_way_comes_back(tmp_path: Path, free_port: Callable[[], int]) -> None:
    (tmp_path / "clock.json").write_text(
        json.dumps({"city_us": to_us(START), "wall_us": time.time_ns() // 1000, "factor": FASTER}), encoding="utf-8"
    )
    (tmp_path / "desk.secret").write_text(SECRET, encoding="utf-8")
    clock = CityClock.from_file(tmp_path / "clock.json")
    state = State.in_folder(tmp_path / "state")
    policy = TicketPolicy(sinks=dict.fromkeys(TicketClass, "desk"))
    alarms = AlarmDesk(state, load_definitions(), small_network(), clock, policy)
    ours, theirs = free_port(), free_port()

    async def events(request: Request) -> Response:
        body = await request.body()
        status = await run_in_threadpool(receive, state, body, dict(request.headers), [SECRET], clock)
        return Response(status_code=status)

    desk = Desk(
        folder=tmp_path,
        store=DeskStore(tmp_path / "desk.db"),
        clock=DeskClock(tmp_path / "clock.json"),
        webhook=Webhook(SECRET),
        events_url=f"http://127.0.0.1:{ours}/events",
        base_url=f"http://127.0.0.1:{theirs}",
    )
    config = WebhookConfig(
        kind="webhook",
        name="desk",
        url=f"http://127.0.0.1:{theirs}/tickets",
        secrets=(Secret(file=tmp_path / "desk.secret"),),
    )
    sink = WebhookSink(config, clock)
    with (
        serving(Starlette(routes=[Route("/events", events, methods=["POST"])]), ours),
        serving(make_app(desk), theirs),
    ):
        worker = asyncio.create_task(OutboxWorker(state, {"desk": sink}, clock).run())
        (alarm,) = alarms.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionRises(clock.now(), 28.0))])
        alarms.commit([Edge("GAS_CONC_HI@REG-001", ConditionRises(clock.now(), 28.0))])
        alarms.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionFalls(1.0))])
        deadline = time.monotonic() + 15
        while found(state).state is not TicketState.COMPLETED:
            assert time.monotonic() < deadline, found(state)
            await asyncio.sleep(0.05)
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
        await sink.close()
    ticket = found(state)
    assert alarm.raised_at is not None
    assert alarm.raised_at < (ticket.dispatched_at or START) < (ticket.departed_at or START)
    assert (ticket.departed_at or START) < (ticket.arrived_at or START) < (ticket.completed_at or START)
    assert (ticket.arrived_at or START) <= alarm.raised_at + minutes(30)
    with state.read() as connection:
        rows = outbox_rows.outbox_of(connection, ticket.ticket_no)
    assert [row.command.command for row in rows] == ["open", "update", "rtn"]
    assert {row.state for row in rows} == {DeliveryState.CONFIRMED}
    state.close()
