"""Line protocol, read back by a parser of its own."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from gateway.model.network import Network, Zone, ZoneKind
from gateway.model.reading import PointId, ReadingBatch
from gateway.store.line_names import LineNames, prefix
from gateway.store.lines import MOST_BYTES, LineFormat

NETWORK = Network({"D 1": Zone("D 1", "", ZoneKind.DISTRICT, "")}, {}, {}, {})


class Written(NamedTuple):
    text: list[bytes]
    rows: list[int]
    rejected: list[tuple[int, str]]


def lines_of(form: LineFormat, batch: ReadingBatch) -> Written:
    found = form.sort(batch)
    bodies = list(form.bodies(batch, found))
    return Written(
        [line for body in bodies for line in body.lines()],
        [row for body in bodies for row in body.rows.tolist()],
        found.rejected,
    )


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


@settings(deadline=None)
@given(
    asset=st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.text(", =\\/ab", min_size=1, max_size=8),
    value=st.floats(),
    mark=st.integers(0, 255),
    time=st.integers(-(2**53), 2**53),
)
def test_a_line_says_what_the_row_said_or_the_row_is_rejected(asset: str, value: float, mark: int, time: int) -> None:
    name = PointId(f"{asset}/flow m3,h")
    form = LineFormat(lambda indices: [name] * len(indices), NETWORK)
    found = lines_of(form, ReadingBatch.build([4], [time], 0, [value], [mark]))
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
    (line,) = lines_of(form, ReadingBatch.build([0], [5], 0, [1.0])).text
    assert line == b"temperature_c,asset=D\\ 1,point=D\\ 1/temperature_c,zone=D\\ 1 value=1.0,q=0i 5"


@pytest.mark.parametrize("time", [2**63 - 1, -(2**63), 2**63 // 1000 + 1])
def test_a_time_that_influxdb_cannot_keep_is_rejected(time: int) -> None:
    form = LineFormat(lambda _: [PointId("a/b")], NETWORK)
    found = lines_of(form, ReadingBatch.build(np.array([0, 0], np.uint32), [time, 7], 0, [1.0, 2.0]))
    assert [row for row, _ in found.rejected] == [0]
    assert found.rows == [1]


def test_a_point_that_nobody_knows_is_rejected_alone() -> None:
    def names(indices: NDArray[np.uint32]) -> list[PointId]:
        return [{1: PointId("a/b"), 3: PointId("c/b")}[index] for index in indices.tolist()]

    found = lines_of(LineFormat(names, NETWORK), ReadingBatch.build([1, 2, 3], [1, 2, 3], 0, [1.0, 2.0, 3.0]))
    assert found.rows == [0, 2]
    assert [row for row, _ in found.rejected] == [1]


def test_a_comment_is_not_a_measurement() -> None:
    assert prefix("#flow", {"point": "a"}) == ""
    assert prefix("", {"point": "a"}) == ""


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-(2**53), 2**53), st.floats(), st.integers(0, 255)),
        min_size=1,
        max_size=30,
    )
)
def test_rows_of_a_body_do_not_change_each_other(rows: list[tuple[int, int, float, int]]) -> None:
    form = LineFormat(lambda points: [PointId(f"P-{point}/q{point}") for point in points.tolist()], NETWORK)
    columns = [list(column) for column in zip(*rows, strict=True)]
    whole = lines_of(form, ReadingBatch.build(columns[0], columns[1], 0, columns[2], columns[3]))
    alone = [lines_of(form, ReadingBatch.build([p], [t], 0, [v], [q])).text[0] for p, t, v, q in rows]
    assert whole.text == alone
    assert whole.rows == list(range(len(rows)))


def test_bodies_stay_within_both_limits() -> None:
    name = "x" * 190
    form = LineFormat(lambda points: [PointId(f"{name}{point}/q") for point in points.tolist()], NETWORK)
    count = 12_345
    batch = ReadingBatch.build(range(count), range(count), 0, [0.1] * count)
    bodies = list(form.bodies(batch, form.sort(batch)))
    assert max(len(body.rows) for body in bodies) <= 5_000
    assert 400_000 < max(len(body.data) for body in bodies) <= MOST_BYTES
    assert [row for body in bodies for row in body.rows.tolist()] == list(range(count))
    assert [line.split()[-1] for body in bodies for line in body.lines()] == [b"%d" % time for time in range(count)]
    form.too_large(100_000)
    assert max(len(body.data) for body in form.bodies(batch, form.sort(batch))) <= 50_000


def test_names_come_from_the_configuration() -> None:
    names = LineNames(
        measurement="gas",
        tags={"what": "{quantity}", "wo er": "{asset} in {zone}", "site": "north"},
        value_field="v,1",
        quality_field="mark",
    )
    form = LineFormat(lambda _: [PointId("D 1/temperature_c")], NETWORK, names)
    (good,) = lines_of(form, ReadingBatch.build([0], [5], 0, [1.0])).text
    assert good == b"gas,site=north,what=temperature_c,wo\\ er=D\\ 1\\ in\\ D\\ 1 v\\,1=1.0,mark=0i 5"
    (bad,) = lines_of(form, ReadingBatch.build([0], [5], 0, [math.nan], 129)).text
    assert bad.endswith(b" mark=129i 5")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ({"measurement": "{meter}"}, "only {point}"),
        ({"measurement": "a{"}, "only {point}"),
        ({"measurement": "\\x"}, "backslash"),
        ({"tags": {"asset": "{asset}"}, "measurement": "gas"}, "overwrite each other"),
        ({"tags": {"time": "{point}"}}, "no name of a tag"),
        ({"value_field": "q"}, "must differ"),
    ],
)
def test_names_that_would_lose_points_are_refused(names: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        LineNames.model_validate(names)
