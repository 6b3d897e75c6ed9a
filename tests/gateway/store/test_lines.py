"""Line protocol, read back by a parser of its own."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.model.network import Network, Zone, ZoneKind
from gateway.model.reading import PointId, ReadingBatch
from gateway.store.lines import LineFormat, prefix

NETWORK = Network({"D 1": Zone("D 1", "", ZoneKind.DISTRICT, "")}, {}, {}, {})


def split(text: str, at: str) -> list[str]:
    """Split at unescaped occurrences of a character."""
    parts, part, escaped = [], "", False
    for letter in text:
        if letter == at and not escaped:
            parts.append(part)
            part = ""
        else:
            part += letter
        escaped = letter == "\\" and not escaped
    return [*parts, part]


def plain(text: str) -> str:
    return text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")


def parse(line: str) -> tuple[str, dict[str, str], dict[str, str], int]:
    head, fields, time = split(line, " ")
    measurement, *tags = split(head, ",")
    pairs = [split(tag, "=") for tag in tags]
    assert all(len(pair) == 2 for pair in pairs)
    values = [field.split("=") for field in fields.split(",")]
    return plain(measurement), {key: plain(value) for key, value in pairs}, dict(values), int(time)


@given(
    asset=st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.text(", =\\/ab", min_size=1, max_size=8),
    value=st.floats(),
    mark=st.integers(0, 255),
    time=st.integers(-(2**53), 2**53),
)
def test_a_line_says_what_the_row_said_or_the_row_is_rejected(asset: str, value: float, mark: int, time: int) -> None:
    name = PointId(f"{asset}/flow m3,h")
    form = LineFormat(lambda indices: [name] * len(indices), NETWORK)
    found = form.lines(ReadingBatch.build([4], [time], 0, [value], [mark]))
    if found.rejected:
        assert "\\" in asset or not asset.isprintable()
        assert (found.rejected[0][0], found.text) == (0, [])
        return
    (line,) = found.text
    assert b"\n" not in line
    measurement, tags, fields, at = parse(line.decode())
    assert (measurement, tags, at) == ("flow m3,h", {"point": name, "asset": asset}, time)
    assert fields.pop("q") == f"{mark}i"
    if mark >= 128 or not math.isfinite(value):
        assert fields == {}
    else:
        assert float(fields["value"]) == value


def test_the_zone_is_a_tag_where_it_is_known() -> None:
    form = LineFormat(lambda _: [PointId("D 1/temperature_c")], NETWORK)
    (line,) = form.lines(ReadingBatch.build([0], [5], 0, [1.0])).text
    assert line == b"temperature_c,asset=D\\ 1,point=D\\ 1/temperature_c,zone=D\\ 1 value=1.0,q=0i 5"


@pytest.mark.parametrize("time", [2**63 - 1, -(2**63), 2**63 // 1000 + 1])
def test_a_time_that_influxdb_cannot_keep_is_rejected(time: int) -> None:
    form = LineFormat(lambda _: [PointId("a/b")], NETWORK)
    found = form.lines(ReadingBatch.build(np.array([0, 0], np.uint32), [time, 7], 0, [1.0, 2.0]))
    assert [row for row, _ in found.rejected] == [0]
    assert found.rows == [1]


def test_a_point_that_nobody_knows_is_rejected_alone() -> None:
    def names(indices: NDArray[np.uint32]) -> list[PointId]:
        return [{1: PointId("a/b"), 3: PointId("c/b")}[index] for index in indices.tolist()]

    found = LineFormat(names, NETWORK).lines(ReadingBatch.build([1, 2, 3], [1, 2, 3], 0, [1.0, 2.0, 3.0]))
    assert found.rows == [0, 2]
    assert [row for row, _ in found.rejected] == [1]


def test_a_comment_is_not_a_measurement() -> None:
    assert prefix("#flow", {"point": "a"}) == ""
    assert prefix("", {"point": "a"}) == ""
