"""The terms of a reported loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms.analysis.loss import Balance, balance
from alarms.analysis.loss_rows import loss_rows
from gateway.model.finding import LossVerdict
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from tests.alarms.small_city import a_city


def terms_sum_to_supply_less_registers(result: Balance) -> int:
    """Check every row that can be assessed; return how many there were."""
    zones = {name: index for index, name in enumerate(result.tree.zones)}
    rows = [row for row in loss_rows(result) if row.verdict is not LossVerdict.NOT_ASSESSABLE]
    for row in rows:
        counted = result.counted[result.days.index(row.gas_day), zones[row.zone]]
        assert row.supply_m3 is not None
        assert sum(value for value, _ in row.terms.values()) == pytest.approx(row.supply_m3 - counted, abs=1e-6)
        assert row.terms["rest"][0] == row.loss_m3
        assert row.metered_m3 is not None
        assert row.linepack_m3 is not None
        assert row.supply_m3 - row.metered_m3 - row.linepack_m3 == pytest.approx(row.loss_m3, abs=1e-9)
        assert all(sigma >= 0.0 for _, sigma in row.terms.values())
    return len(rows)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 0.3))
def test_terms_add_up_to_what_supply_exceeds_the_registers_by(seed: int, gone: float) -> None:
    random = np.random.default_rng(seed)
    city = a_city(days=20, seed=seed)
    windows = city.windows()
    value = windows[Quantity.REGISTER_MEASURED_M3].value
    value[random.uniform(size=value.shape) < gone] = np.nan
    assert terms_sum_to_supply_less_registers(balance(city.model, windows)) > 0 or gone > 0.1


def test_gas_that_is_colder_than_base_shows_as_temperature_not_as_loss() -> None:
    city = a_city(days=20)
    meters = {
        name: meter if meter.customer_class == "" else replace(meter, temperature_compensated=False)
        for name, meter in city.model.network.meters.items()
    }
    network = Network(city.model.network.zones, meters, {}, {})
    winter = dict.fromkeys(balance(city.model, city.windows()).days, -5.0)
    model = replace(city.model, network=network, weather=winter)
    result = balance(model, city.windows())
    row = next(row for row in loss_rows(result) if row.zone == "R-1")
    assert row.terms["temperature"][0] > 0.02 * (row.supply_m3 or 0.0)
    assert terms_sum_to_supply_less_registers(result) > 0


def test_an_unread_home_shows_as_unread_with_its_uncertainty() -> None:
    city = a_city(days=30)
    windows = city.windows()
    windows[Quantity.REGISTER_MEASURED_M3].value[-1, city.at("M-2-05")] = np.nan
    row = loss_rows(balance(city.model, windows), last_days=1)[-1]
    value, sigma = row.terms["unread"]
    assert (row.zone, value > 0.0, sigma > 0.0) == ("R-2", True, True)


def test_only_the_last_days_are_told_and_they_are_the_same() -> None:
    city = a_city(days=20)
    result = balance(city.model, city.windows())
    assert loss_rows(result, last_days=4) == loss_rows(result)[-4 * len(result.tree.zones) :]


def test_a_zone_without_customers_is_not_assessable() -> None:
    city = a_city(days=10)
    network = city.model.network
    meters = {name: meter for name, meter in network.meters.items() if not name.startswith("M-2")}
    model = replace(city.model, network=Network(network.zones, meters, {}, {}))
    row = next(row for row in loss_rows(balance(model, city.windows())) if row.zone == "R-2")
    assert row.verdict is LossVerdict.NOT_ASSESSABLE
    assert row.reason == "no customer is known"
    assert row.loss_m3 is None


def test_what_a_zone_holds_is_what_the_zones_that_make_it_up_hold() -> None:
    city = a_city(days=3)
    tree = balance(city.model, city.windows()).tree
    assert ((tree.above @ tree.own_customers).toarray() == tree.holds.toarray()).all()
    assert tree.above.toarray()[tree.zones.index("CITY")].all()
