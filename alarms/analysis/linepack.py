"""Gas stored in the pipes of a zone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import KELVIN, SiteFigures
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import Window

PIPE_C = 15.0
"""temperature of gas in buried pipes; it changes slowly, so only the pressure moves the stock from day to day"""
UNKNOWN_SWING_KPA = 2.0
"""standard deviation of a day's change of pressure where nobody measures it"""
KNOWN_DAYS = 10
"""known changes of pressure that tell how far it swings on other days"""
ELSEWHERE = 0.1
"""of a change at the measuring points, by which the mean change along the pipes may differ"""

Floats = NDArray[np.float64]


def gained(
    network: Network, figures: SiteFigures, pressure: Window | None, pipes: Mapping[str, tuple[str, ...]], steps: int
) -> tuple[Floats, Floats]:
    """Return what the pipes of each zone gained in each of `steps` days, base m3, and its variance.

    `pressure` is the gauge pressure of measuring points at the `steps + 1` boundaries (kPa); `pipes` names for each
    zone those zones whose pipes belong to it. Shapes (steps, zones). `V (p/p_b) (T_b/T)`, the compressibility being 1
    at these pressures. A zone whose pressure is unknown gains nothing, with the variance of an ordinary swing: its
    own, where that was seen.
    """
    row = {name: index for index, name in enumerate(network.zones)}
    change = np.full((steps, len(row)), np.nan)
    if pressure is not None and len(pressure.times) == steps + 1:
        change = _zone_change(network, pressure, row)
    volume = np.array([zone.pipe_volume_m3 or 0.0 for zone in network.zones.values()])
    to_base = (figures.base_temperature_c + KELVIN) / (PIPE_C + KELVIN) / figures.base_pressure_kpa
    known = np.isfinite(change)
    days = known.sum(axis=0)
    seen = np.sqrt((np.nan_to_num(change) ** 2).sum(axis=0) / np.maximum(days, 1))
    swing = np.where(days >= KNOWN_DAYS, seen, UNKNOWN_SWING_KPA)
    gain = np.where(known, change, 0.0) * volume * to_base
    variance = np.where(known, (ELSEWHERE * gain) ** 2, (swing * volume * to_base) ** 2)
    total, spread = np.zeros((steps, len(pipes))), np.zeros((steps, len(pipes)))
    for column, members in enumerate(pipes.values()):
        at = [row[name] for name in members]
        total[:, column] = gain[:, at].sum(axis=1)
        spread[:, column] = variance[:, at].sum(axis=1)
    return total, spread


def _zone_change(network: Network, pressure: Window, row: Mapping[str, int]) -> Floats:
    """Return each day's mean change over those of a zone's points that are known at both its ends, kPa, (days, z)."""
    zone_of = np.array([row.get(zone, -1) for zone in measured_in(network, pressure.assets)])
    step = np.diff(pressure.value, axis=0)
    result = np.full((len(step), len(row)), np.nan)
    for zone in np.unique(zone_of[zone_of >= 0]):
        own = step[:, zone_of == zone]
        count = np.isfinite(own).sum(axis=1)
        result[:, zone] = np.where(count > 0, np.nan_to_num(own).sum(axis=1) / np.maximum(count, 1), np.nan)
    return result


def measured_in(network: Network, assets: Sequence[str]) -> list[str]:
    """Return the zone in which each measuring point of pressure stands, empty where that is not known.

    It is the zone that its own row names; a station's is the station's zone, which it feeds.
    """
    stands = {p.asset: p.zone_id for p in network.points.values() if p.quantity is Quantity.PRESSURE_GAUGE_KPA}
    return [stands.get(name) or network.zone_of(name) for name in assets]
