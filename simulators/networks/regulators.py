"""The regulator of a zone, with a name and an address."""

from __future__ import annotations

from gateway.model.network import Station
from simulators.ground import XY
from simulators.networks.names import road

LOW_PRESSURE_KPA = 3.0
CITY_PRESSURE_KPA = 350.0


def regulator(number: int, zone: str, site: XY, *, set_kpa: float = LOW_PRESSURE_KPA, remote: bool = False) -> Station:
    """Return the regulator of the n-th zone, from 0; zone R-001 has REG-001."""
    english, chinese = road(number)
    house = 12 * (number % 24 + 1) + 6
    return Station(
        station_id=f"REG-{zone.removeprefix('R-')}",
        kind="regulator",
        zone_id=zone,
        name=f"{chinese}调压站 {english}",
        address=f"{chinese}{house}号 ({house} {english})",
        x_m=site[0],
        y_m=site[1],
        set_pressure_gauge_kpa=set_kpa,
        remote=remote,
    )
