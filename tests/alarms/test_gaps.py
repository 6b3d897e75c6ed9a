from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from alarms.analysis.filling import course_of, fill
from alarms.city_data import Exchange, city_from_batch
from alarms.passes import daily_pass
from alarms.windows import KeptWindows
from gateway.model.finding import LossVerdict
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch
from tests.alarms.small_city import FIRST, GAS_DAY, a_city

HOUR = 3_600_000_000
SELDOM = [f"M-1-{index:02d}" for index in range(1, 9)]


def data_of(city, keep=None, value=None, **more) -> Any:
    batch, names = city.batch()
    value = batch.value if value is None else value
    batch = ReadingBatch(batch.point, batch.source_time, batch.received_time, value, batch.quality)
    return city_from_batch(
        city.model.network, GAS_DAY, city.model.figures, batch if keep is None else batch.take(keep), names, **more
    )


def read_on(city, days, names=SELDOM) -> Any:
    """Keep of some meters only what was read at the begin of some days."""
    batch, _ = city.batch()
    seldom = np.isin(batch.point, [city.at(name) for name in names])
    return ~seldom | np.isin(batch.source_time, city.bounds[days])


def losses(data, city, zone="R-1") -> Any:
    result = daily_pass(data, int(city.bounds[-1]) + HOUR)
    return [row for row in result.loss if row.zone == zone]


def test_a_step_between_far_readings_is_shared_over_its_days_as_peers_used_gas():
    city = a_city(days=45)
    rows = losses(data_of(city, read_on(city, [1, 22, 44])), city)
    whole = losses(data_of(city), city)
    assert LossVerdict.NOT_ASSESSABLE not in {row.verdict for row in rows}
    for one, other in zip(rows[2:43], whole[2:43], strict=True):
        assert abs(one.loss_rate - other.loss_rate) < 3.0 * one.sigma
        assert one.sigma > other.sigma
    for first, last in ((1, 22), (22, 44)):
        shared, true = (sum(row.metered_m3 for row in some[first:last]) for some in (rows, whole))
        assert shared == pytest.approx(true, rel=0.0005)


def test_beyond_the_newest_reading_a_meters_own_level_goes_on():
    city = a_city(days=45)
    rows = losses(data_of(city, read_on(city, [1, 15, 30])), city)
    whole = losses(data_of(city), city)
    assert rows[-1].verdict is LossVerdict.NORMAL
    assert rows[-1].metered_m3 == pytest.approx(whole[-1].metered_m3, rel=0.03)
    assert rows[-1].sigma > rows[10].sigma


def test_of_seldom_read_registers_older_readings_are_looked_at():
    city = a_city(days=110)
    data = data_of(city, read_on(city, [5, 25]))
    until = int(city.bounds[-1]) + HOUR
    _, gaps = KeptWindows(data, 30).at(until)
    told = gaps[Quantity.REGISTER_MEASURED_M3]
    column = told.assets.index(SELDOM[0])
    assert told.last_us[column] - told.from_us[column] == int(city.bounds[25] - city.bounds[5])
    rows = [row for row in daily_pass(data, until, lookback_days=30).loss if row.zone == "R-1"]
    assert LossVerdict.NOT_ASSESSABLE not in {row.verdict for row in rows}
    lost = sum(row.loss_m3 or 0.0 for row in rows) / sum(row.supply_m3 or 0.0 for row in rows)
    assert lost == pytest.approx(0.01, abs=0.02)


def test_an_exchange_that_nobody_wrote_down_is_a_gap_and_no_loss():
    city = a_city(days=45)
    batch, _ = city.batch()
    new = (batch.point == city.at(SELDOM[0])) & (batch.source_time >= city.bounds[30])
    value = np.where(new, batch.value - batch.value[new][0] + 0.5, batch.value)
    days = [1, 15, 29, 33, 44]
    rows = losses(data_of(city, read_on(city, days, SELDOM[:1]), value), city)
    whole = losses(data_of(city), city)
    assert {row.verdict for row in rows} == {LossVerdict.NORMAL}
    errors = [abs(one.loss_rate - other.loss_rate) / one.sigma for one, other in zip(rows, whole, strict=True)]
    assert max(errors) < 3.0


def test_an_exchange_that_was_written_down_leaves_the_gap_whole():
    city = a_city(days=45)
    batch, _ = city.batch()
    at = int(city.bounds[30])
    new = (batch.point == city.at(SELDOM[0])) & (batch.source_time >= at)
    old = float(batch.value[new][0])
    value = np.where(new, batch.value - old + 3.0, batch.value)
    keep = read_on(city, [1, 20, 44], SELDOM[:1])
    written = losses(data_of(city, keep, value, exchanges=[Exchange(SELDOM[0], at, old, 3.0)]), city)
    plain = losses(data_of(city, keep), city)
    with_exchange, without = (sum(row.loss_m3 for row in rows[20:44]) for rows in (written, plain))
    assert with_exchange == pytest.approx(without, rel=0.01)


def test_what_is_expected_is_no_more_than_what_came():
    city = a_city(days=40)
    gone = city.away(SELDOM[0], 0)
    for name in SELDOM[1:]:
        gone = gone.away(name, 0)
    batch, _ = gone.batch()
    never = ~np.isin(batch.point, [city.at(name) for name in SELDOM])
    rows = losses(data_of(gone, never), gone)
    assert np.mean([row.supply_m3 - row.metered_m3 for row in rows]) > -0.03 * np.mean([row.supply_m3 for row in rows])


def test_the_past_tells_only_what_had_arrived():
    city = a_city(days=100)
    part = city.first_days(80)
    until = int(part.bounds[-1]) + HOUR
    days = [5, 25, 60, 79, 95]
    whole = daily_pass(data_of(city, read_on(city, days)), until, lookback_days=60)
    early = daily_pass(data_of(part, read_on(part, days[:4])), until, lookback_days=60)
    assert [row.loss_m3 for row in whole.loss] == [row.loss_m3 for row in early.loss]
    assert whole.loss[0].gas_day == FIRST + timedelta(days=20)


def test_a_lookback_longer_than_anybody_looks_back_for_seldom_read_meters():
    city = a_city(days=20)
    result = daily_pass(data_of(city, read_on(city, [1, 12])), int(city.bounds[-1]) + HOUR, lookback_days=400)
    assert len(result.loss) == 3 * 20


def test_a_large_customer_that_was_never_read_is_taken_for_large_and_the_day_for_unknown():
    city = a_city(days=30)
    big = "M-1-09"
    meters = {**city.model.network.meters, big: replace(city.model.network.meters[big], customer_class="public")}
    meters[big] = replace(meters[big], max_flow_m3h=400.0)
    network = replace(city.model.network, meters=meters)
    batch, names = city.batch()
    data = city_from_batch(network, GAS_DAY, city.model.figures, batch.take(batch.point != city.at(big)), names)
    rows = losses(data, city)
    assert {row.verdict for row in rows} == {LossVerdict.NOT_ASSESSABLE}
    assert all(row.reason.startswith("the loss rate is known to ") for row in rows)


def test_a_customer_that_is_off_its_peers_days_is_guessed_with_more_doubt():
    days, homes = 40, 12
    rng = np.random.default_rng(1)
    use = 5.0 * rng.lognormal(0.0, 0.1, (days, homes))
    use[:, 1] = np.where(np.arange(days) % 7 < 5, 0.5, 16.0)
    use[-1, :2] = np.nan
    bounds = np.arange(days + 1, dtype=np.int64) * 24 * HOUR
    course = course_of(use, bounds, ["residential"] * homes, None, bounds[:0])
    register = np.concatenate([np.zeros((1, homes)), np.cumsum(np.nan_to_num(use), axis=0)])
    register[-1, :2] = np.nan
    filling = fill(use, np.zeros_like(use), course, register=register, factor=np.ones_like(use), gaps=None)
    share = np.sqrt(filling.variance[-1, :2]) / filling.use[-1, :2]
    assert share[0] < 1.0 < share[1]
