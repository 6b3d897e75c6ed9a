"""What a customer's meter counts and what credit it shows, in the simplest form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators import weather
from simulators.customers.people import Customers, Floats

BASE_K, BASE_KPA, CUSTOMER_KPA = 293.15, 101.325, 103.4


def meter_factor(seed: int, customers: Customers, hours: NDArray[np.int64]) -> Floats:
    """Return what a meter counts for each base m3 that passes it in an hour, shape (hours, customers)."""
    gas_k = weather.meter_gas_c(seed, hours + 0.5)[:, None] + 273.15
    volume = BASE_KPA / CUSTOMER_KPA * np.where(customers.compensated, 1.0, gas_k / BASE_K)
    return np.asarray(customers.gain * np.where(customers.corrected, 1.0, volume), dtype=np.float64)


def credit(customers: Customers, used_m3: Floats) -> tuple[Floats, Floats]:
    """Return (credit left, credit ever bought) of IC-card meters, m3, for what their registers counted since new.

    A customer buys when a tenth of a purchase is left, so that bought - left = used.
    """
    lump = customers.lump_m3
    bought = lump * (np.floor((used_m3 + 0.1 * lump) / lump) + 1.0)
    return bought - used_m3, bought
