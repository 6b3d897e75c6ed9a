"""Gas stored in the pipes of a zone. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import KELVIN, SiteFigures
from gateway.model.network import Network
from gateway.model.reading import Window

PIPE_C = 15.0
"""temperature of gas in buried pipes; it changes slowly, so only the pressure moves the stock from day to day"""
UNKNOWN_SWING_KPA = 2.0
"""standard deviation of a day's change of pressure where nobody measures it"""

Floats = NDArray[np.float64]


def gained(
    network: Network, figures: SiteFigures, pressure: Window | None, pipes: Mapping[str, tuple[str, ...]], steps: int
) -> tuple[Floats, Floats]:
    """Return what the pipes of each zone gained in each of `steps` days, base m3, and its variance.

    `pressure` is the gauge pressure of stations at the `steps + 1` boundaries (kPa); `pipes` names for each zone
    those zones whose pipes belong to it. Shapes (steps, zones). `V (p/p_b) (T_b/T)`, the compressibility being 1 at
    these pressures. A zone whose pressure is unknown gains nothing, with the variance of an ordinary swing.
    """
    row = {name: index for index, name in enumerate(network.zones)}
    change = np.full((steps, len(row)), np.nan)
    if pressure is not None and len(pressure.times) == steps + 1:
        change = np.diff(_zone_pressure(network, pressure, row), axis=0)
    volume = np.array([zone.pipe_volume_m3 or 0.0 for zone in network.zones.values()])
    to_base = (figures.base_temperature_c + KELVIN) / (PIPE_C + KELVIN) / figures.base_pressure_kpa
    known = np.isfinite(change)
    gain = np.where(known, change, 0.0) * volume * to_base
    variance = np.where(known, (0.02 * gain) ** 2, (UNKNOWN_SWING_KPA * volume * to_base) ** 2)
    total, spread = np.zeros((steps, len(pipes))), np.zeros((steps, len(pipes)))
    for column, members in enumerate(pipes.values()):
        at = [row[name] for name in members]
        total[:, column] = gain[:, at].sum(axis=1)
        spread[:, column] = variance[:, at].sum(axis=1)
    return total, spread


def _zone_pressure(network: Network, pressure: Window, row: Mapping[str, int]) -> Floats:
    """Return the mean pressure of each zone's points, NaN where it has none; a station feeds the zone it stands in."""
    zone_of = np.array([row.get(network.zone_of(asset), -1) for asset in pressure.assets], dtype=np.int64)
    result = np.full((len(pressure.times), len(row)), np.nan)
    for zone in np.unique(zone_of[zone_of >= 0]):
        result[:, zone] = pressure.value[:, zone_of == zone].mean(axis=1)
    return result
