from datetime import date, timedelta
from typing import Any

import numpy as np

from alarms.analysis.expectation import rest_runs
from alarms.analysis.weekly import weekly

DAYS = tuple(date(2026, 3, 2) + timedelta(days=k) for k in range(70))
SUNDAY = np.array([day.weekday() == 6 for day in DAYS])
RNG = np.random.default_rng(5)
SHOP = np.where(SUNDAY, 0.0, 20.0) * RNG.uniform(0.8, 1.2, 70)
HOME = 1.5 * RNG.uniform(0.5, 1.5, 70)
ROTA = RNG.uniform(0.5, 1.5, 70)
"""what peers did"""


def course(shop) -> Any:
    use = np.stack([shop, HOME, 30.0 * ROTA], axis=1)
    shape = np.stack([ROTA, ROTA, ROTA], axis=1)
    rests = rest_runs(use, np.full(3, 0.002))
    return weekly(use, shape, rests, DAYS, np.array([True, False, True]))


def test_a_shop_is_expected_to_close_on_its_own_day():
    found = course(SHOP)[:, 0]
    assert found[SUNDAY].max() < 0.1
    assert 1.0 < found[~SUNDAY].min() < found[~SUNDAY].max() < 1.4


def test_homes_and_a_business_that_goes_with_its_peers_follow_these():
    found = course(SHOP)
    np.testing.assert_array_equal(found[:, 1], ROTA)
    np.testing.assert_allclose(np.corrcoef(found[:, 2], ROTA)[0, 1], 1.0, atol=0.02)


def test_what_a_shop_does_while_it_rests_for_longer_or_is_unread_leaves_its_week_as_it_was():
    stopped = SHOP.copy()
    stopped[50:] = 0.0
    unread = SHOP.copy()
    unread[20:30] = np.nan
    for shop in (stopped, unread):
        found = course(shop)[:, 0]
        assert found[SUNDAY].max() < 0.12
        assert found[~SUNDAY].min() > 0.9


def test_of_a_few_days_no_week_is_learned():
    use, shape = SHOP[:14, None], ROTA[:14, None]
    rests = rest_runs(use, np.full(1, 0.002))
    np.testing.assert_array_equal(weekly(use, shape, rests, DAYS[:14], np.array([True])), shape)
