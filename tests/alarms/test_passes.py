from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from alarms.city_data import Exchange, city_from_batch
from alarms.passes import Passes, daily_pass
from gateway.model.finding import LossVerdict, Verdict
from gateway.model.reading import ReadingBatch, Reason, Severity, quality
from tests.alarms.small_city import BUSINESS, FIRST, GAS_DAY, a_city

HOUR = 3_600_000_000


def data_of(city, batch=None, **more) -> Any:
    made, names = city.batch()
    return city_from_batch(
        city.model.network, GAS_DAY, city.model.figures, made if batch is None else batch, names, **more
    )


def abnormal(result) -> Any:
    return [
        (found.condition, found.assets[row])
        for found in result.detections
        for row in np.flatnonzero(found.verdict == Verdict.ABNORMAL)
    ]


def test_the_pass_names_the_thief_from_stored_readings():
    city = a_city().with_counted(BUSINESS, 37, 0.15)
    result = daily_pass(data_of(city), int(city.bounds[-1]) + HOUR)
    assert abnormal(result) == [("theft", BUSINESS)]
    assert len(result.loss) == 3 * city.days
    last = {row.zone: row for row in result.loss if row.gas_day == FIRST + timedelta(days=39)}
    assert last["R-1"].verdict is LossVerdict.HIGH
    assert last["R-2"].verdict is LossVerdict.NORMAL


def test_the_pass_knows_only_what_has_arrived():
    city = a_city().with_counted(BUSINESS, 37, 0.15)
    early = city.first_days(38)
    until = int(early.bounds[-1]) + HOUR
    whole, part = daily_pass(data_of(city), until), daily_pass(data_of(early), until)
    assert whole.loss == part.loss
    for one, other in zip(whole.detections, part.detections, strict=True):
        np.testing.assert_array_equal(one.verdict, other.verdict)
        np.testing.assert_allclose(one.score, other.score)


def test_late_readings_correct_the_loss_of_their_day():
    city = a_city(days=20)
    batch, _ = city.batch()
    late = batch.source_time == city.bounds[15]
    received = np.where(late, city.bounds[18], batch.received_time)
    moved = ReadingBatch(batch.point, batch.source_time, received, batch.value, batch.quality)
    day = FIRST + timedelta(days=14)

    def loss_at(until) -> Any:
        return {(row.zone, row.gas_day): row for row in daily_pass(data_of(city, moved), until).loss}["R-1", day]

    before, after = loss_at(int(city.bounds[16]) + HOUR), loss_at(int(city.bounds[18]) + HOUR)
    truth = loss_at(int(city.bounds[-1]) + HOUR)
    assert before.loss_m3 != after.loss_m3
    assert after.loss_m3 == pytest.approx(truth.loss_m3, abs=0.05)
    assert after.loss_m3 == pytest.approx(city.lost["R-1"][14], abs=0.1)


def test_bad_conflicting_and_foreign_rows_are_not_used():
    city = a_city(days=20)
    batch, names = city.batch()
    rows = np.flatnonzero(batch.source_time == city.bounds[10])[:2]
    marks = batch.quality.copy()
    marks[rows[0]] = quality(Severity.BAD, Reason.NO_REPLY)
    marks[rows[1]] = quality(Severity.UNCERTAIN, Reason.CONFLICT)
    value = np.where(marks >> 6 == Severity.BAD, np.nan, batch.value)
    value[rows[1]] = 9e5
    stranger = ReadingBatch.build([900, 901], [int(city.bounds[5])] * 2, int(city.bounds[5]), [1.0, 2.0])
    mixed = ReadingBatch.concat(
        [ReadingBatch(batch.point, batch.source_time, batch.received_time, value, marks), stranger]
    )
    named = {**names, 900: "M-999/register_measured_m3", 901: "M-1-01/register_base_m3"}
    data = city_from_batch(city.model.network, GAS_DAY, city.model.figures, mixed, named)
    result = daily_pass(data, int(city.bounds[-1]) + HOUR)
    assert abnormal(result) == []
    clean = daily_pass(data_of(city), int(city.bounds[-1]) + HOUR)
    assert [row.loss_m3 for row in result.loss][-15:] == pytest.approx(
        [row.loss_m3 for row in clean.loss][-15:], rel=0.01
    )


def test_a_meter_whose_clock_runs_ahead_counts_like_others():
    city = a_city(days=30)
    batch, _ = city.batch()
    fast = batch.point == city.at("M-1-05")
    marks = np.where(fast, quality(Severity.UNCERTAIN, Reason.CLOCK_AHEAD), batch.quality).astype(np.uint8)
    for ahead in (2 * HOUR, 10 * HOUR):
        stamped = np.where(fast, batch.received_time + ahead, batch.source_time)
        moved = ReadingBatch(batch.point, stamped, batch.received_time, batch.value, marks)
        rows = [row for row in daily_pass(data_of(city, moved), int(city.bounds[-1]) + HOUR).loss if row.zone == "R-1"]
        assert [row.coverage for row in rows[1:-1]] == [1.0] * 28
        assert max(abs(row.loss_rate or 0.0) for row in rows) < 0.03


def test_a_recorded_exchange_is_no_loss():
    city = a_city(days=30)
    batch, _ = city.batch()
    column = city.at("M-1-05")
    at = int(city.bounds[20])
    new = (batch.point == column) & (batch.source_time >= at)
    old = float(batch.value[new][0])
    value = np.where(new, batch.value - old + 3.0, batch.value)
    swapped = ReadingBatch(batch.point, batch.source_time, batch.received_time, value, batch.quality)
    data = data_of(city, swapped, exchanges=[Exchange("M-1-05", at, old, 3.0)])
    result = daily_pass(data, int(city.bounds[-1]) + HOUR)
    clean = daily_pass(data_of(city), int(city.bounds[-1]) + HOUR)
    assert [row.loss_m3 for row in result.loss] == pytest.approx([row.loss_m3 for row in clean.loss])


def test_without_a_whole_gas_day_there_is_nothing_to_say():
    city = a_city(days=3)
    batch, names = city.batch()
    for until in (int(city.bounds[0]) - HOUR, int(city.bounds[0]) + HOUR, int(city.bounds[1]) - HOUR):
        result = daily_pass(data_of(city), until)
        assert (result.loss, result.detections) == ((), ())
    nothing = city_from_batch(city.model.network, GAS_DAY, city.model.figures, batch.take(slice(0, 0)), names)
    assert daily_pass(nothing, int(city.bounds[-1])).loss == ()


def test_the_first_days_are_balanced_though_nothing_can_be_judged_yet():
    city = a_city(days=3)
    result = daily_pass(data_of(city), int(city.bounds[-1]) + HOUR)
    assert len(result.loss) == 9
    assert abnormal(result) == []


def test_customers_without_any_measured_zone_are_judged_as_far_as_that_goes():
    city = a_city(days=12)
    batch, names = city.batch()
    supplies = [index for index, name in names.items() if name.startswith("V-")]
    alone = batch.take(~np.isin(batch.point, supplies))
    result = daily_pass(data_of(city, alone), int(city.bounds[-1]) + HOUR)
    assert abnormal(result) == []
    of_kind = {found.condition: found for found in result.detections}
    assert (of_kind["theft"].verdict == Verdict.UNKNOWN).all()
    assert (of_kind["silent"].verdict == Verdict.NORMAL).any()


def test_between_two_days_a_meter_that_fell_silent_is_told_and_nothing_that_needs_the_day():
    city = a_city()
    batch, names = city.batch()
    mine = np.array([names[int(point)].startswith(f"{BUSINESS}/") for point in batch.point])
    silent = batch.take(~(mine & (batch.source_time > city.bounds[-6])))
    result = Passes(data_of(city, silent)).between(int(city.bounds[-1]) + 7 * HOUR)
    assert abnormal(result) == [("silent", BUSINESS)]
    assert {found.condition for found in result.detections} == {"unauthorised", "flow_when_closed", "silent"}
    assert result.loss == ()
