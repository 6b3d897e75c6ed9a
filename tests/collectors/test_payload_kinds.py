import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.mappers import in_zone_of, runs
from collectors.payload import DeadMessageError, Mapper, Rows, TopicMapping
from collectors.payload.typed import make_typed
from gateway.model.quantity import Quantity
from gateway.model.reading import GOOD, Reason, Severity, quality
from tests.collectors.sites import network

NOW_US = 1_768_435_200_000_000
T_MS = 1_768_435_100_000
HOUR_MS = 3_600_000
METERS = {"M-000001", "M-000002", "M-000003"}
REGISTER = "register_measured_m3"
# CJ/T 188 frame of a gas meter: 12345.67 m3, valve open, battery low, 2026-01-15 07:58:20 by its own clock
FRAME = "FEFE6830563412002011118116901F05674523012C000023012C205807150126200400EC16"


def mapper(**table: Any) -> Mapper:
    table.setdefault("filter", "gas/{meter}/up")
    table.setdefault("values", {REGISTER: "v"})
    return Mapper(TopicMapping.model_validate(table), METERS, in_zone_of(network()))


def read(payload: Any, topic: str = "gas/M-000001/up", **table: Any) -> Rows:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return mapper(**table).read(topic, data, NOW_US)


def rows_of(rows: Rows) -> list[tuple[str, str, int, Any]]:
    """Return (meter, quantity, time in ms, value or reason) of each row."""
    return [
        (meter, quantity.value, int(at) // 1000, Reason(int(mark) & 63) if mark >> 6 == 2 else float(value))
        for meter, quantity, at, value, mark in zip(
            rows.meters, rows.quantities, rows.source_time, rows.value, rows.quality, strict=True
        )
    ]


def plain(rows: Rows) -> list[tuple[int, Any]]:
    return [(at, value) for _, _, at, value in rows_of(rows)]


def dead(payload: Any, reason: str, topic: str = "gas/M-000001/up", **table: Any) -> None:
    with pytest.raises(DeadMessageError, match=reason):
        read(payload, topic, **table)


STEP: dict[str, Any] = {"time": {"path": "start", "as": "step", "start": "epoch_ms", "step_s": 3600}}


def test_twenty_four_hourly_values() -> None:
    values = [100.0 + hour for hour in range(24)]
    rows = read({"start": T_MS, "v": values}, **STEP)
    assert plain(rows) == [(T_MS + hour * HOUR_MS, 100.0 + hour) for hour in range(24)]
    assert rows.timed
    assert set(rows.quality) == {GOOD}


def test_a_step_in_the_message_may_run_backwards() -> None:
    table: dict[str, Any] = {
        "time": {"path": "$.head.end", "as": "step", "start": "iso", "step": "$.head.step"},
        "each": "$.parts[*]",
    }
    message = {"head": {"end": "2026-01-15T00:00:00Z", "step": -1800}, "parts": [{"v": [3, 2]}]}
    end = 1_768_435_200_000
    assert plain(read(message, **table)) == [(end, 3.0), (end - 1_800_000, 2.0)]


def test_columns_with_their_own_times_and_a_gap() -> None:
    table: dict[str, Any] = {
        "columns": True,
        "time": {"path": "t", "as": "epoch_s"},
        "values": {REGISTER: "v", "flags": "f"},
    }
    message = {"t": [T_MS // 1000, T_MS // 1000 + 60], "v": [1, None], "f": [0, "x"]}
    assert rows_of(read(message, **table)) == [
        ("M-000001", REGISTER, T_MS, 1.0),
        ("M-000001", REGISTER, T_MS + 60_000, Reason.MISSING_VALUE),
        ("M-000001", "flags", T_MS, 0.0),
        ("M-000001", "flags", T_MS + 60_000, Reason.NOT_A_NUMBER),
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"start": T_MS, "v": 5}, "no list"),
        ({"start": T_MS, "v": [1], "f": [1, 2]}, "differ in length"),
        ({"start": "x", "v": [1]}, "time"),
        ({"start": 1, "v": [1, 2]}, "time"),
        ({"start": 4_102_444_799_000, "v": [1, 2]}, "time"),
        ({"v": [1, 2]}, "none says when"),
        ({"start": T_MS, "v": []}, "none of the mapped"),
        ({"start": T_MS}, "none of the mapped"),
    ],
)
def test_a_shifted_or_timeless_column_is_dead(message: Any, reason: str) -> None:
    dead(message, reason, **STEP, values={REGISTER: "v", "flags": "f"})


def test_times_of_columns_must_be_as_many_as_the_values() -> None:
    dead({"t": [T_MS], "v": [1, 2]}, "as long", columns=True, time={"path": "t", "as": "epoch_ms"})


@pytest.mark.parametrize("step", [0, None, "60", True, 1e12])
def test_a_step_that_is_no_number_of_seconds_is_dead(step: Any) -> None:
    table: dict[str, Any] = {"time": {"path": "start", "as": "step", "step": "step"}}
    dead({"start": T_MS, "step": step, "v": [1, 2]}, "step", **table)


SEVERAL: dict[str, Any] = {
    "filter": "conc/{zone}/up",
    "meter": "id",
    "each": "$.meters[*].readings[*]",
    "time": {"path": "t", "as": "epoch_ms"},
}


def several(*meters: Any) -> dict[str, Any]:
    return {"meters": [{"id": meter, "readings": [{"t": T_MS + n, "v": n} for n in range(2)]} for meter in meters]}


def test_several_meters_in_one_message() -> None:
    rows = read(several("M-000001", "M-000003"), "conc/CITY/up", **SEVERAL)
    assert [(meter, value) for meter, _, _, value in rows_of(rows)] == [
        ("M-000001", 0.0),
        ("M-000001", 1.0),
        ("M-000003", 0.0),
        ("M-000003", 1.0),
    ]
    assert (rows.dead, len(rows.points)) == ("", 2)


def test_each_meter_may_bring_a_list_of_hourly_values() -> None:
    table: dict[str, Any] = {**SEVERAL, **STEP, "each": "$.meters[*]", "filter": "conc/up"}
    message = {"meters": [{"id": "M-000002", "start": T_MS, "v": [1, 2]}, {"id": "M-000001", "start": T_MS, "v": [3]}]}
    assert [row[::3] for row in rows_of(read(message, "conc/up", **table))] == [
        ("M-000002", 1.0),
        ("M-000002", 2.0),
        ("M-000001", 3.0),
    ]


def test_a_meter_that_nobody_knows_does_not_silence_the_others() -> None:
    rows = read(several("M-000001", "X", "M-000002"), "conc/CITY/up", **SEVERAL)
    assert {meter for meter, *_ in rows_of(rows)} == {"M-000001", "M-000002"}
    assert rows.dead == "unknown meter in the message: X"
    dead(several(*map(str, range(9))), "0, 1, 2, 3, 4 and 4 more", "conc/CITY/up", **SEVERAL)


def test_a_topic_speaks_only_for_the_meters_of_its_zone() -> None:
    dead(several("M-000001"), "may not speak", "conc/R-009/up", **SEVERAL)
    dead(several("M-000002"), "may not speak", "conc/CITY/up", **SEVERAL, meters=["M-000001"])
    dead({"v": 1}, "may not speak", "gas/R-009/M-000001", filter="gas/{zone}/{meter}")
    assert len(read({"v": 1}, "gas/CITY/M-000001", filter="gas/{zone}/{meter}")) == 1


@pytest.mark.parametrize("meter", [None, True, 1.5, "", "x" * 101, ["M-000001"]])
def test_a_reading_without_a_name_is_dead(meter: Any) -> None:
    dead(several(meter), "names no meter", "conc/CITY/up", **SEVERAL)


CSV: dict[str, Any] = {
    "format": "csv",
    "time": {"path": "[0]", "as": "iso", "zone": "Asia/Shanghai"},
    "values": {REGISTER: "[1]"},
}


def test_lines_of_csv() -> None:
    payload = b"\xef\xbb\xbf2026-01-15 07:58:20, 12.5\r\n2026-01-15T00:58:20Z,1e1\n\n2026-01-15T09:58:20,\n"
    assert plain(read(payload, **CSV)) == [
        (T_MS, 12.5),
        (T_MS + HOUR_MS, 10.0),
        (T_MS + 2 * HOUR_MS, Reason.MISSING_VALUE),
    ]


def test_csv_with_names_and_several_meters() -> None:
    table: dict[str, Any] = {
        "filter": "csv",
        "format": "csv",
        "header": True,
        "separator": ";",
        "meter": "meter",
        "time": {"path": "at", "as": "epoch_s"},
        "values": {REGISTER: {"path": "m3", "missing": ["-"]}, "battery_v": "bat"},
    }
    payload = b'meter;at;m3;bat\nM-000001;1768435100;7;3.6\n"M-000002";1768435100;-;1_0\n'
    assert rows_of(read(payload, "csv", **table)) == [
        ("M-000001", REGISTER, T_MS, 7.0),
        ("M-000001", "battery_v", T_MS, 3.6),
        ("M-000002", REGISTER, T_MS, Reason.MISSING_VALUE),
        ("M-000002", "battery_v", T_MS, Reason.NOT_A_NUMBER),
    ]
    dead(b"meter;at;at\n", "twice", "csv", **table)
    dead(b"", "first line", "csv", **table)
    dead(b"meter;at;m3\nM-000001;5\n", "more or fewer", "csv", **table)
    dead(b"\xff\xff", "not CSV", "csv", **table)
    dead(b'meter;at\n"x', "not CSV", "csv", **table)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("12.5", 12.5),
        (" 7 ", 7.0),
        ("", Reason.MISSING_VALUE),
        ("--", Reason.MISSING_VALUE),
        (999, Reason.MISSING_VALUE),
    ]
    + [(wrong, Reason.NOT_A_NUMBER) for wrong in ("nan", "inf", "1_0", "0x1", "１", "1,5", True)]
    + [("9" * 20, Reason.OUT_OF_RANGE), ("1e999", Reason.NOT_A_NUMBER)],
)
def test_numbers_as_text_and_marks_of_no_value(written: Any, expected: Any) -> None:
    rows = read({"v": written}, values={REGISTER: {"path": "v", "text": True, "missing": ["--", 999]}})
    assert plain(rows) == [(NOW_US // 1000, expected)]


CJT188: dict[str, Any] = {
    "time": {"path": "time", "as": "iso", "zone": "Asia/Shanghai"},
    "values": {REGISTER: "total", "valve": "valve", "flags": "flags"},
}
FRAME_ROWS = [
    ("M-000001", REGISTER, T_MS, 12345.67),
    ("M-000001", "valve", T_MS, 1.0),
    ("M-000001", "flags", T_MS, 8.0),
]


@pytest.mark.parametrize(
    ("payload", "encoding"),
    [
        (bytes.fromhex(FRAME), "bytes"),
        (FRAME.encode(), "hex"),
        (FRAME.lower().encode(), "hex"),
        (base64.b64encode(bytes.fromhex(FRAME)), "base64"),
    ],
)
def test_a_cjt188_frame_as_the_whole_payload(payload: bytes, encoding: str) -> None:
    rows = read(payload, frame={"protocol": "cjt188", "encoding": encoding}, **CJT188)
    assert rows_of(rows) == FRAME_ROWS


def test_a_cjt188_frame_inside_json_with_the_address_as_identity() -> None:
    table: dict[str, Any] = {
        **CJT188,
        "each": "$.frames[*]",
        "frame": {"protocol": "cjt188", "encoding": "hex", "path": "raw"},
    }
    assert rows_of(read({"frames": [{"raw": FRAME}]}, **table)) == FRAME_ROWS
    address: dict[str, Any] = {
        "frame": {"protocol": "cjt188"},
        "filter": "c/up",
        "meter": "address",
        "values": {REGISTER: "total"},
    }
    named = Mapper(TopicMapping.model_validate(address), {"11112000123456"})
    assert named.read("c/up", bytes.fromhex(FRAME), NOW_US).meters == ["11112000123456"]
    dead(bytes.fromhex(FRAME), "unknown meter", "c/up", **address)


@pytest.mark.parametrize(
    ("payload", "encoding", "reason"),
    [
        (b"zz", "hex", "not hexadecimal"),
        (b"\xff", "hex", "not ASCII"),
        (b"a", "base64", "not base64"),
        (b"68", "hex", "68H"),
        (bytes.fromhex(FRAME[:-4] + "0016"), "bytes", "checksum"),
    ],
)
def test_a_frame_that_is_none_is_dead(payload: bytes, encoding: str, reason: str) -> None:
    dead(payload, reason, frame={"protocol": "cjt188", "encoding": encoding}, **CJT188)


STATION = "4020000000004 37A 449A5000FFCB002A0003".replace(" ", "")


def test_registers_decoded_by_a_profile() -> None:
    frame: dict[str, Any] = {
        "protocol": "registers",
        "encoding": "base64",
        "path": "data",
        "profile": "station_rtu",
        "at": "input:0",
    }
    message = {"t": T_MS, "data": base64.b64encode(bytes.fromhex(STATION)).decode()}
    rows = read(message, frame=frame, values={}, time={"path": "t", "as": "epoch_ms"})
    found = {quantity: value for _, quantity, at, value in rows_of(rows) if at == T_MS}
    assert found["gas_lel_pct"] == 4.2
    assert found["pressure_gauge_kpa"] == 2.5
    dead({"data": "AA=="}, "two bytes", frame=frame, values={})
    dead({}, "no text", frame=frame, values={})


def test_a_modbus_reply_with_its_checksum() -> None:
    from pymodbus.framer import FramerRTU  # an independent checksum

    pdu = bytes([3, 4, 18]) + bytes.fromhex(STATION)
    reply = pdu + FramerRTU.compute_CRC(pdu).to_bytes(2, "big")
    frame: dict[str, Any] = {"protocol": "modbus_rtu", "encoding": "hex", "profile": "station_rtu", "at": "input:0"}
    rows = read(reply.hex().encode(), frame=frame, values={"gas_lel_pct": "gas_lel_pct"})
    assert plain(rows) == [(NOW_US // 1000, 4.2)]
    dead(reply[:-1].hex().encode(), "checksum", frame=frame, values={})
    for wrong, reason in ((b"\x03\x84\x02", "exception 2"), (b"\x03\x03\x02\x00\x00", "function")):
        framed = wrong + FramerRTU.compute_CRC(wrong).to_bytes(2, "big")
        dead(framed.hex().encode(), reason, frame=frame, values={})


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"values": {}}, "values names no quantity"),
        ({"filter": "gas/up"}, "needs the level"),
        ({"meter": "id"}, "not both"),
        ({"filter": "x", "meter": "id", "identity": "id"}, "has none"),
        ({"format": "csv", "each": "$.x[*]"}, "each line of csv"),
        ({"time": {"path": "t"}}, "go together"),
        ({"time": {"path": "t", "as": "step"}}, "step_s"),
        ({"time": {"path": "t", "as": "iso", "step_s": 5}}, "step_s"),
        ({"time": {"path": "t", "as": "iso", "zone": "Mars"}}, "IANA"),
        ({"frame": {"protocol": "cjt188", "at": "holding:1"}}, "cjt188 has neither"),
        ({"frame": {"protocol": "registers", "profile": "station_rtu"}}, "need profile and at"),
        ({"frame": {"protocol": "registers", "profile": "nothing", "at": "input:0"}}, "not shipped"),
        ({"frame": {"protocol": "registers", "profile": "station_rtu", "at": "coil:0"}}, "at"),
        ({"frame": {"protocol": "registers", "profile": "station_rtu", "at": "holding:900"}}, "no register from"),
        ({"frame": {"protocol": "cjt188", "path": "x"}}, "hex or base64"),
        ({"each": "$.a[*].b[*].c[*]"}, "at most two"),
        ({"filter": "a/{meter}/{x}"}, "no level"),
        ({"filter": "a/{zone}/{zone}/{meter}"}, "at most once"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(table: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        mapper(**table)


COMMON: dict[str, Any] = {
    "each": "$.r[*]",
    "identity": "$.id",
    "time": {"path": "t", "as": "epoch_ms"},
    "values": {REGISTER: {"path": "v", "scale": 0.001}, "flags": "f"},
}
numbers = st.integers(-(2**54), 2**54) | st.floats(allow_nan=False) | st.sampled_from([None, "1", True, 2**63, 10**400])
readings = st.fixed_dictionaries(
    {"t": st.integers(T_MS - 10**6, T_MS + 10**6) | st.sampled_from([0, 1.5, None, "x", 2**70, 10**400])},
    optional={"v": numbers, "f": numbers, "x": st.none()},
)
common_readings = st.fixed_dictionaries(
    {"t": st.integers(T_MS, T_MS + 99), "v": st.integers(0, 10**9), "f": st.just(0)}
)


@settings(max_examples=400, deadline=None)
@given(st.lists(common_readings, max_size=4) | st.lists(readings, max_size=4), st.sampled_from(["M-000001", "X", 5]))
def test_the_fast_way_says_what_the_general_way_says(given_readings: list[Any], identity: Any) -> None:
    payload = json.dumps({"id": identity, "r": given_readings, "more": {"a": [1]}}).encode()
    fast = make_typed(TopicMapping.model_validate({"filter": "gas/{meter}/up", **COMMON}))
    assert fast is not None
    table = fast.parse("M-000001", payload)
    found = None if table is None else fast.rows(["M-000001"], [table])
    general = mapper(**COMMON)
    general._typed = None
    if found is not None:
        wanted = general.read("gas/M-000001/up", payload, NOW_US)
        assert rows_of(found) == rows_of(wanted)
        assert (found.timed, set(found.quality)) == (wanted.timed, {GOOD})


def test_the_fast_way_takes_the_common_message() -> None:
    fast = make_typed(TopicMapping.model_validate({"filter": "gas/{meter}/up", **COMMON}))
    assert fast is not None
    message = {"id": "M-000001", "r": [{"t": T_MS + n, "v": 1000 + n, "f": 64} for n in range(24)]}
    table = fast.parse("M-000001", json.dumps(message).encode())
    assert table is not None
    rows = fast.rows(["M-000001"], [table])
    assert rows is not None
    assert rows_of(rows)[:3] == [
        ("M-000001", REGISTER, T_MS, 1.0),
        ("M-000001", "flags", T_MS, 64.0),
        ("M-000001", REGISTER, T_MS + 1, 1.001),
    ]
    assert len(rows) == 48
    for other in (
        {"columns": True},
        {"time": {"path": "$.t", "as": "epoch_ms"}},
        {"each": ""},
        {"values": {"flags": "a.b"}},
    ):
        assert make_typed(TopicMapping.model_validate({"filter": "gas/{meter}/up", **COMMON, **other})) is None


def test_a_local_time_is_read_in_the_zone_that_was_named() -> None:
    rows = read({"t": "2026-01-15T08:00:00", "v": 1}, time={"path": "t", "as": "iso", "zone": "Asia/Shanghai"})
    assert datetime.fromtimestamp(rows.source_time[0] / 1e6, UTC) == datetime(2026, 1, 15, tzinfo=UTC)
    assert rows.quantities == [Quantity.REGISTER_MEASURED_M3]
    assert list(rows.quality) != [quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME)]


def test_many_messages_at_once_give_what_each_gives() -> None:
    mapping = mapper(**COMMON)
    other = mapper(filter="other/{meter}", **COMMON)
    good = [(f"gas/{meter}/up", message_of(meter, n)) for n, meter in enumerate(("M-000001", "M-000002", "M-000001"))]
    odd = [("gas/M-000001/up", b"?"), ("gas/X/up", message_of("X", 1)), ("nowhere", b"{}")]
    elsewhere = [("other/M-000003", message_of("M-000003", 9))]
    found = list(runs([mapping, other], [*good, *odd, *elsewhere, *good[:1]]))
    assert [places for places, _ in found] == [range(3), range(3, 6), range(6, 7), range(7, 8)]
    assert found[1][1] is None
    first = found[0][1]
    assert first is not None
    assert rows_of(first) == [row for topic, payload in good for row in rows_of(mapping.read(topic, payload, NOW_US))]
    spoilt = [*good, ("gas/M-000001/up", message_of("M-000001", 2**60))]
    assert [(places, rows is None) for places, rows in runs([mapping], spoilt)] == [(range(4), True)]


def message_of(meter: str, value: int) -> bytes:
    readings = [{"t": T_MS + n, "v": value, "f": n} for n in range(value % 5 + 1)]
    return json.dumps({"id": meter, "r": readings}).encode()
