"""What a register counts for each base m3 that passes the meter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.customers import BASE_K, BASE_KPA, Customers
from simulators.meters import conditions
from simulators.meters.registers import Exchanges
from simulators.meters.traits import Traits, exchanged, meter_traits

_PILOT = 0.012
"""an hour with less gas than this share of the usual appliance's flow, 43 s of it, is a small flame that burns on"""
_DAYS_A_YEAR = 365.2425


class MeterErrors:
    """Errors of n meters, each of which may be exchanged once. Keeps nothing but the seed and the traits."""

    def __init__(self, seed: int, traits: Traits, exchanges: Exchanges | None = None) -> None:
        """Take the meters as they are; from the hour of its exchange a meter has the errors of the new one."""
        self._seed = seed
        self._traits = traits
        swaps = exchanges if exchanges is not None else Exchanges.none()
        self._column, self._hour = swaps.column, swaps.hour
        old = traits.part(self._column)
        self._new = exchanged(seed, old, self._hour / 24.0)

    def factor(
        self,
        hours: NDArray[np.int64],
        flow_m3h: NDArray[np.float64],
        gauge_kpa: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Return what each register counts for each base m3 in each hour, shape (hours, meters).

        `flow_m3h` is the base volume of the hour, `gauge_kpa` the pressure in the meters if it is known; both have
        the shape of the result. The curve: nothing below the starting flow, a little lost past the valves (which
        weighs most at small flows), a straight line above.
        """
        result = self._of(self._traits, hours, flow_m3h, gauge_kpa)
        if len(hours):
            late = np.flatnonzero(self._hour <= hours.max())
            columns = self._column[late]
            gauge = None if gauge_kpa is None else gauge_kpa[:, columns]
            fresh = self._of(self._new.part(late), hours, flow_m3h[:, columns], gauge)
            old = result[:, columns]
            result[:, columns] = np.where(hours[:, None] >= self._hour[late], fresh, old)
        return result

    def _of(
        self,
        traits: Traits,
        hours: NDArray[np.int64],
        flow_m3h: NDArray[np.float64],
        gauge_kpa: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        expansion = volume_of_base(self._seed, traits, hours, gauge_kpa)
        share = curve(traits, hours, flow_m3h * expansion)
        return np.asarray(np.where(traits.corrector, 1.0, expansion) * share, dtype=np.float64)


def volume_of_base(
    seed: int, traits: Traits, hours: NDArray[np.int64], gauge_kpa: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return how large a base m3 is in each meter, m3, shape (hours, meters); compensated meters see 20 deg C.

    Without compensation that is 1 % for each 2.8 K.
    """
    gauge = traits.gauge_kpa if gauge_kpa is None else np.maximum(gauge_kpa, 0.0)
    absolute = conditions.air_pressure_kpa(seed, hours)[:, None] + gauge
    warmth = np.where(traits.compensated, 1.0, conditions.gas_k(seed, traits, hours) / BASE_K)
    return np.asarray(BASE_KPA / absolute * warmth, dtype=np.float64)


def steady_gain(traits: Traits, hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what each meter counts for what passes at a third of its largest flow, shape (hours, meters)."""
    gain = traits.gain + traits.drift_per_year * _age_years(traits, hours)
    return np.asarray(1.0 + np.clip(gain, -traits.limit, traits.limit), dtype=np.float64)


def curve(traits: Traits, hours: NDArray[np.int64], volume_m3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of what passes that is counted, for the volumes of hours at the meter's own conditions."""
    wear = 1.0 + traits.wear_per_year * _age_years(traits, hours)
    flow = np.where(volume_m3 > _PILOT * traits.burner_m3h, np.maximum(volume_m3, traits.burner_m3h), volume_m3)
    line = steady_gain(traits, hours) + traits.tilt * (1.5 * np.minimum(flow / traits.max_flow_m3h, 1.5) - 0.5)
    lost = np.minimum(1.0, traits.slip_m3h * wear / np.maximum(flow, 1e-12))
    runs = flow > traits.start_flow_m3h * wear
    return np.asarray(np.where(runs, line * (1.0 - lost), 0.0), dtype=np.float64)


def _age_years(traits: Traits, hours: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(
        np.clip((hours[:, None] / 24.0 - traits.installed_day) / _DAYS_A_YEAR, 0.0, 40.0), dtype=np.float64
    )


def over_range(traits: Traits, volume_m3: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say in which hours more passed than the meter may measure (flag 32), for volumes at its own conditions."""
    return np.asarray(volume_m3 > traits.max_flow_m3h, dtype=np.bool_)


def factor(
    seed: int, customers: Customers, hours: NDArray[np.int64], flow_m3h: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return `MeterErrors.factor` of customers whose meters nobody exchanges."""
    return MeterErrors(seed, meter_traits(seed, customers)).factor(hours, flow_m3h)
