"""Rows that say how far each output's stream has come."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from gateway.model.stream import Counts, Gap, Place
from gateway.store import tables
from gateway.store.state import State, put_cursor, upsert


class StreamRows:
    """Places of streams in the state database, by name. Each `save` is one transaction."""

    def __init__(self, state: State) -> None:
        """Use this state."""
        self._state = state

    def load(self, name: str) -> Place | None:
        """Return where a stream stands, None if it never began. Raises TransientError."""
        cursor, stream, gap = tables.cursor, tables.stream, tables.stream_gap
        with self._state.read() as connection:
            head = connection.execute(select(cursor.c.seq).where(cursor.c.name == name)).scalar()
            if head is None:
                return None
            dropped = connection.execute(select(stream.c.dropped).where(stream.c.name == name)).scalar()
            rows = connection.execute(select(gap).where(gap.c.stream == name).order_by(gap.c.upto)).all()
        gaps = [Gap(row.after, row.upto, _counts(row.rows), row.newest_us, row.classes) for row in rows]
        return Place(int(head), tuple(gaps), _counts(dropped) or (0, 0, 0, 0))

    def save(self, name: str, before: Place | None, place: Place) -> None:
        """Write what is different from `before`, which is what stands there. Raises TransientError."""
        table = tables.stream_gap
        old = {gap.upto: gap for gap in before.gaps} if before is not None else {}
        new = {gap.upto: gap for gap in place.gaps}
        with self._state.write() as connection:
            put_cursor(connection, name, place.head)
            if before is None or before.dropped != place.dropped:
                upsert(connection, tables.stream, {"name": name}, {"dropped": list(place.dropped)})
            for upto in old.keys() - new.keys():
                connection.execute(delete(table).where(table.c.stream == name, table.c.upto == upto))
            for upto, gap in new.items():
                if old.get(upto) != gap:
                    upsert(connection, table, {"stream": name, "upto": upto}, _row(gap))


def _row(gap: Gap) -> dict[str, object]:
    rows = None if gap.rows is None else list(gap.rows)
    return {"after": gap.after, "rows": rows, "newest_us": gap.newest_us, "classes": gap.classes}


def _counts(stored: Sequence[int] | None) -> Counts | None:
    if stored is None:
        return None
    a, b, c, d = stored
    return a, b, c, d
