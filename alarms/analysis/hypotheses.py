"""What the bank of hypotheses is told of a zone, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.past import Past

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Form = Literal["leak", "rest", "share", "less", "off"]


@dataclass(frozen=True, slots=True, eq=False)
class ZoneDays:
    """What is known of one zone: d days, m meters; base m3, NaN where unknown."""

    loss: Floats
    """(d,); NaN on days that cannot be assessed"""
    supply: Floats
    noise_variance: Floats
    """of the loss, m3 squared, as far as it is known from how it was made, (d,)"""
    unread_variance: Floats
    """of it what customers make whose use is only expected, (d,)"""
    guess: Floats
    """standard deviation of what customers may use more who are not read, alike from any day on, (d,); 0 where all are
    read. Where it is not, a leak alone is weighed, and no meter"""
    steady: Floats
    """standard deviation of what is alike every day, (d,)"""
    warmth: Floats
    """what metered volume would change by if gas in meters followed the air wholly, (d,)"""
    past: Past
    use: Floats
    shape: Floats
    """what peers did, relative to their own level, (d, m)"""
    rests: NDArray[np.int64]
    """length of the run of days without use that ends on each day, (d, m)"""
    away: Flags
    """days of rests that are longer than a few days, (d, m)"""
    unsure_d: NDArray[np.int64]
    """by so many days each meter's last rest may have begun before it shows, (m,)"""
    absent: Floats
    """log rate at which an honest rest began when each meter's last one did, and lasted until now, (m,)"""
    usual_less: Floats
    """share of a meter's class whose use fell as much as its own from each day until now, (d, m)"""
    business: Flags
    """(m,)"""
    tampered: Floats
    """log factor by which a theft is likelier to have begun on each day, (d, m)"""

    def until(self, days: int) -> ZoneDays:
        """Return what is known of the first so many days."""
        of_each_meter = {"unsure_d", "absent", "business"}
        rows = {
            one.name: getattr(self, one.name)[:days] for one in fields(self) if one.name not in {"past", *of_each_meter}
        }
        return replace(self, **rows, past=self.past.until(days))

    def of_meters(self, chosen: NDArray[np.int64]) -> ZoneDays:
        """Return the zone with some of its meters only; its loss stays."""
        columns = {
            name: getattr(self, name)[:, chosen] for name in ("use", "shape", "rests", "away", "usual_less", "tampered")
        }
        past = self.past.of_meters(chosen)
        each = {name: getattr(self, name)[chosen] for name in ("unsure_d", "absent", "business")}
        return replace(self, **columns, **each, past=past)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A hypothesis that is accepted or at least to be named. `meter` is -1 for a leak."""

    meter: int
    first_day: int
    probability: float
    expected: Floats
    """of the meter, (d,); empty for a leak"""
    missing: Floats
    """what the hypothesis takes from the zone's loss, (d,); NaN, as `expected`, on last days of which too little is
    known"""
    form: Form
    leak: float
    """probability of a leak instead"""
    nothing: float
    """probability that nothing is wrong"""
    others: float
    """probability that another meter is the cause"""
    tampered: float = 0.0
    """log factor by which a theft is likelier to have begun on that day than on others"""
    lasts: bool = True
    """False for a leak or a rest that is over, and for a leak that is as old as the readings: it only explains"""

    @property
    def at_rest(self) -> bool:
        """Whether the register does not move at all."""
        return self.form == "rest"

    @property
    def late(self) -> bool:
        """Whether too little is known of the last days."""
        return bool(np.isnan(self.missing[-1:]).any())

    @property
    def missing_share(self) -> float:
        """What is missing since the first day, as a share of what was expected."""
        expected = float(np.nansum(self.expected[self.first_day :]))
        return float(np.nansum(self.missing[self.first_day :])) / expected if expected > 0 else 0.0

    @property
    def size_m3_per_day(self) -> float:
        """Mean of what is missing since the first day."""
        return float(np.nanmean(self.missing[self.first_day :]))
