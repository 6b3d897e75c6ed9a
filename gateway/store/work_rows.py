"""Work items: what needs work, but not this operator now. One row for each key, however often it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from gateway.errors import RefusedError
from gateway.model.reading import from_us, to_us
from gateway.store import tables

_row = tables.work_item


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Something to do at a subject, an asset or an alarm; `key` says what made it."""

    key: str
    kind: str
    subject: str
    detail: Mapping[str, Any]
    made_at: datetime


@dataclass(frozen=True, slots=True)
class StoredItem:
    """A work item with its number and what became of it."""

    id: int
    item: WorkItem
    done_at: datetime | None
    done_by: str
    note: str


def add(connection: Connection, items: Sequence[WorkItem]) -> int:
    """Write those that are new, inside the caller's transaction; return how many that were."""
    new = 0
    for item in items:
        if connection.execute(select(_row.c.id).where(_row.c.key == item.key)).first() is None:
            values = {"key": item.key, "kind": item.kind, "subject": item.subject, "detail": dict(item.detail)}
            connection.execute(_row.insert().values(**values, made_at=to_us(item.made_at), done_by="", note=""))
            new += 1
    return new


def open_items(connection: Connection, limit: int = 1000) -> list[StoredItem]:
    """Return what is not done, oldest first."""
    query = select(_row).where(_row.c.done_at.is_(None)).order_by(_row.c.id).limit(limit)
    return [_item(row) for row in connection.execute(query).mappings()]


def made_between(connection: Connection, first: datetime, last: datetime, limit: int = 10_000) -> list[StoredItem]:
    """Return what was made with first <= time < last, oldest first."""
    query = select(_row).where(_row.c.made_at >= to_us(first), _row.c.made_at < to_us(last))
    return [_item(row) for row in connection.execute(query.order_by(_row.c.id).limit(limit)).mappings()]


def open_of(connection: Connection, kind: str) -> list[StoredItem]:
    """Return all of a kind that are not done, oldest first."""
    query = select(_row).where(_row.c.done_at.is_(None), _row.c.kind == kind).order_by(_row.c.id)
    return [_item(row) for row in connection.execute(query).mappings()]


def keys_of(connection: Connection, kind: str) -> set[str]:
    """Return the keys of all items of a kind that were ever made."""
    return set(connection.execute(select(_row.c.key).where(_row.c.kind == kind)).scalars())


def find(connection: Connection, item_id: int) -> StoredItem:
    """Return one item. Raises RefusedError 404 `unknown_item`."""
    row = connection.execute(select(_row).where(_row.c.id == item_id)).mappings().first()
    if row is None:
        raise RefusedError(404, "unknown_item")
    return _item(row)


def done(connection: Connection, item_id: int, who: str, note: str, at: datetime) -> StoredItem:
    """Write that an item is done. Raises RefusedError 404 `unknown_item`, 409 `already_done`."""
    row = connection.execute(select(_row).where(_row.c.id == item_id)).mappings().first()
    if row is None:
        raise RefusedError(404, "unknown_item")
    if row["done_at"] is not None:
        raise RefusedError(409, "already_done")
    connection.execute(_row.update().where(_row.c.id == item_id).values(done_at=to_us(at), done_by=who, note=note))
    return _item(connection.execute(select(_row).where(_row.c.id == item_id)).mappings().one())


def _item(row: RowMapping) -> StoredItem:
    item = WorkItem(row["key"], row["kind"], row["subject"], row["detail"], from_us(row["made_at"]))
    finished = None if row["done_at"] is None else from_us(row["done_at"])
    return StoredItem(int(row["id"]), item, finished, row["done_by"], row["note"])
