"""The questions to the files of the readings store, in SQL. The only caller is `gateway.store.readings`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.errors import RefusedError
from gateway.model.reading import ReadingBatch
from gateway.store.dayfile import COLUMNS, DayFile, every
from gateway.store.duplicates import settled

_LOADS_AT_ONCE = 10_000
_FEW_POINTS = 200


def batch_of(result: Any) -> ReadingBatch:
    """Return a query's rows; DuckDB gives back NULL for the NaN of a BAD row."""
    return _batch(result.fetchnumpy())


def _batch(columns: dict[str, Any]) -> ReadingBatch:
    return ReadingBatch(
        np.ma.filled(columns["point"], 0).astype(np.uint32),
        np.ma.filled(columns["source_time"], 0).astype(np.int64),
        np.ma.filled(columns["received_time"], 0).astype(np.int64),
        np.ma.filled(columns["value"], np.nan).astype(np.float64),
        np.ma.filled(columns["quality"], 0).astype(np.uint8),
    )


def as_table(rows: ReadingBatch) -> dict[str, NDArray[np.generic]]:
    """Return the columns under their names, aligned and contiguous: a batch read from bytes is neither."""
    names = COLUMNS.split(", ")
    return {
        name: np.require(column, requirements=["C", "A"]) for name, column in zip(names, rows.columns(), strict=True)
    }


def same_keys(connection: Any, files: list[DayFile], rows: ReadingBatch) -> ReadingBatch:
    """Return the stored rows that share point and source time with any of these."""
    connection.register("wanted", {"point": rows.point, "source_time": rows.source_time})
    bounds = {"low": int(rows.source_time.min()), "high": int(rows.source_time.max())}
    query = (
        "SELECT {} FROM {}.reading SEMI JOIN wanted USING (point, source_time) WHERE source_time BETWEEN $low AND $high"
    )
    return ReadingBatch.concat(
        [batch_of(connection.execute(query.format(COLUMNS, one.alias), bounds)) for one in files]
    )


def history(
    connection: Any,
    files: list[DayFile],
    points: NDArray[np.uint32],
    span: tuple[int, int],
    most_rows: int | None,
) -> ReadingBatch:
    """Return rows with start <= source_time < end, sorted. Raises RefusedError (413) above `most_rows`."""
    wanted = np.unique(points)
    chosen = ", ".join(map(str, wanted.tolist())) if len(wanted) <= _FEW_POINTS else "FROM wanted"
    connection.register("wanted", {"point": wanted.astype(np.uint32)})
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM ({every(files, 'reading', COLUMNS)}) "  # noqa: S608 - our names
        f" WHERE point BETWEEN {wanted[0]} AND {wanted[-1]} AND point IN ({chosen})"
        " AND source_time >= $start AND source_time < $end" + ("" if most_rows is None else f" LIMIT {most_rows + 1}"),
        {"start": span[0], "end": span[1]},
    )
    found = batch_of(rows)
    if most_rows is not None and len(found) > most_rows:
        raise RefusedError(413, "too_many_rows", f"more than {most_rows} rows; ask for a shorter span or fewer points")
    return settled(found)


def since(
    connection: Any, files: list[DayFile], after: int, upto: int, limit: int
) -> tuple[NDArray[np.int64], ReadingBatch]:
    """Return the rows of whole loads with after < seq <= upto, about `limit` of them, and the load of each."""
    bounds = {"seq": after, "upto": upto}
    loads = connection.execute(
        f"SELECT seq, sum(rows)::BIGINT AS rows FROM ({every(files, 'load', 'seq, rows')})"  # noqa: S608 - our names
        f" WHERE seq > $seq AND seq <= $upto AND rows > 0 GROUP BY seq ORDER BY seq LIMIT {_LOADS_AT_ONCE}",
        bounds,
    ).fetchnumpy()
    seqs, filled = loads["seq"], np.cumsum(loads["rows"])
    if not len(seqs):
        return np.zeros(0, dtype=np.int64), ReadingBatch.empty()
    last = min(int(np.searchsorted(filled, limit, side="right")) - 1, len(seqs) - 1)
    bounds["upto"] = int(seqs[max(last, 0)])
    columns = connection.execute(
        f"SELECT {COLUMNS}, seq FROM ({every(files, 'reading', COLUMNS + ', seq')})"  # noqa: S608 - our names
        " WHERE seq > $seq AND seq <= $upto ORDER BY seq",
        bounds,
    ).fetchnumpy()
    return np.ma.filled(columns["seq"], 0).astype(np.int64), _batch(columns)
