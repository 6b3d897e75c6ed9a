"""Hourly balances of zones as they were known at a moment: what came, what was taken, what is only expected. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from alarms.analysis.city import CityModel, ZoneTree
from alarms.analysis.hourly_grid import HourGrid
from alarms.analysis.hourly_usual import DAY_H, WEEK_D, Tally, Usual
from alarms.analysis.linepack import gained, measured_in
from gateway.meterdata.series import HOUR_US, Flags, Floats, Ints
from gateway.model.quantity import Quantity
from gateway.model.reading import Window, from_us

WINDOW_H = 28 * 24
"""hours that a judgement looks back"""
APART = 0.3
"""by how much a customer's hour is wrong if only the mean around it is known, as a share"""
GUESS = 0.8
"""by how much a customer's day differs from what its peers did then, as a share"""
GUESS_WANDER = 2.0
"""how many times as much as its days differ from each other a customer's day may be away from what is expected"""
LEAST_COURSE = 0.3
"""share of it that may fall into an hour in which the customer usually uses nothing"""
LEAST_SHARE = 0.35
"""of a zone's use in an hour that readings must tell"""
CHUNK_H, SETTLED_H = 120, 120
"""hours that are kept together, and how long after them what is known of them hardly changes any more"""
LEAST_H = 24
"""known hours, each as much as is used in it, that make a customer's usual use"""


@dataclass(frozen=True, slots=True, eq=False)
class HourlyCity:
    """Grids of a whole history, and how their columns make balances. Made once."""

    city: CityModel
    tree: ZoneTree
    customers: HourGrid
    """columns as `tree.customers`; registers"""
    supplies: HourGrid
    """columns as `tree.supplies`; registers"""
    pressure: HourGrid | None
    """gauge pressure of stations, kPa"""
    group: Ints
    """number of each customer's class, (n,)"""
    register_variance: Floats
    """of one reading of all registers of a zone together, from their resolution, base m3 squared, (z,)"""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some hours of all zones as they were known at one moment, base m3; h hours, z zones, n customers."""

    supply: Floats
    """less what passes on into measured zones below; NaN where unknown, (h, z)"""
    loss: Floats
    """NaN where the supply or too much of the use is unknown, (h, z)"""
    shared_variance: Floats
    """of sharing the means of many hours over them, and of what pipes gained, m3 squared, (h, z)"""
    guess_sigma: Floats
    """standard deviation of what is guessed of customers of whom nothing is known yet, alike all day, m3, (h, z)"""
    flow: Floats
    """gas that came; of zones without own customers what passed through, (h, z)"""
    share: Floats
    """of the expected use that readings tell, (h, z)"""
    use: NDArray[np.float32]
    """of customers, NaN where unknown, the mean of many hours where only that is known, (h, n)"""
    course: Floats
    """what each class used, relative to its mean hour, (h, g)"""
    tally: Tally
    """what of it tells what is usual"""

    def since(self, hour: int) -> Part:
        """Return the hours from one of them on."""
        return Part(
            self.supply[hour:], self.loss[hour:], self.shared_variance[hour:], self.guess_sigma[hour:],
            self.flow[hour:], self.share[hour:], self.use[hour:], self.course[hour:], self.tally,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Hours:
    """The last h hours of all zones, z of them."""

    ends_us: Ints
    """(h,)"""
    parts: tuple[Part, ...]
    """oldest first"""
    group: Ints
    """class of each customer, (n,)"""

    def zones(self, name: str) -> Floats:
        """Return a figure of all zones and hours by the name of its field in `Part`, (h, z)."""
        return np.concatenate([getattr(part, name) for part in self.parts])

    def customers(self, columns: Ints) -> tuple[Floats, Floats]:
        """Return what customers used, NaN where unknown, and what their class did then, (h, m)."""
        use = np.concatenate([part.use[:, columns] for part in self.parts]).astype(np.float64)
        return use, np.concatenate([part.course[:, self.group[columns]] for part in self.parts])


class HourlyHistory:
    """Tells the last weeks' hours as they were known at any moment.

    What was known of some days `SETTLED_H` after their end is kept and serves all later moments; readings that come
    still later change nothing here.
    """

    def __init__(self, known: HourlyCity) -> None:
        """Look at nothing yet."""
        self._known = known
        self._kept: dict[int, Part] = {}

    def at(self, until_us: int) -> Hours | None:
        """Return the balances of the last hours as they were known at a moment; None before there are two days."""
        known = self._known
        last = known.customers.hours_until(until_us)
        first = max(last - WINDOW_H, 0)
        if last - first < 48:
            return None
        settled = max((last - SETTLED_H) // CHUNK_H, 0)
        oldest = first // CHUNK_H
        parts = [self._settled(number) for number in range(oldest, settled)]
        usual = Usual.of([part.tally for part in parts], len(known.group))
        parts.append(_part(known, until_us, slice(max(settled, oldest) * CHUNK_H, last), usual))
        parts[0] = parts[0].since(first - oldest * CHUNK_H)
        for number in [number for number in self._kept if number < oldest]:
            del self._kept[number]
        ends = known.customers.begin_us + HOUR_US * np.arange(first + 1, last + 1, dtype=np.int64)
        return Hours(ends, tuple(parts), known.group)

    def _settled(self, number: int) -> Part:
        if number not in self._kept:
            rows = slice(number * CHUNK_H, (number + 1) * CHUNK_H)
            moment = self._known.customers.begin_us + (rows.stop + SETTLED_H) * HOUR_US
            self._kept[number] = _part(self._known, moment, rows, Usual.of([], len(self._known.group)))
        return self._kept[number]


def _part(known: HourlyCity, until_us: int, rows: slice, usual: Usual) -> Part:
    """Return the balances of some whole days and a bit as they were known at a moment; `usual` is what was before."""
    edges = slice(rows.start, rows.stop + 1)
    zone = ZoneInfo(known.city.gas_day.timezone)
    begins = known.customers.begin_us + HOUR_US * np.arange(rows.start, rows.stop, dtype=np.int64)
    days = [from_us(int(begin)).astimezone(zone).date() for begin in begins]
    registers, wide = known.customers.at(until_us, edges)
    use = _grown(registers) * _factor(known, days)
    mean = wide[1:] | wide[:-1]
    registers, far = known.supplies.at(until_us, edges)
    supplied = np.where(far[1:] | far[:-1], np.nan, _grown(registers))
    supply = _sums(supplied, known.tree.own_supply)
    through = 0.5 * _sums(supplied, abs(known.tree.own_supply))
    filled, course = _filled(use, mean, known.group, usual, rows.start)
    told = np.isfinite(use)
    own = known.tree.own_customers.T
    taken = np.where(told & ~mean, filled, 0.0) @ own
    total = filled @ own
    share = np.where(total > 0, taken / np.where(total > 0, total, 1.0), 1.0)
    packed, packed_variance = _packed(known, until_us, edges)
    loss = supply - total - packed
    loss[share < LEAST_SHARE] = np.nan
    empty = known.tree.own_customers.sum(axis=1) == 0
    flow = np.where(empty[None, :], through, supply)
    shared = (APART * np.where(told & mean, filled, 0.0)) ** 2 @ own + packed_variance
    # a business that sends once a day may have used twice as much today: no leak while that is not known
    when = usual.course[np.arange(len(use)) % DAY_H]
    when = np.maximum(np.where(np.isfinite(when), when, 1.0), LEAST_COURSE)
    guessed = np.where(told, 0.0, np.maximum(GUESS * filled, GUESS_WANDER * usual.wander[None, :] * when)) ** 2 @ own
    small = use.astype(np.float32)
    return Part(
        supply, loss, shared, np.sqrt(guessed), flow, share, small, course, Tally.of(use, mean, rows.start // DAY_H)
    )


def _grown(registers: Floats) -> Floats:
    """Return what registers counted from edge to edge, NaN where it is unknown."""
    step = np.diff(registers, axis=0)
    step[step < 0] = np.nan
    return step


def _factor(known: HourlyCity, days: Sequence[date]) -> Floats:
    """Return what makes base m3 of the registers in each hour, (h, n), by the weather up to the day before.

    A day's weather is known when the day has ended.
    """
    meters = [known.city.network.meters[name] for name in known.tree.customers]
    some = sorted(set(days))
    before = [day - timedelta(days=1) for day in some]
    span = [before[0] + timedelta(days=n) for n in range((before[-1] - before[0]).days + 1)]
    factor = known.city.to_base(meters, span)[[(day - before[0]).days for day in before]]
    row = {day: number for number, day in enumerate(some)}
    return np.asarray(factor[[row[day] for day in days]])


def _filled(use: Floats, mean: Flags, group: Ints, usual: Usual, first_hour: int) -> tuple[Floats, Floats]:
    """Return what each customer used in each hour, (h, n), guessed by what its class did then; and that, (h, g).

    Where only the mean of many hours is known that mean is shared over them; where nothing is, its usual use, of its
    own weekdays where those differ plainly. Either follows the customer's own course over the day, where that is known,
    and that of its class elsewhere: a business that is not read yet works at other hours than its peers.
    """
    told = np.isfinite(use)
    fine = told & ~mean
    some = np.where(told, use, 0.0)
    groups = int(group.max(initial=0)) + 1
    member = sparse.csr_array((np.ones(len(group)), (np.arange(len(group)), group)), shape=(len(group), groups))
    week = usual.week[(first_hour + np.arange(len(use))) // DAY_H % WEEK_D]
    count = (week * told).sum(axis=0)
    read = count >= LEAST_H
    total, number = (some.sum(axis=0) * read) @ member, (count * read) @ member
    everyone = total.sum() / max(number.sum(), 1)
    class_mean = np.where(number > 0, total / np.maximum(number, 1), everyone)
    level = np.where(read, some.sum(axis=0) / np.maximum(count, 1), class_mean[group])
    shape = _shape(np.where(fine, use, 0.0), fine * level, member)
    course = _smooth(shape)
    own = usual.course[np.arange(len(use)) % DAY_H]
    own = np.where(np.isfinite(own), own, (shape / np.maximum(course, 1e-3))[:, group])
    by_mean = np.where(told, use, 0.0) * own
    guess = level[None, :] * np.where(usual.weekly, week, course[:, group]) * own
    return np.where(fine, use, np.where(told, by_mean, guess)), shape


def _shape(use: Floats, level: Floats, member: sparse.csr_array) -> Floats:
    """Return what classes used in each hour, relative to their mean hour, (h, g)."""
    taken, usual = use @ member, level @ member
    all_usual = usual.sum(axis=1)
    everyone = np.where(all_usual > 0, taken.sum(axis=1) / np.where(all_usual > 0, all_usual, 1.0), 1.0)
    return np.where(usual > 0, taken / np.where(usual > 0, usual, 1.0), everyone[:, None])


def _smooth(shape: Floats) -> Floats:
    """Return the mean over the day around each hour; near either end, over the whole day that lies there."""
    total = np.concatenate([np.zeros((1, shape.shape[1])), np.cumsum(shape, axis=0)])
    hour = np.arange(len(shape))
    begin = np.clip(hour - 12, 0, max(len(shape) - 24, 0))
    end = np.minimum(begin + 24, len(shape))
    return np.asarray((total[end] - total[begin]) / (end - begin)[:, None])


def _packed(known: HourlyCity, until_us: int, edges: slice) -> tuple[Floats, Floats]:
    """Return what each zone's own pipes gained in each hour, base m3, and its variance, (h, z).

    Where nobody measured the pressure for four weeks both are 0: how far it swings shows in the hours of the loss.
    """
    tree, hours = known.tree, edges.stop - edges.start - 1
    pressure: Window | None = None
    told: frozenset[str] = frozenset()
    if known.pressure is not None:
        first = max(edges.start - WINDOW_H, 0)
        value, _ = known.pressure.at(until_us, slice(first, edges.stop))
        stands = measured_in(known.city.network, known.pressure.assets)
        told = frozenset(stands[column] for column in np.flatnonzero(np.isfinite(value).any(axis=0)))
        value = value[edges.start - first :]
        times = known.pressure.begin_us + HOUR_US * np.arange(edges.start, edges.stop, dtype=np.int64)
        quantity = Quantity.PRESSURE_GAUGE_KPA
        pressure = Window(quantity, times, known.pressure.assets, value, np.zeros(value.shape))
    pipes = {zone: tuple(name for name in names if name in told) for zone, names in _own_pipes(tree).items()}
    return gained(known.city.network, known.city.figures, pressure, pipes, hours)


def _own_pipes(tree: ZoneTree) -> dict[str, tuple[str, ...]]:
    """Return the zones whose pipes belong to each zone and to no measured zone below it."""
    measured = {zone for zone, known in zip(tree.zones, tree.measured, strict=True) if known}
    result: dict[str, tuple[str, ...]] = {}
    for zone, members in tree.pipes.items():
        below = {name for other in members if other != zone and other in measured for name in tree.pipes[other]}
        result[zone] = tuple(name for name in members if name not in below)
    return result


def _sums(values: Floats, matrix: sparse.csr_array) -> Floats:
    """Sum the columns that belong to each zone; NaN where one of them is unknown or there is none."""
    unknown = np.isnan(values).astype(np.float64) @ abs(matrix).T
    unknown += abs(matrix).sum(axis=1)[None, :] == 0
    return np.where(unknown > 0, np.nan, np.nan_to_num(values) @ matrix.T)
