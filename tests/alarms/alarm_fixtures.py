"""A small network and the parts that alarm tests share."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from alarms.acts import AlarmDesk
from alarms.definitions import load_definitions
from alarms.route import TicketPolicy
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Point, Station, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import point_id, to_us
from gateway.model.ticket import TicketClass
from gateway.runtime.clock import ManualClock
from gateway.store.state import State

START = datetime(2026, 1, 15, 5, 0, tzinfo=UTC)
QUANTITIES = (Quantity.GAS_LEL_PCT, Quantity.PRESSURE_GAUGE_KPA, Quantity.FLOW_BASE_M3H)


def small_network() -> Network:
    zones = [
        Zone("CITY", "", ZoneKind.CITY, "City"),
        Zone("D-1", "CITY", ZoneKind.DISTRICT, "District 1"),
        *(Zone(f"R-00{n}", "D-1", ZoneKind.REGULATOR, f"Zone {n}") for n in (1, 2, 3)),
        Zone("B-1", "R-001", ZoneKind.BUILDING, "Building 1"),
        Zone("B-2", "R-001", ZoneKind.BUILDING, "Building 2"),
    ]
    stations = [
        Station("S-01", "station", "CITY", "North gate", "1 North Road", 0.0, 0.0, 200.0, remote=True),
        *(
            Station(
                f"REG-00{n}", "regulator", f"R-00{n}", f"Regulator {n}", f"{n} Main Street", n, n, 2.0, remote=False
            )
            for n in (1, 2, 3)
        ),
    ]
    meters = [home("M-000001", "B-1"), home("M-000002", "B-1"), home("M-000003", "B-2")]
    points = [
        Point(point_id(station.station_id, quantity), station.station_id, quantity, station.zone_id)
        for station in stations
        for quantity in QUANTITIES
    ]
    return Network(
        zones={zone.zone_id: zone for zone in zones},
        meters={meter.meter_id: meter for meter in meters},
        stations={station.station_id: station for station in stations},
        points={point.point_id: point for point in points},
    )


def home(meter_id: str, zone_id: str) -> Meter:
    return Meter(
        meter_id=meter_id,
        zone_id=zone_id,
        role=MeterRole.CUSTOMER,
        kind=MeterKind.REMOTE,
        customer_class="residential",
        digits=5,
        decimals=2,
        max_flow_m3h=4.0,
        temperature_compensated=False,
        installed_on=date(2020, 1, 1),
        account="open",
    )


def make_desk(folder: Path, clock: ManualClock | None = None) -> AlarmDesk:
    policy = TicketPolicy(sinks=dict.fromkeys(TicketClass, "desk"))
    clock = clock or ManualClock(to_us(START))
    return AlarmDesk(State.in_folder(folder), load_definitions(), small_network(), clock, policy)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)
