"""Where in a zone a leak is: pipes with their probabilities, from how long they are and what pressures say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alarms.analysis.pipes import EXPONENT, Graph, Pipe
from gateway.meterdata.series import Flags, Floats, Ints

AGEING_A_YEAR = 0.05
"""failures of a pipe grow by this share each year (Shamir and Howard 1979: 5 to 10 %)"""
MODEL_SHARE = 0.4
"""by how much the falls of pressure that pipes' files lead to expect are wrong, as a share"""
SIZE_SHARE = 0.3
LEAST_KPA = 1e-3
BEFORE_H, AFTER_H = 72, 6
"""hours needed before and since a leak began"""


@dataclass(frozen=True, slots=True, eq=False)
class Sagging:
    """By how much the pressure at s sensors fell more since a leak began than the zone's flow explains, kPa."""

    fall: Floats
    sigma: Floats


def prior(pipes: Sequence[Pipe], year: int) -> Floats:
    """Return the share of a zone's leaks that each pipe has: by its length, and its age where it is known, (p,)."""
    length = np.array([pipe.length_m for pipe in pipes])
    age = np.array([np.nan if pipe.year is None else max(year - pipe.year, 0) for pipe in pipes])
    usual = float(np.nanmean(age)) if np.isfinite(age).any() else 0.0
    weight = length * np.exp(AGEING_A_YEAR * (np.nan_to_num(age, nan=usual) - usual))
    return np.asarray(weight / weight.sum())


def sagging(drop_kpa: Floats, flow_m3h: Floats, since: Flags) -> Sagging | None:
    """Return what the leak took from the pressure at sensors; None if too little is known.

    `drop_kpa` is the source's pressure less the sensors', (h, s), `flow_m3h` what customers drew in each hour, (h,),
    and `since` marks the hours since the leak began. Without it the drop goes with the flow to the power 1.82. Its
    noise is taken from the means of whole days.
    """
    load = np.maximum(flow_m3h, 0.0) ** EXPONENT
    fall, sigma = np.zeros(drop_kpa.shape[1]), np.full(drop_kpa.shape[1], np.inf)
    for column, drop in enumerate(drop_kpa.T):
        known = np.isfinite(drop) & np.isfinite(load)
        before, after = known & ~since, known & since
        if before.sum() < BEFORE_H or after.sum() < AFTER_H:
            continue
        shape = np.stack([load, np.ones(len(load))], axis=1)
        fit, *_ = np.linalg.lstsq(shape[before], drop[before], rcond=None)
        off = drop - shape @ fit
        days = [part for part in np.array_split(off[before], max(before.sum() // 24, 2)) if len(part)]
        daily = float(np.std([part.mean() for part in days], ddof=1))
        fall[column] = float(off[after].mean())
        sigma[column] = np.hypot(daily / np.sqrt(max(after.sum() / 24.0, 0.25)), LEAST_KPA)
    return Sagging(fall, sigma) if np.isfinite(sigma).any() else None


def by_pressure(graph: Graph, falls: Floats, seen: Sagging, size_m3h: float, before: Floats) -> Floats:
    """Return the probability of each pipe, (p,), given `before`, what it was without any pressure.

    `falls` is what each m3/h drawn at a node takes from the pressure at each sensor, (s, k). A hole is taken to be in
    the middle of a pipe.
    """
    middle = 0.5 * (falls[:, graph.begin] + falls[:, graph.end])
    expected = size_m3h * middle
    told = np.isfinite(seen.sigma)
    variance = seen.sigma[told, None] ** 2 + ((MODEL_SHARE**2 + SIZE_SHARE**2) * expected[told] ** 2)
    off = seen.fall[told, None] - expected[told]
    weight = np.log(np.maximum(before, 1e-300)) - 0.5 * (off**2 / variance + np.log(variance)).sum(axis=0)
    chance = np.exp(weight - weight.max())
    return np.asarray(chance / chance.sum())


def drawn_at(graph: Graph, places: Sequence[tuple[float, float] | None], use_m3h: Floats) -> Floats:
    """Return what customers draw at each node; those without a place are spread evenly, (k,)."""
    drawn = np.zeros(len(graph.nodes))
    lost = 0.0
    for place, use in zip(places, use_m3h.tolist(), strict=True):
        if place is None:
            lost += use
        else:
            drawn[graph.nearest(place)[0]] += use
    return np.asarray(drawn + lost / len(drawn))


def best_first(pipes: Sequence[Pipe], chance: Floats, most: int) -> list[tuple[str, float]]:
    """Return the likeliest pipes; parts of one pipe count together."""
    total: dict[str, float] = {}
    for pipe, one in zip(pipes, chance.tolist(), strict=True):
        total[pipe.pipe_id] = total.get(pipe.pipe_id, 0.0) + one
    order: Ints = np.argsort([-one for one in total.values()], kind="stable")
    names = list(total)
    return [(names[at], total[names[at]]) for at in order[:most].tolist()]
