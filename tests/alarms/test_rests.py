from typing import Any

import numpy as np

from alarms.analysis.expectation import rest_runs
from alarms.analysis.rests import begins, survival


def runs(use) -> Any:
    return rest_runs(use, np.full(use.shape[1], 0.001)), np.isfinite(use)


def test_the_longer_a_rest_the_fewer_last_and_ends_that_were_seen_count():
    use = np.ones((60, 200))
    for meter in range(200):
        use[20 : 20 + 1 + meter % 5, meter] = 0.0
    stays = survival(*runs(use))
    assert len(stays) == 61
    assert stays[0] == 1.0
    assert (np.diff(stays) <= 0.0).all()
    assert stays[3] > 0.3
    assert stays[10] < 0.1


def test_a_meter_that_never_moved_tells_nothing_of_how_rests_end():
    use = np.ones((60, 40))
    still = np.hstack([use, np.zeros((60, 40))])
    np.testing.assert_allclose(survival(*runs(still)), survival(*runs(use)))


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
