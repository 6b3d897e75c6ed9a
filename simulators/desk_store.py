"""What the demo ticket desk remembers: tickets, messages about them, and the crew's steps (SQLite, fsync'd)."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MINUTE_US = 60_000_000

CREW_STEPS: Mapping[str, tuple[tuple[str, float], ...]] = {
    "EMERGENCY": (
        ("accepted", 1 / 3), ("dispatched", 1.0), ("departed", 2.0), ("arrived", 14.0), ("fixed", 32.0),
        ("completed", 45.0),
    ),
    "URGENT": (
        ("accepted", 2.0), ("dispatched", 5.0), ("departed", 12.0), ("arrived", 45.0), ("fixed", 80.0),
        ("completed", 95.0),
    ),
    "CHECK": (("accepted", 5.0),),
}  # fmt: skip
"""what a crew does, in city minutes after the ticket came in"""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ticket (
    external_id TEXT PRIMARY KEY, dedup_key TEXT NOT NULL UNIQUE, ticket_no TEXT NOT NULL, class TEXT NOT NULL,
    type TEXT NOT NULL, asset TEXT NOT NULL, title TEXT NOT NULL, raised_at TEXT NOT NULL, received_us INTEGER NOT NULL,
    state TEXT NOT NULL, version INTEGER NOT NULL, change_no INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    dedup_key TEXT NOT NULL, command TEXT NOT NULL, command_no INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (dedup_key, command, command_no));
CREATE TABLE IF NOT EXISTS step (
    event_id TEXT PRIMARY KEY, dedup_key TEXT NOT NULL, version INTEGER NOT NULL, type TEXT NOT NULL,
    due_us INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0, UNIQUE (dedup_key, version));
"""


@dataclass(frozen=True, slots=True)
class NewTicket:
    """The fields of an `open` command that the desk keeps."""

    dedup_key: str
    ticket_no: str
    ticket_class: str
    type: str
    asset: str
    title: str
    raised_at: str


@dataclass(frozen=True, slots=True)
class DeskTicket:
    """A ticket as the desk shows it."""

    external_id: str
    dedup_key: str
    ticket_no: str
    ticket_class: str
    type: str
    asset: str
    title: str
    raised_at: str
    received_us: int
    """us UTC of the city's clock"""
    state: str
    version: int
    change_no: int


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the crew did, to be told to gasgate."""

    event_id: str
    dedup_key: str
    external_id: str
    ticket_class: str
    asset: str
    type: str
    version: int
    occurred_us: int


class DeskStore:
    """One SQLite file; safe to use from several threads. What a call returned for is on disk."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def open(self, new: NewTicket, now_us: int) -> tuple[DeskTicket, bool]:
        """Return (ticket, True if it was made now). The same key never makes a second one."""
        with self._transaction() as db:
            if (found := _find(db, new.dedup_key)) is not None:
                return found, False
            number = db.execute("SELECT count(*) FROM ticket").fetchone()[0] + 1
            db.execute(
                "INSERT INTO ticket VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', 0, ?)",
                (f"DESK-{number:06d}", new.dedup_key, new.ticket_no, new.ticket_class, new.type, new.asset, new.title,
                 new.raised_at, now_us, _next_change(db)),
            )  # fmt: skip
            for version, (kind, minutes) in enumerate(CREW_STEPS.get(new.ticket_class, ()), start=1):
                db.execute(
                    "INSERT INTO step (event_id, dedup_key, version, type, due_us) VALUES (?, ?, ?, ?, ?)",
                    (f"msg_{uuid.uuid4()}", new.dedup_key, version, kind, now_us + round(minutes * MINUTE_US)),
                )
            made = _find(db, new.dedup_key)
        assert made is not None
        return made, True

    def add_message(self, dedup_key: str, command: str, command_no: int, body: str) -> tuple[DeskTicket | None, bool]:
        """Keep an update, note or the like; (None, False) if the ticket is unknown, False for a repeat."""
        with self._transaction() as db:
            ticket = _find(db, dedup_key)
            if ticket is None:
                return None, False
            row = (dedup_key, command, command_no, body)
            cursor = db.execute("INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?)", row)
            return ticket, cursor.rowcount == 1

    def by_key(self, dedup_key: str) -> DeskTicket | None:
        """Return a ticket, None if there surely is none."""
        with self._lock:
            return _find(self._db, dedup_key)

    def changed_since(self, change_no: int, limit: int = 500) -> list[DeskTicket]:
        """Return tickets that changed after a change number, oldest change first."""
        with self._lock:
            query = "SELECT * FROM ticket WHERE change_no > ? ORDER BY change_no LIMIT ?"
            return [_ticket(row) for row in self._db.execute(query, (change_no, limit))]

    def take_due(self, now_us: int) -> list[Step]:
        """Let every crew do what is due by now, and return the oldest untold step of each ticket that has one."""
        query = """SELECT s.*, t.external_id, t.class, t.asset FROM step s JOIN ticket t USING (dedup_key)
                   WHERE s.told = 0 AND s.due_us <= ?
                     AND s.version = (SELECT min(version) FROM step o WHERE o.dedup_key = s.dedup_key AND o.told = 0)
                   ORDER BY s.due_us LIMIT 100"""
        with self._lock:
            rows = self._db.execute(query, (now_us,)).fetchall()
        steps = [
            Step(row["event_id"], row["dedup_key"], row["external_id"], row["class"], row["asset"], row["type"],
                 row["version"], row["due_us"])
            for row in rows
        ]  # fmt: skip
        for step in steps:
            self._advance(step)
        return steps

    def _advance(self, step: Step) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE ticket SET state = ?, version = ?, change_no = ? WHERE dedup_key = ? AND version < ?",
                (step.type, step.version, _next_change(db), step.dedup_key, step.version),
            )

    def told(self, step: Step) -> None:
        """Record that gasgate knows a step."""
        with self._transaction() as db:
            db.execute("UPDATE step SET told = 1 WHERE event_id = ?", (step.event_id,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def _find(db: sqlite3.Connection, dedup_key: str) -> DeskTicket | None:
    row = db.execute("SELECT * FROM ticket WHERE dedup_key = ?", (dedup_key,)).fetchone()
    return None if row is None else _ticket(row)


def _ticket(row: Mapping[str, Any] | sqlite3.Row) -> DeskTicket:
    return DeskTicket(
        row["external_id"], row["dedup_key"], row["ticket_no"], row["class"], row["type"], row["asset"], row["title"],
        row["raised_at"], row["received_us"], row["state"], row["version"], row["change_no"],
    )  # fmt: skip


def _next_change(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(change_no), 0) + 1 FROM ticket").fetchone()[0])
