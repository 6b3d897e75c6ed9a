"""Tickets to a real Roundup tracker on the same machine.

Three parts. A storm: alarms whose tickets go to a tracker that fails, cuts answers and hangs at random, while tracker
and sender are killed again and again; then each alarm must have one ticket. A pace: 100 alarms a second to a healthy
tracker; from the commit of the alarm to the tracker's answer. An outage: the tracker is dead; when the operator has the
alarm, when the other way was taken, and how soon after its return the ticket is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionRises
from alarms.fallback import FallbackWorker
from alarms.outbox import OutboxWorker
from alarms.pipeline import AlarmPipeline
from alarms.tickets.command import CommandConfig, CommandSink
from alarms.tickets.lanes import LANES
from benchmarks.measure import p99
from gateway.model.ticket import DeliveryState, TicketClass
from gateway.ports import TicketSink
from gateway.store import alarm_rows, delivery_rows, outbox_rows, ticket_rows
from gateway.store.registry import StateRegistry
from tests.alarms.alarm_fixtures import START, make_desk
from tests.alarms.roundup_desk import RoundupDesk, make_tracker
from tests.alarms.ticket_storm import alarm_of, doubled_or_lost, make_sink, storm
from tests.services import pick_free_port

FAULTS = ("500", "503", "429", "302", "202", "409", "401", "reset", "cut", "hang", "garbage", "huge")
RATE = 100.0
KILL_EVERY_S = (4.0, 12.0)


def run(*, quick: bool, meters: int | None = None) -> dict[str, float]:
    """Return the figures; `meters` is the number of alarms in the storm: 300 (quick) or 10,000."""
    count = meters or (300 if quick else 10_000)
    with tempfile.TemporaryDirectory(prefix="gasgate-tickets-") as name:
        folder = Path(name)
        figures = _storm(folder / "storm", count)
        figures |= _pace(folder / "pace", 5 if quick else 60)
        return figures | asyncio.run(_outage(folder / "outage", fallback=not quick))


def _tracker(folder: Path) -> RoundupDesk:
    folder.mkdir(parents=True)
    tracker = RoundupDesk(folder / "tracker", pick_free_port(), workers=2)
    make_tracker(tracker.home, tracker.port)
    return tracker


def _storm(folder: Path, count: int) -> dict[str, float]:
    dice = random.Random(1)
    tracker = _tracker(folder)
    tracker.faults(*FAULTS)
    tracker.start()
    begun, kills = time.monotonic(), 0
    try:
        while True:
            with storm(folder / "site", tracker.url, count, 0.0) as process:
                until = time.monotonic() + dice.uniform(*KILL_EVERY_S)
                while time.monotonic() < until and process.poll() is None:
                    time.sleep(0.05)
                if process.poll() == 0:
                    break
            kills += 1
            if dice.random() < 0.5:
                tracker.kill()
                kills += 1
                tracker.start()
        desk = make_desk(folder / "site")
        doubled, lost = doubled_or_lost(desk, tracker, count)
        desk.state.close()
    finally:
        tracker.kill()
    return {
        "storm_alarms": float(count),
        "storm_kills": float(kills),
        "storm_doubled": float(doubled),
        "storm_lost": float(lost),
        "storm_s": time.monotonic() - begun,
    }


def _pace(folder: Path, seconds: int) -> dict[str, float]:
    tracker, count = _tracker(folder), round(RATE * seconds)
    tracker.start()
    try:
        with storm(folder / "site", tracker.url, count, RATE) as process:
            process.wait(seconds * 10 + 60)
        desk = make_desk(folder / "site")
        waits_s = sorted(_waits_s(desk))
        desk.state.close()
    finally:
        tracker.kill()
    return {
        "pace_alarms": float(len(waits_s)),
        "pace_p50_s": waits_s[len(waits_s) // 2],
        "pace_p99_s": p99(waits_s),
        "pace_worst_s": waits_s[-1],
    }


def _waits_s(desk: AlarmDesk) -> list[float]:
    with desk.state.read() as connection:
        tickets = ticket_rows.list_tickets(connection, limit=1_000_000)
        rows = [outbox_rows.outbox_of(connection, one.ticket_no)[0] for one in tickets]
    return [row.wall_confirmed_at - row.wall_created_at for row in rows if row.wall_confirmed_at is not None]


async def _outage(folder: Path, *, fallback: bool) -> dict[str, float]:
    tracker = _tracker(folder)
    desk = make_desk(folder / "site")
    told = CommandConfig(
        kind="command", name="sms", argv=(sys.executable, "-c", "pass"), fallback_for=(TicketClass.EMERGENCY,)
    )
    sinks: dict[str, TicketSink] = {"desk": make_sink(tracker.url), "sms": CommandSink(told, desk.clock)}
    ways = {TicketClass.EMERGENCY: ["sms"]}
    tasks = [
        asyncio.create_task(OutboxWorker(desk.state, sinks, desk.clock).run()),
        asyncio.create_task(FallbackWorker(desk.state, sinks, ways, lanes=LANES).run()),
    ]
    pipeline = AlarmPipeline(desk, desk.network, StateRegistry(desk.state), desk.definitions, desk.clock)
    begun = time.monotonic()
    desk.commit([Edge(alarm_of(1), ConditionRises(START, 64.0))])
    figures = {}
    try:
        figures["outage_told_s"] = await _until(desk, pipeline, _is_told) - begun
        if fallback:
            figures["outage_fallback_s"] = await _until(desk, pipeline, _went_another_way) - begun
        tracker.start()
        back = time.monotonic()
        figures["outage_recovered_s"] = await _until(desk, pipeline, _is_confirmed) - back
        figures["outage_tickets"] = float(len(tracker.tickets()))
    finally:
        tracker.kill()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for sink in sinks.values():
            await sink.close()
        desk.state.close()
    return figures


async def _until(desk: AlarmDesk, pipeline: AlarmPipeline, holds: Callable[[AlarmDesk], bool]) -> float:
    """Tick as the role does until something holds; return the moment, monotonic."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        await asyncio.to_thread(pipeline.tick, desk.clock.now())
        if holds(desk):
            return time.monotonic()
        await asyncio.sleep(0.25)
    raise RuntimeError("it did not happen")


def _is_told(desk: AlarmDesk) -> bool:
    with desk.state.read() as connection:
        return any(one.cond for one in alarm_rows.load_of(connection, ["TICKET_UNCONFIRMED"]))


def _went_another_way(desk: AlarmDesk) -> bool:
    with desk.state.read() as connection:
        number = ticket_rows.list_tickets(connection)[0].ticket_no
        rows = delivery_rows.fallbacks_of(connection, number)
    return [row.state for row in rows] == [DeliveryState.CONFIRMED]


def _is_confirmed(desk: AlarmDesk) -> bool:
    with desk.state.read() as connection:
        return ticket_rows.list_tickets(connection)[0].delivery is DeliveryState.CONFIRMED
