"""Which Modbus units the city has, on which ports, and what each of them shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from pymodbus.constants import ExcCodes

from gateway.model.profile import RegisterTable
from gateway.model.quantity import Quantity
from gateway.profiles import load_profile
from simulators.city import City, Plan
from simulators.customers import BASE_K, BASE_KPA
from simulators.dataset.history import supply_meter
from simulators.faults import FaultKind
from simulators.live.encoder import RegisterImage, Values, from_mapping
from simulators.live.modbus_server import CityModbusServer, Unit
from simulators.live.samples import Samples

STATION_PROFILE, CORRECTOR_PROFILE, CONCENTRATOR_PROFILE = "station_rtu", "volume_corrector", "ic_card_concentrator"
_T = TypeVar("_T")
UNITS_A_LINK, MEMBERS_A_UNIT = 20, 200
_MEAN_GAS_K = 284.0
_MEASURED_ROLLS_AT_M3 = 1e7
"""a corrector's counter has eight digits, the last of which is tenths"""
LARGEST_REGISTER_M3 = (2**32 - 1) / 100.0
"""what a corrector's base register can show"""


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """A unit on a link: asset is empty for a concentrator, which has members instead."""

    unit: int
    profile: str
    asset: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """A Modbus TCP port with its units."""

    name: str
    port: int
    units: tuple[UnitPlan, ...]


def plan_links(plan: Plan, first_port: int) -> tuple[LinkPlan, ...]:
    """Return the links on consecutive ports: one for each station and regulator, correctors, concentrators."""
    links = [
        (station.station_id.lower(), [UnitPlan(1, STATION_PROFILE, station.station_id)])
        for station in plan.ground.stations
    ]
    zones = range(len(plan.ground.regulator_zones))
    correctors = [UnitPlan(n + 1, CORRECTOR_PROFILE, supply_meter(n)) for n in zones]
    concentrators = [
        UnitPlan(0, CONCENTRATOR_PROFILE, members=tuple(members))
        for zone in zones
        for members in _groups(ic_card_meters(plan, zone), MEMBERS_A_UNIT)
    ]
    links += _links("correctors", correctors)
    links += _links("concentrators", concentrators)
    return tuple(LinkPlan(name, first_port + n, tuple(units)) for n, (name, units) in enumerate(links))


def _links(name: str, units: Sequence[UnitPlan]) -> Iterator[tuple[str, list[UnitPlan]]]:
    """Spread units over links, numbered from 1 on each."""
    for number, group in enumerate(_groups(units, UNITS_A_LINK), start=1):
        yield (
            name if number == 1 else f"{name}-{number}",
            [replace(unit, unit=place) for place, unit in enumerate(group, start=1)],
        )


def _groups(things: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (things[first : first + size] for first in range(0, len(things), size))


def ic_card_meters(plan: Plan, zone: int) -> list[str]:
    """Return the IC-card meters of the n-th regulator zone in the order of their slots."""
    customers = plan.customers
    return [customers.meters[n].meter_id for n in np.flatnonzero(customers.ic_card & (customers.zone == zone))]


def build_servers(
    city: City, now_us: Callable[[], int], links: Sequence[LinkPlan], address: str = "127.0.0.1"
) -> list[CityModbusServer]:
    """Return a server for each link; they answer from the state of the city at the last full second of `now_us()`."""
    samples = Samples(city, now_us)
    makers: dict[str, Callable[[Samples, UnitPlan], Unit]] = {
        STATION_PROFILE: _station,
        CORRECTOR_PROFILE: _corrector,
        CONCENTRATOR_PROFILE: _concentrator,
    }
    return [
        CityModbusServer(link.port, {unit.unit: makers[unit.profile](samples, unit) for unit in link.units}, address)
        for link in links
    ]


def _station(samples: Samples, plan: UnitPlan) -> Unit:
    city = samples.city

    def values() -> Values:
        return from_mapping({(-1, quantity): value for quantity, value in samples.stations()[plan.asset].items()})

    def silent() -> bool:
        now = samples.now_us()
        return any(f.kind is FaultKind.SILENT and f.asset == plan.asset and f.active(now) for f in city.faults)

    def order(table: RegisterTable, address: int, written: Sequence[int]) -> ExcCodes | None:
        if table is not RegisterTable.COIL or address != 0:
            return ExcCodes.ILLEGAL_ADDRESS
        if list(written) != [1]:
            return ExcCodes.ILLEGAL_VALUE  # the slam-shut is set again by hand
        _close(city, plan.asset, samples.now_us())
        return None

    return Unit(RegisterImage(load_profile(plan.profile)), values, silent, order)


def _close(city: City, asset: str, now_us: int) -> None:
    if not any(one.kind is FaultKind.STUCK_VALVE and one.asset == asset and one.active(now_us) for one in city.faults):
        city.valves.order_closed(asset, now_us)


def _corrector(samples: Samples, plan: UnitPlan) -> Unit:
    ground = samples.city.plan.ground
    zone = [supply_meter(n) for n in range(len(ground.regulator_zones))].index(plan.asset)
    measured = measured_share(ground.regulator_of(ground.regulator_zones[zone]).set_pressure_gauge_kpa)

    def values() -> Values:
        supply = samples.supplies()
        base, flow = float(supply.register_m3[zone]), float(supply.flow_m3h[zone])
        return from_mapping({
            (-1, Quantity.REGISTER_BASE_M3): np.floor(base * 100.0 + 1e-6) / 100.0,
            (-1, Quantity.REGISTER_MEASURED_M3): np.floor(base * measured % _MEASURED_ROLLS_AT_M3 * 10.0) / 10.0,
            (-1, Quantity.PRESSURE_GAUGE_KPA): float(supply.pressure_kpa[zone]),
            (-1, Quantity.TEMPERATURE_C): supply.gas_c,
            (-1, Quantity.FLOW_BASE_M3H): flow,
            (-1, Quantity.FLOW_MEASURED_M3H): flow * measured,
            (-1, Quantity.FLAGS): 0.0,
            (-1, Quantity.BATTERY_V): 3.58,
        })  # fmt: skip

    return Unit(RegisterImage(load_profile(plan.profile), serial=plan.asset), values)


def measured_share(set_kpa: float) -> float:
    """Return what a corrector's meter counts at the mean conditions of its gas for each base m3."""
    return BASE_KPA / (BASE_KPA + set_kpa) * _MEAN_GAS_K / BASE_K


def _concentrator(samples: Samples, plan: UnitPlan) -> Unit:
    city = samples.city
    column = {meter.meter_id: index for index, meter in enumerate(city.plan.customers.meters)}
    slots = [column[member] for member in plan.members]
    profile = load_profile(plan.profile)

    def values() -> Values:
        meters = samples.meters()

        def value(slot: int, quantity: Quantity) -> float | None:
            at = slots[slot]
            return {
                Quantity.REGISTER_MEASURED_M3: float(meters.shown[at]),
                Quantity.BALANCE_M3: float(meters.left[at]),
                Quantity.PURCHASED_M3: float(meters.purchased[at]),
                Quantity.VALVE: float(meters.valve[at]),
                Quantity.FLAGS: float(meters.flags[at]),
                Quantity.BATTERY_V: 6.0,
            }.get(quantity)

        return value

    def order(table: RegisterTable, address: int, written: Sequence[int]) -> ExcCodes | None:
        for slot, member in enumerate(plan.members):
            (close,) = profile.member_commands(slot)
            if (table, address) == (close.table, close.address):
                if tuple(written) != close.values:
                    return ExcCodes.ILLEGAL_VALUE
                _close(city, member, samples.now_us())
                return None
        return ExcCodes.ILLEGAL_ADDRESS

    return Unit(RegisterImage(profile, members=len(slots)), values, order=order)
