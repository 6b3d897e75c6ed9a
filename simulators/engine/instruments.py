"""What the instruments of stations and regulators show, with a little noise that changes each 10 s."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Station
from gateway.model.quantity import Quantity
from simulators import noise, weather
from simulators.engine.plan import Plan
from simulators.faults import HOUR_US, Fault, gas_lel_pct

Floats = NDArray[np.float64]
Shown = dict[Quantity, Floats]

GATE_SHARES = (0.6, 0.4)
"""shares of two gates in the supply of the zone that they feed"""
_STREAM_SENSOR = 43
_FIRST_REGULATOR = 1000
_TEN_S_US = 10_000_000


def of_regulators(
    plan: Plan, faults: tuple[Fault, ...], at_us: NDArray[np.int64], flow_m3h: Floats, outlet_kpa: Floats
) -> dict[str, Shown]:
    """Return what each regulator's sound instruments show at t moments; flow and outlet pressure are (t, zones)."""
    columns = {}
    for number, zone in enumerate(plan.ground.regulator_zones):
        station = plan.ground.regulator_of(zone)
        columns[station.station_id] = _instruments(
            plan,
            faults,
            _FIRST_REGULATOR + int(plan.zone_numbers[number]),
            station,
            at_us,
            outlet_kpa=outlet_kpa[:, number],
            inlet_kpa=330.0 - 12.0 * flow_m3h[:, number] / plan.nominal_m3h[number],
            flow_m3h=flow_m3h[:, number],
        )
    return columns


def of_gates(
    plan: Plan, faults: tuple[Fault, ...], at_us: NDArray[np.int64], parent_m3h: Floats, nominal_m3h: Floats
) -> dict[str, Shown]:
    """Return what the sound instruments of the gates show at t moments; the parents' supply is (t, parents)."""
    gates = [station for station in plan.ground.stations if station.kind == "station"]
    columns = {}
    for number, gate in enumerate(gates):
        together = [one.station_id for one in gates if one.zone_id == gate.zone_id]
        share = GATE_SHARES[together.index(gate.station_id)] if len(together) == 2 else 1.0 / len(together)
        parent = plan.assets.parents.get(gate.zone_id)
        flow = np.zeros(len(at_us)) if parent is None else parent_m3h[:, parent]
        load = flow / (1.0 if parent is None else nominal_m3h[parent])
        columns[gate.station_id] = _instruments(
            plan,
            faults,
            number,
            gate,
            at_us,
            outlet_kpa=gate.set_pressure_gauge_kpa * (1.0 - 0.012 * load),
            inlet_kpa=1600.0 - 60.0 * load,
            flow_m3h=flow * share,
        )
    return columns


def with_valves(plan: Plan, columns: Mapping[str, Shown], shut: NDArray[np.bool_]) -> None:
    """Write into regulators' columns which are closed, (t, zones)."""
    for station_id, number in plan.assets.regulators.items():
        columns[station_id][Quantity.VALVE] = np.where(shut[:, number], 0.0, 1.0)


def _instruments(
    plan: Plan,
    faults: tuple[Fault, ...],
    number: int,
    station: Station,
    at_us: NDArray[np.int64],
    *,
    outlet_kpa: Floats,
    inlet_kpa: Floats,
    flow_m3h: Floats,
) -> Shown:
    jitter = noise.normal(plan.seed, _STREAM_SENSOR, number, at_us[None, :] // _TEN_S_US, np.arange(5)[:, None])
    return {
        Quantity.PRESSURE_GAUGE_KPA: outlet_kpa * (1.0 + 0.0008 * jitter[0]),
        Quantity.INLET_PRESSURE_GAUGE_KPA: inlet_kpa * (1.0 + 0.001 * jitter[1]),
        Quantity.FLOW_BASE_M3H: np.maximum(0.0, flow_m3h * (1.0 + 0.006 * jitter[2])),
        Quantity.TEMPERATURE_C: weather.ground_c(at_us / HOUR_US) + 0.05 * jitter[3],
        Quantity.GAS_LEL_PCT: np.abs(0.15 * jitter[4]) + gas_lel_pct(faults, station.station_id, at_us),
        Quantity.VALVE: np.ones(len(at_us)),
    }
