"""Writes history of any size straight into sealed month files, without passing through files of single days."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.model.reading import ReadingBatch
from gateway.store import queries, sealed
from gateway.store.dayfile import COLUMNS, DAY_US, METER, NETWORK, Name, days_of
from gateway.store.journal import PART
from gateway.store.shelf import Shelf

_LOAD_ROWS = 200_000


def write_history(shelf: Shelf, rows: ReadingBatch, network: NDArray[np.bool_], highest: int) -> int:
    """Store rows, which are sorted by point and time, whole or not at all; return the newest load made of them.

    Each load takes about 200,000 rows, in the order of receiving. Raises duckdb.Error, OSError, and ValueError if
    what was written cannot be read again.
    """
    rank = np.empty(len(rows), dtype=np.int64)
    rank[np.argsort(rows.received_time, kind="stable")] = np.arange(len(rows))
    seqs = highest + 1 + rank // _LOAD_ROWS
    last = int(seqs.max())
    month = (days_of(rows.received_time) * DAY_US).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    made: dict[str, Name] = {}
    with shelf.cursor() as connection:
        for number in np.unique(month).tolist():
            span = str(np.datetime64(number, "M"))
            for family, own in ((METER, ~network), (NETWORK, network)):
                chosen = np.flatnonzero((month == number) & own)
                if len(chosen):
                    name = shelf.new_name(family, span)
                    part = name.file + PART
                    _write(connection, shelf.folder / part, rows.take(chosen), seqs[chosen], last)
                    made[part] = name
    shelf.swap(made, [])
    return last


def _write(connection: Any, path: Path, rows: ReadingBatch, seqs: NDArray[np.int64], whole: int) -> None:
    connection.register("incoming", {**queries.as_table(rows), "seq": seqs})
    with sealed.writing(connection, path):
        connection.execute(f"INSERT INTO made.reading SELECT {COLUMNS}, seq FROM incoming")  # noqa: S608 - our names
    meant = sealed.content(connection, "incoming")
    sealed.finish(connection, path, meant, touched=int(seqs.max()), whole=whole)
