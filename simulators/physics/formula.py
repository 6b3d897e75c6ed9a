"""The textbook's pressure drop of a straight pipe, which every solution is checked against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.physics.gas import (
    ATMOSPHERE_KPA,
    GAS_J_PER_KG_K,
    GROUND_K,
    VISCOSITY_PA_S,
    compressibility,
    flow_m3h,
    mass_kg_s,
)


def drop_kpa2(
    flow: NDArray[np.float64],
    length_m: NDArray[np.float64],
    inner_mm: NDArray[np.float64],
    roughness_mm: NDArray[np.float64],
    mean_kpa: NDArray[np.float64] | float = ATMOSPHERE_KPA,
) -> NDArray[np.float64]:
    """Return the fall of squared absolute pressure along pipes, kPa2, with the sign of the flow (base m3/h).

    Isothermal compressible flow with friction after Darcy and Weisbach, the gas's acceleration left out:
    `p1^2 - p2^2 = lambda L/D (m/A)^2 Z R T` (the general flow equation: Menon, Gas Pipeline Hydraulics, 2005,
    chapter 2; Osiadacz, Simulation and Analysis of Gas Networks, 1987); lambda after Colebrook and White.
    """
    diameter = inner_mm / 1000.0
    mass = np.abs(mass_kg_s(flow))
    area = np.pi * diameter**2 / 4.0
    reynolds = mass * diameter / (area * VISCOSITY_PA_S)
    friction = colebrook(reynolds, roughness_mm / inner_mm)
    z = compressibility(np.asarray(mean_kpa, dtype=np.float64))
    pa2 = friction * length_m / diameter * (mass / area) ** 2 * z * GAS_J_PER_KG_K * GROUND_K
    return np.asarray(np.sign(flow) * pa2 / 1e6, dtype=np.float64)


def resting_kpa2(
    length_m: NDArray[np.float64], inner_mm: NDArray[np.float64], roughness_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the fall of squared pressure below which a pipe has no flow of its own: that at a Reynolds number of 1.

    Colebrook and White's factor was made for turbulent flow; towards no flow at all it grows with 1 / Re^2, so that a
    drop of less than a hundredth of a pascal is left, like that of a thing that rests on a floor. Nothing real depends
    on it, but a solver's steps circle within it.
    """
    flow = flow_m3h(VISCOSITY_PA_S * np.pi * inner_mm / 4000.0)
    return drop_kpa2(flow, length_m, inner_mm, roughness_mm)


def colebrook(reynolds: NDArray[np.float64], relative_roughness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the friction factor of Colebrook and White (1937), also below Re 2300, where drops are negligible."""
    safe = np.maximum(reynolds, 1e-6)
    x = np.full(np.broadcast(safe, relative_roughness).shape, 6.0)
    for _ in range(60):
        inner = relative_roughness / 3.71 + 2.51 * x / safe
        step = (x + 2.0 * np.log10(inner)) / (1.0 + 2.0 * 2.51 / safe / (inner * np.log(10.0)))
        x = np.maximum(x - step, 1e-3)
    return np.asarray(x**-2.0, dtype=np.float64)
