from __future__ import annotations

import math
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms.definitions import load_definitions
from alarms.detectors.limits import LimitEdge, LimitJudge, Watch, watches_of
from gateway.model.reading import GOOD, ReadingBatch, Reason, Severity, quality
from tests.alarms.alarm_fixtures import small_network

STEP_US = 10_000_000
NOW_US = 1_700_000_000_000_000
WATCHES = [
    Watch("HIHI@a", 1, 20.0, 15.0, 0, 30),
    Watch("HI@a", 1, 10.0, 8.0, 20, 30),
    Watch("LO@a", -1, 2.0, 3.0, 30, 0),
    Watch("BIT@a", 0, 4.0, 4.0, 0, 10),
]


def judge_of(points: int) -> LimitJudge:
    judge = LimitJudge()
    own = [[Watch(f"{one.alarm_id}{n}", *_rest(one)) for one in WATCHES] for n in range(points)]
    judge.adopt(list(range(points)), own)
    return judge


def _rest(one: Watch) -> tuple[int, float, float, float, float]:
    return one.side, one.limit, one.clear, one.on_delay_s, one.off_delay_s


def batch(rows: list[tuple[int, int, float]], mark: int = GOOD) -> ReadingBatch:
    times = [at for _, at, _ in rows]
    return ReadingBatch.build([point for point, _, _ in rows], times, times, [value for _, _, value in rows], mark)


series = st.lists(st.sampled_from([0.0, 1.0, 2.5, 4.0, 9.0, 10.0, 16.0, 20.0, 25.0]), min_size=5, max_size=60)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(series, min_size=1, max_size=3), cuts=st.data())
def test_batches_of_any_cut_and_order_judge_as_single_readings_do(
    values: list[list[float]], cuts: st.DataObject
) -> None:
    length = min(len(one) for one in values)
    rows = [(n, NOW_US + place * STEP_US, values[n][place]) for place in range(length) for n in range(len(values))]
    single = judge_of(len(values))
    expected = [edge for row in rows for edge in single.judge(batch([row]))]
    together = judge_of(len(values))
    edges: list[LimitEdge] = []
    left = rows
    while left:
        size = cuts.draw(st.integers(1, len(left)))
        part = cuts.draw(st.permutations(left[:size])) if size < 20 else left[:size][::-1]
        edges += together.judge(batch(part))
        edges += together.judge(batch(part[:3]))
        left = left[size:]

    def key(edge: LimitEdge) -> tuple[int, str]:
        return edge.source_time, edge.alarm_id

    assert sorted(edges, key=key) == sorted(expected, key=key)
    assert together.cond.tolist() == single.cond.tolist()


def test_only_good_values_prove_anything() -> None:
    judge = judge_of(1)
    for mark in (quality(Severity.BAD, Reason.NO_REPLY), quality(Severity.UNCERTAIN, Reason.CONFLICT)):
        assert judge.judge(batch([(0, NOW_US, math.nan if mark >> 6 == 2 else 25.0)], mark)) == []
    odd = batch([(0, NOW_US, 25.0)], quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME))
    assert [edge.alarm_id for edge in judge.judge(odd)] == ["HIHI@a0"]


def test_unknown_points_and_points_without_limits_are_passed_over() -> None:
    judge = judge_of(2)
    assert judge.unknown(np.array([1, 7, 7, 0], dtype=np.uint32)).tolist() == [7]
    assert judge.judge(batch([(7, NOW_US, 25.0)])) == []
    judge.adopt([7], [[]])
    assert judge.unknown(np.array([7], dtype=np.uint32)).tolist() == []
    assert judge.judge(batch([(7, NOW_US, 25.0)])) == []
    assert judge.judge(ReadingBatch.empty()) == []


def test_limits_come_from_definition_set_pressure_and_point() -> None:
    definitions, network = load_definitions(), small_network()
    low = {one.alarm_id: one for one in watches_of("REG-001/pressure_gauge_kpa", definitions, network)}
    assert math.isclose(low["OVERPRESS_HIHI@REG-001"].limit, 2.7)
    assert math.isclose(low["OVERPRESS_HIHI@REG-001"].clear, 2.7 * 0.97)
    assert math.isclose(low["UNDERPRESS_LO@REG-001"].clear, 1.6 * 1.03)
    medium = {one.alarm_id: one for one in watches_of("S-01/pressure_gauge_kpa", definitions, network)}
    assert math.isclose(medium["OVERPRESS_HI@S-01"].limit, 216.0)
    assert math.isclose(medium["UNDERPRESS_LOLO@S-01"].limit, 100.0)
    assert "SUPPLY_LOSS@S-01" not in medium
    assert [one.limit for one in watches_of("M-000001/flags", definitions, network)] == [64.0]
    assert watches_of("M-000001/gas_lel_pct", definitions, network) == []
    assert watches_of("nonsense", definitions, network) == []


def test_a_city_of_meters_is_watched_without_copying_it_for_each_batch() -> None:
    judge = LimitJudge()
    shape = _rest(WATCHES[3])
    begun = time.process_time()
    for first in range(0, 100_000, 50):
        points = list(range(first, first + 50))
        judge.adopt(points, [[Watch(f"BIT@M-{point:07d}", *shape)] for point in points])
    assert time.process_time() - begun < 5, "of computing"
    judge.restore("BIT@M-0099999", cond=True)
    judge.restore("BIT@M-0000000", cond=True)
    edges = judge.judge(batch([(54_321, NOW_US, 4.0), (99_999, NOW_US, 0.0), (7, NOW_US, 0.0)]))
    assert [(edge.alarm_id, edge.rises) for edge in edges] == [("BIT@M-0054321", True)]
    assert judge.cond.sum() == 2, "what was adopted before is not restored again"
