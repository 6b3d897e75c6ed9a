"""Gas that the pipes of a zone took up in an hour is no loss, wherever its pressure is measured."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import numpy as np
import pytest
from numpy.typing import NDArray

from alarms.analysis.city import CityModel, SiteFigures
from alarms.analysis.hourly import HourlyHistory, Hours
from alarms.analysis.linepack import UNKNOWN_SWING_KPA
from alarms.city_data import CityData
from alarms.hourly_data import hourly_city
from gateway.meterdata.series import HOUR_US, Series
from gateway.model.gasday import GasDay
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Point, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, to_us

BEGIN_US = to_us(datetime(2024, 11, 1, tzinfo=UTC))
HOURS = 72
VOLUME_M3 = {"DIS": 200.0, "R-1": 50.0, "R-2": 30.0}
"""the district and one regulator have a supply meter; the pipes of the other one belong to the district's balance"""
SWING_KPA = {"DIS": 8.0, "R-1": 5.0, "R-2": 6.0}
TO_BASE = 293.15 / 288.15 / 101.325
USE_M3H = 3.0


def meter(name: str, zone: str, role: MeterRole) -> Meter:
    return Meter(name, zone, role, MeterKind.CORRECTOR, "industrial", 8, 3, 100.0, True, date(2020, 1, 1), "open")


def registers(names: list[str], volume: NDArray[np.float64]) -> Series:
    values = np.concatenate([np.zeros((1, len(names))), np.cumsum(volume, axis=0)]) + 100.0
    return rows(names, values)


def rows(names: list[str], values: NDArray[np.float64]) -> Series:
    row, column = np.nonzero(np.isfinite(values))
    moment = BEGIN_US + row * HOUR_US
    return Series.build(names, column.astype(np.int32), moment, moment + 1_000_000, values[row, column])


def hours_of(silent_from_h: int = HOURS + 1, count: int = HOURS) -> Hours:
    """Return some hours of a city without a loss, whose pressures swing; the district's may fall silent."""
    zones = {
        "DIS": Zone("DIS", "", ZoneKind.DISTRICT, "", VOLUME_M3["DIS"]),
        "R-1": Zone("R-1", "DIS", ZoneKind.REGULATOR, "", VOLUME_M3["R-1"]),
        "R-2": Zone("R-2", "DIS", ZoneKind.REGULATOR, "", VOLUME_M3["R-2"]),
    }
    meters = [meter("V-DIS", "DIS", MeterRole.SUPPLY), meter("V-R-1", "R-1", MeterRole.SUPPLY)]
    meters += [meter(f"M-{zone}", zone, MeterRole.CUSTOMER) for zone in zones]
    names = [PointId(f"P-{zone}/pressure_gauge_kpa") for zone in zones]
    points = {
        name: Point(name, f"P-{zone}", Quantity.PRESSURE_GAUGE_KPA, zone)
        for name, zone in zip(names, zones, strict=True)
    }
    network = Network(zones, {one.meter_id: one for one in meters}, {}, points)
    edge = np.arange(count + 1)
    pressure = np.stack([200.0 + swing * np.sin(edge / 3.0 + swing) for swing in SWING_KPA.values()], axis=1)
    packed = np.diff(pressure, axis=0) * np.array(list(VOLUME_M3.values())) * TO_BASE
    supply = np.stack([3.0 * USE_M3H + packed.sum(axis=1), USE_M3H + packed[:, 1]], axis=1)
    pressure[silent_from_h:, 0] = np.nan
    city = CityData(
        CityModel(network, GasDay("UTC", time(0)), SiteFigures()),
        {
            Quantity.REGISTER_BASE_M3: registers(
                [one.meter_id for one in meters], np.hstack([supply, np.full((count, 3), USE_M3H)])
            ),
            Quantity.PRESSURE_GAUGE_KPA: rows([f"P-{zone}" for zone in zones], pressure),
        },
    )
    until = BEGIN_US + count * HOUR_US + HOUR_US // 2
    known = hourly_city(city, until, until)
    assert known is not None
    hours = HourlyHistory(known).at(until)
    assert hours is not None
    return hours


def test_what_pipes_gained_is_no_loss_of_any_hour() -> None:
    hours = hours_of()
    loss, variance = hours.zones("loss"), hours.zones("shared_variance")
    assert loss == pytest.approx(np.zeros((HOURS, 2)), abs=1e-4)
    swing = np.abs(np.diff(200.0 + 8.0 * np.sin(np.arange(HOURS + 1) / 3.0 + 8.0)) * VOLUME_M3["DIS"] * TO_BASE)
    assert swing.max() > USE_M3H
    # pressures elsewhere in the pipes differ a bit, the more the faster they change
    assert variance[swing.argmax(), 0] > (0.09 * swing.max()) ** 2 > variance[swing.argmin(), 0]


def test_where_the_pressure_is_unknown_the_pipes_may_have_swung_as_usual() -> None:
    silent = 60
    hours = hours_of(silent)
    loss, variance = hours.zones("loss")[:, 0], hours.zones("shared_variance")[:, 0]
    assert loss[: silent - 1] == pytest.approx(np.zeros(silent - 1), abs=1e-4)
    blind = slice(silent, None)
    assert np.abs(loss[blind]).max() > USE_M3H
    assert (np.abs(loss[blind]) < 3.0 * np.sqrt(variance[blind])).all()


def test_a_pressure_that_falls_silent_for_days_may_still_have_swung() -> None:
    hours = hours_of(100, count=200)
    swung = 0.5 * UNKNOWN_SWING_KPA * VOLUME_M3["DIS"] * TO_BASE
    assert (hours.zones("shared_variance")[125:, 0] > swung**2).all()


def test_what_a_pressure_that_nobody_measures_may_do_is_not_counted_twice() -> None:
    variance = hours_of(0).zones("shared_variance")
    swing = np.diff(200.0 + 6.0 * np.sin(np.arange(HOURS + 1) / 3.0 + 6.0)) * VOLUME_M3["R-2"] * TO_BASE
    assert variance[:, 0] == pytest.approx((0.1 * swing) ** 2, rel=0.01)
