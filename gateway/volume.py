"""Compares the room that a site gives its readings with what its sources will bring."""

from __future__ import annotations

from collections.abc import Iterator

from collectors.modbus import make_unit
from collectors.modbus_config import LinkConfig, ModbusConfig, UnitConfig
from gateway.config import Config
from gateway.errors import ConfigError
from gateway.toml_lines import Location

ROW_BYTES = 29
"""of a reading in the spool"""
DAY_S = 86_400
_GIB = 1 << 30


def readings_a_day(config: Config) -> float:
    """Return how many readings the polls of all Modbus devices bring in a day; what others send is not known."""
    rate = 0.0
    rates: dict[tuple[object, ...], float] = {}
    for source in config.source:
        for link in source.links if isinstance(source, ModbusConfig) else ():
            for unit in link.units:
                kind = (unit.profile, bool(unit.asset), tuple(map(bool, unit.members)))
                if kind not in rates:
                    rates[kind] = _rate(unit, link)
                rate += rates[kind]
    return rate * DAY_S


def _rate(unit: UnitConfig, link: LinkConfig) -> float:
    try:
        return sum(1 / spec.every_s for spec in make_unit(unit, link).specs)
    except ConfigError:
        return 0.0


def volume_warnings(config: Config, free_bytes: int) -> Iterator[tuple[str, Location]]:
    """Yield where a day of readings does not fit: into the repair stock of the spool, or on the disk."""
    day_bytes = readings_a_day(config) * ROW_BYTES
    wanted = f"its Modbus devices alone bring {day_bytes / _GIB:.1f} GiB a day"
    if config.keep.spool_cap_gib * _GIB < day_bytes:
        text = f"is {config.keep.spool_cap_gib:g}, but {wanted}: a damaged day could not be filled again"
        yield f"{text}; give it {2 * day_bytes / _GIB:.0f} or more", ("keep", "spool_cap_gib")
    if free_bytes < day_bytes:
        yield f"{free_bytes / _GIB:.1f} GiB are free on its disk, but {wanted}: use a larger disk", ("data", "folder")
