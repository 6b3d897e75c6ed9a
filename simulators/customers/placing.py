"""Who lives where: which kind of customer each place of a ground plan has."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from simulators import noise
from simulators.customers.kinds import BUSINESSES, HOMES, Kind, Mix, classes
from simulators.customers.people import Floats
from simulators.ground import Ground, regulator_index

LOW_PRESSURE_KPA = 10.0
"""set pressures below this are low pressure"""

STREAM = 200
"""first of the streams of random numbers; each draw has its own"""


class Draw:
    """Random columns by stream; every call of a stream gives the same."""

    def __init__(self, seed: int, key: NDArray[np.int64]) -> None:
        self.seed, self.key = seed, key

    def uniform(self, stream: int) -> Floats:
        """Return numbers in (0, 1)."""
        return noise.uniform(self.seed, STREAM + stream, self.key)

    def normal(self, stream: int) -> Floats:
        """Return standard normal numbers."""
        return noise.normal(self.seed, STREAM + stream, self.key)


def zones_of(ground: Ground) -> NDArray[np.intp]:
    """Return each place's position among the regulator zones; a place may hang on a zone below one."""
    index = regulator_index(ground)
    lost = next((place.zone for place in ground.places if place.zone not in index), None)
    if lost is not None:
        raise ValueError(f"a meter hangs on {lost}, which no regulator feeds")
    return np.array([index[place.zone] for place in ground.places], dtype=np.intp)


def low_pressure(ground: Ground) -> NDArray[np.bool_]:
    """Say which regulator zones are of low pressure."""
    set_kpa = {site.zone_id: site.set_pressure_gauge_kpa for site in ground.stations if site.kind == "regulator"}
    return np.array([set_kpa.get(zone, 0.0) < LOW_PRESSURE_KPA for zone in ground.regulator_zones], dtype=np.bool_)


def kinds_of(ground: Ground, mix: Mix, zone: NDArray[np.intp], draw: Draw) -> NDArray[np.int8]:
    """Put the businesses next to the regulators, where the main streets are; draw the rest."""
    low = low_pressure(ground)
    bounds = np.cumsum(mix.homes / mix.homes.sum())[:-1]
    kind = np.array(HOMES, dtype=np.int8)[np.searchsorted(bounds, draw.uniform(0), side="right")]
    site = {s.zone_id: (s.x_m, s.y_m) for s in ground.stations if s.kind == "regulator"}
    places = np.array([(place.x_m, place.y_m) for place in ground.places]).reshape(-1, 2)
    order = np.argsort(zone, kind="stable")
    ends = np.searchsorted(zone[order], np.arange(len(ground.regulator_zones) + 1))
    for index, name in enumerate(ground.regulator_zones):
        members = order[ends[index] : ends[index + 1]]
        wanted = _businesses(draw.seed, name, len(members), low=bool(low[index]), mix=mix)
        distance = ((places[members] - np.array(site.get(name, (0.0, 0.0)))) ** 2).sum(axis=1)
        near = members[np.argsort(distance, kind="stable")][: len(wanted)]
        kind[near] = wanted
    _as_planned(kind, ground)
    return kind


def _as_planned(kind: NDArray[np.int8], ground: Ground) -> None:
    """Put the class that the plan gives a place in the place of one that does not fit it."""
    of_class = {c.customer_class: k for k, c in classes().items() if k in BUSINESSES}
    for index, place in enumerate(ground.places):
        if place.customer_class == "residential":
            kind[index] = Kind.COOKING if kind[index] in BUSINESSES else kind[index]
        elif place.customer_class:
            if place.customer_class not in of_class:
                known = ", ".join(("residential", *of_class))
                raise ValueError(f"no class of customers is named {place.customer_class!r}; there are {known}")
            kind[index] = of_class[place.customer_class]


def _businesses(seed: int, zone: str, members: int, *, low: bool, mix: Mix) -> NDArray[np.int8]:
    """Return the kinds of a zone's businesses, the smaller ones first; a quarter of its customers at most."""
    place = zlib.crc32(zone.encode())
    bounds = np.cumsum(mix.weights / mix.weights.sum())[:-1]
    character = int(np.searchsorted(bounds, noise.uniform(seed, STREAM + 90, place)[0], side="right"))
    chance = noise.uniform(seed, STREAM + 91, place, np.arange(len(BUSINESSES)))
    count = np.floor(members * mix.businesses * mix.factors[character] + chance).astype(np.int64)
    count = np.where(mix.businesses > 0.0, count, 0) + mix.count
    if low:
        count[BUSINESSES.index(Kind.CNG)] = 0
    return np.repeat(np.array(BUSINESSES, dtype=np.int8), count)[: members // 4 if low else members]
