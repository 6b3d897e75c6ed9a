"""Writes a load into the open files of its days. The only caller is `gateway.store.readings`."""

from __future__ import annotations

import logging
from typing import Any

import duckdb
import numpy as np

from gateway.model.reading import ReadingBatch
from gateway.store import dayfile, queries
from gateway.store.dayfile import DayFile
from gateway.store.shelf import Shelf

_LOG = logging.getLogger(__name__)


def insert(shelf: Shelf, seq: int, rows: ReadingBatch, now_us: int) -> None:
    """Write each day's rows in a transaction of its own; the last one makes the load whole.

    A load without rows is noted on the day of `now_us`. Raises duckdb.Error; what was written of the load by then is
    recognised as doubled when it comes again.
    """
    day_of = dayfile.days_of(rows.received_time)
    days = np.unique(day_of).tolist() or [int(dayfile.days_of(np.array([now_us]))[0])]
    for position, day in enumerate(days):
        one = shelf.open_file(dayfile.span_of_day(day))
        part = rows if len(days) == 1 else rows.take(day_of == day)
        whole = position == len(days) - 1
        with shelf.cursor() as connection:
            _commit(connection, one, seq, part, whole=whole)
        one.added(part.source_time)
        one.touched = max(seq, one.touched)
        one.whole = max(seq, one.whole) if whole else one.whole


def _commit(connection: Any, one: DayFile, seq: int, rows: ReadingBatch, *, whole: bool) -> None:
    connection.begin()
    try:
        if len(rows):
            connection.register("incoming", queries.as_table(rows))
            connection.execute(dayfile.INSERT_ROWS.format(one.alias), {"seq": seq})
        connection.execute(dayfile.INSERT_LOAD.format(one.alias), {"seq": seq, "rows": len(rows), "whole": whole})
        connection.commit()
    except duckdb.Error:
        _roll_back(connection)
        raise


def _roll_back(connection: Any) -> None:
    try:
        connection.rollback()
    except duckdb.Error as error:
        _LOG.debug("nothing to roll back: %s", error)
