"""What everybody in the control room sees, made once for all who look: each change is drawn and written once."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from api.pages.parts import html, room_html
from api.services.live import Board, Change
from api.services.pulse import Pulse
from api.services.room import Place, horn, marks
from api.services.shown import BELOW, is_told
from api.services.summary import summary
from api.services.views import AlarmView, ticket_order
from api.text import Texts

FACTS_EVERY_S = 1.0
"""real seconds between two looks at key figures and marks: they count all alarms"""
MOST_BEHIND = 100
"""messages that may wait for one reader; who is further behind is sent away and reads everything anew"""
_COMPRESSION = 1

log = logging.getLogger(__name__)


class RoomFeed:
    """The control room in one language. Used on the event loop only."""

    def __init__(self, board: Board, pulse: Pulse, tr: Texts) -> None:
        self.number = 0
        self._board, self._pulse, self._tr = board, pulse, tr
        self._timezone = board.parts.site.gas_day.timezone
        self._alarms: dict[str, str] = {}
        self._tickets: dict[str, str] = {}
        self._facts: dict[str, str] = {}
        self._marks: dict[str, str] = {}
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
        """Return a queue of messages from now on; None in it means: too far behind, read everything anew."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(MOST_BEHIND + 1)
        queue.put_nowait(f'{{"hello":true,"n":{self.number}}}')
        self._readers.add(queue)
        return queue

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
        facts = "".join(f",{json.dumps(name)}:{fact}" for name, fact in self._facts.items())
        rows = {"alarms": self._alarms, "tickets": self._tickets, "marks": self._marks}
        lists = ",".join(f'"{name}":[{",".join(known.values())}]' for name, known in rows.items())
        return f'{{"n":{self.number},{lists}{facts}}}'

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
        told = [f"{json.dumps(name)}:{fact}" for name, fact in changed.items()]
        told += _difference("marks", before, self._marks)
        if told:
            self._tell(told)

    def _seen_marks(self) -> dict[str, str]:
        """Return the marks of the map by asset."""
        found = (room_html.map_mark(one, self._tr) for one in marks(self._board, self._places))
        return {one["asset"]: json.dumps(one, ensure_ascii=False) for one in found}

    def _seen_facts(self) -> dict[str, str]:
        board, tr = self._board, self._tr
        seen: dict[str, Any] = {
            "strip": html.strip(summary(board, self._pulse), tr),
            "flood": board.flood is not None,
            "horn": horn(board, board.parts.clock.now()),
        }
        return {name: json.dumps(fact, ensure_ascii=False) for name, fact in seen.items()}

    def _draw_all(self) -> None:
        board = self._board
        self._alarms = dict(self._rows(board.alarms))
        self._tickets = {number: self._ticket(number) for number in board.tickets}
        self._facts, self._marks = self._seen_facts(), self._seen_marks()
        self.number += 1

    def _rows(self, ids: Iterable[str]) -> Iterable[tuple[str, str]]:
        """Yield the rows of those alarms that have one: the row of a higher limit tells of the lower one."""
        board = self._board
        for alarm_id in ids:
            view = board.alarms.get(alarm_id)
            if view is not None and not is_told(view, board.alarms):
                yield alarm_id, self._row(view)

    def _row(self, view: AlarmView) -> str:
        row = room_html.row(view, self._tr, self._timezone, self._board.parts.clock.now())
        return json.dumps(row, ensure_ascii=False)

    def _ticket(self, number: str) -> str:
        view = self._board.tickets[number]
        return json.dumps(html.ticket_row(view, self._tr, ticket_order(view)), ensure_ascii=False)

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
        parts = [*_told("alarms", rows, gone), *_told("tickets", tickets, change.tickets_gone)]
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


def _difference(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what a message says of rows that differ."""
    changed = {key: row for key, row in now.items() if before.get(key) != row}
    return _told(name, changed, [key for key in before if key not in now])


def _told(name: str, changed: Mapping[str, str], gone: Sequence[str]) -> list[str]:
    rows = [f'"{name}":[{",".join(changed.values())}]'] if changed else []
    return rows + ([f'"{name}_gone":{json.dumps(list(gone), ensure_ascii=False)}'] if gone else [])
