"""Differences of all five kinds, planted behind the back of both sides with a real tracker, are found and mended alone.

The short form plants 20, and 1,000 with GASGATE_THOROUGH=1. They are planted in the tracker's own database, and its
times of change are turned back, so that no list of changes shows those of lower classes: only the night can find them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alarms.acts import AlarmDesk
from alarms.outbox import OutboxWorker
from alarms.reconcile import Reconciler
from alarms.tickets.lanes import LANES
from alarms.tickets.raising import Raising, Wanted
from gateway.model.ticket import Difference, DifferenceKind, Ticket, TicketClass, TicketState
from gateway.store import delivery_rows, ticket_rows
from tests.alarms.alarm_fixtures import START, make_desk
from tests.alarms.roundup_desk import RoundupDesk, make_tracker
from tests.alarms.test_outbox import until
from tests.alarms.ticket_storm import make_sink, unconfirmed
from tests.services import pick_free_port

OF_EACH = 50 if os.environ.get("GASGATE_THOROUGH") == "1" else 1
"""planted differences of each kind in the class EMERGENCY; three times as many in lower classes"""
CLASSES = (TicketClass.EMERGENCY, TicketClass.URGENT, TicketClass.REPAIR, TicketClass.CHECK)
KINDS = (
    DifferenceKind.MISSING_THERE, DifferenceKind.MISSING_HERE, DifferenceKind.DOUBLED, DifferenceKind.STATE,
    DifferenceKind.FIELD,
)  # fmt: skip
LAST_YEAR = "20250101120000.000"
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Planted:
    """What was planted: the key, and the class of its ticket."""

    kind: DifferenceKind
    key: str
    ticket_class: TicketClass


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[RoundupDesk]:
    made = RoundupDesk(tmp_path / "tracker", pick_free_port())
    make_tracker(made.home, made.port)
    made.start()
    yield made
    made.kill()


def at_night(desk: AlarmDesk) -> AlarmDesk:
    """Return the desk of a site where it is between three and four at night."""
    east = (3 - datetime.now(UTC).hour) % 24
    name = f"Etc/GMT{-east:+d}" if east <= 12 else f"Etc/GMT{24 - east:+d}"
    return AlarmDesk(desk.state, desk.definitions, desk.network, desk.clock, replace(desk.policy, timezone=name))


def open_tickets(desk: AlarmDesk, count: int) -> list[Ticket]:
    """Open so many tickets of each class as calls do."""
    found = []
    with desk.state.write() as connection:
        work = Raising(connection, desk.network, desk.policy, START, time.time())
        for number in range(count * len(CLASSES)):
            wanted = Wanted(
                CLASSES[number % len(CLASSES)], "smell", "REG-001", "CALL:SMELL:{number}", START, f"no. {number}", "", 3
            )
            found.append(work.open_other(wanted, {}))
    return found


def plant(home: Path, tickets: list[Ticket]) -> list[Planted]:
    """Spoil `OF_EACH` tickets of each kind and class in the tracker's own database; the last ones stay as they are."""
    planted = []
    with contextlib.closing(sqlite3.connect(home / "db" / "db", timeout=30.0)) as tracker, tracker:
        tracker.execute("UPDATE _ticket SET _activity = ?", (LAST_YEAR,))
        (newest,) = tracker.execute("SELECT max(id) FROM _ticket").fetchone()
        waiting = {wanted: iter([one for one in tickets if one.ticket_class is wanted]) for wanted in CLASSES}
        for kind in KINDS:
            for wanted in CLASSES:
                for _ in range(OF_EACH):
                    one = next(waiting[wanted])
                    newest += 1
                    planted.append(Planted(kind, _spoil(tracker, kind, one, newest), wanted))
        tracker.execute("UPDATE ids SET num = ? WHERE name = 'ticket'", (newest + 1,))
    return planted


def _spoil(tracker: sqlite3.Connection, kind: DifferenceKind, one: Ticket, fresh: int) -> str:
    key = one.dedup_key
    match kind:
        case DifferenceKind.MISSING_THERE:
            tracker.execute("DELETE FROM _ticket WHERE _dedup_key = ?", (key,))
        case DifferenceKind.DOUBLED:
            tracker.execute("UPDATE _ticket SET id = ? WHERE _dedup_key = ?", (fresh, key))
        case DifferenceKind.STATE:
            arrived = "(SELECT id FROM _ticketstate WHERE _name = 'arrived')"
            tracker.execute(f"UPDATE _ticket SET _state = {arrived}, _version = 1 WHERE _dedup_key = ?", (key,))
        case DifferenceKind.FIELD:
            tracker.execute("UPDATE _ticket SET _asset = 'elsewhere' WHERE _dedup_key = ?", (key,))
        case _:
            columns = [str(row[1]) for row in tracker.execute("PRAGMA table_info(_ticket)")]
            names = ", ".join(name for name in columns if name not in ("id", "_dedup_key", "_ticket_no"))
            key = f"hq.1:CALL:SMELL:lost-{fresh}"
            tracker.execute(
                f"INSERT INTO _ticket (id, _dedup_key, _ticket_no, {names}) "
                f"SELECT ?, ?, '', {names} FROM _ticket WHERE _dedup_key = ?",
                (fresh, key, one.dedup_key),
            )
            if one.ticket_class is TicketClass.EMERGENCY:
                now = datetime.now(UTC).strftime("%Y%m%d%H%M%S.000")
                tracker.execute("UPDATE _ticket SET _activity = ? WHERE id = ?", (now, fresh))
    return key


def found(desk: AlarmDesk) -> list[Difference]:
    with desk.state.read() as connection:
        return delivery_rows.list_differences(connection, limit=10_000)


def seen(desk: AlarmDesk) -> Counter[tuple[DifferenceKind, str]]:
    return Counter((row.kind, row.dedup_key) for row in found(desk))


def expected(planted: list[Planted], *classes: TicketClass) -> Counter[tuple[DifferenceKind, str]]:
    return Counter((one.kind, one.key) for one in planted if one.ticket_class in classes)


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_S + 120)
async def test_planted_differences_are_found_and_mended_with_no_manual_step(
    tmp_path: Path, tracker: RoundupDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alarms.reconcile.YOUNG_S", -1.0)
    monkeypatch.setattr("alarms.reconcile.EVERY_S", 0.2)
    desk, sink = at_night(make_desk(tmp_path / "site")), make_sink(tracker.url)
    rounds: list[bool] = []
    done = Reconciler.round

    async def counted(self: Reconciler, *, full: bool, only: list[str] | None = None) -> None:
        await done(self, full=full, only=only)
        rounds.append(full)

    monkeypatch.setattr(Reconciler, "round", counted)
    tickets = open_tickets(desk, OF_EACH * len(KINDS) + 2)
    worker = OutboxWorker(desk.state, {"desk": sink}, desk.clock, lanes=LANES)
    compare = Reconciler(desk, {"desk": sink})
    tasks = [asyncio.create_task(worker.run())]
    try:
        await until(lambda: not unconfirmed(desk), PATIENCE_S)
        await compare.round(full=False)
        assert found(desk) == []
        planted = plant(tracker.home, tickets)
        del rounds[:]
        await compare.round(full=False)
        assert rounds == [False]
        grave = expected(planted, TicketClass.EMERGENCY)
        assert seen(desk) == grave, "emergencies are found by the next look, which comes each minute; no other yet"
        await until(lambda: not unconfirmed(desk), PATIENCE_S)
        tasks.append(asyncio.create_task(compare.run()))
        await until(lambda: True in rounds, PATIENCE_S)
        assert seen(desk) == expected(planted, *CLASSES), "the night finds every other one, and nothing else"
        await until(lambda: not unconfirmed(desk), PATIENCE_S)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await sink.close()
    _assert_mended(desk, tracker, planted)


def _assert_mended(desk: AlarmDesk, tracker: RoundupDesk, planted: list[Planted]) -> None:
    """Sent again, imported and taken over is what can be; what is doubled or differs in a field is kept for people."""
    there = Counter(str(row["_dedup_key"]) for row in tracker.tickets())
    rows = {(row.kind, row.dedup_key): row for row in found(desk)}
    with desk.state.read() as connection:
        here = {one.key: ticket_rows.find_by_key(connection, one.key) for one in planted}
    for one in planted:
        ticket, row = here[one.key], rows[one.kind, one.key]
        assert ticket is not None, one
        assert there[one.key] == 1, one
        match one.kind:
            case DifferenceKind.STATE:
                assert (ticket.state, ticket.external_version) == (TicketState.ARRIVED, 1)
            case DifferenceKind.MISSING_HERE:
                assert (ticket.ticket_class, row.outcome) == (one.ticket_class, "imported")
            case DifferenceKind.FIELD | DifferenceKind.DOUBLED:
                assert row.settled_at is None, "somebody has to look"
            case _:
                assert there[one.key] == 1
    assert set(there.values()) == {1}
