from typing import Any

import numpy as np
import pytest

from alarms.analysis.expectation import rest_runs
from alarms.analysis.rests import absent, begins, lasts


def runs(use) -> Any:
    return rest_runs(use, np.full(use.shape[1], 0.001)), np.isfinite(use)


def stays(use, cold=None) -> Any:
    """Return the chance that each customer's last rest lasts so long."""
    rests, known = runs(use)
    groups = ["residential"] * use.shape[1]
    return np.exp(lasts(rests, known, groups, np.zeros(len(use), dtype=np.bool_) if cold is None else cold))


def now_resting(use, lengths) -> Any:
    """Add customers who rest until now."""
    more = np.ones((len(use), len(lengths)))
    for column, length in enumerate(lengths):
        more[len(use) - length :, column] = 0.0
    return np.hstack([use, more])


def short_rests() -> Any:
    use = np.ones((60, 200))
    for meter in range(200):
        use[20 : 20 + 1 + meter % 5, meter] = 0.0
    return use


def test_the_longer_a_rest_the_fewer_last_and_ends_that_were_seen_count():
    chance = stays(now_resting(short_rests(), [0, 1, 3, 10, 30]))[-5:]
    assert chance[0] == 1.0
    assert (np.diff(chance) < 0.0).all()
    assert chance[2] > 0.3
    assert chance[3] < 0.1


def test_a_meter_that_never_moved_tells_nothing_of_how_rests_end():
    use = now_resting(short_rests(), [10])
    still = np.hstack([np.zeros((60, 40)), use])
    np.testing.assert_allclose(stays(still)[-1], stays(use)[-1])


def test_who_rests_while_others_heat_and_come_back_at_once_is_odder():
    use = np.ones((200, 200))
    for meter in range(200):
        use[20 : 20 + 5 + meter % 30, meter] = 0.0
        use[120 : 120 + 1 + meter % 3, meter] = 0.0
    cold = np.arange(200) >= 100
    use = now_resting(use, [20])
    assert stays(use, cold)[-1] < 0.3 * stays(use)[-1]
    groups, day = ["residential"] * use.shape[1], np.full(use.shape[1], 150)
    calm = use.copy()
    calm[120:124, :200] = 1.0
    rests, known = runs(calm)
    assert begins(rests, known, groups, day, cold)[0] < 0.5 * begins(rests, known, groups, day)[0]


def test_many_leave_on_a_holiday_and_a_single_shop_does_not_excuse_itself():
    use = np.ones((60, 100))
    use[30:40, :40] = 0.0
    use[50:, 99] = 0.0
    rests, known = runs(use)
    groups = ["residential"] * 99 + ["commercial"]

    def rate(day, meter) -> Any:
        return begins(rests, known, groups, np.full(100, day))[meter]

    assert rate(30, 0) > 0.25
    assert rate(29, 0) > 0.25
    assert rate(15, 0) < 0.05
    assert rate(50, 99) < 0.1
    assert rate(0, 0) < 0.05
    assert rate(59, 99) < 0.1


def test_however_soon_others_come_back_a_rest_alone_proves_nothing():
    use = now_resting(short_rests(), [40])
    rests, known = runs(use)
    alone = absent(rests, known, ["residential"] * use.shape[1], np.zeros(60, dtype=np.bool_))[-1]
    assert np.exp(alone) * 365.0 == pytest.approx(0.02)
