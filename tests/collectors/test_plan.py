import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.plan import Limits, LineCost, Request, plan
from collectors.unit_plan import UnitPlan
from gateway.model.profile import PointSpec, RegisterTable, Span
from gateway.model.quantity import Quantity
from gateway.profiles import load_profile, profile_names

HOLDING = RegisterTable.HOLDING
WIDE = {1: "uint16", 2: "uint32", 3: "uint48", 4: "float64"}


def spec(address: int, width: int = 1, together: str = "", table: RegisterTable = HOLDING) -> PointSpec:
    kind = "bool" if table.of_bits else WIDE[width]
    return PointSpec(Quantity.FLAGS, table, address, kind, together=together)


def partitions(rows: list[int]) -> Iterator[list[list[int]]]:
    if not rows:
        yield []
        return
    head, *tail = rows
    for rest in partitions(tail):
        yield [[head], *rest]
        for index, group in enumerate(rest):
            yield [*rest[:index], [head, *group], *rest[index + 1 :]]


def is_allowed(points: list[PointSpec], rows: list[int], limits: Limits) -> bool:
    """Whether one request may answer these rows, judged from its covered addresses one by one."""
    start, end = min(points[row].address for row in rows), max(points[row].end for row in rows)
    words = {points[row].together for row in rows} - {""}
    if any(point.together in words and row not in rows for row, point in enumerate(points)):
        return False
    if end - start > limits.max_registers:
        return False
    if any(span.touches(HOLDING, start, end) for span in limits.forbidden):
        return False
    wanted = set()
    for row in rows:
        wanted |= set(range(points[row].address, points[row].end))
    for word in words:
        members = [points[row] for row in rows if points[row].together == word]
        wanted |= set(range(min(one.address for one in members), max(one.end for one in members)))
    return all(right - left - 1 <= limits.max_gap for left, right in pairwise(sorted(wanted)))


def cost_of(counts: list[int], limits: Limits) -> tuple[int, int]:
    """What requests of so many registers cost: requests first, on a line its time first."""
    if limits.line is None:
        return len(counts), sum(counts)
    return sum(limits.line.request_us + count * limits.line.register_us for count in counts), len(counts)


def cheapest(points: list[PointSpec], limits: Limits) -> tuple[int, int] | None:
    costs = [
        cost_of([max(points[r].end for r in g) - min(points[r].address for r in g) for g in groups], limits)
        for groups in partitions(list(range(len(points))))
        if all(is_allowed(points, group, limits) for group in groups)
    ]
    return min(costs, default=None)


small_points = st.lists(
    st.builds(spec, st.integers(0, 24), st.integers(1, 4), st.sampled_from(["", "", "", "a", "b"])),
    min_size=1,
    max_size=6,
)
small_limits = st.builds(
    lambda registers, gap, start, length, is_there, line: Limits(
        registers, 2000, gap, (Span(HOLDING, start, start + length),) if is_there else (), line
    ),
    st.integers(4, 16),
    st.integers(0, 6),
    st.integers(0, 26),
    st.integers(0, 2),
    st.booleans(),
    st.none() | st.builds(LineCost, st.integers(0, 5000), st.integers(1, 2000), st.just(1)),
)


@settings(max_examples=250, deadline=None)
@given(small_points, small_limits)
def test_no_other_set_of_requests_is_cheaper(points: list[PointSpec], limits: Limits) -> None:
    best = cheapest(points, limits)
    if best is None:
        with pytest.raises(ValueError, match=r"fit into one request|must not be read"):
            plan(points, limits)
        return
    requests = plan(points, limits)
    assert cost_of([request.count for request in requests], limits) == best
    assert sorted(row for request in requests for row in request.rows) == list(range(len(points)))
    for request in requests:
        assert is_allowed(points, list(request.rows), limits)


def test_points_near_each_other_share_a_request_and_far_ones_do_not() -> None:
    points = [spec(100, 2), spec(102), spec(110), spec(300)]
    assert plan(points, Limits(max_gap=7)) == (
        Request(HOLDING, 100, 11, (0, 1, 2)),
        Request(HOLDING, 300, 1, (3,)),
    )


def test_filling_at_a_fixed_size_would_split_a_value() -> None:
    points = [spec(0, 2), spec(2, 2), spec(4, 2)]
    assert [request.count for request in plan(points, Limits(max_registers=5))] in ([2, 4], [4, 2])


def test_forbidden_registers_are_stepped_over() -> None:
    points = [spec(10), spec(14)]
    limits = Limits(max_gap=10, forbidden=(Span(HOLDING, 12, 12),))
    assert [(request.start, request.count) for request in plan(points, limits)] == [(10, 1), (14, 1)]


def test_tables_are_never_mixed() -> None:
    points = [spec(0), spec(0, table=RegisterTable.COIL), spec(0, table=RegisterTable.INPUT)]
    requests = plan(points, Limits(max_gap=100))
    assert {(request.table, request.rows) for request in requests} == {
        (HOLDING, (0,)),
        (RegisterTable.COIL, (1,)),
        (RegisterTable.INPUT, (2,)),
    }


def test_bits_have_their_own_limit() -> None:
    points = [spec(address, table=RegisterTable.COIL) for address in range(30)]
    assert [request.count for request in plan(points, Limits(max_registers=1, max_bits=20))] in ([10, 20], [20, 10])


def filled(points: Sequence[PointSpec], limits: Limits, gap: int) -> int | None:
    """Count the requests of a simple rule: go on while the next point is at most `gap` away and there is room."""
    count, start, end, table = 0, 0, 0, None
    for point in sorted(points, key=lambda one: (one.table.value, one.first, one.past)):
        too_far = point.table is not table or point.first - end > gap
        if too_far or max(end, point.past) - start > limits.longest(point.table):
            count, start, end, table = count + 1, point.first, point.past, point.table
        end = max(end, point.past)
        if any(span.touches(point.table, start, end) for span in limits.forbidden):
            return None
    return count


def test_no_fixed_gap_needs_fewer_requests_on_a_corpus_of_devices() -> None:
    rng = random.Random(7)
    corpus: list[tuple[list[PointSpec], Limits]] = []
    for name in profile_names():
        profile = load_profile(name)
        members = [one for slot in profile.slots() for one in profile.member_points(slot)]
        points = [replace(one, together="") for one in (*profile.points, *members)]
        limits = Limits(profile.max_registers, profile.max_bits, profile.max_gap, profile.never_read)
        corpus += [(points, limits), (rng.sample(points, len(points) // 2), limits)]
    for _ in range(100):
        places = sorted(rng.sample(range(2000), rng.randint(2, 120)))
        corpus.append(
            (
                [spec(place * 4, rng.randint(1, 4)) for place in places],
                Limits(rng.choice((16, 64, 125)), 2000, rng.choice((0, 4, 20))),
            )
        )
    better = 0
    for points, limits in corpus:
        best = len(plan(points, limits))
        simple = [filled(points, limits, gap) for gap in range(limits.max_gap + 1)]
        assert all(count is None or best <= count for count in simple)
        better += best < max(count or 0 for count in simple)
    assert better > 50


def test_a_gap_that_costs_more_than_a_request_is_left_out_on_a_slow_line() -> None:
    points, gap = [spec(0), spec(20)], 30
    assert len(plan(points, Limits(max_gap=gap))) == 1
    assert len(plan(points, Limits(max_gap=gap, line=LineCost(20_000, 1_000, 63)))) == 1
    assert len(plan(points, Limits(max_gap=gap, line=LineCost(18_000, 1_000, 63)))) == 2


def test_five_thousand_points_are_planned_at_once() -> None:
    rng = random.Random(1)
    points = [spec(place * 4, rng.randint(1, 4)) for place in rng.sample(range(16_000), 5000)]
    best = min(_seconds(points) for _ in range(3))
    assert best < 0.1


def _seconds(points: list[PointSpec]) -> float:
    began = time.process_time()
    plan(points, Limits(max_gap=12))
    return time.process_time() - began


def test_a_plan_tells_its_size_and_that_of_what_is_left_beside_a_hole() -> None:
    profile = load_profile(profile_names()[0])
    specs = tuple(spec(address) for address in (0, 1, 2, 50))
    plan_of_unit = UnitPlan(profile, specs, None)
    whole = plan_of_unit.requests((0, 1, 2, 3))
    assert plan_of_unit.size() == (len(whole), sum(request.count for request in whole))
    plan_of_unit.note_hole(3, 0)
    left = plan_of_unit.requests((0, 1, 2))
    assert plan_of_unit.size() == (1, sum(request.count for request in left)) == (1, 3)
