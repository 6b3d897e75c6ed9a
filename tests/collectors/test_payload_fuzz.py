"""Damaged payloads of every kind: never a crash, never a row that the topic may not send, never a believed bad frame.

`GASGATE_THOROUGH=1` reads 10^6 of them.
"""

import os
import random

import numpy as np
import pytest

from collectors.mappers import TopicMapper, make_mappers, read_message, runs
from collectors.payload import DeadMessageError, Rows
from collectors.payload.values import EARLIEST_US, LATEST_US
from tests.collectors.sites import METERS, network
from tests.collectors.test_mqtt_doc import FENCE, NOW_US, SECTIONS, mappings
from tests.collectors.test_sparkplug import DBIRTH, DDATA, NBIRTH

COUNT = 1_000_000 if os.environ.get("GASGATE_THOROUGH") else 20_000
KNOWN = {*METERS, "S-01"}
PIECES = (b"null", b"-", b"1e999", b"NaN", b"[", b"}", b'"', b"\xff\xfe", b"\0", b"9" * 40, b"[" * 5000, b"")
CASES = {
    title: (make_mappers(mappings(section), network()), topic, FENCE.findall(section)[1][1].encode())
    for title, section in SECTIONS.items()
    for topic in [line[7:-2] for line in section.splitlines() if line.startswith("Topic `")]
}


def damaged(payload: bytes, rng: random.Random) -> bytes:
    """Change, cut, double or fill a payload at one to three places."""
    data = bytearray(payload)
    for _ in range(rng.randint(1, 3)):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 8, 64))
        match rng.randrange(5):
            case 0 if at < len(data):
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = rng.choice(PIECES)
            case 3:
                data[at : at + length] = rng.randbytes(length)
            case _:
                data[at:at] = data[max(0, at - length) : at]
    return bytes(data)


def check(rows: Rows) -> None:
    assert len(rows.source_time) == len(rows.value) == len(rows.quality) == len(rows.which)
    assert set(rows.meters) <= KNOWN
    assert ((rows.source_time >= EARLIEST_US) & (rows.source_time < LATEST_US)).all()
    assert (np.isnan(rows.value) == (rows.quality >= 2 << 6)).all()
    assert not np.isinf(rows.value).any()


@pytest.mark.parametrize("title", sorted(CASES))
@pytest.mark.timeout(600)
def test_a_damaged_payload_is_dead_or_gives_rows_that_can_be_believed(title: str) -> None:
    mappers, topic, payload = CASES[title]
    rng = random.Random(title)
    dead = 0
    for _ in range(COUNT // len(CASES)):
        broken = damaged(payload, rng)
        try:
            check(read_message(mappers, topic, broken, NOW_US))
        except DeadMessageError:
            dead += 1
        for _, rows in runs(mappers, [(topic, broken), (topic, payload)]):
            if rows is not None:
                check(rows)
    assert dead > COUNT // len(CASES) // 20


def test_damaged_sparkplug_leaves_the_mapping_usable() -> None:
    rng = random.Random(5)
    mappers = make_mappers(mappings(SECTIONS["Sparkplug B"]), network())
    names = {"NBIRTH": NBIRTH, "DBIRTH": DBIRTH, "DDATA": DDATA}
    for _ in range(COUNT // 10):
        kind = rng.choice(sorted(names))
        topic = f"spBv1.0/Gas/{kind}/E1" + ("" if kind == "NBIRTH" else "/M-000001")
        try:
            check(read_message(mappers, topic, damaged(names[kind], rng), NOW_US))
        except DeadMessageError:
            continue


def test_no_single_wrong_byte_of_a_checked_frame_gives_a_reading() -> None:
    mappers, topic, text = CASES["CJ/T 188 frames"]
    frame = bytes.fromhex(text.decode())
    whole = read_message(mappers, topic, text, NOW_US)
    first = frame.index(0x68)
    for at in range(first, len(frame)):
        for value in range(256):
            if value == frame[at]:
                continue
            broken = bytearray(frame)
            broken[at] = value
            assert outcome(mappers, topic, bytes(broken).hex().encode()) is None, (at, value)
    assert len(whole) == 3


def outcome(mappers: list[TopicMapper], topic: str, payload: bytes) -> Rows | None:
    try:
        return read_message(mappers, topic, payload, NOW_US)
    except DeadMessageError:
        return None


def test_the_corpus_has_every_kind_of_payload() -> None:
    assert len(CASES) >= 7, sorted(CASES)
