"""A process that raises alarms and delivers their tickets to a Roundup tracker, until it is killed.

`python -m tests.alarms.ticket_storm FOLDER URL COUNT RATE` goes on where an earlier one was killed: it raises the
alarms that are missing, at RATE a second (0 = as fast as it can), and ends once all COUNT tickets are confirmed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionRises
from alarms.outbox import OutboxWorker
from alarms.tickets.lanes import LANES
from alarms.tickets.roundup import RoundupConfig, RoundupSink
from gateway.model.ticket import TicketClass
from gateway.runtime.clock import ManualClock
from gateway.settings import Secret
from gateway.store import outbox_rows, ticket_rows
from tests.alarms.alarm_fixtures import START, make_desk
from tests.alarms.roundup_desk import PASSWORD, RoundupDesk

RAISED_AT_ONCE = 10
QUICK = {name: replace(lane, gaps_s=(0.05, 0.1, 0.2), connect_s=0.5, total_s=1.0) for name, lane in LANES.items()}


def alarm_of(number: int) -> str:
    return f"HOME_GAS_SENSOR@X-{number:06d}"


def key_of(number: int) -> str:
    return f"hq.1:X-{number:06d}:HOME_GAS_SENSOR:1"


def make_sink(url: str) -> RoundupSink:
    os.environ["GASGATE_STORM_PASSWORD"] = PASSWORD
    config = RoundupConfig(kind="roundup", name="desk", url=url, password=Secret(env="GASGATE_STORM_PASSWORD"))
    return RoundupSink(config, ManualClock(0))


def unconfirmed(desk: AlarmDesk) -> int:
    with desk.state.read() as connection:
        return len(outbox_rows.list_unconfirmed(connection, tuple(TicketClass), wall_before_s=math.inf))


def raised(desk: AlarmDesk) -> int:
    with desk.state.read() as connection:
        return len(ticket_rows.list_tickets(connection, limit=1_000_000))


def wait_for(tracker: RoundupDesk, tickets: int) -> None:
    """Wait until the tracker has so many tickets."""
    until = time.monotonic() + 60
    while len(tracker.tickets()) < tickets:
        assert time.monotonic() < until, "no tickets arrive"
        time.sleep(0.02)


def doubled_or_lost(desk: AlarmDesk, tracker: RoundupDesk, count: int) -> tuple[int, int]:
    """Return how many alarms have more than one ticket in the tracker, and how many have none."""
    there = Counter(row["_dedup_key"] for row in tracker.tickets())
    with desk.state.read() as connection:
        owned = [ticket_rows.ticket_of(connection, alarm_of(number), 1) for number in range(count)]
    keys = ["" if one is None else one.dedup_key for one in owned]
    return sum(there[key] > 1 for key in keys), sum(there[key] == 0 for key in keys) + len(set(there) - set(keys))


@contextlib.contextmanager
def storm(folder: Path, url: str, count: int, rate: float) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process; it is killed at the end if it has not ended."""
    argv = [sys.executable, "-m", "tests.alarms.ticket_storm", str(folder), url, str(count), str(rate)]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[2]) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)


async def _raise(desk: AlarmDesk, worker: OutboxWorker, count: int, rate: float) -> None:
    loop = asyncio.get_running_loop()
    begun, first = loop.time(), raised(desk)
    for number in range(first, count, RAISED_AT_ONCE):
        if rate:
            await asyncio.sleep(begun + (number - first) / rate - loop.time())
        batch = range(number, min(number + RAISED_AT_ONCE, count))
        edges = [Edge(alarm_of(one), ConditionRises(START, 64.0)) for one in batch]
        await asyncio.to_thread(desk.commit, edges)
        worker.wake()


async def _run(folder: Path, url: str, count: int, rate: float) -> None:
    desk = make_desk(folder)
    sink = make_sink(url)
    worker = OutboxWorker(desk.state, {"desk": sink}, desk.clock, lanes=LANES if rate else QUICK)
    task = asyncio.create_task(worker.run())
    await _raise(desk, worker, count, rate)
    while await asyncio.to_thread(unconfirmed, desk):  # noqa: ASYNC110 - a process of its own, nobody can tell it
        await asyncio.sleep(0.1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await sink.close()


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
