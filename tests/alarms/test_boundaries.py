from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms.analysis.boundaries import BURST_H, REGISTER_SPAN_H, Boundaries
from alarms.analysis.gaps import FEW, LEVEL_DAYS
from alarms.analysis.holes import gaps_of
from gateway.meterdata.align import along
from gateway.meterdata.arrivals import Arrivals
from gateway.meterdata.series import DAY_US, HOUR_US, Exchanges, Registers, Series
from gateway.meterdata.steps import unroll
from gateway.model.quantity import Quantity

REGISTER = Quantity.REGISTER_MEASURED_M3
START = 1_700_000_000_000_000 // DAY_US * DAY_US
METERS, DAYS = 5, 16
FACTS = Registers(np.array([100.0, 1e5, 1e5, 1e5, 1e8]), np.array([6.0, 6.0, 0.0, 6.0, 900.0]), np.full(METERS, 0.001))


def spoilt_city(seed) -> Any:
    """Meters read every so often; rows come late, twice, in disorder; registers roll over, jump and are exchanged."""
    rng = np.random.default_rng(seed)
    parts, exchanges = [], []
    for meter in range(METERS):
        every = rng.choice([1.0, 6.0, 24.0, 60.0, 120.0])
        time = START + np.sort(rng.uniform(0, DAYS * DAY_US, int(DAYS * 24 / every) + 1)).astype(np.int64)
        time += np.where(rng.random() < 0.3, int(rng.normal(0, 30) * HOUR_US), 0)
        away = rng.random(len(time)) < rng.choice([0.0, 0.7])
        use = np.where(away, 0.0, rng.gamma(1.0, 0.3 * every, len(time)) * rng.choice([0.0, 1.0, 3.0]))
        value = 95.0 + np.round(np.cumsum(use), 3)
        for _ in range(rng.integers(0, 3)):
            at = int(rng.integers(0, len(time)))
            known = bool(rng.integers(0, 2))
            exchanges.append((meter, int(time[at]) - 60, value[at] if known else np.nan, 2.0 if known else np.nan))
            value[at:] += 2.0 - value[at]
        value = value % FACTS.modulus[meter]
        odd = rng.random(len(time)) < rng.choice([0.0, 0.05, 0.3])
        value = np.where(odd, value + rng.choice([-50.0, 0.0005, -0.0005, 7.0, 1e9], len(time)), value)
        time = np.where(rng.random(len(time)) < 0.03, time - int(9e8) * 1_000_000, time)
        late = rng.choice([0.01, 0.01, 3.0, 40.0, 200.0], len(time)) * rng.random(len(time))
        received = time + (late * HOUR_US).astype(np.int64)
        again = np.flatnonzero(rng.random(len(time)) < 0.1)
        conflict = rng.choice([0.0, 0.0, 1.0], len(again))
        parts.append(
            (
                np.full(len(time) + len(again), meter, dtype=np.int32),
                np.concatenate([time, time[again]]),
                np.concatenate([received, received[again] + int(30 * HOUR_US)]),
                np.concatenate([value, value[again] + conflict]),
            )
        )
    series = Series.build([f"M-{n}" for n in range(METERS)], *(np.concatenate(p) for p in zip(*parts, strict=True)))
    column, moments, old, new = zip(*exchanges, strict=True) if exchanges else ((),) * 4
    kinds = np.int32, np.int64, float, float
    columns = (np.array(part, kind) for part, kind in zip((column, moments, old, new), kinds, strict=True))
    return series, Exchanges(*columns)


def grid(until) -> Any:
    return np.arange(START - 2 * DAY_US, until + 1, DAY_US)


def from_scratch(series, exchanges, until) -> Any:
    unrolled = unroll(series.known(until).settled(), FACTS, exchanges.known(until))
    return along(unrolled, grid(until), FACTS, series.assets, REGISTER, span_h=REGISTER_SPAN_H, burst_h=BURST_H)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.floats(0.0, DAYS + 9.0), min_size=1, max_size=12, unique=True))
def test_boundaries_kept_through_any_passes_are_those_made_from_all_readings(seed, moments):
    series, exchanges = spoilt_city(seed)
    rows = Arrivals(series)
    kept = Boundaries(rows, FACTS, exchanges.known)
    for day in sorted(moments):
        until = START + int(day * DAY_US)
        kept.advance(grid(until), until)
        whole = from_scratch(series, exchanges, until)
        np.testing.assert_array_equal(kept.variance, whole.variance)
        np.testing.assert_array_equal(np.diff(kept.value, axis=0), np.diff(whole.value, axis=0))
    once = Boundaries(rows, FACTS, exchanges.known)
    once.advance(grid(until), until)
    np.testing.assert_array_equal(kept.broken, once.broken)
    one, other = gaps_of(kept, 2, series.assets, None), gaps_of(once, 2, series.assets, None)
    for name in one.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_a_moment_between_far_readings_is_told_by_both_and_a_meters_level_by_its_last_days():
    hours = np.array([0.0, *range(1, 24 * 5), 24 * 11, 24 * 11 + 1])
    time = START + (hours * HOUR_US).astype(np.int64)
    series = Series.build(["M-0"], np.zeros(len(time), np.int32), time, time + 1, np.round(hours * 0.5, 3))
    facts = FACTS.of(np.array([1]))
    kept = Boundaries(Arrivals(series), facts, Exchanges.none().known)
    until = START + 12 * DAY_US
    kept.advance(grid(until), until)
    assert np.flatnonzero(np.isnan(kept.value[:, 0])).tolist() == [0, 1, 7, 8, 9, 10, 11, 12, 14]
    gaps = gaps_of(kept, 4, series.assets, None)
    assert gaps.row.tolist() == [3, 4, 5, 6, 7, 8]
    assert set(gaps.left_us.tolist()) == {START + (24 * 5 - 1) * HOUR_US}
    assert set(gaps.right_m3.tolist()) == {24 * 11 * 0.5}
    assert not gaps.broken.any()
    # the newest reading stands an hour behind boundary 13; only that and the first ones of the last 14 days are known
    assert FEW <= 6 < LEVEL_DAYS
    assert (gaps.from_us[0], gaps.last_us[0]) == (START, START + (24 * 11 + 1) * HOUR_US)
    assert gaps.recent_m3[0] == (24 * 11 + 1) * 0.5


def test_registers_of_whom_nothing_came_stay_unknown():
    series = Series.build(["M-0", "M-1"], *(np.empty(0, kind) for kind in (np.int32, np.int64, np.int64, float)))
    kept = Boundaries(Arrivals(series), FACTS.of(np.array([0, 1])), Exchanges.none().known)
    kept.advance(grid(START), START)
    kept.advance(grid(START + DAY_US), START + DAY_US)
    assert kept.value.shape == (4, 2)
    assert np.isnan(kept.value).all()
    gaps = gaps_of(kept, 0, series.assets, None)
    assert (len(gaps.row), gaps.last_us.tolist()) == (0, [0, 0])
