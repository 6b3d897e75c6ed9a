"""Which meter or zone makes the balances of a tree disagree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from alarms.analysis.city import CityModel, SiteFigures
from alarms.analysis.loss import balance
from alarms.analysis.reconcile import Reconciled, reconcile
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Zone, ZoneKind
from gateway.model.quantity import Quantity
from tests.alarms.small_city import FIRST, GAS_DAY, a_meter, a_window

DAYS = 40
CHILDREN = ("R-1", "R-2", "R-3")
BEFORE, AFTER = slice(0, 20), slice(20, DAYS)
DAY_US = 86_400_000_000


def reconciled(**more: NDArray[np.float64]) -> Reconciled:
    """Balance a district of three zones whose named supply meters count `more` than the customers use, m3 a day."""
    random = np.random.default_rng(7)
    zones = {"D": Zone("D", "", ZoneKind.DISTRICT, "D")}
    zones |= {name: Zone(name, "D", ZoneKind.REGULATOR, name) for name in CHILDREN}
    meters: dict[str, Meter] = {}
    used = {name: 100.0 + random.normal(0.0, 5.0, DAYS) for name in CHILDREN}
    counted: dict[str, Any] = {}
    for name in CHILDREN:
        meters[f"M-{name}"] = a_meter(f"M-{name}", name)
        counted[f"M-{name}"] = used[name] + random.normal(0.0, 0.5, DAYS)
    for name in ("D", *CHILDREN):
        meter = a_meter(f"V-{name}", name, role=MeterRole.SUPPLY, kind=MeterKind.CORRECTOR, digits=9)
        meters[meter.meter_id] = meter
        real = sum(used.values()) if name == "D" else used[name]
        counted[meter.meter_id] = real + more.get(name.replace("-", ""), np.zeros(DAYS))
    model = CityModel(Network(zones, meters, {}, {}), GAS_DAY, SiteFigures())
    times = GAS_DAY.begins_us(FIRST) + DAY_US * np.arange(DAYS + 1)
    windows = {}
    for quantity in (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3):
        names = [name for name in counted if meters[name].register is quantity]
        registers = [50.0 + np.concatenate([[0.0], np.cumsum(counted[name])]) for name in names]
        windows[quantity] = a_window(quantity, times, names, np.stack(registers, axis=1))
    found = reconcile(balance(model, windows), BEFORE, AFTER)
    assert found is not None
    return found


def since(size: float) -> NDArray[np.float64]:
    """Return a step to so many m3 a day at the beginning of `AFTER`."""
    return np.where(np.arange(DAYS) >= AFTER.start, size, 0.0)


def test_nothing_changed_nothing_is_found() -> None:
    found = reconciled()
    assert found.chi_square < 20.0
    assert found.lost_test.max() < 10.0


def test_a_supply_meter_that_counts_too_much_is_told_from_a_loss_in_its_zone() -> None:
    found = reconciled(R2=since(4.0))
    zone = found.zones.index("R-2")
    assert found.bias_m3[zone] == pytest.approx(4.0, abs=1.0)
    assert np.nanargmax(found.bias_test) == zone
    assert found.rather_bias[zone] > 3.0


def test_gas_lost_in_a_zone_is_no_meters_fault() -> None:
    found = reconciled(R2=since(4.0), D=since(4.0))
    zone = found.zones.index("R-2")
    assert found.lost_m3[zone] == pytest.approx(4.0, abs=1.0)
    assert found.rather_bias[zone] < -3.0


def test_gas_lost_between_the_levels_is_the_upper_zones_own() -> None:
    found = reconciled(D=since(6.0))
    assert found.zones[int(np.argmax(found.lost_test))] == "D"


def test_the_highest_meter_cannot_be_told_from_its_zone() -> None:
    found = reconciled()
    assert np.isnan(found.bias_test[found.zones.index("D")])
    assert np.isfinite(found.bias_test[found.zones.index("R-1")])
