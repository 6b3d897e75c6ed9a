"""The common message, many times faster: objects in one list, decoded straight into typed columns.

It reads only what is beyond doubt: every mapped field present in every reading and a plain number. All else is left to
the general way, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from collectors.payload.mapping import TopicMapping
from collectors.payload.paths import compile_each, compile_place
from collectors.payload.rows import Rows
from collectors.payload.values import EARLIEST_US, LATEST_US
from collectors.scaling import MAX_EXACT, scaler
from gateway.model.reading import GOOD, PointId

_FACTORS = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
Table = list[Any]
"""The readings of a message, as they were written."""


class TypedReader:
    """The fast way of one mapping: `parse` for each message, then `rows` for many messages at once."""

    def __init__(self, mapping: TopicMapping, names: list[str]) -> None:
        """Compile the decoder; `names` are those of the list, the identity, the time and the values."""
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
        message = msgspec.defstruct("Message", parts, rename={"readings": each, "identity": identity})
        self._decode: Any = msgspec.json.Decoder(message).decode
        self._identified = bool(identity)
        self._names = [attrgetter(f"f{place}") for place in range(len(fields))]
        self._suffixes = [f"/{quantity.value}" for quantity in mapping.values]
        self._scales: list[Any] = [scaler(value.scale, value.offset) for value in mapping.values.values()]
        self._factor = _FACTORS[mapping.time.form]

    def parse(self, meter: str, payload: bytes) -> Table | None:
        """Return the readings of a message; None for one that takes the general way."""
        try:
            message = self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if (self._identified and message.identity != meter) or not message.readings:
            return None
        return message.readings  # type: ignore[no-any-return]

    def rows(self, meters: Sequence[str], tables: Sequence[Table]) -> Rows | None:
        """Return the rows of messages, each of one meter; None if one of them is not beyond doubt."""
        # columns at once: a tuple for each reading takes twice as long
        readings = list(chain.from_iterable(tables))
        count = len(readings)
        try:
            times = np.fromiter([reading.time for reading in readings], np.int64, count)
        except OverflowError:
            return None
        if times.max() >= MAX_EXACT or times.min() <= -MAX_EXACT:
            return None
        times_us = times * self._factor
        if times_us.min() < EARLIEST_US or times_us.max() >= LATEST_US:
            return None
        width = len(self._names)
        values = np.empty((count, width))
        for place, (name, scale) in enumerate(zip(self._names, self._scales, strict=True)):
            raw = np.fromiter(map(name, readings), np.float64, count)
            if np.abs(raw).max() >= MAX_EXACT:
                return None
            values[:, place] = scale(raw)
        if not np.isfinite(values).all():
            return None
        first = np.repeat(np.arange(len(meters)) * width, [len(part) for part in tables])
        return Rows(
            [PointId(meter + suffix) for meter in meters for suffix in self._suffixes],
            (first[:, None] + np.arange(width)).ravel(),
            times_us.repeat(width),
            values.ravel(),
            np.full(values.size, GOOD, np.uint8),
            timed=True,
        )


def make_typed(mapping: TopicMapping) -> TypedReader | None:
    """Return the fast reader of a mapping, None if the mapping is not of the common kind."""
    names = _plain_names(mapping)
    return None if names is None else TypedReader(mapping, names)


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
