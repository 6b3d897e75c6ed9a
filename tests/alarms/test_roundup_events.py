"""What crews do in a real tracker stands on gasgate's ticket: told by its reactor, or found by comparing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alarms.acts import AlarmDesk
from alarms.outbox import OutboxWorker
from alarms.reconcile import Reconciler
from alarms.tickets.events import receive
from alarms.tickets.roundup import RoundupSink
from gateway.model.ticket import DifferenceKind, Ticket, TicketState
from gateway.store import delivery_rows, ticket_event_rows, ticket_rows, verdict_rows
from tests.alarms.alarm_fixtures import START, make_desk, minutes
from tests.alarms.desk_server import OTHER, SECRET
from tests.alarms.roundup_desk import RoundupDesk, make_tracker
from tests.alarms.test_outbox import QUICK, all_confirmed, raise_gas, until
from tests.alarms.ticket_storm import make_sink
from tests.services import pick_free_port

KEY = "hq.1:X-000001:HOME_GAS_SENSOR:1"


class Door:
    """gasgate's event door alone, on a real socket."""

    def __init__(self, desk: AlarmDesk, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1/ticket-events"
        self.answers: list[int] = []
        self.open = True

        async def take(request: Request) -> Response:
            if not self.open:
                return Response(status_code=503)
            body = await request.body()
            secrets = (OTHER, SECRET)
            answer = await run_in_threadpool(receive, desk.state, body, dict(request.headers), secrets, desk.clock)
            self.answers.append(answer)
            return Response(status_code=answer)

        app = Starlette(routes=[Route("/api/v1/ticket-events", take, methods=["POST"])])
        self._server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", lifespan="off")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(30)


@pytest.fixture
def desk(tmp_path: Path) -> AlarmDesk:
    return make_desk(tmp_path / "site")


@pytest.fixture
def door(desk: AlarmDesk, free_port: Callable[[], int]) -> Iterator[Door]:
    made = Door(desk, free_port())
    yield made
    made.close()


@pytest.fixture
def tracker(tmp_path: Path, door: Door) -> Iterator[RoundupDesk]:
    port = pick_free_port()
    made = RoundupDesk(tmp_path / "tracker", port)
    make_tracker(made.home, port, events_url=door.url, secret=SECRET)
    made.start()
    yield made
    made.kill()


def ticket(desk: AlarmDesk) -> Ticket:
    with desk.state.read() as connection:
        found = ticket_rows.find_by_key(connection, KEY)
    assert found is not None
    return found


async def delivered(desk: AlarmDesk, tracker: RoundupDesk) -> RoundupSink:
    """Raise an alarm, let its ticket be confirmed, and return the sink five minutes later."""
    sink = make_sink(tracker.url)
    raise_gas(desk, 1)
    task = asyncio.create_task(OutboxWorker(desk.state, {"desk": sink}, desk.clock, lanes=QUICK).run())
    await until(lambda: all_confirmed(desk))
    task.cancel()
    desk.clock.set(START + minutes(5))  # type: ignore[attr-defined]
    return sink


async def test_steps_are_told_by_the_tracker_and_those_it_could_not_tell_are_found(
    desk: AlarmDesk, door: Door, tracker: RoundupDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alarms.reconcile.YOUNG_S", -1.0)
    sink = await delivered(desk, tracker)
    number = ticket(desk).external_id
    await asyncio.to_thread(tracker.set_state, number, "accepted")
    await until(lambda: ticket(desk).state is TicketState.ACCEPTED)
    assert door.answers == [204]
    door.open = False
    await asyncio.to_thread(tracker.set_state, number, "departed", "arrived")
    assert ticket(desk).state is TicketState.ACCEPTED
    await Reconciler(desk, {"desk": sink}).round(full=False)
    await sink.close()
    one = ticket(desk)
    assert (one.state, one.external_version) == (TicketState.ARRIVED, 3)
    with desk.state.read() as connection:
        steps = ticket_event_rows.events_of(connection, one.ticket_no)
        found = delivery_rows.list_differences(connection)
    assert [(step.version, step.type) for step in steps] == [(1, "accepted"), (2, "departed"), (3, "arrived")]
    assert [row.kind for row in found] == [DifferenceKind.STATE]


async def test_what_a_crew_found_becomes_the_verdict_told_or_pulled(
    desk: AlarmDesk, door: Door, tracker: RoundupDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alarms.reconcile.YOUNG_S", -1.0)
    sink = await delivered(desk, tracker)
    number = ticket(desk).external_id

    def verdicts() -> list[bool]:
        with desk.state.read() as connection:
            return [one.false_alarm for one in verdict_rows.since(connection, 0)]

    await asyncio.to_thread(tracker.set_state, number, "arrived")
    await asyncio.to_thread(tracker.set_result, number, "found")
    await until(lambda: ticket(desk).state is TicketState.ARRIVED)
    assert verdicts() == [], "what was found goes with the next step"
    await asyncio.to_thread(tracker.set_state, number, "completed")
    await until(lambda: verdicts() == [False])
    door.open = False
    await asyncio.to_thread(tracker.set_result, number, "false_alarm")
    await Reconciler(desk, {"desk": sink}).round(full=False)
    await sink.close()
    assert verdicts() == [False, True], "the newest counts"
    assert (ticket(desk).state, ticket(desk).external_version) == (TicketState.COMPLETED, 3)
