"""Gas used where none may be used: on an account that is closed or was never opened, and through a closed valve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import CityModel
from alarms.analysis.study import plain, trim
from alarms.detectors.answer import Hit, answer, unknown_unless
from gateway.model.finding import Detection
from gateway.model.gasday import GasDay
from gateway.model.network import MeterRole
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window, from_us

RECENT_D = 14
REGISTERS = (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3)


@dataclass(frozen=True, slots=True)
class UseConfig:
    """How much counted gas is use, and not the register's last digit."""

    least_m3: float = 0.1
    """within the days looked at"""
    least_steps: float = 10.0
    """in steps of the register"""
    sure_m3: float = 0.05
    """scale of the score: this much says little, ten times as much says all"""


@dataclass(frozen=True, slots=True)
class UnauthorisedDetector:
    """Judges customers whose account is closed, or was never opened, on the whole of a gas day."""

    city: CityModel
    config: UseConfig = UseConfig()
    condition: ClassVar[str] = "unauthorised"

    @property
    def needs(self) -> Sequence[Need]:
        """Registers at gas-day boundaries."""
        return tuple(Need(quantity, timedelta(days=RECENT_D), timedelta(days=1)) for quantity in REGISTERS)

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge every customer meter of the windows."""
        use, assets, bounds = _recent_use(self.city, trim(windows, now))
        shut = self.city.shut_days(assets, bounds)
        return _judge(self.condition, self.city, self.config, use=use, shut=shut, assets=assets, bounds=bounds)


@dataclass(frozen=True, slots=True)
class ClosedValveDetector:
    """Judges customers whose valve was reported closed at both ends of a gas day."""

    city: CityModel
    config: UseConfig = UseConfig()
    condition: ClassVar[str] = "flow_when_closed"

    @property
    def needs(self) -> Sequence[Need]:
        """Registers and valve at gas-day boundaries."""
        quantities = (*REGISTERS, Quantity.VALVE)
        return tuple(Need(quantity, timedelta(days=RECENT_D), timedelta(days=1)) for quantity in quantities)

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge every customer meter of the windows."""
        known = trim(windows, now)
        use, assets, bounds = _recent_use(self.city, known)
        shut = np.zeros(use.shape, dtype=np.bool_)
        valve = known.get(Quantity.VALVE)
        if valve is not None and len(bounds):
            row = {name: column for column, name in enumerate(valve.assets)}
            rows = np.isin(valve.times, bounds)
            closed = valve.value[rows] == 0
            for column, name in enumerate(assets):
                if name in row:
                    shut[:, column] = closed[1:, row[name]] & closed[:-1, row[name]]
        # the first closed day may hold the gas of the hours before the valve closed, or before this was reported
        shut[1:] &= shut[:-1]
        shut[:1] = False
        return _judge(self.condition, self.city, self.config, use=use, shut=shut, assets=assets, bounds=bounds)


def _recent_use(
    city: CityModel, windows: Mapping[Quantity, Window]
) -> tuple[NDArray[np.float64], tuple[str, ...], NDArray[np.int64]]:
    """Return what customers' registers counted on each of the last days, the customers, and the days' boundaries."""
    parts = [windows[quantity] for quantity in REGISTERS if quantity in windows]
    assets, values = [], []
    for part in parts:
        mine = [city.network.meters[name].role is MeterRole.CUSTOMER for name in part.assets]
        assets += [name for name, customer in zip(part.assets, mine, strict=True) if customer]
        values.append(part.value[-RECENT_D - 1 :, np.array(mine, dtype=np.bool_)])
    bounds = parts[0].times[-RECENT_D - 1 :] if parts else np.empty(0, dtype=np.int64)
    use = np.diff(np.concatenate(values, axis=1), axis=0) if values else np.empty((0, 0))
    return np.where(use < 0, np.nan, use), tuple(assets), bounds


def _judge(
    condition: str,
    city: CityModel,
    config: UseConfig,
    *,
    use: NDArray[np.float64],
    shut: NDArray[np.bool_],
    assets: tuple[str, ...],
    bounds: NDArray[np.int64],
) -> Detection:
    taken = np.where(shut & np.isfinite(use), use, 0.0)
    total = taken.sum(axis=0)
    least = np.maximum(
        config.least_m3, config.least_steps * np.array([10.0 ** -city.network.meters[name].decimals for name in assets])
    )
    hits = [
        _hit(city.gas_day, config, assets[column], bounds, taken=taken[:, column], use=use[:, column])
        for column in np.flatnonzero(total >= least)
    ]
    seen = np.asarray(np.isfinite(use[-1:]).any(axis=0), dtype=np.bool_)
    return answer(condition, assets, unknown_unless(seen), int(bounds[-1]) if len(bounds) else 0, hits)


def _hit(
    gas_day: GasDay,
    config: UseConfig,
    asset: str,
    bounds: NDArray[np.int64],
    *,
    taken: NDArray[np.float64],
    use: NDArray[np.float64],
) -> Hit:
    days = np.flatnonzero(taken > 0)
    size = float(taken.sum() / len(days))
    return Hit(
        asset=asset,
        score=float(1.0 - np.exp(-taken.sum() / config.sure_m3)),
        onset_us=int(bounds[days[0]]),
        value=float(taken.sum()),
        estimate_m3_per_day=size,
        evidence={
            "days": [gas_day.of(from_us(int(at))).isoformat() for at in bounds[:-1]],
            "meter_m3": plain(use),
            "forbidden_m3": plain(taken),
        },
    )
