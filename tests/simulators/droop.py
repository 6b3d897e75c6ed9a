"""Pressures without a model of pipes, for tests of much else: regulators droop with the flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simulators import noise, weather
from simulators.customers import BASE_K, BASE_KPA
from simulators.engine.plan import Plan
from simulators.physics.zones import Hole, ZoneStates

Floats = NDArray[np.float64]
_STREAM_PRESSURE = 41


class Droop:
    """Pressures that fall a little with the flow."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        volume = {zone.zone_id: zone.pipe_volume_m3 or 0.0 for zone in plan.ground.zones}
        self._pipe_m3 = np.array([volume[name] for name in plan.ground.regulator_zones])

    def states(
        self, hours: NDArray[np.int64], use_m3h: Floats, leaks: Sequence[Hole], offset_kpa: Floats
    ) -> ZoneStates:
        """Return the state that belongs to each hour's use; no hour knows of another."""
        plan = self._plan
        leak = np.zeros_like(use_m3h)
        for one in leaks:
            leak[:, one.zone] += one.nominal_m3h
        load = (use_m3h + leak) / plan.nominal_m3h
        wobble = noise.normal(plan.seed, _STREAM_PRESSURE, plan.zone_numbers[None, :], hours[:, None] + 1)
        droop = 1.015 - 0.03 * load + 0.002 * np.clip(wobble, -3.0, 3.0)
        gauge = np.maximum(plan.assets.set_kpa * np.maximum(droop, 0.85) + offset_kpa, 0.0)
        gas_k = weather.ground_c((hours + 1).astype(np.float64))[:, None] + 273.15
        packed = self._pipe_m3 * (gauge + BASE_KPA) / BASE_KPA * BASE_K / gas_k
        return ZoneStates(gauge, gauge, gauge, leak, packed, np.ones(gauge.shape), np.zeros(gauge.shape, np.bool_))
