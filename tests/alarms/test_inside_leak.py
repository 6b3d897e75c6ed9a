from dataclasses import replace

import numpy as np
import pytest

from alarms.detectors.inside_leak import InsideLeakDetector
from alarms.hourly_data import hourly_city
from gateway.meterdata.series import HOUR_US, Series
from gateway.model.finding import Detection, Verdict
from gateway.model.quantity import Quantity
from tests.alarms.test_hourly_balance import BEGIN_US, DAYS, a_city

HOURS = np.arange(DAYS * 24)
METER = "M-R-1-00"
LOCAL = (HOURS + 8) % 24


def judge(flow: np.ndarray, *, until_h: float = DAYS * 24 + 0.3, read: np.ndarray | None = None) -> Detection:
    """One home's hourly flow, in m3/h; of the others nothing is known."""
    city = a_city()
    kept = np.ones(len(flow), dtype=np.bool_) if read is None else read
    moment = BEGIN_US + (HOURS + 1) * HOUR_US
    register = np.round(50.0 + np.cumsum(flow), 3)
    series = Series.build(
        [METER], np.zeros(kept.sum(), dtype=np.int32), moment[kept], moment[kept] + 60_000_000, register[kept]
    )
    until = BEGIN_US + int(until_h * HOUR_US)
    known = hourly_city(replace(city, series={Quantity.REGISTER_MEASURED_M3: series}), until, until)
    assert known is not None
    return InsideLeakDetector(known).judge(until)


def cooking() -> np.ndarray:
    return np.where(np.isin(LOCAL, (7, 12, 18, 19)), 0.3, 0.0)


def with_leak(size_m3h: float, days: int) -> np.ndarray:
    return cooking() + np.where(len(HOURS) - 24 * days <= HOURS, size_m3h, 0.0)


def verdict(found: Detection) -> int:
    return int(found.verdict[found.assets.index(METER)])


def test_a_meter_that_stopped_resting_is_told_with_its_steady_flow():
    found = judge(with_leak(0.06, 5))
    at = found.assets.index(METER)
    assert found.verdict[at] == Verdict.ABNORMAL
    assert found.evidence[at] == {"least_m3h": 0.06, "days_without_rest": 5, "rested_before": 1.0}
    assert found.estimate_m3_per_day[at] == pytest.approx(24 * 0.06, rel=0.02)
    assert int(found.onset[at]) == BEGIN_US + (len(HOURS) - 5 * 24) * HOUR_US


@pytest.mark.parametrize(
    "flow",
    [
        cooking(),
        with_leak(0.06, 1),
        with_leak(0.015, 20),
        cooking() + 0.06,
        cooking() + np.where(len(HOURS) - 24 * 8 <= HOURS, 0.1 + 0.4 * np.sin(HOURS / 3.7) ** 2, 0.0),
    ],
    ids=["honest", "one day", "pilot flame", "always so", "a boiler's nights"],
)
def test_what_is_no_new_steady_flow_is_not_told(flow):
    assert verdict(judge(flow)) == Verdict.NORMAL


def test_one_hour_of_rest_clears_it():
    flow = with_leak(0.06, 6)
    flow[-10] = 0.0
    assert verdict(judge(flow)) == Verdict.NORMAL


def test_unread_hours_prove_nothing():
    read = np.ones(len(HOURS), dtype=np.bool_)
    read[-24 * 5 :] = False
    assert verdict(judge(with_leak(0.06, 5), read=read)) == Verdict.UNKNOWN
    daily = np.ones(len(HOURS), dtype=np.bool_)
    daily[-24 * 5 :] = LOCAL[-24 * 5 :] == 6
    assert verdict(judge(with_leak(0.06, 5), read=daily)) == Verdict.UNKNOWN


def test_other_homes_are_unknown():
    found = judge(cooking())
    assert [name for name, one in zip(found.assets, found.verdict, strict=True) if one != Verdict.UNKNOWN] == [METER]
