"""An independent client reads every register of every simulated unit, and finds what the physics say at that moment.

The words are read by mbpoll and scaled by the profile with code of this file, which shares none with the encoder or the
gateway's decoder.
"""

from __future__ import annotations

import asyncio
import math
import re
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.model.profile import PointSpec, Profile, RegisterTable
from gateway.model.quantity import Quantity
from gateway.profiles import load_profile
from simulators import weather
from simulators.city import LIVE_START, City, build_plan
from simulators.faults import HOUR_US, Fault, FaultKind
from simulators.live.devices import LinkPlan, UnitPlan, build_servers, plan_links
from simulators.valves import Valves
from tests.services import need

LIVE_US = int(LIVE_START.timestamp()) * 1_000_000
START = LIVE_START.replace(day=12)
NOW_US = LIVE_US + 5_025_000_000
METERS = (9, 230, 1)
_TYPES = {RegisterTable.INPUT: "3", RegisterTable.HOLDING: "4"}


@dataclass
class Served:
    city: City
    links: tuple[LinkPlan, ...]


@pytest.fixture(scope="module")
def city() -> City:
    plan = build_plan(11, START, METERS, mix="town")
    column = int(np.flatnonzero(plan.customers.ic_card & (plan.customers.zone == 1))[0])
    closed = plan.customers.meters[column].meter_id
    faults = [
        Fault("cloud", FaultKind.GAS_CLOUD, "REG-002", NOW_US - 60_000_000, size=31.0, ramp_s=30.0),
        Fault("drift", FaultKind.SENSOR_DRIFT, "S-01", NOW_US - HOUR_US, size=-7.5, detail="temperature_c"),
        Fault("leak", FaultKind.LEAK, "R-002", LIVE_US - 5 * HOUR_US, size=4.0),
        Fault("biased", FaultKind.SUPPLY_BIAS, "V-002", LIVE_US - 5 * HOUR_US, size=0.03),
    ]
    made = City(plan, faults, Valves({closed: NOW_US - 900_000_000, "REG-001": NOW_US - 300_000_000}))
    made.registers(NOW_US)  # solve the pipes before somebody waits for an answer
    return made


@pytest.fixture
async def served(city: City, free_port: Callable[[], int]) -> AsyncIterator[Served]:
    links = tuple(LinkPlan(link.name, free_port(), link.units) for link in plan_links(city.plan, 1))
    servers = build_servers(city, lambda: NOW_US, links)
    for server in servers:
        await server.start()
    yield Served(city, links)
    for server in servers:
        await server.stop()


async def test_every_register_of_every_unit_is_what_the_physics_say(served: Served) -> None:
    city, checked = served.city, set()
    for link in served.links:
        for unit in link.units:
            profile = load_profile(unit.profile)
            words = await _words(link.port, unit, profile)
            wanted = _wanted(city, unit)
            for slot, spec in _points(profile, len(unit.members)):
                shown = _decode([words[spec.table, spec.address + n] for n in range(spec.width)], spec)
                expected = wanted(slot, spec.quantity)
                step = spec.scale if "float" not in spec.type else abs(expected) * 2e-7 + 1e-5
                assert shown == pytest.approx(expected, abs=step * 0.5000001), (
                    link.name,
                    unit.unit,
                    slot,
                    spec.quantity,
                )
                checked.add((unit.profile, spec.quantity))
            used = {
                (spec.table, spec.address + n)
                for _, spec in _points(profile, len(unit.members))
                for n in range(spec.width)
            }
            rest = {place: word for place, word in words.items() if place not in used}
            assert set(rest.values()) <= {0}, "registers between the points are zero"
    described = {
        (name, spec.quantity)
        for name in ("station_rtu", "volume_corrector", "ic_card_concentrator")
        for _, spec in _points(load_profile(name), 1 if load_profile(name).members else 0)
    }
    assert checked == described


async def test_a_corrector_tells_its_serial_number(served: Served) -> None:
    for link in served.links:
        for unit in link.units:
            if unit.profile == "volume_corrector":
                words = await _read(link.port, unit.unit, RegisterTable.HOLDING, 40, 4)
                assert b"".join(word.to_bytes(2, "big") for word in words).rstrip(b"\0").decode() == unit.asset


def test_the_city_of_this_test_has_what_it_should(city: City) -> None:
    links = plan_links(city.plan, 1)
    members = [len(unit.members) for link in links for unit in link.units if unit.members]
    assert max(members) > 60
    meters = city.meters_at(NOW_US)
    assert (meters.valve[city.plan.customers.ic_card] == 0).any()
    assert city.station_values(NOW_US)["REG-001"][Quantity.VALVE] == 0.0
    assert city.station_values(NOW_US)["REG-002"][Quantity.GAS_LEL_PCT] > 25.0


def test_behind_a_closed_regulator_its_corrector_rests() -> None:
    plan = build_plan(11, START, (9, 9), mix="town")
    city = City(plan, (), Valves({"REG-001": NOW_US}))
    moments = NOW_US + np.array([10, 600, 3600, 30 * 3600]) * 1_000_000
    registers = np.array([city.registers(int(at)).supply for at in moments])
    assert (registers[:, 0] == registers[0, 0]).all()
    assert (np.diff(registers[:, 1]) > 0.0).all()
    assert (city.supply_flow_m3h(moments)[:, 0] == 0.0).all()
    pressure = city.pressure_kpa(moments)[:, 0]
    assert (np.diff(pressure) <= 0.0).all()
    assert pressure[-1] < 0.5 * pressure[0]


def _wanted(city: City, unit: UnitPlan) -> Callable[[int, Quantity], float]:
    """Return what a unit should show, computed from the city anew."""
    at = np.array([NOW_US], dtype=np.int64)
    if unit.profile == "station_rtu":
        shown = city.station_values(NOW_US)[unit.asset]
        return lambda _, quantity: shown[quantity]
    if unit.profile == "volume_corrector":
        zone = int(unit.asset.removeprefix("V-")) - 1
        base, flow = city.registers(NOW_US).supply[zone], city.supply_flow_m3h(at)[0, zone]
        # ideal gas: the meter sees 3 kPa more than base pressure, and 284 K instead of 293.15 K
        share = 101.325 / 104.325 * 284.0 / 293.15
        corrector = {
            Quantity.REGISTER_BASE_M3: math.floor(base * 100.0 + 1e-6) / 100.0,
            Quantity.REGISTER_MEASURED_M3: math.floor(base * share * 10.0) / 10.0,
            Quantity.PRESSURE_GAUGE_KPA: float(city.pressure_kpa(at)[0, zone]),
            Quantity.TEMPERATURE_C: float(weather.ground_c(at / HOUR_US)[0]),
            Quantity.FLOW_BASE_M3H: float(flow),
            Quantity.FLOW_MEASURED_M3H: float(flow) * share,
            Quantity.FLAGS: 0.0,
            Quantity.BATTERY_V: 3.58,
        }
        return lambda _, quantity: corrector[quantity]
    meters = city.meters_at(NOW_US)
    column = [city.assets.meters[member] for member in unit.members]
    columns: dict[Quantity, NDArray[np.generic]] = {
        Quantity.REGISTER_MEASURED_M3: meters.shown,
        Quantity.BALANCE_M3: meters.left,
        Quantity.PURCHASED_M3: meters.purchased,
        Quantity.VALVE: meters.valve,
        Quantity.FLAGS: meters.flags,
        Quantity.BATTERY_V: np.full(len(meters.shown), 6.0),
    }
    return lambda slot, quantity: float(columns[quantity][column[slot]])


def _points(profile: Profile, members: int) -> Iterator[tuple[int, PointSpec]]:
    for spec in profile.points:
        yield -1, spec
    for slot in range(members):
        for spec in profile.member_points(slot):
            yield slot, spec


async def _words(port: int, unit: UnitPlan, profile: Profile) -> Mapping[tuple[RegisterTable, int], int]:
    """Read all registers from the first to the last of a unit's points."""
    words: dict[tuple[RegisterTable, int], int] = {}
    for table in {spec.table for _, spec in _points(profile, len(unit.members))}:
        places = [spec for _, spec in _points(profile, len(unit.members)) if spec.table is table]
        first, end = min(spec.address for spec in places), max(spec.end for spec in places)
        for start in range(first, end, 120):
            read = await _read(port, unit.unit, table, start, min(120, end - start))
            words |= {(table, start + n): word for n, word in enumerate(read)}
    return words


async def _read(port: int, unit: int, table: RegisterTable, first: int, count: int) -> list[int]:
    place = ["-m", "tcp", "-p", str(port), "127.0.0.1"]
    what = ["-a", str(unit), "-t", _TYPES[table], "-0", "-r", str(first), "-c", str(count), "-1"]
    process = await asyncio.create_subprocess_exec(
        need("mbpoll"), *what, *place, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60.0)
    words = [int(match) & 0xFFFF for match in re.findall(r"^\[\d+\]:\s+(-?\d+)", output.decode(), re.MULTILINE)]
    assert len(words) == count, output.decode()
    return words


def _decode(words: list[int], spec: PointSpec) -> float:
    if spec.type == "bit":
        return float(words[0] >> spec.bit & 1)
    wire = b"".join(word.to_bytes(2, "big") for word in words)
    order = spec.order or "ABCDEFGH"[: len(wire)]
    plain = bytes(wire[order.index(letter)] for letter in "ABCDEFGH"[: len(wire)])
    if spec.type.startswith("float"):
        raw = float(struct.unpack(">f" if len(plain) == 4 else ">d", plain)[0])
    elif spec.type.startswith("bcd"):
        raw = float(int(plain.hex()))
    else:
        raw = float(int.from_bytes(plain, "big", signed=spec.type.startswith("int")))
    return raw * spec.scale + spec.offset
