"""Messages into rows, by a mapping that is data. Pure; whatever a device sends ends as rows or as a stated reason."""

from __future__ import annotations

from collectors.payload.mapper import MAX_PAYLOAD_BYTES, Mapper
from collectors.payload.mapping import FrameMapping, TimeMapping, TopicMapping, ValueMapping
from collectors.payload.paths import compile_path, find, subscription
from collectors.payload.rows import IDENTITY, DeadMessageError, Rows

__all__ = [
    "IDENTITY",
    "MAX_PAYLOAD_BYTES",
    "DeadMessageError",
    "FrameMapping",
    "Mapper",
    "Rows",
    "TimeMapping",
    "TopicMapping",
    "ValueMapping",
    "compile_path",
    "find",
    "subscription",
]
