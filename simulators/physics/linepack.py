"""Gas that pipes hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.physics.gas import ATMOSPHERE_KPA, BASE_K, BASE_KPA, Z_BASE, compressibility


def packed_m3(
    pipe_m3: NDArray[np.float64], mean_kpa: NDArray[np.float64], gas_k: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the base volume of the gas in pipes of a geometric volume, at a mean gauge pressure and a temperature."""
    absolute = mean_kpa + ATMOSPHERE_KPA
    base = absolute / BASE_KPA * BASE_K / gas_k * Z_BASE / compressibility(absolute)
    return np.asarray(pipe_m3 * base, dtype=np.float64)
