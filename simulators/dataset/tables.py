"""The Parquet files of the exchange format: their columns, and a writer that needs little memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

TIME = pa.timestamp("ms", tz="UTC")
_NAMES = pa.dictionary(pa.int32(), pa.string())
"""strings in memory as positions in a list; in the file they are plain strings"""
READINGS = pa.schema([
    ("meter_id", _NAMES), ("time", TIME), ("received", TIME), ("register_m3", pa.float64()),
    ("valve", pa.int8()), ("flags", pa.uint32()), ("battery_v", pa.float32()), ("balance_m3", pa.float64()),
    ("purchased_m3", pa.float64()),
])  # fmt: skip
POINTS = pa.schema([
    ("point_id", _NAMES), ("time", TIME), ("received", TIME), ("value", pa.float64()), ("quality", pa.uint8()),
])  # fmt: skip
ROWS_AT_ONCE = 1_000_000
"""rows of a group of a Parquet file, which is what a writer holds in memory"""

_NAMED = {"meter_id", "point_id", "valve", "flags", "battery_v", "quality"}


def writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a Parquet file whose columns of few different values are kept as a dictionary."""
    named = [name for name in schema.names if name in _NAMED]
    return pq.ParquetWriter(
        path, schema, use_dictionary=named, compression="zstd", compression_level=1, store_schema=False
    )


def names(index: NDArray[np.integer[Any]], values: Sequence[str]) -> pa.Array:
    """Return the strings at some positions of a list."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(values, pa.string()))


def times(at_ms: NDArray[np.int64]) -> pa.Array:
    """Return moments (ms UTC) as the format has them."""
    return pa.array(at_ms).cast(TIME)


def readings(  # noqa: PLR0917 - the columns of the format, in their order
    meter_ids: Sequence[str],
    meter: NDArray[np.integer[Any]],
    time_ms: NDArray[np.int64],
    received_ms: NDArray[np.int64],
    register_m3: NDArray[np.float64],
    valve: NDArray[np.int8],
    flags: NDArray[np.uint32],
    battery_v: NDArray[np.float32],
    balance_m3: NDArray[np.float64],
    purchased_m3: NDArray[np.float64],
) -> pa.Table:
    """Return rows of readings; a negative valve and NaN become null."""
    return pa.table(
        [
            names(meter, meter_ids),
            times(time_ms),
            times(received_ms),
            pa.array(register_m3),
            pa.array(valve, mask=valve < 0),
            pa.array(flags),
            pa.array(battery_v, mask=np.isnan(battery_v)),
            pa.array(balance_m3, mask=np.isnan(balance_m3)),
            pa.array(purchased_m3, mask=np.isnan(purchased_m3)),
        ],
        schema=READINGS,
    )


def points(  # noqa: PLR0917 - the columns of the format, in their order
    point_ids: Sequence[str],
    point: NDArray[np.integer[Any]],
    time_ms: NDArray[np.int64],
    received_ms: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
) -> pa.Table:
    """Return rows of measuring points."""
    return pa.table(
        [
            names(point, point_ids), times(time_ms), times(received_ms), pa.array(value), pa.array(quality),
        ],
        schema=POINTS,
    )  # fmt: skip


def move(stream: Path, to: pq.ParquetWriter) -> int:
    """Append the rows of an Arrow stream to a Parquet file, delete the stream and return the number of rows."""
    rows = 0
    with pa.OSFile(str(stream), "rb") as file, pa.ipc.open_stream(file) as batches:
        for batch in batches:
            to.write_table(pa.Table.from_batches([batch]))
            rows += batch.num_rows
    stream.unlink()
    return rows
