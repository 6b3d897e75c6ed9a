"""What unread customers used: a known step shared over its days as peers used gas, or their own level carried on. Pure.

Peers tell the course of the days: which of them were cold, which were days of rest. Sums over a gap are exact; of a
single day it is unknown how far this home went its own way, and that is measured at the peers themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.expectation import MIN_PEERS
from alarms.analysis.gaps import LEVEL_DAYS, Gaps
from gateway.meterdata.series import DAY_US

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

KNOWN_DAYS = 5
"""measured days that make a meter a peer"""
MOST_PEERS = 400
"""so many peers tell a course well enough"""
MOST_APART = 2.0
"""a share by which a customer's day may differ from what is expected of it, at the most"""
SMALL_SHARE = 0.15
"""of the class's mean level: a home that used less, or nothing, may use that much again"""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """How g groups of customers used gas, relative to their mean, from long before the window to its end."""

    group: Ints
    """of each customer, (n,)"""
    bounds: Ints
    """us UTC, (b + 1,)"""
    daily: Floats
    """(b, g)"""
    mean_m3: Floats
    """a customer's mean use a day, (g,)"""
    apart: Floats
    """by how much a customer's day differs from its level times `daily`, as a share, (g,)"""
    ahead: Floats
    """by how much its next weeks differ from its last two, as a share, (g,)"""
    peers: Floats
    """number of customers behind it, (g,)"""

    def of(self, customers: Ints) -> Course:
        """Return the course of the groups of some customers."""
        return replace(self, group=self.group[customers])

    def until(self, at_us: Ints, group: Ints) -> Floats:
        """Return the sum of `daily` from the first boundary up to moments; edge days go on beyond both ends."""
        total = np.concatenate([np.zeros((1, self.daily.shape[1])), np.cumsum(self.daily, axis=0)])
        day = np.clip(np.searchsorted(self.bounds, at_us, side="right") - 1, 0, len(self.daily) - 1)
        inside = (at_us - self.bounds[day]) / (self.bounds[day + 1] - self.bounds[day])
        return np.asarray(total[day, group] + inside * self.daily[day, group])


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """Use of every customer and day, known or not, base m3; shapes (d, n)."""

    use: Floats
    variance: Floats
    """of what differs from customer to customer; of measured use as it was given"""
    known: Flags
    """True where readings tell the volume, of the day or of the gap around it"""
    measured: Flags
    """True where the day itself was read"""
    common: Floats
    """standard deviation that all unread customers of a group share, as a share of `use`"""
    gap_d: Floats
    """days between the readings around a day that was not read itself; 0 where there are none"""


def course_of(use: Floats, bounds: Ints, groups: Sequence[str], past_use: Floats | None, past_bounds: Ints) -> Course:
    """Return how groups used gas. `use` is base m3 of (day, customer), NaN where not measured.

    `past_use` has the same columns, of days before the window (NaN for most). The last group is everyone.
    """
    known = np.isfinite(use)
    days = known.sum(axis=0)
    peer = days >= min(KNOWN_DAYS, len(use))
    level = np.where(peer, np.where(known, use, 0.0).sum(axis=0) / np.maximum(days, 1), np.nan)
    names = np.asarray(groups)
    group, found = _groups(names, peer & (level > 0))
    everyone = found
    past = np.full((0, use.shape[1]), np.nan) if past_use is None else past_use
    daily = np.ones((len(past) + len(use), everyone + 1))
    figures = np.zeros((4, everyone + 1))
    for number in [everyone, *range(everyone)]:
        own = _some(peer & ((group == number) if number < everyone else True))
        shape = _daily(use[:, own], level[own])
        norm = _at_all(known[:, own], shape)
        fitted = np.where(norm > 0, level[own] / np.where(norm > 0, norm, 1.0), level[own])
        both = np.concatenate([past[:, own], use[:, own]])
        course = _daily(both, fitted)
        daily[:, number] = np.where(np.isfinite(course), course, daily[:, everyone])
        expected = fitted * daily[len(past) :, number][:, None]
        figures[:, number] = (
            float(level[own].mean()) if len(own) else 0.0,
            _apart(use[:, own], expected),
            _ahead(use[:, own], daily[len(past) :, number]),
            len(own),
        )
    all_bounds = np.concatenate([past_bounds[:-1], bounds]) if len(past) else bounds
    return Course(group, all_bounds, daily, figures[0], figures[1], figures[2], figures[3])


def _groups(names: NDArray[np.str_], peer: Flags) -> tuple[Ints, int]:
    """Give numbers to classes that have peers enough; the number after the last, returned too, is for all others."""
    large = [name for name in np.unique(names) if int((peer & (names == name)).sum()) >= MIN_PEERS]
    group = np.full(len(names), len(large), dtype=np.int64)
    for number, name in enumerate(large):
        group[names == name] = number
    return group, len(large)


def _some(members: Flags) -> Ints:
    """Return the places of members, of many only `MOST_PEERS` that stand evenly among them."""
    places = np.flatnonzero(members)
    if len(places) <= MOST_PEERS:
        return places
    return places[np.linspace(0, len(places) - 1, MOST_PEERS).astype(np.int64)]


def _daily(use: Floats, level: Floats) -> Floats:
    """Return what peers used on each day relative to their level, absent ones too; NaN where too few are known.

    Large customers count more than small ones, by the root of their level, so that no single one decides.
    """
    some = level > 0
    scale = np.where(some, level, 1.0)
    told = np.isfinite(use) & some[None, :]
    relative = np.where(told, np.minimum(np.nan_to_num(use) / scale, 6.0), 0.0)
    weight = told * np.sqrt(scale)
    enough = told.sum(axis=1) >= MIN_PEERS
    total = weight.sum(axis=1)
    return np.where(enough, (weight * relative).sum(axis=1) / np.maximum(total, 1e-12), np.nan)


def _at_all(known: Flags, shape: Floats) -> Floats:
    """Return each peer's mean shape over the days on which it was read."""
    filled = np.nan_to_num(shape, nan=1.0)[:, None]
    return np.asarray((known * filled).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def _apart(use: Floats, expected: Floats) -> float:
    known = np.isfinite(use)
    off = np.where(known, use - expected, 0.0)
    energy = float(np.where(known, expected**2, 0.0).sum())
    return float(np.clip(np.sqrt((off**2).sum() / energy), 0.15, 1.5)) if energy > 0 else 0.5


def _ahead(use: Floats, daily: Floats) -> float:
    """Return how far peers' last two weeks were from what the two weeks before let expect."""
    if len(use) < 2 * LEVEL_DAYS or not use.shape[1]:
        return 0.7
    before, after = slice(-2 * LEVEL_DAYS, -LEVEL_DAYS), slice(-LEVEL_DAYS, None)
    known = np.isfinite(use)
    told = np.where(known, use, 0.0)
    weight = known * daily[:, None]
    base = weight[before].sum(axis=0)
    rate = told[before].sum(axis=0) / np.maximum(base, 1e-9)
    seen = (known[before].sum(axis=0) >= KNOWN_DAYS) & (known[after].sum(axis=0) >= KNOWN_DAYS) & (base > 0)
    expected = (rate * weight[after].sum(axis=0))[seen]
    off = told[after].sum(axis=0)[seen] - expected
    energy = float((expected**2).sum())
    return float(np.clip(np.sqrt((off**2).sum() / energy), 0.1, 1.5)) if energy > 0 else 0.7


def fill(
    use: Floats, variance: Floats, course: Course, *, register: Floats, factor: Floats, gaps: Gaps | None
) -> Filling:
    """Fill the unread days of customers that were read before. NaN stays where nothing was.

    `use` and `variance` are base m3 (d, n), `register` the registers at the boundaries (d + 1, n) and `factor` what
    makes base m3 of theirs; the columns of `gaps` are those of `use`.
    """
    known = np.isfinite(use)
    few = course.apart[course.group] / np.sqrt(np.maximum(course.peers, 1.0))[course.group]
    result = Filling(use.copy(), variance.copy(), known.copy(), known, np.where(known, 0.0, few), np.zeros(use.shape))
    some = np.flatnonzero(~known.all(axis=0))
    if len(some):
        result.use[:, some], result.variance[:, some], result.known[:, some], result.gap_d[:, some] = _fill(
            use[:, some],
            variance[:, some],
            course.of(some),
            register=register[:, some],
            factor=factor[:, some],
            gaps=None if gaps is None else gaps.of(some),
        )
    return result


def _fill(
    use: Floats, variance: Floats, course: Course, *, register: Floats, factor: Floats, gaps: Gaps | None
) -> tuple[Floats, Floats, Flags, Floats]:
    """Return use, variance, what is known of customers that have unread days, and the length of gaps."""
    known = np.isfinite(use)
    daily = course.daily[-len(use) :][:, course.group]
    apart, ahead = course.apart[course.group], course.ahead[course.group]
    small = SMALL_SHARE * course.mean_m3[course.group] * daily
    level = _own_level(use, daily)
    if gaps is not None:
        mean_factor = factor.mean(axis=0)
        weight = course.until(gaps.last_us, course.group) - course.until(gaps.from_us, course.group)
        told = (gaps.last_us - gaps.from_us >= DAY_US) & (weight > 0)
        level = np.where(told, gaps.recent_m3 * mean_factor / np.where(told, weight, 1.0), level)
    ahead_m3 = level * daily
    apart = np.maximum(apart, _own_apart(use, daily))
    filled = np.where(known, use, ahead_m3)
    spread = np.where(known, variance, (apart**2 + ahead**2) * (ahead_m3**2 + small**2))
    if gaps is None:
        return filled, spread, known, np.zeros(use.shape)
    between = _between(register, course, gaps)
    step = np.diff(between.register, axis=0) * factor
    shared = ~known & np.isfinite(step) & ~between.broken[1:] & (step >= 0)
    filled = np.where(shared, step, filled)
    spread = np.where(shared, apart**2 * (np.nan_to_num(step) ** 2 + (0.1 * small) ** 2), spread)
    return filled, spread, shared | known, np.where(shared, np.maximum(between.gap_d[1:], between.gap_d[:-1]), 0.0)


def _own_apart(use: Floats, daily: Floats) -> Floats:
    """Return how far each customer's days are from its level times its peers' days, a share; 0 where little was read.

    A works that rests on Sundays, or works on them only, is further off than its class.
    """
    known = np.isfinite(use)
    expected = _own_level(use, daily) * daily
    off = np.where(known, np.nan_to_num(use - expected), 0.0)
    energy = np.where(known, np.nan_to_num(expected) ** 2, 0.0).sum(axis=0)
    told = (known.sum(axis=0) >= LEVEL_DAYS) & (energy > 0)
    return np.where(told, np.minimum(np.sqrt((off**2).sum(axis=0) / np.where(told, energy, 1.0)), MOST_APART), 0.0)


def _own_level(use: Floats, daily: Floats) -> Floats:
    known = np.isfinite(use)
    weight = (known * daily).sum(axis=0)
    total = np.where(known, use, 0.0).sum(axis=0)
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class _Between:
    register: Floats
    broken: Flags
    gap_d: Floats
    """days between the readings around a moment, 0 where it is known"""


def _between(register: Floats, course: Course, gaps: Gaps) -> _Between:
    """Return the registers with the moments inside gaps filled in."""
    group = course.group[gaps.column]
    bounds = course.bounds[-len(register) :]
    left, right = (course.until(at, group) for at in (gaps.left_us, gaps.right_us))
    here, whole = course.until(bounds[gaps.row], group) - left, right - left
    by_time = (bounds[gaps.row] - gaps.left_us) / np.maximum(gaps.right_us - gaps.left_us, 1)
    share = np.where(whole > 0, here / np.where(whole > 0, whole, 1.0), by_time)
    filled = register.copy()
    filled[gaps.row, gaps.column] = gaps.left_m3 + np.clip(share, 0.0, 1.0) * (gaps.right_m3 - gaps.left_m3)
    broken = np.zeros(register.shape, dtype=np.bool_)
    broken[gaps.row, gaps.column] = gaps.broken
    gap_d = np.zeros(register.shape)
    gap_d[gaps.row, gaps.column] = (gaps.right_us - gaps.left_us) / DAY_US
    return _Between(filled, broken, gap_d)
