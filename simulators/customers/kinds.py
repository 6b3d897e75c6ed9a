"""Classes of customers and mixes of them, read from the data files beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Kind(IntEnum):
    """Kinds of customers."""

    HEATED = 0
    """home with a gas boiler for heating and hot water"""
    COOKING = 1
    """home that cooks, and warms water, with gas"""
    COMMERCIAL = 2
    """restaurant, hotel, shop"""
    UNUSED = 3
    """account without any use"""
    INDUSTRIAL = 4
    PUBLIC = 5
    """school, hospital, office"""
    BOILER = 6
    """district heating plant"""
    CNG = 7
    """station that fills vehicles"""


HOMES = (Kind.HEATED, Kind.COOKING, Kind.UNUSED)
BUSINESSES = (Kind.COMMERCIAL, Kind.PUBLIC, Kind.INDUSTRIAL, Kind.BOILER, Kind.CNG)

Spread = tuple[float, float, float, float]
"""middle, spread, lowest, highest"""


@dataclass(frozen=True, slots=True)
class CustomerClass:
    """What the customers of a kind are like; the units and meanings stand in `classes.toml`."""

    customer_class: str
    """as in meters.csv"""
    steady_m3_d: Spread
    """use that does not depend on the weather"""
    heat_m3_d_k: Spread
    """use for each kelvin below the heating limit"""
    seldom: tuple[float, float, float]
    """share of the customers that heat most rooms with something else, lowest and highest factor on their heating"""
    limit_c: Spread
    unsure_k: float
    """how far a day's heating strays as if the air were warmer or colder, K"""
    mood: Spread
    """day-to-day variation: standard deviation of the logarithm"""
    heat_mood: float
    """share of that variation that the heating follows"""
    persistence: float
    """share of the variation that lasts for days"""
    active_h: Spread
    """hours with use on a day without heating"""
    burst: float
    """0: every hour with use is as its shape says; 1: exponentially distributed"""
    burning: tuple[float, float]
    """mean and standard deviation of the share of a day's hours in which the heating burns, at half load"""
    idle: tuple[float, float]
    """share of the customers that have idle days, and the mean share of their days that are idle"""
    pilot: tuple[float, float, float, float]
    """share of the customers with a small flame that always burns, share with one that burns in some hours (a heater
    that keeps its water warm), the median m3/h, its spread"""
    shapes: tuple[str, str, str]
    """of a working day, a day of rest, the festival"""
    rest_use: tuple[float, float]
    """lowest and highest factor on days of rest"""
    festival_use: tuple[float, float]
    shift_h: int
    """the shapes of customers are shifted up to so many hours to either side"""
    heating_shape: str
    away: tuple[float, float]
    """median and spread of the inclination to be away; 1 is a home that is away some 15 days a year"""
    season: str
    """none, personal or official: when the heating may run"""
    season_shift_d: tuple[int, int]
    """fewest and most days by which it begins before and ends after the official season"""
    digits: int
    max_flow_m3h: float
    compensated: float
    """share of meters with temperature compensation"""
    corrected: bool
    """the register is at base conditions"""
    ic_card: float
    """share of IC-card meters"""
    lumps_m3: tuple[float, ...]
    """what a customer buys at a time, for the middle of the class"""


@dataclass(frozen=True, slots=True)
class Mix:
    """Which customers a zone has; the meaning of the figures stands in `mixes.toml`."""

    name: str
    homes: NDArray[np.float64]
    """shares of HOMES"""
    businesses: NDArray[np.float64]
    """of BUSINESSES for each customer"""
    count: NDArray[np.int64]
    """of BUSINESSES in each zone"""
    weights: NDArray[np.float64]
    """of the characters"""
    factors: NDArray[np.float64]
    """on `businesses`, one row a character"""
    low_pressure_m3_d: float
    growth: float
    moves: float
    empty: tuple[float, float]
    festival: tuple[float, float]
    classes: Mapping[Kind, CustomerClass]


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _values(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


@cache
def classes() -> Mapping[Kind, CustomerClass]:
    """Return the classes as their file has them."""
    data = _data("classes.toml")
    return MappingProxyType({kind: CustomerClass(**_values(data[kind.name.lower()])) for kind in Kind})


@cache
def shapes() -> Mapping[str, NDArray[np.float64]]:
    """Return the weights of the 24 local hours by name, mean 1."""
    tables = {name: np.array(row, dtype=np.float64) for name, row in _data("classes.toml")["shapes"].items()}
    return MappingProxyType({name: table / table.mean() for name, table in tables.items()})


def mix_names() -> tuple[str, ...]:
    """Return the names that `mix_of` knows."""
    return tuple(_data("mixes.toml"))


@cache
def mix_of(name: str) -> Mix:
    """Return a mix. Raises ValueError for an unknown name."""
    data = _data("mixes.toml")
    if name not in data:
        raise ValueError(f"no mix of customers is named {name!r}; there are {', '.join(data)}")
    table = data[name]
    characters = table["characters"] or [{"weight": 1.0}]
    changes = table.get("classes", {})
    return Mix(
        name=name,
        homes=_row(table["homes"], HOMES, 0.0),
        businesses=_row(table.get("businesses", {}), BUSINESSES, 0.0),
        count=_row(table.get("count", {}), BUSINESSES, 0).astype(np.int64),
        weights=np.array([c["weight"] for c in characters], dtype=np.float64),
        factors=np.stack([_row(c, BUSINESSES, 1.0) for c in characters]),
        low_pressure_m3_d=table["low_pressure_m3_d"],
        growth=table["growth"],
        moves=table["moves"],
        empty=tuple(table["empty"]),
        festival=tuple(table["festival"]),
        classes=MappingProxyType(
            {
                kind: replace(of_kind, **_values(changes.get(kind.name.lower(), {})))
                for kind, of_kind in classes().items()
            }
        ),
    )


def _row(table: Mapping[str, float], kinds: tuple[Kind, ...], otherwise: float) -> NDArray[np.float64]:
    return np.array([table.get(kind.name.lower(), otherwise) for kind in kinds], dtype=np.float64)
