"""A topic mapping, compiled: topic and payload in, rows out."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from collectors.payload.frames import Unpack, frame_quantities, make_unpack
from collectors.payload.mapping import TopicMapping, ValueMapping
from collectors.payload.paths import (
    Chain,
    Place,
    compile_each,
    compile_filter,
    compile_path,
    compile_place,
    find,
)
from collectors.payload.rows import DeadMessageError, RowBuilder, Rows
from collectors.payload.typed import Table, make_typed
from collectors.payload.values import EARLIEST_US, LATEST_US, NO_TIME, Convert, make_convert, time_us
from collectors.scaling import scaler
from gateway.model.quantity import Quantity
from gateway.model.reading import GOOD, PointId, point_id

MAX_PAYLOAD_BYTES = 256 * 1024
_NAMED = 5
"""How many unknown meters a dead letter's reason names."""
_WRONG_TIME = "time: it cannot be read, or is before 2000 or after 2100"

InZone = Callable[[str, str], bool]
"""Says whether an asset stands in a zone or below it."""


Quick = tuple[str, Table]
"""A meter and the readings that its message brought."""


@dataclass(frozen=True, slots=True)
class _Value:
    suffix: str
    """what makes an asset's name the name of the point"""
    place: Place
    convert: Convert


class Mapper:
    """A compiled topic mapping of the formats json and csv."""

    def __init__(self, mapping: TopicMapping, meters: Collection[str], in_zone: InZone | None = None) -> None:
        """Compile a mapping; `meters` are the ids that may report. Raises ValueError or ConfigError."""
        self.mapping = mapping
        self._meters = meters
        self._allowed = frozenset(mapping.meters)
        self._in_zone = in_zone
        self._is_bound = bool(mapping.meters) or "{zone}" in mapping.filter
        self._topic = compile_filter(mapping.filter)
        self._identity = compile_path(mapping.identity)
        self._meter = compile_place(mapping.meter) if mapping.meter else None
        self._each = compile_each(mapping.each)
        self._time = compile_place(mapping.time.path)
        self._step = compile_place(mapping.time.step) if mapping.time.step else None
        self._zone = ZoneInfo(mapping.time.zone) if mapping.time.zone else None
        self._in_columns = mapping.columns or mapping.time.form == "step"
        self._unpack: Unpack | None = make_unpack(mapping.frame) if mapping.frame else None
        self._frame_place = compile_place(mapping.frame.path) if mapping.frame and mapping.frame.path else None
        self._values = [_compiled(quantity, value, mapping) for quantity, value in _values_of(mapping)]
        self._typed = make_typed(mapping) if mapping.sent is None else None
        self._sent = compile_path(mapping.sent.path) if mapping.sent else None

    def matches(self, topic: str) -> bool:
        """Say whether this mapping is for that topic."""
        return self._topic.fullmatch(topic) is not None

    def read(self, topic: str, payload: bytes, received_us: int) -> Rows:
        """Return the rows of a message.

        A value that is no number becomes a BAD row. Raises DeadMessageError if the message as a whole is not one
        that this topic may send: too large, not readable, wrong in shape, of a meter that is not the topic's, or with
        a time that cannot be read. A reading without any time takes the arrival, UNCERTAIN. In a message about several
        meters those that nobody knows are left out, and `Rows.dead` names them.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise DeadMessageError(f"too large: {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
        match = self._topic.fullmatch(topic)
        if match is None:
            raise DeadMessageError("no mapping for this topic")
        names = match.groupdict()
        meter, zone = names.get("meter", ""), names.get("zone", "")
        if meter:
            self._check_topic(meter, zone)
            if (rows := self._read_typed(meter, payload)) is not None:
                return rows
        message = self._message(payload)
        if self._identity and find(message, self._identity) != meter:
            raise DeadMessageError("identity: the message is of another meter than its topic")
        return self._rows(meter, zone, message, received_us)

    def quick(self, topic: str, payload: bytes) -> Quick | None:
        """Return meter and readings of a common message that is beyond doubt so far, for `quick_rows`."""
        match = self._topic.fullmatch(topic) if self._typed is not None and len(payload) <= MAX_PAYLOAD_BYTES else None
        if match is None or self._typed is None:
            return None
        meter = match["meter"]
        if meter not in self._meters or (
            self._is_bound and not self._may_speak_for(meter, match.groupdict().get("zone", ""))
        ):
            return None
        table = self._typed.parse(meter, payload)
        return None if table is None else (meter, table)

    def quick_rows(self, found: Sequence[Quick]) -> Rows | None:
        """Return the rows of many messages at once; None if each must be read by itself."""
        if self._typed is None:
            return None
        return self._typed.rows([meter for meter, _ in found], [table for _, table in found])

    def _read_typed(self, meter: str, payload: bytes) -> Rows | None:
        table = None if self._typed is None else self._typed.parse(meter, payload)
        return None if table is None else self.quick_rows([(meter, table)])

    def _check_topic(self, meter: str, zone: str) -> None:
        if meter not in self._meters:
            raise DeadMessageError("unknown meter in the topic")
        if not self._may_speak_for(meter, zone):
            raise DeadMessageError("identity: this topic may not speak for that meter")

    def _may_speak_for(self, meter: str, zone: str) -> bool:
        if self._allowed and meter not in self._allowed:
            return False
        return not zone or (self._in_zone is not None and self._in_zone(meter, zone))

    def _message(self, payload: bytes) -> Any:
        if self._unpack is not None and self._frame_place is None:
            return self._unpack(payload)
        return _csv(payload, self.mapping) if self.mapping.format == "csv" else _json(payload)

    def _rows(self, topic_meter: str, zone: str, message: Any, received_us: int) -> Rows:
        builder = RowBuilder()
        unknown: dict[str, None] = {}
        for chain in self._readings(message):
            meter = topic_meter or self._meter_of(chain)
            if not topic_meter:
                if meter not in self._meters:
                    unknown[meter] = None
                    continue
                if not self._may_speak_for(meter, zone):
                    raise DeadMessageError("identity: this topic may not speak for a meter in the message")
            if self._in_columns:
                self._add_columns(builder, meter, chain, received_us)
            else:
                self._add_reading(builder, meter, chain, received_us)
        dead = _unknown_text(unknown)
        if not len(builder):
            raise DeadMessageError(dead or "shape: none of the mapped values is in the message")
        self._add_sent(builder, topic_meter, message)
        return builder.build(dead=dead)

    def _add_sent(self, builder: RowBuilder, meter: str, message: Any) -> None:
        """Add the moment of sending; a message that does not say it, or not readably, is as good as another."""
        if self._sent is not None and self.mapping.sent is not None:
            sent_us = time_us(find(message, self._sent), self.mapping.sent.form)
            if sent_us is not None:
                # the value never differs, so that the same message sent again is no second opinion
                builder.add(point_id(meter, Quantity.SENT), sent_us, 1.0, GOOD)

    def _readings(self, message: Any) -> Iterator[Chain]:
        if self.mapping.format == "csv":
            chains: list[Chain] = [(message, line) for line in message]
        else:
            chains = [(message,)]
        for steps in self._each:
            chains = [(*chain, node) for chain in chains for node in self._list(find(chain[-1], steps))]
        return map(self._unpacked, chains) if self._frame_place is not None else iter(chains)

    def _list(self, found: Any) -> list[Any]:
        if not isinstance(found, list):
            raise DeadMessageError(f"shape: {self.mapping.each} is no list")
        if not all(isinstance(reading, dict | list) for reading in found):
            raise DeadMessageError("shape: a reading is neither an object nor a list")
        return found

    def _unpacked(self, chain: Chain) -> Chain:
        assert self._frame_place is not None
        assert self._unpack is not None
        fields = self._unpack(self._frame_place.of(chain))
        reading = chain[-1]
        return (*chain, {**reading, **fields} if isinstance(reading, dict) else fields)

    def _meter_of(self, chain: Chain) -> str:
        assert self._meter is not None
        found = self._meter.nearest(chain)
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 64:
            return str(found)
        if not isinstance(found, str) or not 0 < len(found) <= 100:
            raise DeadMessageError("identity: a reading names no meter")
        return found

    def _add_reading(self, builder: RowBuilder, meter: str, chain: Chain, received_us: int) -> None:
        source_us = self._source_time(chain)
        timed = source_us is not None
        builder.timed = builder.timed and timed
        good = GOOD if timed or self.mapping.time.form == "arrival" else NO_TIME
        for value in self._values:
            found = value.place.of(chain)
            if found is msgspec.UNSET:
                continue
            number, mark = value.convert(found)
            at_us = source_us if source_us is not None else received_us
            builder.add(PointId(meter + value.suffix), at_us, number, good if mark == GOOD else mark)

    def _source_time(self, chain: Chain) -> int | None:
        """Return us UTC, None where there is no time."""
        if self.mapping.time.form == "arrival":
            return None
        found = self._time.nearest(chain)
        if found is msgspec.UNSET or found is None or found == "":
            return None
        at_us = time_us(found, self.mapping.time.form, self._zone)
        if at_us is None:
            raise DeadMessageError(_WRONG_TIME)
        return at_us

    def _add_columns(self, builder: RowBuilder, meter: str, chain: Chain, received_us: int) -> None:
        columns = [(value, value.place.of(chain)) for value in self._values]
        lists = [(value, found) for value, found in columns if found is not msgspec.UNSET]
        if not all(isinstance(found, list) for _, found in lists):
            raise DeadMessageError("shape: a mapped value is no list")
        lengths = {len(found) for _, found in lists}
        if len(lengths) > 1:
            raise DeadMessageError("shape: the lists differ in length")
        times, timed = self._column_times(chain, max(lengths, default=0), received_us)
        builder.timed = builder.timed and timed
        good = GOOD if timed or self.mapping.time.form == "arrival" else NO_TIME
        for value, found in lists:
            converted = [value.convert(one) for one in found]
            marks = [good if mark == GOOD else mark for _, mark in converted]
            builder.extend(PointId(meter + value.suffix), times, [one for one, _ in converted], marks)

    def _column_times(self, chain: Chain, count: int, received_us: int) -> tuple[list[int], bool]:
        """Return the time of each row, and whether they are the device's own."""
        time = self.mapping.time
        found = msgspec.UNSET if time.form == "arrival" else self._time.nearest(chain)
        if time.form == "arrival" or found is msgspec.UNSET or found is None:
            # several values without times cannot be put in order: only one may take the arrival
            if count > 1:
                raise DeadMessageError("time: several values, and none says when")
            return [received_us] * count, False
        if time.form == "step":
            times = self._stepped(found, chain, count)
        elif isinstance(found, list) and len(found) == count:
            times = [time_us(one, time.form, self._zone) for one in found]
        else:
            raise DeadMessageError("shape: the times are no list as long as the values")
        wrong = [one for one in times if one is None]
        if wrong:
            raise DeadMessageError(_WRONG_TIME)
        return [one for one in times if one is not None], True

    def _stepped(self, start: Any, chain: Chain, count: int) -> list[int | None]:
        time = self.mapping.time
        first_us = time_us(start, time.start, self._zone)
        step = self._step.nearest(chain) if self._step is not None else time.step_s
        if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < abs(step) <= 86_400 * 31:
            raise DeadMessageError("time: the step is no number of seconds, or longer than 31 days")
        if first_us is None:
            return [None]
        times = [first_us + round(place * step * 1e6) for place in range(count)]
        return [one if EARLIEST_US <= one < LATEST_US else None for one in times]


def _values_of(mapping: TopicMapping) -> Sequence[tuple[Quantity, ValueMapping]]:
    if mapping.values or mapping.frame is None:
        return list(mapping.values.items())
    return [(Quantity(name), ValueMapping(path=name)) for name in frame_quantities(mapping.frame)]


def _compiled(quantity: Quantity, value: ValueMapping, mapping: TopicMapping) -> _Value:
    convert = make_convert(
        scaler(value.scale, value.offset), text=value.text or mapping.format == "csv", missing=value.missing
    )
    return _Value(point_id("", quantity), compile_place(value.path), convert)


def _unknown_text(unknown: Collection[str]) -> str:
    if not unknown:
        return ""
    more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    return f"unknown meter in the message: {', '.join(itertools.islice(unknown, _NAMED))}{more}"


def _json(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except RecursionError as error:
        raise DeadMessageError("not JSON: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _json_leniently(payload)


def _json_leniently(payload: bytes) -> Any:
    """Decode what some meters write although JSON has no NaN and no Infinity; such values become BAD rows."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise DeadMessageError("not JSON") from error


def _csv(payload: bytes, mapping: TopicMapping) -> list[Any]:
    try:
        text = payload.decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=mapping.separator, strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DeadMessageError("not CSV") from error
    lines = [[field.strip() for field in line] for line in lines]
    if not mapping.header:
        return lines
    if not lines or len(set(lines[0])) < len(lines[0]):
        raise DeadMessageError("shape: the first line names no fields, or one twice")
    if any(len(line) != len(lines[0]) for line in lines):
        raise DeadMessageError("shape: a line has more or fewer fields than the first")
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
