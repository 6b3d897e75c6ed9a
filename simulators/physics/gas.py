"""The gas in the pipes: a lean pipeline natural gas, and what a cubic metre of it weighs.

Composition (mole shares): methane 0.960, ethane 0.020, propane 0.003, nitrogen 0.010, carbon dioxide 0.007; relative
density 0.577. "Base" is 20 deg C and 101.325 kPa, at which all volumes of this project are stated; "normal" is 0 deg C
and 101.325 kPa, at which pandapipes states densities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GAS_CONSTANT = 8.314462618
"""J/(mol K)"""
MOLAR_KG = 0.016723
"""kg/mol of the composition above"""
BASE_K, BASE_KPA = 293.15, 101.325
NORMAL_K, NORMAL_KPA = 273.15, 101.325
ATMOSPHERE_KPA = 101.325
"""air pressure that gauge pressures stand on: a town at sea level, weather left out"""
GROUND_K = 283.15
"""temperature at which pipes are solved; the pressure drop changes by a third of a percent a kelvin"""
VISCOSITY_PA_S = 1.08e-5
"""dynamic viscosity near 10 deg C (methane 1.07e-5, NIST Chemistry WebBook)"""
HEAT_RATIO = 1.31
"""ratio of specific heats of methane near 10 deg C (NIST Chemistry WebBook)"""
Z_PER_KPA = -2.4e-5
"""slope of the compressibility factor over absolute pressure: Papay's correlation at 20 deg C, linear to 4 bar"""

Z_BASE = 1.0 + Z_PER_KPA * BASE_KPA
GAS_J_PER_KG_K = GAS_CONSTANT / MOLAR_KG
BASE_KG_M3 = BASE_KPA * 1000.0 / (Z_BASE * GAS_J_PER_KG_K * BASE_K)
"""density at base conditions"""
NORMAL_KG_M3 = NORMAL_KPA * 1000.0 / (Z_BASE * GAS_J_PER_KG_K * NORMAL_K)
"""density at normal conditions, as pandapipes wants it"""


def compressibility(absolute_kpa: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Z at absolute pressures."""
    return np.asarray(1.0 + Z_PER_KPA * absolute_kpa, dtype=np.float64)


def mass_kg_s(flow_m3h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mass flow of a flow in base m3/h."""
    return np.asarray(flow_m3h * (BASE_KG_M3 / 3600.0), dtype=np.float64)


def flow_m3h(mass_kg_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the flow in base m3/h of a mass flow."""
    return np.asarray(mass_kg_s * (3600.0 / BASE_KG_M3), dtype=np.float64)
