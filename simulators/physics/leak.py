"""What flows out of a hole in a pipe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.physics.gas import ATMOSPHERE_KPA, HEAT_RATIO

_TO_CHOKE = (2.0 / (HEAT_RATIO + 1.0)) ** (HEAT_RATIO / (HEAT_RATIO - 1.0))
CHOKED_KPA = ATMOSPHERE_KPA / _TO_CHOKE - ATMOSPHERE_KPA
"""gauge pressure (about 85 kPa) above which the gas leaves at the speed of sound"""


def orifice_kpa(gauge_kpa: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a number that a hole's mass flow is proportional to; 0 where the pressure is not above the air's.

    Isentropic flow through an orifice: below the critical pressure ratio as Saint-Venant and Wantzel (1839), above it
    choked; as in TNO's Yellow Book (CPR 14E, 2005), section 2.5.2.3. The gas's temperature is the same at all times.
    """
    absolute = np.maximum(gauge_kpa, 0.0) + ATMOSPHERE_KPA
    ratio = np.maximum(ATMOSPHERE_KPA / absolute, _TO_CHOKE)
    # 1 - ratio**x by expm1: at low pressure the ratio is nearly 1
    rest = -np.expm1((HEAT_RATIO - 1.0) / HEAT_RATIO * np.log(ratio))
    squared = 2.0 * HEAT_RATIO / (HEAT_RATIO - 1.0) * ratio ** (2.0 / HEAT_RATIO) * rest
    return np.asarray(absolute * np.sqrt(squared), dtype=np.float64)


def leak_scale(gauge_kpa: NDArray[np.float64], at_kpa: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a hole's flow at a gauge pressure as a share of its flow at another one, which must be above 0."""
    return np.asarray(orifice_kpa(gauge_kpa) / orifice_kpa(at_kpa), dtype=np.float64)
