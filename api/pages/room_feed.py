"""What everybody in the control room sees, made once for all who look: each change is drawn and written once."""

from __future__ import annotations

import asyncio
import gzip
import heapq
import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from api.pages.parts import html, room_html, strip_html
from api.services.live import Board, Change
from api.services.pulse import Pulse
from api.services.room import Place, horn, marks
from api.services.shown import BELOW, TABS, is_told
from api.services.summary import summary
from api.services.views import AlarmView, ticket_order
from api.text import Texts

FACTS_EVERY_S = 1.0
"""real seconds between two looks at key figures and marks: they count all alarms"""
MOST_BEHIND = 100
"""messages that may wait for one reader; who is further behind is sent away and reads everything anew"""
FIRST_ROWS = 60
"""rows of each list that a browser has at once; more than a tall screen shows"""
_COMPRESSION = 1

log = logging.getLogger(__name__)


class Row(NamedTuple):
    """A row as browsers take it, where it sorts, and under which tab it stands."""

    key: str
    tab: str
    text: str


class RoomFeed:
    """The control room in one language. Used on the event loop only."""

    def __init__(self, board: Board, pulse: Pulse, tr: Texts) -> None:
        self.number = 0
        self._board, self._pulse, self._tr = board, pulse, tr
        self._timezone = board.parts.site.gas_day.timezone
        self._alarms: dict[str, Row] = {}
        self._tickets: dict[str, Row] = {}
        self._facts: dict[str, Any] = {}
        self._marks: dict[str, str] = {}
        self._looked_at = 0.0
        self._day = self._today()
        self._places: dict[str, Place | None] = {}
        self._readers: set[asyncio.Queue[str | None]] = set()
        self._faulty = False
        self._packed: tuple[int, asyncio.Task[bytes]] | None = None
        self._draw_all()
        board.listen(self._changed)

    @property
    def readers(self) -> int:
        """How many read it."""
        return len(self._readers)

    def read(self) -> asyncio.Queue[str | None]:
        """Return a queue of messages from now on; None in it means: too far behind, read everything anew.

        The first message has the key figures and the first rows of both lists, so that nobody waits for all rows to
        see the worst ones.
        """
        queue: asyncio.Queue[str | None] = asyncio.Queue(MOST_BEHIND + 1)
        self.refresh()
        queue.put_nowait(self._hello())
        self._readers.add(queue)
        return queue

    def strip(self) -> str:
        """Return the strip of key figures as HTML."""
        self.refresh()
        return str(self._facts["strip"])

    def most_urgent(self) -> str:
        """Return the id of the alarm that stands first; empty if there is none."""
        return min(self._alarms, key=lambda alarm_id: self._alarms[alarm_id].key, default="")

    def refresh(self) -> None:
        """Look again if nobody has for a while: while nobody reads, nobody looks."""
        if time.monotonic() - self._looked_at > 2 * FACTS_EVERY_S:
            self.look()

    def _hello(self) -> str:
        lists = {
            "alarms": [row for row in self._alarms.values() if row.tab == TABS[0]],
            "tickets": self._tickets.values(),
        }
        first = ",".join(
            f'"{name}":[{",".join(row.text for row in heapq.nsmallest(FIRST_ROWS, rows, key=lambda row: row.key))}]'
            for name, rows in lists.items()
        )
        counts = json.dumps(Counter(row.tab for row in self._alarms.values()))
        return f'{{"hello":true,"n":{self.number},{first},"counts":{counts}{self._written(self._facts)}}}'

    def leave(self, queue: asyncio.Queue[str | None]) -> None:
        """End a reader."""
        self._readers.discard(queue)

    async def everything(self, after: int) -> bytes:
        """Return all rows and facts as compressed JSON, not older than message `after`."""
        if self._packed is None or self._packed[0] < min(after, self.number):
            text = self._whole()
            work = asyncio.to_thread(lambda: gzip.compress(text.encode(), _COMPRESSION))
            self._packed = (self.number, asyncio.create_task(work, name="pack the control room"))
        return await asyncio.shield(self._packed[1])

    def _whole(self) -> str:
        rows = {"alarms": _texts(self._alarms), "tickets": _texts(self._tickets), "marks": self._marks}
        lists = ",".join(f'"{name}":[{",".join(known.values())}]' for name, known in rows.items())
        return f'{{"n":{self.number},{lists}{self._written(self._facts)}}}'

    @staticmethod
    def _written(facts: Mapping[str, Any]) -> str:
        return "".join(f',"{name}":{json.dumps(fact, ensure_ascii=False)}' for name, fact in facts.items())

    def look(self) -> None:
        """Look at key figures and marks, and at what the day's change does to the times; to be called every second."""
        if self._today() != self._day or self._faulty:
            self._day = self._today()
            self._draw_all()
            self._faulty = False
            for queue in list(self._readers):
                self._send_away(queue)
        fresh, before = self._seen_facts(), self._marks
        self._marks = self._seen_marks()
        changed = {name: fact for name, fact in fresh.items() if self._facts.get(name) != fact}
        self._facts = fresh
        self._looked_at = time.monotonic()
        told = [self._written(changed)[1:]] if changed else []
        told += _difference("marks", before, self._marks)
        if told:
            self._tell(told)

    def _seen_marks(self) -> dict[str, str]:
        """Return the marks of the map by asset."""
        found = (room_html.map_mark(one, self._tr) for one in marks(self._board, self._places))
        return {one["asset"]: json.dumps(one, ensure_ascii=False) for one in found}

    def _seen_facts(self) -> dict[str, Any]:
        board, tr = self._board, self._tr
        return {
            "strip": strip_html.strip(summary(board, self._pulse), tr),
            "flood": board.flood is not None,
            "horn": horn(board, board.parts.clock.now()),
        }

    def _draw_all(self) -> None:
        board = self._board
        self._alarms = dict(self._rows(board.alarms))
        self._tickets = {number: self._ticket(number) for number in board.tickets}
        self._facts, self._marks = self._seen_facts(), self._seen_marks()
        self._looked_at = time.monotonic()
        self.number += 1

    def _rows(self, ids: Iterable[str]) -> Iterable[tuple[str, Row]]:
        """Yield the rows of those alarms that have one: the row of a higher limit tells of the lower one."""
        board = self._board
        for alarm_id in ids:
            view = board.alarms.get(alarm_id)
            if view is not None and not is_told(view, board.alarms):
                yield alarm_id, self._row(view)

    def _row(self, view: AlarmView) -> Row:
        row = room_html.row(view, self._tr, self._timezone, self._board.parts.clock.now())
        return Row(row["key"], row["tab"], json.dumps(row, ensure_ascii=False))

    def _ticket(self, number: str) -> Row:
        view = self._board.tickets[number]
        row = html.ticket_row(view, self._tr, ticket_order(view))
        return Row(row["key"], "", json.dumps(row, ensure_ascii=False))

    def _changed(self, change: Change) -> None:
        """Take a change over; after a fault everything is drawn anew, for the board tells nothing twice."""
        try:
            self._take(change)
        except Exception:
            log.exception("a change could not be shown in the control room")
            self._faulty = True

    def _take(self, change: Change) -> None:
        touched = {view.id for view in change.alarms} | set(change.gone)
        if touched:
            touched |= {f"{lower}@{asset}" for one in touched for lower, asset in _below(one)}
        rows = {key: row for key, row in self._rows(touched) if self._alarms.get(key) != row}
        gone = [key for key in touched if key in self._alarms and key not in rows and not self._stands(key)]
        tickets = {view.ticket_no: self._ticket(view.ticket_no) for view in change.tickets}
        self._alarms.update(rows)
        self._tickets.update(tickets)
        for key in gone:
            del self._alarms[key]
        for key in change.tickets_gone:
            self._tickets.pop(key, None)
        parts = [*_told("alarms", _texts(rows), gone), *_told("tickets", _texts(tickets), change.tickets_gone)]
        if parts:
            self._tell(parts)

    def _stands(self, alarm_id: str) -> bool:
        view = self._board.alarms.get(alarm_id)
        return view is not None and not is_told(view, self._board.alarms)

    def _tell(self, parts: list[str]) -> None:
        self.number += 1
        text = f'{{"n":{self.number},{",".join(parts)}}}'
        for queue in list(self._readers):
            if queue.qsize() >= MOST_BEHIND:
                self._send_away(queue)
            else:
                queue.put_nowait(text)

    def _send_away(self, queue: asyncio.Queue[str | None]) -> None:
        self._readers.discard(queue)
        queue.put_nowait(None)

    def _today(self) -> date:
        return self._board.parts.clock.now().astimezone(ZoneInfo(self._timezone)).date()


def _below(alarm_id: str) -> list[tuple[str, str]]:
    definition, _, asset = alarm_id.partition("@")
    return [(BELOW[definition], asset)] if definition in BELOW else []


def _texts(rows: Mapping[str, Row]) -> dict[str, str]:
    return {key: row.text for key, row in rows.items()}


def _difference(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what a message says of rows that differ."""
    changed = {key: row for key, row in now.items() if before.get(key) != row}
    return _told(name, changed, [key for key in before if key not in now])


def _told(name: str, changed: Mapping[str, str], gone: Sequence[str]) -> list[str]:
    rows = [f'"{name}":[{",".join(changed.values())}]'] if changed else []
    return rows + ([f'"{name}_gone":{json.dumps(list(gone), ensure_ascii=False)}'] if gone else [])
