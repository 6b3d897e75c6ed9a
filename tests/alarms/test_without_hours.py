"""A city whose registers are read daily: its hours are not laid out, and nothing else is concluded for that."""

from typing import Any

import numpy as np
import pytest

from alarms import hourly_data
from alarms.city_data import city_from_batch
from alarms.hourly_data import hourly_city
from alarms.passes import daily_pass
from gateway.meterdata.series import HOUR_US
from gateway.model.finding import Verdict
from gateway.model.reading import ReadingBatch, to_us
from tests.alarms.small_city import GAS_DAY, a_city


@pytest.fixture(scope="module")
def leaking() -> Any:
    small = a_city(days=40, homes=12).leaking("R-1", 25, 40.0)
    batch, points = small.batch()
    return small, batch, points, to_us(small.now) + HOUR_US


def city_with(leaking, batch) -> Any:
    small, _, points, _ = leaking
    return city_from_batch(small.model.network, GAS_DAY, small.model.figures, batch, points)


def hits(result) -> Any:
    return {
        (one.condition, asset, score, str(evidence))
        for one in result.detections
        for asset, verdict, score, evidence in zip(one.assets, one.verdict, one.score, one.evidence, strict=True)
        if verdict == Verdict.ABNORMAL
    }


def test_hours_that_no_register_tells_change_nothing_and_are_not_laid_out(leaking, monkeypatch):
    _, batch, _, until = leaking
    assert hourly_city(city_with(leaking, batch), until, until) is None
    without = daily_pass(city_with(leaking, batch), until)
    monkeypatch.setattr(hourly_data, "_hours_told", lambda *_: np.inf)
    assert hourly_city(city_with(leaking, batch), until, until) is not None
    with_hours = daily_pass(city_with(leaking, batch), until)
    assert without.loss == with_hours.loss
    assert hits(without) == hits(with_hours)
    assert any(asset == "R-1" and kind == "leak" for kind, asset, *_ in hits(without))


@pytest.mark.parametrize(("hours", "told"), [(43, False), (48, True)])
def test_one_register_that_tells_two_days_of_hours_is_enough(leaking, hours, told):
    _, batch, _, until = leaking
    mine = batch.take(batch.point == batch.point[0])
    last = mine.take(np.arange(len(mine)) == len(mine) - 1)
    at = last.source_time[0] - HOUR_US * np.arange(1, hours + 1)
    more = ReadingBatch.build(np.repeat(last.point, hours), at, at + 1_000_000, np.repeat(last.value, hours))
    known = hourly_city(city_with(leaking, ReadingBatch.concat([batch, more])), until, until)
    assert (known is not None) == told
