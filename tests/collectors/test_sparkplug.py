import math
import random
from typing import Any

import pytest

from collectors.payload import DeadMessageError, Rows, TopicMapping
from collectors.protobuf import varint
from collectors.sparkplug import SparkplugMapper
from collectors.sparkplug_payload import parse, rebirth_request
from gateway.model.reading import GOOD, Reason, Severity, quality

# Encoded by Google's protobuf library from Sparkplug's own message definition: an edge node, its device with a register
# (double, alias 7), a valve (boolean, 8), a temperature of -12.5 C in tenths (Int32, 9) and a model (string, 10).
NBIRTH = bytes.fromhex(
    "08e0d2c8f7bb3312120a05626453657118e0d2c8f7bb3320085803121a0a144e6f646520436f6e74726f6c2f52656269727468200b70001800"
)
DBIRTH = bytes.fromhex(
    "08e0d2c8f7bb33122d0a085265676973746572100718e0d2c8f7bb33200a420512036761734a060a04756e69746954e3a59b444a934012140a"
    "0556616c7665100818e0d2c8f7bb33200b700112170a0b54656d7065726174757265100920035083ffffff0f120f0a054d6f64656c100a200c"
    "7a0247341801"
)
DDATA = bytes.fromhex(
    "0880e0cef7bb331212100718c0a7ccf7bb336900000000004c93401204100870001208100950fefeffff0f120b100718d0f5ccf7bb3338011802"
    "220178"
)
NDEATH = bytes.fromhex("120b0a05626453657120085803")
BIRTH_MS, DATA_MS, NOW_US = 1_768_435_100_000, 1_768_435_200_000, 1_768_435_300_000_000
GONE = quality(Severity.BAD, Reason.NO_REPLY)


def mapper(**changes: Any) -> SparkplugMapper:
    table = {
        "filter": "spBv1.0/Gas/#",
        "format": "sparkplug",
        "values": {
            "register_measured_m3": "Register",
            "valve": "Valve",
            "temperature_c": {"path": "Temperature", "scale": 0.1},
            "flags": "Model",
        },
        **changes,
    }
    return SparkplugMapper(TopicMapping.model_validate(table), {"M-000001", "M-000002", "S-01"})


def read(mapping: SparkplugMapper, kind: str, payload: bytes, device: str = "M-000001", node: str = "edge") -> Rows:
    topic = f"spBv1.0/Gas/{kind}/{node}" + (f"/{device}" if kind[0] == "D" else "")
    assert mapping.matches(topic)
    return mapping.read(topic, payload, NOW_US)


def table(rows: Rows) -> dict[tuple[str, str, int], Any]:
    """Return (meter, quantity, time in ms) -> value, or the reason where it is bad."""
    return {
        (meter, quantity.value, int(at) // 1000): Reason(int(mark) & 63) if mark >> 6 == 2 else float(value)
        for meter, quantity, at, value, mark in zip(
            rows.meters, rows.quantities, rows.source_time, rows.value, rows.quality, strict=True
        )
    }


def born() -> SparkplugMapper:
    mapping = mapper()
    read(mapping, "NBIRTH", NBIRTH)
    read(mapping, "DBIRTH", DBIRTH)
    return mapping


def sent(seq: int, *metrics: bytes, time_ms: int = DATA_MS) -> bytes:
    """Encode a payload of ready metrics."""
    parts = b"".join(b"\x12" + varint(len(metric)) + metric for metric in metrics)
    return b"\x08" + varint(time_ms) + parts + b"\x18" + varint(seq)


def by_alias(alias: int, value: int) -> bytes:
    return b"\x10" + varint(alias) + b"\x58" + varint(value)


def by_name(name: str, value: int) -> bytes:
    return b"\x0a" + varint(len(name)) + name.encode() + b"\x58" + varint(value)


def test_births_are_readings_too() -> None:
    mapping = mapper()
    assert len(read(mapping, "NBIRTH", NBIRTH)) == 0
    rows = read(mapping, "DBIRTH", DBIRTH)
    assert table(rows) == {
        ("M-000001", "register_measured_m3", BIRTH_MS): 1234.567,
        ("M-000001", "valve", BIRTH_MS): 1.0,
        ("M-000001", "temperature_c", BIRTH_MS): -12.5,
        ("M-000001", "flags", BIRTH_MS): Reason.NOT_A_NUMBER,
    }
    assert (rows.timed, rows.dead, rows.reply) == (True, "", None)


def test_data_by_alias_mean_what_the_birth_said() -> None:
    rows = read(born(), "DDATA", DDATA)
    assert table(rows) == {
        ("M-000001", "register_measured_m3", 1_768_435_160_000): 1235.0,
        ("M-000001", "valve", DATA_MS): 0.0,
        ("M-000001", "temperature_c", DATA_MS): -13.0,
        ("M-000001", "register_measured_m3", 1_768_435_170_000): Reason.MISSING_VALUE,
    }
    assert rows.reply is None


def test_before_any_birth_a_rebirth_is_asked_for_and_aliases_are_not_guessed() -> None:
    rows = read(mapper(), "DDATA", DDATA)
    assert len(rows) == 0
    assert rows.dead == "4 metrics by alias, and no birth that says what they are"
    assert rows.reply == ("spBv1.0/Gas/NCMD/edge", rebirth_request(NOW_US // 1000))


def test_a_gap_stops_aliases_until_everything_was_told_again() -> None:
    mapping = born()
    rows = read(mapping, "DDATA", sent(3, by_alias(7, 5), by_name("Register", 6)))
    assert list(table(rows).values()) == [6.0]
    assert rows.reply is not None
    assert rows.dead.startswith("1 metrics by alias")
    assert read(mapping, "DDATA", sent(4, by_alias(7, 7))).reply is not None
    assert read(mapping, "NBIRTH", NBIRTH).reply is None
    read(mapping, "DBIRTH", DBIRTH)
    rows = read(mapping, "DDATA", sent(2, by_alias(7, 8)))
    assert list(table(rows).values()) == [8.0]
    assert rows.reply is None


def test_the_sequence_runs_round_and_a_repeated_message_is_no_gap() -> None:
    mapping = born()
    for seq in [*range(2, 256), 0, 1, 1, 2]:
        assert read(mapping, "DDATA", sent(seq, by_alias(7, seq))).reply is None, seq
    assert read(mapping, "NDATA", sent(3)).reply is None
    assert read(mapping, "NDATA", sent(3 + 2)).reply is not None


def test_a_device_that_nobody_knows_is_no_gap() -> None:
    mapping = born()
    with pytest.raises(DeadMessageError, match="unknown meter"):
        read(mapping, "DDATA", sent(2), device="M-000009")
    assert read(mapping, "DDATA", sent(3, by_alias(7, 1))).reply is None


def test_an_unknown_alias_is_no_reading_of_anything() -> None:
    rows = read(born(), "DDATA", sent(2, by_alias(99, 5), by_alias(7, 6)))
    assert list(table(rows).values()) == [6.0]
    assert rows.dead.startswith("1 metrics by alias")
    assert rows.reply is not None


def test_a_new_birth_may_give_an_alias_another_meaning() -> None:
    mapping = born()
    read(mapping, "NBIRTH", NBIRTH)
    read(mapping, "DBIRTH", sent(1, b"\x10\x07" + by_name("Temperature", 100) + b"\x20\x03"))
    assert table(read(mapping, "DDATA", sent(2, by_alias(7, 110)))) == {
        ("M-000001", "temperature_c", DATA_MS): 11.0,
    }


def test_the_death_of_a_node_makes_the_points_of_its_devices_bad() -> None:
    mapping = born()
    read(mapping, "DBIRTH", sent(2, by_name("Register", 4)), device="M-000002")
    rows = read(mapping, "NDEATH", NDEATH)
    assert set(table(rows)) == {
        *(("M-000001", name, NOW_US // 1000) for name in ("register_measured_m3", "valve", "temperature_c", "flags")),
        ("M-000002", "register_measured_m3", NOW_US // 1000),
    }
    assert set(rows.quality) == {GONE}
    assert not rows.timed
    assert read(mapping, "DDATA", sent(3, by_alias(7, 1))).reply is not None


def test_the_death_of_a_device_leaves_the_others_alone() -> None:
    mapping = born()
    read(mapping, "DBIRTH", sent(2, by_name("Register", 4)), device="M-000002")
    assert {meter for meter, _, _ in table(read(mapping, "DDEATH", sent(3), device="M-000002"))} == {"M-000002"}
    assert list(table(read(mapping, "DDATA", sent(4, by_alias(7, 9)))).values()) == [9.0]


def test_the_will_of_an_older_connection_is_no_death() -> None:
    mapping = born()
    assert len(read(mapping, "NDEATH", NDEATH.replace(b"\x58\x03", b"\x58\x02"))) == 0
    assert read(mapping, "DDATA", sent(2, by_alias(7, 9))).reply is None


def test_a_node_that_is_an_asset_reports_for_itself() -> None:
    mapping = mapper()
    read(mapping, "NBIRTH", NBIRTH, node="S-01")
    assert table(read(mapping, "NDATA", sent(1, by_name("Valve", 1)), node="S-01")) == {("S-01", "valve", DATA_MS): 1.0}


def test_a_metric_without_any_time_takes_the_arrival() -> None:
    mapping = born()
    rows = read(mapping, "DDATA", sent(2, by_alias(8, 1), time_ms=0))
    assert list(rows.source_time) == [NOW_US]
    assert list(rows.quality) == [quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME)]
    assert not rows.timed


def test_commands_and_states_of_hosts_are_for_others() -> None:
    mapping = mapper()
    for topic in ("spBv1.0/Gas/NCMD/edge", "spBv1.0/Gas/DCMD/edge/M-000001", "spBv1.0/STATE/host"):
        assert len(mapping.read(topic, b"\xff", NOW_US)) == 0


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("spBv1.0/Gas/DDATA/edge/M-000009", DDATA, "unknown meter"),
        ("spBv1.0/Gas/DDATA/edge", DDATA, "another topic"),
        ("spBv1.0/Gas/NDATA/edge/M-000001", DDATA, "another topic"),
        ("spBv1.0/Gas/DDATA/edge/M-000001", DDATA[:-2], "not a Sparkplug payload"),
        ("spBv1.0/Gas/DDATA/edge/M-000001", b"\x0b", "wire type 3"),
        ("spBv1.0/Gas/DDATA/edge/M-000001", b"\xff" * 11, "without an end"),
        ("spBv1.0/Gas/DDATA/edge/M-000001", b"\x00\x00", "without a number"),
        ("spBv1.0/Gas/DDATA/edge/M-000001", b"\x12\x04\x62\x02\x00\x00", "another kind"),
        ("spBv1.0/Gas/DDATA/edge/M-000001", b"\x12\x00" * 10_001, "more than 10000"),
        ("spBv1.0/Gas/DDATA/edge/M-000001", b" " * 300_000, "too large"),
    ],
)
def test_a_wrong_message_is_dead(topic: str, payload: bytes, reason: str) -> None:
    with pytest.raises(DeadMessageError, match=reason):
        mapper().read(topic, payload, NOW_US)


def test_a_topic_speaks_only_for_its_meters() -> None:
    mapping = mapper(meters=["M-000002"])
    with pytest.raises(DeadMessageError, match="may not speak"):
        read(mapping, "DDATA", DDATA)


@pytest.mark.parametrize(
    "changes", [{"filter": "spBv1.0/Gas/+/edge"}, {"identity": "$.id"}, {"filter": "gas/#"}, {"columns": True}]
)
def test_a_mapping_that_sparkplug_cannot_have_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Sparkplug"):
        mapper(**changes)


def test_any_bytes_are_survived() -> None:
    rng = random.Random(3)
    mapping = born()
    dead = 0
    for turn in range(50_000):
        damaged = bytearray((NBIRTH, DBIRTH, DDATA, NDEATH)[turn % 4])
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
            damaged += b"\x18"
        try:
            rows = read(mapping, ("NBIRTH", "DBIRTH", "DDATA", "NDEATH")[turn % 4], bytes(damaged))
        except DeadMessageError:
            dead += 1
            continue
        assert all(math.isnan(value) == (mark >> 6 == 2) for value, mark in zip(rows.value, rows.quality, strict=True))
    assert 5_000 < dead < 49_000


def test_values_of_every_kind() -> None:
    metrics = [
        b"\x20\x01\x50\xff\x01",  # Int8 -1
        b"\x20\x02\x50\xff\xff\x03",  # Int16 -1
        b"\x20\x04\x58" + varint(2**64 - 5),  # Int64 -5
        b"\x20\x08\x58" + varint(2**53),  # UInt64
        b"\x20\x09\x65\x00\x00\xc8\x42",  # Float 100
        b"\x82\x01\x01x",  # bytes
        b"\x38\x01\x50\x05",  # null, though a value is there
    ]
    found = [metric.value for metric in parse(sent(0, *metrics)).metrics]
    assert found == [-1, -1, -5, 2**53, 100.0, Reason.NOT_A_NUMBER, None]
    assert GOOD == 0
