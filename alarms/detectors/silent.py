"""Silent meter: nothing was heard for days of a meter that sends by itself, while its neighbours are heard.

Four things end readings: a meter that is broken, uploads that fail by chance, a concentrator that is out of order, and
people who did not come. A meter's own rhythm tells how likely the second is, its neighbours tell of the third, and
meters that people read have no rhythm to break. How long a meter of this city falls silent alone and is heard again is
counted in the city itself: where no such gap lasts two days, two days are much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from alarms.analysis.city import CityModel
from alarms.detectors.answer import Hit, answer
from alarms.detectors.meter_rows import LONG_AGO_US, REGISTERS, MeterRows, rows_of_windows
from gateway.meterdata.series import DAY_US, Columns, Flags, Floats, Ints
from gateway.model.finding import Detection, Verdict
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window, to_us

LOOKBACK_D = 64
YEAR_D = 365.25
_RATE = np.array([0.002, 0.01, 0.03, 0.08, 0.2, 0.4, 0.6])
_WEIGHT = np.array([0.3, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02])
"""how often meters miss a day, and which share of the meters is believed to do so before any was looked at"""
_BELIEVED = 5.0
"""so many meters that belief weighs"""
_LATE_D = 0.1
"""by so much readings that come several times a day may be late"""
_GAPS_D = np.array([3.0, 5.0, 9.0, 13.0, 17.0, 21.0, 25.0, 37.0, 49.0, 73.0, 97.0]) / 24.0
"""upper ends of the gaps that are told apart as usual"""


@dataclass(frozen=True, slots=True)
class SilenceConfig:
    """How often readings end for which reason."""

    raised_from: float = 0.75
    """probability"""
    least_days: int = 2
    breaks_a_year: float = 0.02
    """of a meter that sends by itself"""
    outages_a_year: float = 2.0
    """of a concentrator"""
    outage_days: float = 0.5
    outage_spread: float = 1.1
    """median and logarithmic spread of an outage's length"""
    alone: float = 0.02
    """chance that a meter in a zone of many is the only one behind its concentrator"""
    believed_years: float = 10.0
    """of meters: so much weighs what is believed of gaps of single meters against those counted in the city"""
    believed_gaps: float = 1.0
    """of single meters: so much weighs what is believed of how long they last"""
    heals_d: float = 7.0
    """a meter that was silent for longer than this and is heard again was broken"""
    together_d: float = 1.25
    """meters that were last heard within this time of each other may have fallen silent together"""
    chatty: float = 4.0
    """readings on a day on which there are any, from which a meter is known to send by itself"""
    rhythm_days: int = 5
    """days with readings from which the rhythm of others is known"""
    dense: float = 0.5
    """share of days with a reading that makes a rhythm"""


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """What was heard on each of the last days, (days, n), the last 24 hours first, and what follows from it."""

    heard: Flags
    last_us: Ints
    silent: Ints
    """whole days since the last reading"""
    first: Ints
    """number of the day of the first one"""
    ever: Flags
    sends: Flags
    """sends by itself, about daily or more often"""
    often: Flags
    """sends several times a day"""


@dataclass(frozen=True, slots=True)
class SilentDetector:
    """Judges customer meters that send by themselves; one that was never heard is UNKNOWN."""

    city: CityModel
    config: SilenceConfig = SilenceConfig()
    condition: ClassVar[str] = "silent"

    @property
    def needs(self) -> Sequence[Need]:
        """Registers at gas-day boundaries."""
        return tuple(Need(quantity, timedelta(days=LOOKBACK_D), timedelta(days=1)) for quantity in REGISTERS)

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge every customer meter of the windows by the days on which its register is known."""
        return self.judge(rows_of_windows(self.city, windows, now), now)

    def judge(self, rows: MeterRows, now: datetime) -> Detection:
        """Judge every customer meter by when it was heard."""
        now_us, config = to_us(now), self.config
        days = _days(rows, now_us, config)
        verdict = np.where(days.ever & (days.sends | (days.silent == 0)), Verdict.NORMAL, Verdict.UNKNOWN).astype(
            np.int8
        )
        quiet = np.flatnonzero(days.sends & (days.silent >= 1))
        age_d = (now_us - days.last_us[quiet]) / DAY_US
        chance = _chance(days, rows.zone, quiet, age_d)
        others, senders = self._others(days, rows.zone, quiet, chance)
        judged = days.silent[quiet] >= config.least_days
        lone = self._lone_gaps(rows, days, quiet, age_d)
        probability = self._probability(age_d, chance, others, senders, lone)
        verdict[quiet] = np.where(judged, Verdict.UNKNOWN, Verdict.NORMAL)
        hits = [
            Hit(
                asset=rows.assets[column],
                score=float(min(probability[at], 0.999)),
                onset_us=int(days.last_us[column]),
                value=float(days.silent[column]),
                estimate_m3_per_day=np.nan,
                evidence={
                    "silent_days": int(days.silent[column]),
                    "chance_of_such_a_gap": float(f"{chance[at]:.2g}"),
                    "neighbours_heard": int(senders[at] - others[at]),
                    "neighbours_silent_alike": int(others[at]),
                },
            )
            for at, column in enumerate(quiet)
            if judged[at] and probability[at] >= config.raised_from
        ]
        return answer(self.condition, rows.assets, verdict, now_us if days.ever.any() else 0, hits)

    def _others(self, days: _Days, zone: NDArray[np.int64], quiet: Ints, chance: Floats) -> tuple[Ints, Ints]:
        """Return for each quiet meter how many of its zone fell silent with it, not by chance, and how many send."""
        senders = np.bincount(zone[days.sends], minlength=int(zone.max(initial=0)) + 1)
        near = int(self.config.together_d * DAY_US)
        odd = quiet[chance < 0.05]
        # times of one zone lie far from those of another
        key = zone * (8 * LOOKBACK_D * DAY_US) + (days.last_us - days.last_us[quiet].min(initial=2**62))
        sorted_key = np.sort(key[odd])
        count = np.searchsorted(sorted_key, key[quiet] + near, side="right")
        count -= np.searchsorted(sorted_key, key[quiet] - near, side="left")
        return np.maximum(count - (chance < 0.05), 0), np.maximum(senders[zone[quiet]] - 1, 0)

    def _lone_gaps(self, rows: MeterRows, days: _Days, quiet: Ints, age_d: Floats) -> Floats:
        """Return how often a year a meter falls silent alone for at least the present time, and is heard again.

        A gap is counted beyond the usual one of its meter, so that those that send daily and hourly are alike. A city
        has few long ones: how many of the short ones last so long is believed as far as they do not tell it.
        """
        config, heard = self.config, rows.heard
        gap = np.where(heard.before > LONG_AGO_US, heard.received - heard.before, 0) / DAY_US
        usual = _usual(heard.column, gap, len(rows.assets))
        beyond = gap - usual[heard.column]
        ended = np.flatnonzero((beyond >= 0.5 * config.least_days) & (beyond < config.heals_d))
        ended = ended[days.sends[heard.column[ended]]]
        start = heard.before[ended]
        key = rows.zone[heard.column[ended]] * (8 * LOOKBACK_D * DAY_US) + (start - start.min(initial=2**62))
        sorted_key, near = np.sort(key), int(config.together_d * DAY_US)
        alike = np.searchsorted(sorted_key, key + near, side="right") - np.searchsorted(sorted_key, key - near)
        # two single meters of a zone may fall silent by chance within a day; three of them do not
        lone = np.sort(beyond[ended[alike <= 2]])
        least = 0.5 * config.least_days
        longer = len(lone) - np.searchsorted(lone, np.maximum(age_d - usual[quiet], least))
        years = float((days.first[days.sends] + 1).sum()) / YEAR_D
        short = self._lasts(np.array([least]))
        believed = config.outages_a_year * config.alone * short * config.believed_years
        rate = (len(lone) + believed) / (years + config.believed_years)
        expected = self._lasts(np.maximum(age_d, least)) / short
        lasts = (longer + config.believed_gaps * expected) / (len(lone) + config.believed_gaps)
        return np.asarray(rate * lasts)

    def _lasts(self, age_d: Floats) -> Floats:
        """Return the chance that an outage lasts so long."""
        config = self.config
        return np.asarray(special.ndtr(-np.log(np.maximum(age_d, 0.01) / config.outage_days) / config.outage_spread))

    def _probability(self, age_d: Floats, chance: Floats, others: Ints, senders: Ints, lone: Floats) -> Floats:
        """Return how probable it is that a meter itself is broken; `lone` gaps a year heal."""
        config = self.config
        broken = config.breaks_a_year / YEAR_D
        outages = config.outages_a_year * self._lasts(age_d)
        single = np.maximum(lone, outages / (1.0 + senders) ** 2)
        outage = np.where(others > 0, np.maximum(outages, lone), single) / YEAR_D
        # that others broke at the same time by chance takes as many rare events
        alone = broken * np.power(config.breaks_a_year, np.minimum(others, 3))
        return np.asarray(alone / (alone + chance + outage))


def _usual(column: Columns, gap_d: Floats, count: int) -> Floats:
    """Return each meter's usual gap in days: nine tenths of its time lie in gaps that are no longer."""
    number = np.searchsorted(_GAPS_D, gap_d)
    time = np.bincount(number * count + column, weights=gap_d, minlength=(len(_GAPS_D) + 1) * count)
    reached = np.cumsum(time.reshape(len(_GAPS_D) + 1, count), axis=0)
    place = (reached >= 0.9 * reached[-1]).argmax(axis=0)
    return np.asarray(np.append(_GAPS_D, _GAPS_D[-1])[place])


def _days(rows: MeterRows, now_us: int, config: SilenceConfig) -> _Days:
    """Count readings by day, from the last 24 hours back."""
    n = len(rows.assets)
    came = rows.heard.between(now_us - LOOKBACK_D * DAY_US, now_us)
    back = np.minimum((now_us - came.received) // DAY_US, LOOKBACK_D - 1)
    count = np.bincount(back * n + came.column, minlength=LOOKBACK_D * n).reshape(LOOKBACK_D, n)
    heard = count > 0
    last = np.full(n, now_us - LOOKBACK_D * DAY_US, dtype=np.int64)
    last[came.column] = came.received
    ever = np.asarray(heard.any(axis=0), dtype=np.bool_)
    silent = np.where(ever, heard.argmax(axis=0), LOOKBACK_D)
    first = np.where(ever, LOOKBACK_D - 1 - heard[::-1].argmax(axis=0), -1)
    with_any = heard.sum(axis=0)
    span = np.maximum(first - silent + 1, 1)
    often = count.sum(axis=0) >= config.chatty * np.maximum(with_any, 1)
    sends = ever & (with_any >= config.dense * span) & (often | (with_any >= config.rhythm_days))
    return _Days(heard, last, silent, first, ever, np.asarray(sends, dtype=np.bool_), often)


def _chance(days: _Days, zone: NDArray[np.int64], quiet: Ints, age_d: Floats) -> Floats:
    """Return how likely it is that a gap of the present length begins on a day by chance, for some of the meters.

    Days on which much of a zone was not heard are not held against a meter. One that sends several times a day has been
    silent for parts of a day as well.
    """
    day = np.arange(LOOKBACK_D)[:, None]
    zones = int(zone.max(initial=0)) + 1
    within = days.sends & (day > days.silent) & (day < days.first)
    missed = within & ~days.heard
    lost = np.where(within.any(axis=0), missed.sum(axis=0) / np.maximum(within.sum(axis=0), 1), 0.0)
    expected = np.bincount(zone, weights=lost * days.sends, minlength=zones)
    row, column = np.nonzero(missed)
    unheard = np.bincount(row * zones + zone[column], minlength=LOOKBACK_D * zones).reshape(LOOKBACK_D, zones)
    troubled = (unheard >= 3.0 + 2.0 * expected)[:, zone[quiet]]
    weight = _shares(missed[:, days.sends].sum(axis=0), within[:, days.sends].sum(axis=0))
    missed, within = missed[:, quiet] & ~troubled, within[:, quiet] & ~troubled
    gap = days.silent[quiet]
    longest = _longest(missed)
    length = np.where(days.often[quiet], np.maximum(age_d - _LATE_D, gap), gap)
    by_rate = _predicted(missed.sum(axis=0), within.sum(axis=0) + 1, length, weight)
    return np.where(gap <= longest, np.maximum(by_rate, 1.0 / LOOKBACK_D), by_rate)


def _posterior(missed: Ints, of: Ints, weight: Floats) -> Floats:
    """Return how likely each rate is for meters that missed so many of so many days, (rates, n)."""
    odds = np.log(weight)[:, None] + missed * np.log(_RATE)[:, None] + (of - missed) * np.log1p(-_RATE)[:, None]
    return np.asarray(special.softmax(odds, axis=0))


def _shares(missed: Ints, of: Ints) -> Floats:
    """Return which share of a city's meters misses days at each rate, from all that send."""
    weight = _WEIGHT
    for _ in range(3):
        weight = (_posterior(missed, of, weight).sum(axis=1) + _BELIEVED * _WEIGHT) / (len(missed) + _BELIEVED)
    return weight


def _predicted(missed: Ints, of: Ints, gap: Floats, weight: Floats) -> Floats:
    """Return the chance of a run of `gap` days without a reading, of a meter that missed so many of so many days.

    Few days tell little: the meter may be one of those whose uploads fail half the time, as far as the city has such.
    """
    return np.asarray((_posterior(missed, of, weight) * _RATE[:, None] ** gap).sum(axis=0))


def _longest(missed: Flags) -> Ints:
    """Return the longest run of each column."""
    length = longest = np.zeros(missed.shape[1], dtype=np.int64)
    for row in missed:
        length = np.where(row, length + 1, 0)
        longest = np.maximum(longest, length)
    return longest
