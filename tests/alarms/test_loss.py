from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alarms.analysis.city import CityModel, GasTemperature, SiteFigures, build_tree
from alarms.analysis.linepack import gained
from alarms.analysis.loss import balance
from alarms.analysis.loss_rows import loss_rows
from gateway.model.finding import LossVerdict
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Zone, ZoneKind
from gateway.model.quantity import Quantity
from tests.alarms.small_city import FIRST, GAS_DAY, a_city, a_meter, a_window

DAY = 86_400_000_000


def a_supply(meter_id, zone) -> Any:
    return a_meter(meter_id, zone, role=MeterRole.SUPPLY, kind=MeterKind.CORRECTOR)


def nested() -> Any:
    """A district with its own supply meter over a measured and an unmeasured zone."""
    zones = {
        "CITY": Zone("CITY", "", ZoneKind.CITY, "City"),
        "D": Zone("D", "CITY", ZoneKind.DISTRICT, "District"),
        "R": Zone("R", "D", ZoneKind.REGULATOR, "Measured"),
        "B": Zone("B", "D", ZoneKind.BUILDING, "Not measured"),
    }
    meters: dict[str, Meter] = {
        meter.meter_id: meter
        for meter in (a_supply("V-D", "D"), a_supply("V-R", "R"), a_meter("M-R", "R"), a_meter("M-B", "B"))
    }
    return Network(zones, meters, {}, {})


def windows_of(values, network, days) -> Any:
    times = GAS_DAY.begins_us(FIRST) + DAY * np.arange(days + 1)
    split: dict[Quantity, list[str]] = {}
    for name in values:
        split.setdefault(network.meters[name].register, []).append(name)
    registers = {name: 50.0 + np.concatenate([[0.0], np.cumsum(steps)]) for name, steps in values.items()}
    return {
        quantity: a_window(quantity, times, names, np.stack([registers[name] for name in names], axis=1))
        for quantity, names in split.items()
    }


def test_a_parent_with_its_own_meter_and_one_that_sums_its_children():
    network = nested()
    windows = windows_of({"V-D": [100.0], "V-R": [60.0], "M-R": [57.0], "M-B": [30.0]}, network, 1)
    result = balance(CityModel(network, GAS_DAY, SiteFigures()), windows)
    row = {zone: index for index, zone in enumerate(result.tree.zones)}
    assert result.tree.zones == ("CITY", "D", "R")
    assert list(result.tree.measured) == [False, True, True]
    np.testing.assert_allclose(result.supply[0], [100.0, 100.0, 60.0])
    np.testing.assert_allclose(result.metered[0], [87.0, 87.0, 57.0])
    np.testing.assert_allclose(result.loss[0], [13.0, 13.0, 3.0])
    assert result.own_supply[0, row["D"]] == pytest.approx(40.0)
    assert result.own_loss[0, row["D"]] == pytest.approx(10.0)
    assert [result.tree.zones[z] for z in result.tree.home] == ["R", "D"]


def test_measured_volume_becomes_base_volume():
    network = nested()
    meters = {**network.meters, "M-R": replace(network.meters["M-R"], temperature_compensated=False)}
    network = replace(network, meters=meters)
    temperature = GasTemperature(home_c=10.0, follows_air=0.0)
    figures = SiteFigures(20.0, 101.325, 103.4)
    model = CityModel(network, GAS_DAY, figures, {FIRST: -5.0}, temperature)
    windows = windows_of({"V-D": [100.0], "V-R": [60.0], "M-R": [50.0], "M-B": [30.0]}, network, 1)
    result = balance(model, windows)
    assert result.use[0, 0] == pytest.approx(50.0 * 103.4 / 101.325 * 293.15 / 283.15)
    assert result.use[0, 1] == pytest.approx(30.0 * 103.4 / 101.325)
    assert result.supply[0, 2] == pytest.approx(60.0)


def test_the_gas_follows_the_air_late_and_in_part_and_never_early():
    temperature = GasTemperature(home_c=15.0, follows_air=0.5, memory_d=2.0)
    air = np.array([5.0, 5.0, 5.0, -5.0, -5.0])
    gas = temperature.of(air)
    np.testing.assert_allclose(gas[:3], 10.0)
    assert 5.0 < gas[4] < gas[3] < 10.0
    np.testing.assert_allclose(temperature.of(air[:3]), gas[:3])
    np.testing.assert_allclose(temperature.of(np.array([np.nan, np.nan])), 15.0)


def test_pipes_gain_what_their_pressure_says():
    zones = {"R": Zone("R", "", ZoneKind.REGULATOR, "R", pipe_volume_m3=50.0)}
    network = Network(zones, {}, {}, {})
    pressure = a_window(Quantity.PRESSURE_GAUGE_KPA, np.array([0, DAY]), ["R"], np.array([[200.0], [210.0]]))
    gain, variance = gained(network, SiteFigures(20.0, 100.0), pressure, {"R": ("R",)}, 1)
    assert gain[0, 0] == pytest.approx(50.0 * 10.0 / 100.0 * 293.15 / 288.15)
    unknown, wide = gained(network, SiteFigures(20.0, 100.0), None, {"R": ("R",)}, 1)
    assert unknown[0, 0] == 0.0
    assert wide[0, 0] > variance[0, 0] > 0.0


def test_verdicts_and_their_reasons():
    city = a_city(days=30).leaking("R-2", 29, 30.0)
    windows = city.windows()
    rows = {(row.zone, row.gas_day): row for row in loss_rows(balance(city.model, windows))}
    last = max(day for _, day in rows)
    assert rows["R-1", last].verdict is LossVerdict.NORMAL
    assert rows["R-1", last].loss_rate == pytest.approx(0.01, abs=0.004)
    assert rows["R-2", last].verdict is LossVerdict.HIGH
    sigma = (rows["R-2", last].sigma or 0.0) * (rows["R-2", last].supply_m3 or 0.0)
    assert rows["R-2", last].loss_m3 == pytest.approx(city.lost["R-2"][-1], abs=2.0 * sigma)
    parts = [rows[zone, last].supply_m3 or 0.0 for zone in ("R-1", "R-2")]
    assert rows["CITY", last].supply_m3 == pytest.approx(sum(parts))


def test_an_unread_supply_meter_and_too_few_readings_cannot_be_assessed():
    city = a_city(days=30)
    windows = city.windows()
    windows[Quantity.REGISTER_BASE_M3].value[-1, 0] = np.nan
    customers = windows[Quantity.REGISTER_MEASURED_M3].value
    customers[-1, [city.at(f"M-2-{index:02d}") for index in range(20)]] = np.nan
    rows = {row.zone: row for row in loss_rows(balance(city.model, windows))[-3:]}
    assert rows["R-1"].verdict is LossVerdict.NOT_ASSESSABLE
    assert rows["R-1"].supply_m3 is None
    assert rows["R-1"].reason == "supply meter was not read"
    assert rows["R-2"].verdict is LossVerdict.NOT_ASSESSABLE
    assert rows["R-2"].coverage == pytest.approx(10 / 30)
    assert rows["R-2"].reason == "only 27 % of the expected volume was read"
    assert rows["R-2"].loss_rate is None
    assert rows["CITY"].verdict is LossVerdict.NOT_ASSESSABLE


def test_an_unread_meter_is_estimated_and_widens_sigma():
    city = a_city(days=30)
    whole = balance(city.model, city.windows())
    windows = city.windows()
    windows[Quantity.REGISTER_MEASURED_M3].value[-1, city.at("M-2-05")] = np.nan
    result = balance(city.model, windows)
    zone = result.tree.zones.index("R-2")
    assert np.isnan(result.use[-1, city.at("M-2-05")])
    assert result.metered[-1, zone] == pytest.approx(whole.metered[-1, zone], rel=0.01)
    assert result.sigma[-1, zone] > 1.1 * whole.sigma[-1, zone]


def beside_an_unread_meter(account="open") -> Any:
    """Balance a zone of which one home is read and the other is not, or was never heard of."""
    network = nested()
    meters = {**network.meters, "M-2": a_meter("M-2", "R", account=account)}
    network = replace(network, meters=meters)
    values = {"V-D": [100.0] * 9, "V-R": [60.0] * 9, "M-R": [29.0] * 9, "M-B": [31.0] * 9}
    model = CityModel(network, GAS_DAY, SiteFigures())
    never = balance(model, windows_of(values, network, 9))
    assert never.tree.customers[-1] == "M-2"
    empty = balance(model, windows_of({**values, "M-2": [np.nan] * 9}, network, 9))
    for result in (never, empty):
        assert [one.verdict for one in loss_rows(result)] == [one.verdict for one in loss_rows(never)]
    return never


def test_an_unread_meter_uses_what_its_class_uses_and_is_no_loss():
    result = beside_an_unread_meter()
    zone = result.tree.zones.index("R")
    np.testing.assert_allclose(result.metered[:, zone], 29.0 + 30.0)
    np.testing.assert_allclose(result.volume_coverage[:, zone], 29.0 / 59.0)
    rows = [row for row in loss_rows(result) if row.zone == "R"]
    assert {row.verdict for row in rows} == {LossVerdict.NOT_ASSESSABLE}
    assert {row.loss_m3 for row in rows} == {None}


def test_an_unread_meter_whose_account_is_closed_uses_nothing():
    result = beside_an_unread_meter(account="closed")
    zone = result.tree.zones.index("R")
    np.testing.assert_allclose(result.metered[:, zone], 29.0)
    assert {row.verdict for row in loss_rows(result) if row.zone == "R"} == {LossVerdict.HIGH}


def test_a_tree_of_a_city_without_supply_meters_is_empty():
    network = nested()
    tree = build_tree(network, ["M-R", "M-B"])
    assert tree.zones == ()
    assert list(tree.home) == [-1, -1]
