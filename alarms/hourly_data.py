"""Makes what the hourly balances need of a city's readings, once for all moments."""

from __future__ import annotations

import numpy as np

from alarms.analysis.city import build_tree
from alarms.analysis.hourly import HourlyCity
from alarms.analysis.hourly_blocks import WINDOW_H
from alarms.analysis.hourly_grid import SPAN_H, HourGrid, joined_grids, register_grid, state_grid
from alarms.city_data import REGISTERS, CityData, exchanges_in, register_facts
from gateway.meterdata.series import HOUR_US, Exchanges, Registers, Series
from gateway.model.quantity import Quantity

MOST_CELLS = 60_000_000
"""meters times hours, some 800 MB; a larger city is judged by its gas days only"""
LEAST_H = 48
"""hours of which at least one register must tell, and that there must be"""


def hourly_city(city: CityData, since_us: int, until_us: int) -> HourlyCity | None:
    """Return the hours of a city from four weeks before `since_us` up to `until_us`; None where it is too large.

    Only readings of that time are looked at, and no moment after `until_us` can be judged. There are none either where
    no register is read by hours: what tells nothing need not be laid out.
    """
    first = [int(part.time.min()) for quantity, part in city.series.items() if quantity in REGISTERS and len(part.time)]
    if not first:
        return None
    begin = max(min(first), since_us - WINDOW_H * HOUR_US) // HOUR_US * HOUR_US
    hours = (until_us - begin) // HOUR_US
    registers = [city.series[one] for one in REGISTERS if one in city.series]
    if max(_hours_told(part, begin, until_us) for part in registers) < LEAST_H:
        return None
    network = city.model.network
    tree = build_tree(network, list(network.meters), city.model.elsewhere)
    if hours < LEAST_H or not tree.measured.any() or (hours + 1) * len(network.meters) > MOST_CELLS:
        return None
    grids = [_registers(city, city.series[one], begin, hours, until_us) for one in REGISTERS if one in city.series]
    pressure = city.series.get(Quantity.PRESSURE_GAUGE_KPA)
    classes = [network.meters[name].customer_class for name in tree.customers]
    _, group = np.unique(np.array(classes, dtype=np.str_), return_inverse=True)
    rounding = [np.array([10.0 ** (-2 * network.meters[name].decimals) / 12.0 for name in names], dtype=np.float64)
                for names in (tree.customers, tree.supplies)]  # fmt: skip
    return HourlyCity(
        city=city.model,
        tree=tree,
        customers=joined_grids(grids, tree.customers),
        supplies=joined_grids(grids, tree.supplies),
        pressure=None if pressure is None or not len(pressure.assets) else state_grid(pressure, begin, hours),
        group=group.astype(np.int64),
        register_variance=tree.own_customers @ rounding[0] + abs(tree.own_supply) @ rounding[1],
    )


def _hours_told(series: Series, begin_us: int, until_us: int) -> float:
    """Return of how many hours the register tells that is read most often, by readings that are near enough."""
    rows = np.flatnonzero((series.time >= begin_us) & (series.time <= until_us))
    gap, column = np.diff(series.time[rows]), series.column[rows]
    near = (column[1:] == column[:-1]) & (gap <= SPAN_H * HOUR_US)
    told = np.bincount(column[1:][near], weights=gap[near] / HOUR_US)
    return float(told.max(initial=0.0))


def _registers(city: CityData, series: Series, begin_us: int, hours: int, until_us: int) -> HourGrid:
    network = city.model.network

    def facts(columns: slice) -> Registers:
        return register_facts(network, series.assets[columns])

    def exchanges(columns: slice) -> Exchanges:
        return exchanges_in(city.exchanges, series.assets[columns], until_us)

    return register_grid(series, begin_us, hours, facts, exchanges)
