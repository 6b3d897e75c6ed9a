"""A city of two measured zones whose volumes are known exactly, as windows or as readings."""

from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from typing import Any

import numpy as np

from alarms.analysis.city import CityModel, SiteFigures
from gateway.model.gasday import GasDay
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, Window, from_us

GAS_DAY = GasDay("Asia/Shanghai", time(6))
FIRST = date(2025, 11, 1)
BUSINESS = "M-1-00"
"""the only business of zone R-1"""


def a_meter(
    meter_id, zone_id, *, role=MeterRole.CUSTOMER, kind=MeterKind.REMOTE, customer_class="residential", **more
) -> Any:
    figures: dict[str, Any] = {
        "digits": 6,
        "decimals": 3,
        "max_flow_m3h": 25.0,
        "temperature_compensated": True,
        "account": "open",
    }
    return Meter(meter_id, zone_id, role, kind, customer_class, installed_on=date(2020, 1, 1), **{**figures, **more})


def a_network(homes=30) -> Any:
    zones = {
        "CITY": Zone("CITY", "", ZoneKind.CITY, "City"),
        "R-1": Zone("R-1", "CITY", ZoneKind.REGULATOR, "One"),
        "R-2": Zone("R-2", "CITY", ZoneKind.REGULATOR, "Two"),
    }
    meters = {}
    for zone in ("R-1", "R-2"):
        number = zone[-1]
        supply = a_meter(f"V-{number}", zone, role=MeterRole.SUPPLY, kind=MeterKind.CORRECTOR, max_flow_m3h=900.0)
        meters[supply.meter_id] = replace(supply, digits=9, customer_class="", account="")
        for index in range(homes):
            kind = "commercial" if index == 0 else "residential"
            name = f"M-{number}-{index:02d}"
            meters[name] = a_meter(name, zone, customer_class=kind)
    return Network(zones, meters, {}, {})


@dataclass(frozen=True)
class SmallCity:
    """`passed` is what customers burn and `counted` what their registers count, base m3, (days, customers)."""

    model: CityModel
    customers: tuple[str, ...]
    passed: Any
    counted: Any
    lost: dict[str, Any]
    whole: tuple[str, ...] = ()
    """customers whose register counts whole cubic metres"""

    @property
    def days(self) -> Any:
        return len(self.passed)

    def at(self, name) -> Any:
        return self.customers.index(name)

    def with_counted(self, name, first_day, share) -> Any:
        counted = self.counted.copy()
        counted[first_day:, self.at(name)] *= share
        return replace(self, counted=counted)

    def away(self, name, first_day, last_day=None) -> Any:
        passed, counted = self.passed.copy(), self.counted.copy()
        for use in (passed, counted):
            use[first_day:last_day, self.at(name)] = 0.0
        return replace(self, passed=passed, counted=counted)

    def of_whole_m3(self, names) -> Any:
        meters = self.model.network.meters
        meters = {**meters, **{name: replace(meters[name], decimals=0) for name in names}}
        model = replace(self.model, network=replace(self.model.network, meters=meters))
        return replace(self, model=model, whole=tuple(names))

    def using(self, names, first_day, m3_per_day) -> Any:
        passed, counted = self.passed.copy(), self.counted.copy()
        columns = [self.at(name) for name in names]
        for use in (passed, counted):
            use[first_day:, columns] *= m3_per_day / use[:, columns].mean()
        return replace(self, passed=passed, counted=counted)

    def leaking(self, zone, first_day, m3_per_day) -> Any:
        lost = {name: values.copy() for name, values in self.lost.items()}
        lost[zone][first_day:] += m3_per_day
        return replace(self, lost=lost)

    def first_days(self, count) -> Any:
        lost = {name: values[:count] for name, values in self.lost.items()}
        return replace(self, passed=self.passed[:count], counted=self.counted[:count], lost=lost)

    @property
    def bounds(self) -> Any:
        return np.array([GAS_DAY.begins_us(FIRST + timedelta(days=d)) for d in range(self.days + 1)], dtype=np.int64)

    @property
    def now(self) -> Any:
        return from_us(int(self.bounds[-1]))

    def registers(self) -> Any:
        """Return names and register values at the boundaries, (days + 1, meters), supply meters last."""
        zone = np.array([self.model.network.meters[name].zone_id for name in self.customers])
        supply = np.stack([self.passed[:, zone == z].sum(axis=1) + self.lost[z] for z in ("R-1", "R-2")], axis=1)
        steps = np.concatenate([self.counted, supply], axis=1)
        values = 1000.0 + np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
        for number, name in enumerate(self.whole):
            values[:, self.at(name)] = np.floor(values[:, self.at(name)] + 0.37 * number % 1.0)
        return (*self.customers, "V-1", "V-2"), np.round(values, 3)

    def windows(self, order=None) -> Any:
        names, values = self.registers()
        count = len(self.customers)
        order = np.arange(count) if order is None else order
        measured = values[:, :count][:, order]
        return {
            Quantity.REGISTER_MEASURED_M3: a_window(
                Quantity.REGISTER_MEASURED_M3, self.bounds, [names[i] for i in order], measured
            ),
            Quantity.REGISTER_BASE_M3: a_window(
                Quantity.REGISTER_BASE_M3, self.bounds, names[count:], values[:, count:]
            ),
        }

    def batch(self, delay_s=60) -> Any:
        """Return readings at the boundaries, and the point of each index."""
        names, values = self.registers()
        points = [f"{name}/{self.model.network.meters[name].register.value}" for name in names]
        point = np.tile(np.arange(len(names), dtype=np.uint32), len(self.bounds))
        moments = np.repeat(self.bounds, len(names))
        batch = ReadingBatch.build(point, moments, moments + delay_s * 1_000_000, values.ravel())
        return batch, dict(enumerate(points))


def a_window(quantity, times, assets, value) -> Any:
    return Window(quantity, times, tuple(assets), value, np.where(np.isnan(value), np.nan, 1e-6))


def a_city(days=40, homes=30, seed=1) -> Any:
    """Customers follow one shape of cold and mild days, each with its own level and ups and downs; 1 % is lost."""
    rng = np.random.default_rng(seed)
    network = a_network(homes)
    customers = tuple(name for name, meter in network.meters.items() if meter.role is MeterRole.CUSTOMER)
    business = np.array([network.meters[name].customer_class == "commercial" for name in customers])
    level = np.where(business, 50.0, rng.uniform(3.0, 9.0, len(customers)))
    shape = 1.0 + 0.25 * np.sin(np.arange(days) / 4.0)[:, None]
    passed = level * shape * rng.lognormal(0.0, 0.12, (days, len(customers)))
    lost = {}
    for zone in ("R-1", "R-2"):
        members = np.array([network.meters[name].zone_id == zone for name in customers])
        lost[zone] = passed[:, members].sum(axis=1) * (0.01 + rng.normal(0.0, 0.001, days))
    model = CityModel(network, GAS_DAY, SiteFigures())
    return SmallCity(model, customers, passed, passed.copy(), lost)
