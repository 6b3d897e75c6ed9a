import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.payload import (
    MAX_PAYLOAD_BYTES,
    DeadMessageError,
    Mapper,
    Rows,
    TopicMapping,
    compile_path,
    find,
    subscription,
)
from gateway.model.quantity import Quantity
from gateway.model.reading import GOOD, Reason, Severity, quality

NOW_US = 1_768_435_200_000_000
T_MS = 1_768_435_100_000
METERS = {"M-000001", "M-000002"}
TOPIC = "gas/R-001/M-000001/up"
MAPPING = {
    "filter": "gas/+/{meter}/up",
    "identity": "$.id",
    "each": "$.readings[*]",
    "time": {"path": "t", "as": "epoch_ms"},
    "values": {"register_measured_m3": {"path": "v", "scale": 0.001}, "valve": "k", "flags": "f"},
}


def mapper(**changes: Any) -> Mapper:
    return Mapper(TopicMapping.model_validate({**MAPPING, **changes}), METERS)


def message(*readings: Any, **more: Any) -> bytes:
    return json.dumps({"id": "M-000001", "readings": list(readings), **more}).encode()


def read(payload: bytes, **changes: Any) -> Rows:
    return mapper(**changes).read(TOPIC, payload, NOW_US)


def reason(value: Any) -> Reason:
    """Return why a value is bad, NONE if it is good."""
    rows = read(b'{"id":"M-000001","readings":[{"t":%d,"v":%s}]}' % (T_MS, value))
    assert math.isnan(rows.value[0]) == (rows.quality[0] >> 6 == Severity.BAD)
    return Reason(rows.quality[0] & 63)


def test_each_reading_becomes_its_rows() -> None:
    rows = read(message({"t": T_MS, "v": 1234567, "k": 1, "f": 0}, {"t": T_MS + 1000, "v": 1234600}, sent=1))
    assert set(rows.meters) == {"M-000001"}
    assert list(zip(rows.quantities, rows.source_time, rows.value, rows.quality, strict=True)) == [
        (Quantity.REGISTER_MEASURED_M3, T_MS * 1000, 1234.567, GOOD),
        (Quantity.VALVE, T_MS * 1000, 1.0, GOOD),
        (Quantity.FLAGS, T_MS * 1000, 0.0, GOOD),
        (Quantity.REGISTER_MEASURED_M3, (T_MS + 1000) * 1000, 1234.6, GOOD),
    ]
    assert rows.timed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"12", Reason.NONE),
        (b"1e3", Reason.NONE),
        (b"null", Reason.MISSING_VALUE),
        (b"true", Reason.NOT_A_NUMBER),
        (b'"12"', Reason.NOT_A_NUMBER),
        (b"[1]", Reason.NOT_A_NUMBER),
        (b'{"a":1}', Reason.NOT_A_NUMBER),
        (b"NaN", Reason.NOT_A_NUMBER),
        (b"-Infinity", Reason.NOT_A_NUMBER),
        (b"1e999", Reason.NOT_A_NUMBER),
        (b"9007199254740993", Reason.OUT_OF_RANGE),
        (b"9" * 400, Reason.OUT_OF_RANGE),
    ],
)
def test_a_bad_value_is_a_bad_row(value: bytes, expected: Reason) -> None:
    assert reason(value) is expected


def test_one_bad_value_does_not_spoil_the_others() -> None:
    rows = read(message({"t": T_MS, "v": "x", "k": 0}))
    assert list(rows.quality) == [quality(Severity.BAD, Reason.NOT_A_NUMBER), GOOD]
    assert rows.value[1] == 0.0


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"id":"M-000001"', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "identity"),
        (b'{"id":"M-000002","readings":[]}', "identity"),
        (b'{"readings":[{"t":1,"v":1}]}', "identity"),
        (b'{"id":"M-000001"}', "shape"),
        (b'{"id":"M-000001","readings":{}}', "shape"),
        (b'{"id":"M-000001","readings":[]}', "shape"),
        (b'{"id":"M-000001","readings":[5]}', "shape"),
        (b'{"id":"M-000001","readings":[{"t":1768435100000}]}', "shape"),
        (b'{"id":"M-000001","readings":[{"t":"now","v":1}]}', "time"),
        (b'{"id":"M-000001","readings":[{"t":true,"v":1}]}', "time"),
        (b'{"id":"M-000001","readings":[{"t":1,"v":1}]}', "time"),
        (b'{"id":"M-000001","readings":[{"t":1e300,"v":1}]}', "time"),
        (b'{"id":"M-000001","readings":[{"t":NaN,"v":1}]}', "time"),
        (b" " * (MAX_PAYLOAD_BYTES + 1), "too large"),
    ],
)
def test_a_wrong_message_is_dead_as_a_whole(payload: bytes, text: str) -> None:
    with pytest.raises(DeadMessageError, match=text):
        read(payload)


@pytest.mark.parametrize(
    ("topic", "text"),
    [("gas/R-001/M-000009/up", "unknown meter"), ("gas/R-001/M-000002/up", "identity"), ("x", "no mapping")],
)
def test_a_device_speaks_only_for_the_meter_of_its_topic(topic: str, text: str) -> None:
    with pytest.raises(DeadMessageError, match=text):
        mapper().read(topic, message({"t": T_MS, "v": 1}), NOW_US)


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("epoch_s", 1_768_435_100),
        ("epoch_ms", 1_768_435_100_000),
        ("iso", "2026-01-14T23:58:20Z"),
        ("iso", "2026-01-15T07:58:20+08:00"),
    ],
)
def test_times_in_all_forms(form: str, written: Any) -> None:
    rows = read(message({"t": written, "v": 1}), time={"path": "t", "as": form})
    assert rows.source_time[0] == 1_768_435_100_000_000


def test_a_local_time_without_a_zone_is_not_guessed() -> None:
    with pytest.raises(DeadMessageError, match="time"):
        read(message({"t": "2026-01-15T07:58:20", "v": 1}), time={"path": "t", "as": "iso"})


def test_a_reading_without_time_takes_the_arrival_and_is_uncertain() -> None:
    rows = read(message({"v": 1}))
    assert (rows.source_time[0], rows.timed) == (NOW_US, False)
    assert rows.quality[0] == quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME)


def test_arrival_by_configuration_is_good() -> None:
    rows = read(message({"v": 1}), time={"as": "arrival"})
    assert (rows.source_time[0], rows.quality[0], rows.timed) == (NOW_US, GOOD, False)


def test_one_time_for_the_whole_message_and_a_nested_path() -> None:
    rows = mapper(
        each="", identity="", time={"path": "$.head.sent", "as": "epoch_ms"}, values={"flags": "a.b[1]"}
    ).read(TOPIC, json.dumps({"head": {"sent": T_MS}, "a": {"b": [1, 2]}}).encode(), NOW_US)
    assert (list(rows.source_time), list(rows.value)) == ([T_MS * 1000], [2.0])


def test_paths() -> None:
    assert compile_path("$.a.b[0]") == ("a", "b", 0)
    assert find({"a": {"b": [7]}}, compile_path("a.b[0]")) == 7
    for wrong in ("a..b", "a.", "a[x]", "a[0", "$a[*].b", "a[0]b"):
        with pytest.raises(ValueError, match=r"path|dot"):
            compile_path(wrong)


def test_filters() -> None:
    assert subscription("gas/+/{meter}/#") == "gas/+/+/#"
    assert mapper(filter="gas/{meter}/#").matches("gas/M-000001/a/b")
    assert not mapper(filter="gas/{meter}/up").matches("gas/M-000001/up/x")
    for wrong in ("gas/+/up", "{meter}/{meter}", "{zone}/x", "gas/x{meter}", "{meter}/#/x"):
        with pytest.raises(ValueError, match="level"):
            mapper(filter=wrong)


def test_an_unknown_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="register_measured_m3"):
        mapper(values={"register": "v"})


def survives(mapping: Mapper, payload: bytes) -> bool:
    """Read a payload; whatever it is, rows are whole and finite or BAD, or the message is dead with a reason."""
    try:
        rows = mapping.read(TOPIC, payload, NOW_US)
    except DeadMessageError:
        return False
    assert len(rows.which) == len(rows.source_time) == len(rows.value) == len(rows.quality) > 0
    assert set(rows.meters) == {"M-000001"}
    assert all(math.isnan(value) == (mark >> 6 == 2) for value, mark in zip(rows.value, rows.quality, strict=True))
    return True


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("tvkfx"), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(json_values, max_size=4), json_values)
def test_any_json_is_survived(readings: list[Any], other: Any) -> None:
    survives(mapper(), json.dumps({"id": "M-000001", "readings": readings, "x": other}).encode())


def test_a_hundred_thousand_damaged_messages_are_survived() -> None:
    rng = random.Random(1)
    good = message({"t": T_MS, "v": 1234567, "k": 1, "f": 0}, {"t": T_MS + 1000, "v": 1234600, "k": 1, "f": 64})
    mapping = mapper()
    alive = 0
    for _ in range(100_000):
        damaged = bytearray(good) + b"   "
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(damaged))
            match rng.randrange(4):
                case 0:
                    damaged[place] = rng.randrange(256)
                case 1:
                    del damaged[place]
                case 2:
                    damaged[place:place] = rng.choice([b"0", b"-", b"e9", b'"', b"}", b"null", b"NaN", b"["])
                case _:
                    del damaged[place:]
                    damaged += b"  "
        alive += survives(mapping, bytes(damaged))
    assert 5_000 < alive < 95_000
