"""Give every place of a ground plan a customer: whom, with which habits, behind which meter.

All is drawn by the number of the meter and the name of its zone, so a group of zones that is built alone, with the
number of its first meter, has the same customers as within the whole city.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Meter, MeterKind, MeterRole
from simulators.customers.accounts import accounts_at
from simulators.customers.calendar import day_number
from simulators.customers.kinds import BUSINESSES, HOMES, CustomerClass, Kind, Mix, Spread, mix_of, shapes
from simulators.customers.people import WINTER_C, Customers, Floats
from simulators.customers.placing import Draw, kinds_of, low_pressure, zones_of
from simulators.ground import Ground

DEFAULT_MIX = "chinese_city"
NEVER_DAY, ALWAYS_DAY = 1 << 40, -(1 << 40)

_SIZES_M3H = np.array([6.0, 10.0, 16.0, 25.0, 40.0, 65.0, 100.0, 160.0, 250.0, 400.0, 650.0, 1000.0, 1600.0, 2500.0])
_BURNERS = 0.8
"""what a customer's burners take, against the largest flow of its meter"""
_PEAK = 5.0
"""largest hour of a business against the mean hour of a winter day"""


class Season(IntEnum):
    """When a customer's heating may run."""

    NONE = 0
    """whenever it is cold"""
    PERSONAL = 1
    """the official season, for each customer some days more or fewer at both ends"""
    OFFICIAL = 2


def build_customers(seed: int, ground: Ground, start: date, mix: str = DEFAULT_MIX) -> Customers:
    """Give every place of the plan a customer and a meter; `start` is the first day of the history.

    Where the plan names a place's meter or class, the customer has them. Raises ValueError for an unknown mix or class,
    and for a place that no regulator feeds.
    """
    chosen = mix_of(mix)
    zone = zones_of(ground)
    first = ground.first_place + 1
    draw = Draw(seed, np.arange(first, first + len(ground.places), dtype=np.int64))
    kind = kinds_of(ground, chosen, zone, draw)
    columns = _habits(chosen, kind, draw)
    _fit_to_network(columns, chosen, kind, low_pressure(ground)[zone], draw)
    columns |= _accounts(chosen, kind, day_number(start), draw)
    columns |= _meter_columns(columns, chosen, kind, draw)
    max_flow = columns.pop("max_flow_m3h")
    columns["most_m3h"] = _BURNERS * max_flow
    table = _Meters(seed, max_flow, 400 + np.floor(2900.0 * draw.uniform(40)).astype(np.int64))
    start_m3 = _start_registers(columns, table.age_d, day_number(start), draw)
    made = Customers(meters=(), zone=zone, kind=kind, key=draw.key, start_m3=start_m3, **columns)
    return replace(made, meters=_named(made, ground, chosen, start, table))


@dataclass(frozen=True, slots=True, eq=False)
class _Meters:
    """What the company's file says of meters and the columns of customers do not."""

    seed: int
    max_flow_m3h: Floats
    age_d: NDArray[np.int64]


def _spread(of_class: Spread, z: Floats, *, log: bool = True) -> Floats:
    middle, width, low, high = of_class
    drawn = middle * np.exp(width * z) if log else middle + width * z
    return np.asarray(np.clip(drawn, low, high), dtype=np.float64)


def _habits(mix: Mix, kind: NDArray[np.int8], draw: Draw) -> dict[str, Any]:
    """Return the columns that say what a customer uses, and when."""
    z = [draw.normal(stream) for stream in range(1, 10)]
    u = [draw.uniform(stream) for stream in range(10, 24)]
    rows = {name: index for index, name in enumerate(shapes())}

    def habits_of(c: CustomerClass) -> dict[str, Any]:
        part = c.seldom[1] + (c.seldom[2] - c.seldom[1]) * u[13]
        seldom = np.where(u[12] < c.seldom[0], part, 1.0)
        steady_flame = u[2] < c.pilot[0]
        flame = u[2] < c.pilot[0] + c.pilot[1]
        span_d = c.season_shift_d[1] - c.season_shift_d[0] + 1
        away_days = np.where(u[3] < mix.festival[0], 10, np.where(u[3] < sum(mix.festival), 32, 0))
        return {
            "steady_m3_d": _spread(c.steady_m3_d, z[0]),
            "heat_m3_d_k": _spread(c.heat_m3_d_k, z[1]) * seldom,
            "limit_c": _spread(c.limit_c, z[2], log=False),
            "unsure_k": c.unsure_k * np.exp(0.3 * z[7]),
            "mood": _spread(c.mood, z[3]),
            "persistence": np.full(len(kind), c.persistence),
            "active_h": _spread(c.active_h, z[4]),
            "burst": np.full(len(kind), c.burst),
            "idle": np.where(u[0] < c.idle[0], np.minimum(0.97, -c.idle[1] * np.log(u[1])), 0.0),
            "heat_mood": np.full(len(kind), c.heat_mood),
            "burning": np.clip(c.burning[0] + c.burning[1] * z[8], 0.1, 1.0),
            "pilot_m3h": np.where(flame, np.minimum(0.05, c.pilot[2] * np.exp(c.pilot[3] * z[5])), 0.0),
            "pilot_share": np.where(steady_flame, 1.0, np.where(flame, 0.1 + 0.6 * u[11], 0.0)),
            "shape": np.tile([rows[name] for name in c.shapes], (len(kind), 1)),
            "heating_shape": np.full(len(kind), rows[c.heating_shape]),
            "shift_h": np.floor(u[4] * (2 * c.shift_h + 1)).astype(np.int64) - c.shift_h,
            "rest_use": c.rest_use[0] + (c.rest_use[1] - c.rest_use[0]) * u[5],
            "festival_use": c.festival_use[0] + (c.festival_use[1] - c.festival_use[0]) * u[6],
            "term_use": np.where((c.customer_class == "public") & (u[7] < 0.4), 0.25, 1.0),
            "season": np.full(len(kind), Season[c.season.upper()], dtype=np.int8),
            "season_shift_d": c.season_shift_d[0] + np.floor(span_d * np.stack([u[8], u[9]], axis=1)).astype(np.int64),
            "away": np.minimum(60.0, c.away[0] * np.exp(c.away[1] * z[6])),
            "festival_d": np.where(c.away[0] > 0.0, away_days, 0).astype(np.int64),
            "frost": (u[10] < 0.55) & (c.away[0] > 0.0),
        }

    return _by_kind(mix, kind, habits_of)


def _by_kind(mix: Mix, kind: NDArray[np.int8], columns_of: Callable[[CustomerClass], dict[str, Any]]) -> dict[str, Any]:
    """Return columns in which every customer has the row that its own class gives."""
    result: dict[str, Any] = {}
    for number in np.unique(kind) if len(kind) else [Kind.UNUSED]:
        rows = kind == number
        for name, column in columns_of(mix.classes[Kind(int(number))]).items():
            result.setdefault(name, np.zeros_like(column))[rows] = column[rows]
    return result


def _winter(columns: Mapping[str, Any]) -> Floats:
    warmer = np.maximum(0.0, columns["limit_c"] - WINTER_C)
    return np.asarray(columns["steady_m3_d"] + columns["heat_m3_d_k"] * warmer, dtype=np.float64)


def _fit_to_network(
    columns: dict[str, Any], mix: Mix, kind: NDArray[np.int8], low: NDArray[np.bool_], draw: Draw
) -> None:
    """Make customers smaller that a low-pressure network could not feed."""
    winter = _winter(columns)
    large = low & (winter > mix.low_pressure_m3_d) & np.isin(kind, BUSINESSES)
    allowed = mix.low_pressure_m3_d * (0.25 + 0.75 * draw.uniform(30))
    factor = np.where(large, allowed / np.maximum(winter, 1e-9), 1.0)
    columns["steady_m3_d"] = columns["steady_m3_d"] * factor
    columns["heat_m3_d_k"] = columns["heat_m3_d_k"] * factor


def _accounts(mix: Mix, kind: NDArray[np.int8], start_day: int, draw: Draw) -> dict[str, Any]:
    """Return when accounts are opened for the first time, and who may move."""
    home = np.isin(kind, HOMES)
    u, empty = draw.uniform(31), draw.uniform(32)
    years = u / mix.growth if mix.growth > 0.0 else np.full(len(kind), np.inf)
    opened = np.full(len(kind), ALWAYS_DAY)
    grows = years < 1.5
    opened[grows] = start_day + 1 + np.floor(365.0 * years[grows]).astype(np.int64)
    opened[kind == Kind.UNUSED] = ALWAYS_DAY
    opened[(kind == Kind.UNUSED) & (empty < mix.empty[0])] = NEVER_DAY
    return {"opened_day": opened, "moves": np.where(home & (kind != Kind.UNUSED), mix.moves, 0.0)}


def _meter_columns(columns: dict[str, Any], mix: Mix, kind: NDArray[np.int8], draw: Draw) -> dict[str, Any]:
    """Return the columns that say what meter a customer has, and the largest flow of each."""
    card, compensated = draw.uniform(41), draw.uniform(42)
    scale = _winter(columns)

    def meters_of(c: CustomerClass) -> dict[str, Any]:
        middle = max(1e-9, c.steady_m3_d[0] + c.heat_m3_d_k[0] * max(0.0, c.limit_c[0] - WINTER_C))
        steps = np.array(c.lumps_m3, dtype=np.float64)
        wanted = np.median(steps) * scale / middle
        size = _SIZES_M3H[np.minimum(np.searchsorted(_SIZES_M3H, _PEAK * scale / 24.0), len(_SIZES_M3H) - 1)]
        return {
            "ic_card": card < c.ic_card,
            "compensated": (compensated < c.compensated) | c.corrected,
            "corrected": np.full(len(kind), c.corrected),
            "lump_m3": steps[np.abs(np.log(np.maximum(wanted[:, None], 1e-9) / steps)).argmin(axis=1)],
            "capacity_m3": np.full(len(kind), 10.0**c.digits),
            "max_flow_m3h": np.full(len(kind), c.max_flow_m3h) if c.customer_class == "residential" else size,
        }

    return _by_kind(mix, kind, meters_of)


def _start_registers(columns: dict[str, Any], age_d: NDArray[np.int64], start_day: int, draw: Draw) -> Floats:
    yearly = columns["steady_m3_d"] * 365.0 + columns["heat_m3_d_k"] * 1500.0
    used = np.mod(yearly * age_d / 365.0, (0.75 + 0.2 * draw.uniform(44)) * columns["capacity_m3"])
    return np.asarray(np.round(np.where(columns["opened_day"] > start_day, 0.0, used), 3), dtype=np.float64)


def _named(made: Customers, ground: Ground, mix: Mix, start: date, table: _Meters) -> tuple[Meter, ...]:
    """Return the meters as the company's file has them on the first day."""
    seed, first_day = table.seed, day_number(start)
    account = accounts_at(seed, made, first_day, closed_share=mix.empty[1])
    return tuple(
        Meter(
            meter_id=place.meter_id or f"M-{made.key[index]:06d}",
            zone_id=place.zone,
            role=MeterRole.CUSTOMER,
            kind=_meter_kind(made, index),
            customer_class=mix.classes[Kind(int(made.kind[index]))].customer_class,
            digits=mix.classes[Kind(int(made.kind[index]))].digits,
            decimals=3,
            max_flow_m3h=float(table.max_flow_m3h[index]),
            temperature_compensated=bool(made.compensated[index]),
            installed_on=start - timedelta(days=int(table.age_d[index])),
            account=account[index],
            x_m=place.x_m,
            y_m=place.y_m,
        )
        for index, place in enumerate(ground.places)
    )


def _meter_kind(customers: Customers, index: int) -> MeterKind:
    if customers.corrected[index]:
        return MeterKind.CORRECTOR
    return MeterKind.IC_CARD if customers.ic_card[index] else MeterKind.REMOTE
