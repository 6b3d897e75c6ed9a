"""The common message, many times faster: objects in one list, decoded straight into typed columns.

It reads only what is beyond doubt: every mapped field present in every reading and a plain number. All else is left to
the general way, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from collectors.payload.mapping import TopicMapping
from collectors.payload.paths import compile_each, compile_place
from collectors.payload.rows import Rows
from collectors.payload.values import EARLIEST_US, LATEST_US
from collectors.scaling import MAX_EXACT, scaler
from gateway.model.reading import GOOD

_FACTORS = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
Read = Callable[[str, bytes], Rows | None]
"""Meter and payload to rows; None for a message that takes the general way."""


def make_typed(mapping: TopicMapping) -> Read | None:
    """Return the fast function for a mapping, None if the mapping is not of the common kind."""
    names = _plain_names(mapping)
    if names is None:
        return None
    each, identity, time, *fields = names
    reading = msgspec.defstruct(
        "Reading",
        [("time", int), *((f"f{place}", float) for place in range(len(fields)))],
        rename={"time": time, **{f"f{place}": field for place, field in enumerate(fields)}},
        gc=False,
    )
    parts: list[tuple[str, Any]] = [("readings", list[reading])]  # type: ignore[valid-type]
    if identity:
        parts.append(("identity", str))
    decoder = msgspec.json.Decoder(msgspec.defstruct("Message", parts, rename={"readings": each, "identity": identity}))
    quantities = list(mapping.values)
    scales = [scaler(value.scale, value.offset) for value in mapping.values.values()]
    factor = _FACTORS[mapping.time.form]

    def read(meter: str, payload: bytes) -> Rows | None:
        try:
            message: Any = decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if (identity and message.identity != meter) or not message.readings:
            return None
        try:
            table = np.array([astuple(reading) for reading in message.readings], np.float64)
        except OverflowError:
            return None
        if np.abs(table).max() >= MAX_EXACT:
            return None
        return _rows([(meter, quantity) for quantity in quantities], table, scales, factor)

    return read


def _rows(points: list[Any], table: NDArray[np.float64], scales: list[Any], factor: int) -> Rows | None:
    times = table[:, 0].astype(np.int64) * factor
    if times.min() < EARLIEST_US or times.max() >= LATEST_US:
        return None
    values = np.empty((len(table), len(points)))
    for place, scale in enumerate(scales):
        values[:, place] = scale(table[:, place + 1])
    if not np.isfinite(values).all():
        return None
    return Rows(
        points,
        np.tile(np.arange(len(points)), len(table)),
        times.repeat(len(points)),
        values.ravel(),
        np.full(values.size, GOOD, np.uint8),
        timed=True,
    )


def _plain_names(mapping: TopicMapping) -> list[str] | None:
    """Return the names of list, identity, time and values if each is one key of an object, else None."""
    plain = mapping.format == "json" and not (mapping.frame or mapping.meter or mapping.columns)
    each = compile_each(mapping.each)
    if not plain or len(each) != 1 or mapping.time.form not in _FACTORS:
        return None
    if any(value.text or value.missing for value in mapping.values.values()):
        return None
    inside = [compile_place(path) for path in (mapping.time.path, *(value.path for value in mapping.values.values()))]
    outside = [each[0], compile_place(mapping.identity).steps if mapping.identity else ("",)]
    if any(place.in_message for place in inside):
        return None
    found = [*outside, *(place.steps for place in inside)]
    names = [steps[0] for steps in found if len(steps) == 1 and isinstance(steps[0], str)]
    distinct = len(set(names[:2])) == 2 and len(set(names[2:])) == len(names) - 2
    return names if len(names) == len(found) and distinct else None
