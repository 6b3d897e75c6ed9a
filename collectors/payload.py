"""Messages into rows, by a mapping that is data. Pure; whatever a device sends ends as rows or as a stated reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from pydantic import ConfigDict, Field, field_validator

from collectors.scaling import MAX_EXACT, scaler
from gateway.model.quantity import Quantity
from gateway.model.reading import GOOD, Reason, Severity, quality, to_us
from gateway.settings import Settings

MAX_PAYLOAD_BYTES = 256 * 1024
EARLIEST_US = 946_684_800_000_000
"""Start of 2000: a meter whose clock shows less has lost its time."""
LATEST_US = 4_102_444_800_000_000
"""Start of 2100."""

_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")
Step = str | int


class DeadMessageError(Exception):
    """The whole message cannot become readings; the text is the reason that is kept with it."""


class TimeMapping(Settings):
    """Where a reading's source time stands."""

    model_config = ConfigDict(populate_by_name=True)

    path: str = ""
    """path in the reading (or in the message, with a leading $); empty only for `arrival`"""
    form: Literal["iso", "epoch_s", "epoch_ms", "arrival"] = Field(default="arrival", alias="as")
    """how it is written; iso needs a time zone, arrival takes the time at which the message came"""


class ValueMapping(Settings):
    """Where a value stands: value = number * scale + offset, in the quantity's unit."""

    path: str
    """path of the number in the reading (or in the message, with a leading $)"""
    scale: float = Field(default=1.0, allow_inf_nan=False)
    """what the number is multiplied by"""
    offset: float = Field(default=0.0, allow_inf_nan=False)
    """what is added after that"""


class TopicMapping(Settings):
    """What the messages of one topic filter mean."""

    filter: str = Field(min_length=1, max_length=500)
    """MQTT topic filter in which one level is `{meter}`; `+` and a last `#` are allowed"""
    identity: str = ""
    """path of the meter's id in the message; it must equal `{meter}`; empty = the message names none"""
    each: str = ""
    """path of a list with one reading in each element, for example $.readings[*]; empty = the message is the reading"""
    time: TimeMapping = TimeMapping()
    """source time of a reading"""
    values: dict[Quantity, ValueMapping] = Field(min_length=1)
    """quantity to path, or to a table with path, scale and offset"""

    @field_validator("values", mode="before")
    @classmethod
    def _plain_paths(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {key: {"path": value} if isinstance(value, str) else value for key, value in values.items()}

    @field_validator("filter")
    @classmethod
    def _a_filter(cls, topic_filter: str) -> str:
        compile_filter(topic_filter)
        return topic_filter

    @field_validator("each", "identity")
    @classmethod
    def _a_path(cls, path: str) -> str:
        compile_path(path.removesuffix("[*]"))
        return path


@dataclass(frozen=True, slots=True)
class Rows:
    """What one message said about one meter; the columns have equal length."""

    meter: str
    quantity: Sequence[Quantity]
    source_time: Sequence[int]
    """us UTC"""
    value: Sequence[float]
    quality: Sequence[int]
    timed: bool
    """False if any row had to take the time of arrival"""


def compile_path(path: str) -> tuple[Step, ...]:
    """Return the steps of a path such as `$.a.b[0]` or `a.b`. Raises ValueError for anything else."""
    text = path.removeprefix("$").removeprefix(".")
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if not found or (found[1] and at and text[at - 1] != "."):
            raise ValueError(f"{path!r} is no path: write $.a.b or a.b[0], and [*] only at the end of `each`")
        steps.append(found[1] or int(found[2]))
        at = found.end()
        if at < len(text) and text[at] == ".":
            at += 1
            if at == len(text):
                raise ValueError(f"{path!r} ends with a dot")
    return tuple(steps)


def find(node: Any, steps: Sequence[Step]) -> Any:
    """Follow a path through decoded JSON; `msgspec.UNSET` where it leads nowhere."""
    for step in steps:
        if isinstance(step, str):
            node = node.get(step, msgspec.UNSET) if isinstance(node, dict) else msgspec.UNSET
        else:
            node = node[step] if isinstance(node, list) and step < len(node) else msgspec.UNSET
    return node


def compile_filter(topic_filter: str) -> re.Pattern[str]:
    """Return the expression that topics of a filter match, with the group `meter`. Raises ValueError."""
    levels = topic_filter.split("/")
    if levels.count("{meter}") != 1:
        raise ValueError(f"{topic_filter!r} needs the level {{meter}} exactly once")
    parts = []
    for place, level in enumerate(levels):
        if level == "#" and place == len(levels) - 1:
            parts.append(".*")
        elif level == "{meter}":
            parts.append("(?P<meter>[^/]+)")
        elif level == "+":
            parts.append("[^/]*")
        elif set(level) & set("+#{}"):
            raise ValueError(f"{topic_filter!r}: {level!r} is no level: +, {{meter}} and a last # stand alone")
        else:
            parts.append(re.escape(level))
    return re.compile("/".join(parts))


def subscription(topic_filter: str) -> str:
    """Return the filter as a broker wants it."""
    return topic_filter.replace("{meter}", "+")


@dataclass(frozen=True, slots=True)
class _Value:
    quantity: Quantity
    steps: tuple[Step, ...]
    scale: Callable[[float], float]


class Mapper:
    """A compiled topic mapping."""

    def __init__(self, mapping: TopicMapping, meters: Collection[str]) -> None:
        """Compile a mapping; `meters` are the ids that may report. Raises ValueError for a path that is none."""
        self.mapping = mapping
        self._meters = meters
        self._topic = compile_filter(mapping.filter)
        self._identity = compile_path(mapping.identity)
        self._each = compile_path(mapping.each.removesuffix("[*]"))
        self._time = compile_path(mapping.time.path)
        self._time_in_message = mapping.time.path.startswith("$")
        self._values = [
            _Value(quantity, compile_path(value.path), scaler(value.scale, value.offset))
            for quantity, value in mapping.values.items()
        ]

    def matches(self, topic: str) -> bool:
        """Say whether this mapping is for that topic."""
        return self._topic.fullmatch(topic) is not None

    def read(self, topic: str, payload: bytes, received_us: int) -> Rows:
        """Return the rows of a message.

        A value that is no number becomes a BAD row. Raises DeadMessageError if the message as a whole is not one
        that this meter may send: too large, not JSON, wrong in shape, of a meter that is unknown or not the
        topic's, or with a time that cannot be read. A reading without any time takes the arrival, UNCERTAIN.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise DeadMessageError(f"too large: {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
        match = self._topic.fullmatch(topic)
        if match is None:
            raise DeadMessageError("no mapping for this topic")
        meter = match["meter"]
        if meter not in self._meters:
            raise DeadMessageError("unknown meter in the topic")
        message = _decode(payload)
        if self._identity and find(message, self._identity) != meter:
            raise DeadMessageError("identity: the message is of another meter than its topic")
        return self._rows(meter, message, received_us)

    def _rows(self, meter: str, message: Any, received_us: int) -> Rows:
        quantities: list[Quantity] = []
        times: list[int] = []
        numbers: list[float] = []
        marks: list[int] = []
        timed = True
        for reading in self._readings(message):
            time_us = self._source_time(message if self._time_in_message else reading)
            own_time = time_us is not None
            timed = timed and own_time
            good = GOOD if own_time or self.mapping.time.form == "arrival" else _NO_TIME
            for value in self._values:
                found = find(reading, value.steps)
                if found is msgspec.UNSET:
                    continue
                number, mark = _number(found, value.scale)
                quantities.append(value.quantity)
                times.append(received_us if time_us is None else time_us)
                numbers.append(number)
                marks.append(good if mark == GOOD else mark)
        if not quantities:
            raise DeadMessageError("shape: none of the mapped values is in the message")
        return Rows(meter, quantities, times, numbers, marks, timed)

    def _readings(self, message: Any) -> list[Any]:
        readings = find(message, self._each) if self.mapping.each else [message]
        if not isinstance(readings, list):
            raise DeadMessageError(f"shape: {self.mapping.each} is no list")
        if not all(isinstance(reading, dict | list) for reading in readings):
            raise DeadMessageError("shape: a reading is neither an object nor a list")
        return readings

    def _source_time(self, node: Any) -> int | None:
        """Return us UTC, None where there is no time."""
        if self.mapping.time.form == "arrival":
            return None
        found = find(node, self._time)
        if found is msgspec.UNSET or found is None:
            return None
        time_us = _iso_us(found) if self.mapping.time.form == "iso" else self._epoch_us(found)
        if time_us is None or not EARLIEST_US <= time_us < LATEST_US:
            raise DeadMessageError("time: it cannot be read, or is before 2000 or after 2100")
        return time_us

    def _epoch_us(self, found: Any) -> int | None:
        factor = 1_000_000 if self.mapping.time.form == "epoch_s" else 1_000
        if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < MAX_EXACT:
            return None
        return round(found * factor)


_NO_TIME = quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME)


def _decode(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except RecursionError as error:
        raise DeadMessageError("not JSON: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_leniently(payload)


def _decode_leniently(payload: bytes) -> Any:
    """Decode what some meters write although JSON has no NaN and no Infinity; such values become BAD rows."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise DeadMessageError("not JSON") from error


def _iso_us(found: Any) -> int | None:
    if not isinstance(found, str) or len(found) > 40:
        return None
    try:
        return to_us(datetime.fromisoformat(found))
    except (ValueError, OverflowError):
        return None


def _number(found: Any, scale: Callable[[float], float]) -> tuple[float, int]:
    """Return value and quality; anything but a finite number of exact size is BAD with its reason."""
    reason = Reason.NONE
    if found is None:
        reason = Reason.MISSING_VALUE
    elif isinstance(found, bool) or not isinstance(found, int | float) or not -math.inf < found < math.inf:
        reason = Reason.NOT_A_NUMBER
    elif isinstance(found, int) and abs(found) > MAX_EXACT:
        reason = Reason.OUT_OF_RANGE
    elif math.isfinite(value := scale(found)):
        return value, GOOD
    else:
        reason = Reason.OUT_OF_RANGE
    return math.nan, quality(Severity.BAD, reason)
