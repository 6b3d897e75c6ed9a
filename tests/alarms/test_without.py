import numpy as np
import pytest

from alarms.analysis.study import IN_TURN
from alarms.city_data import city_from_batch
from alarms.passes import Passes
from benchmarks.without import PARTS, change_without
from gateway.model.quantity import Quantity
from gateway.model.reading import to_us
from tests.alarms.small_city import GAS_DAY, a_city

SWITCHES = {"cumulative": "memory", "vacancy": "vacancy", "match": "match", "bank": "shares"}


@pytest.fixture(scope="module")
def city():
    small = a_city(days=12, homes=4)
    batch, points = small.batch()
    return city_from_batch(small.model.network, GAS_DAY, small.model.figures, batch, points, config=IN_TURN), to_us(
        small.now
    )


@pytest.mark.parametrize("part", PARTS)
def test_one_part_is_switched_off_and_no_other_and_passes_go_on(city, part):
    whole, now_us = city
    changed = change_without(part)(whole)
    off = [part for part, name in SWITCHES.items() if getattr(changed.config.bank, name) is False]
    assert off == [part for name in SWITCHES if name == part]
    assert changed.config.every_days == IN_TURN.every_days
    assert (changed.model.temperature != whole.model.temperature) == (part == "temperature")
    assert (changed.series != whole.series) == (part == "alignment")
    assert len(Passes(changed, lookback_days=60).at(now_us + 3_600_000_000).loss) >= 3 * 10


def test_without_alignment_the_last_reading_before_the_end_of_a_day_stands_for_it(city):
    whole, _ = city
    before, after = (one.series[Quantity.REGISTER_MEASURED_M3] for one in (whole, change_without("alignment")(whole)))
    moved = type(before)(before.assets, before.column, before.time - 7_000_000_000, before.received, before.value)
    late = change_without("alignment")(type(whole)(whole.model, {Quantity.REGISTER_MEASURED_M3: moved}))
    np.testing.assert_array_equal(after.time, before.time)
    np.testing.assert_array_equal(late.series[Quantity.REGISTER_MEASURED_M3].time, before.time)
    np.testing.assert_array_equal(late.series[Quantity.REGISTER_MEASURED_M3].value, before.value)


def test_a_part_that_is_not_known_is_refused():
    with pytest.raises(SystemExit, match="alignment, temperature, cumulative, vacancy, match, bank"):
        change_without("everything")
