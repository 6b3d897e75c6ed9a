"""What passes see is the same after any passes before, also where the oldest readings come last."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms import windows
from alarms.city_data import city_from_batch
from alarms.windows import KeptWindows
from gateway.model.reading import to_us
from tests.alarms.small_city import GAS_DAY, a_city

DAY_US = 86_400_000_000


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 45), min_size=1, max_size=5, unique=True))
def test_any_passes_before_leave_the_windows_as_they_are_from_scratch(seed, passed):
    rng = np.random.default_rng(seed)
    city = a_city(days=40, homes=3)
    batch, points = city.batch()
    late = rng.choice([0, 0, 3, 20, 40], len(batch)) * rng.random(len(batch)) * DAY_US
    first_days = batch.source_time < int(city.bounds[0]) + rng.integers(0, 15) * DAY_US
    late += np.where(first_days, rng.choice([0, 20]) * DAY_US, 0)
    batch = replace(batch, received_time=batch.received_time + late.astype(np.int64))
    batch = batch.take(rng.random(len(batch)) < rng.choice([0.05, 0.5, 1.0]))
    data = city_from_batch(city.model.network, GAS_DAY, city.model.figures, batch, points)
    lookback = int(rng.choice([7, 60]))
    kept = KeptWindows(data, lookback)
    for day in sorted(passed):
        until = int(city.bounds[0]) + day * DAY_US + 3_600_000_000
        mine, my_gaps = kept.at(until)
        anew, new_gaps = KeptWindows(data, lookback).at(until)
        assert mine.keys() == anew.keys()
        for quantity, window in anew.items():
            np.testing.assert_array_equal(mine[quantity].times, window.times)
            np.testing.assert_array_equal(mine[quantity].variance, window.variance)
            np.testing.assert_allclose(np.diff(mine[quantity].value, axis=0), np.diff(window.value, axis=0), atol=1e-9)
            for name in ("row", "column", "left_us", "right_us", "broken", "from_us", "last_us"):
                one, other = (getattr(part[quantity], name) for part in (my_gaps, new_gaps))
                np.testing.assert_array_equal(one, other, err_msg=name)


def test_a_first_reading_of_today_makes_no_boundaries_of_the_past():
    city = a_city(days=3, homes=3)
    batch, points = city.batch()
    data = city_from_batch(city.model.network, GAS_DAY, city.model.figures, batch, points)
    kept = KeptWindows(data, 60)
    kept.at(to_us(city.now) + 3_600_000_000)
    assert len(kept._times) <= 6 < windows.SELDOM_DAYS
