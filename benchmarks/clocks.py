"""50,000 open tickets: how late each warning and breach is told, with the sweeping process killed in between.

One in fifty is an emergency whose rungs fall into the measured seconds, one after the other; the others are checks of
meters that have days. A process of its own sweeps as the alarm role does. It is killed halfway with SIGKILL and
started again; what fell due while it was away is counted apart.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from alarms.service.calendar import official
from alarms.service.desk import ServiceDesk
from alarms.service.policy import shipped
from gateway.model.network import Network
from gateway.model.ticket import Ticket, TicketClass, TicketState
from gateway.roles.service_clocks import ServiceClocks
from gateway.runtime.clock import SystemClock
from gateway.store import promise_rows, ticket_rows
from gateway.store.state import State

TICKETS = 50_000
EMERGENCIES = 50
"""one in so many tickets"""
SECOND = timedelta(seconds=1)
ROOM_S = 10.0
"""for the last ones to be told, and for a process to start"""


def run(*, quick: bool, meters: int | None = None) -> dict[str, float]:
    """Return the lateness of what was told, in seconds, and how long the first setting of all clocks took."""
    count, measured_s = meters or (2_000 if quick else TICKETS), 20.0 if quick else 120.0
    with tempfile.TemporaryDirectory(prefix="gasgate-clocks-") as name:
        folder = Path(name)
        state = State.in_folder(folder)
        # a warning of each lies 15 minutes after its raising
        first = datetime.now(UTC) - timedelta(minutes=15)
        set_s = _fill(state, count, first, measured_s)
        child = _start(folder)
        time.sleep(ROOM_S)
        begun = datetime.now(UTC)
        time.sleep(measured_s / 2)
        killed = datetime.now(UTC)
        child.kill()
        child.join()
        child = _start(folder)
        time.sleep(ROOM_S)
        again = datetime.now(UTC)
        time.sleep(measured_s / 2)
        child.kill()
        child.join()
        calls = _calls(state, begun)
        state.close()
    late = np.array([after for due, after in calls if not killed - SECOND <= due <= again])
    away = np.array([after for due, after in calls if killed - SECOND <= due <= again])
    return {
        "tickets": float(count),
        "set_clocks_s": set_s,
        "told": float(len(late)),
        "late_median_s": float(np.median(late)),
        "late_p99_s": float(np.percentile(late, 99)),
        "late_worst_s": float(late.max()),
        "told_after_the_kill": float(len(away)),
        "late_worst_after_the_kill_s": float(away.max()),
    }


def _fill(state: State, count: int, first: datetime, measured_s: float) -> float:
    """Raise the tickets so that rungs of emergencies come one by one; return how long setting all clocks took."""
    step = timedelta(seconds=(measured_s + 3 * ROOM_S) / count)
    lead = timedelta(seconds=max(10.0, count / 200.0))
    for begin in range(0, count, 1000):
        with state.write() as connection:
            for number in range(begin, min(begin + 1000, count)):
                ticket_rows.insert_ticket(connection, _ticket(number, first + lead + number * step))
    desk = _desk(state)
    begun = time.monotonic()
    while desk.sweep():
        pass
    took = time.monotonic() - begun
    time.sleep(max(0.0, lead.total_seconds() - took))
    return took


def _ticket(number: int, raised_at: datetime) -> Ticket:
    return Ticket(
        ticket_no=f"T-{number:08d}",
        dedup_key=f"bench:{number}",
        ticket_class=TicketClass.CHECK if number % EMERGENCIES else TicketClass.EMERGENCY,
        type="theft" if number % EMERGENCIES else "leak",
        asset="",
        join_group="",
        scope="",
        state=TicketState.OPEN,
        raised_at=raised_at,
        depart_by=None,
        arrive_by=None,
        title="",
        description="",
    )


def _desk(state: State) -> ServiceDesk:
    return ServiceDesk(state, shipped(), official(), Network({}, {}, {}, {}), SystemClock())


def _start(folder: Path) -> multiprocessing.process.BaseProcess:
    child = multiprocessing.get_context("spawn").Process(target=_sweep, args=(folder,), daemon=True)
    child.start()
    return child


def _sweep(folder: Path) -> None:
    asyncio.run(ServiceClocks(_desk(State.in_folder(folder))).run())


def _calls(state: State, begun: datetime) -> list[tuple[datetime, float]]:
    """Return of what fell due in the measured time when it did, and how late it was told, in seconds."""
    with state.read() as connection:
        told = promise_rows.told(connection, since=begun, limit=10_000_000)
    return [(call.due_at, (call.told_at - call.due_at).total_seconds()) for call in told if call.due_at >= begun]
