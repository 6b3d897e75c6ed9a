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

STATION_PROFILE, CORRECTOR_PROFILE, CONCENTRATOR_PROFILE = "station_rtu", "volume_corrector", "ic_card_concentrator"
_T = TypeVar("_T")
UNITS_A_LINK, MEMBERS_A_UNIT = 20, 200
_MEASURED_PER_BASE = BASE_KPA / (BASE_KPA + 3.0) * 284.0 / BASE_K
"""the correctors' mechanical registers, at the mean conditions of their gas"""


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
    """Return a server for each link; they answer from the state of the city at `now_us()`."""
    makers: dict[str, Callable[[City, Callable[[], int], UnitPlan], Unit]] = {
        STATION_PROFILE: _station,
        CORRECTOR_PROFILE: _corrector,
        CONCENTRATOR_PROFILE: _concentrator,
    }
    return [
        CityModbusServer(
            link.port, {unit.unit: makers[unit.profile](city, now_us, unit) for unit in link.units}, address
        )
        for link in links
    ]


def _station(city: City, now_us: Callable[[], int], plan: UnitPlan) -> Unit:
    def values() -> Values:
        shown = city.station_values(now_us())[plan.asset]
        return from_mapping({(-1, quantity): value for quantity, value in shown.items()})

    def silent() -> bool:
        now = now_us()
        return any(f.kind is FaultKind.SILENT and f.asset == plan.asset and f.active(now) for f in city.faults)

    def order(table: RegisterTable, address: int, written: Sequence[int]) -> ExcCodes | None:
        if table is not RegisterTable.COIL or address != 0:
            return ExcCodes.ILLEGAL_ADDRESS
        if list(written) != [1]:
            return ExcCodes.ILLEGAL_VALUE  # the slam-shut is set again by hand
        _close(city, plan.asset, now_us())
        return None

    return Unit(RegisterImage(load_profile(plan.profile)), values, silent, order)


def _close(city: City, asset: str, now_us: int) -> None:
    if not any(one.kind is FaultKind.STUCK_VALVE and one.asset == asset and one.active(now_us) for one in city.faults):
        city.valves.order_closed(asset, now_us)


def _corrector(city: City, now_us: Callable[[], int], plan: UnitPlan) -> Unit:
    zone = [supply_meter(n) for n in range(len(city.plan.ground.regulator_zones))].index(plan.asset)
    regulator = city.plan.ground.regulator_of(city.plan.ground.regulator_zones[zone]).station_id

    def values() -> Values:
        now = now_us()
        base = float(city.registers(now).supply[zone])
        flow = float(city.supply_flow_m3h(np.array([now]))[0, zone])
        site = city.station_values(now)[regulator]
        return from_mapping({
            (-1, Quantity.REGISTER_BASE_M3): np.floor(base * 100.0 + 1e-6) / 100.0,
            (-1, Quantity.REGISTER_MEASURED_M3): np.floor(base * _MEASURED_PER_BASE * 10.0) / 10.0,
            (-1, Quantity.PRESSURE_GAUGE_KPA): site[Quantity.PRESSURE_GAUGE_KPA],
            (-1, Quantity.TEMPERATURE_C): site[Quantity.TEMPERATURE_C],
            (-1, Quantity.FLOW_BASE_M3H): flow,
            (-1, Quantity.FLOW_MEASURED_M3H): flow * _MEASURED_PER_BASE,
            (-1, Quantity.FLAGS): 0.0,
            (-1, Quantity.BATTERY_V): 3.58,
        })  # fmt: skip

    return Unit(RegisterImage(load_profile(plan.profile), serial=plan.asset), values)


def _concentrator(city: City, now_us: Callable[[], int], plan: UnitPlan) -> Unit:
    column = {meter.meter_id: index for index, meter in enumerate(city.plan.customers.meters)}
    slots = [column[member] for member in plan.members]
    profile = load_profile(plan.profile)

    def values() -> Values:
        meters = city.meters_at(now_us())

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
                _close(city, member, now_us())
                return None
        return ExcCodes.ILLEGAL_ADDRESS

    return Unit(RegisterImage(profile, members=len(slots)), values, order=order)
