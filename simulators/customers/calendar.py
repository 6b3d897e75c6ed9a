"""The local calendar: days of rest, the spring festival, school holidays, heating seasons. Days count from 1970."""

from __future__ import annotations

from datetime import date
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.int64]
"""local days since 1970"""

FESTIVALS = tuple(
    date.fromisoformat(day)
    for day in (
        "2010-02-14", "2011-02-03", "2012-01-23", "2013-02-10", "2014-01-31", "2015-02-19", "2016-02-08", "2017-01-28",
        "2018-02-16", "2019-02-05", "2020-01-25", "2021-02-12", "2022-02-01", "2023-01-22", "2024-02-10", "2025-01-29",
        "2026-02-17", "2027-02-06", "2028-01-26", "2029-02-13", "2030-02-03", "2031-01-23", "2032-02-11", "2033-01-31",
        "2034-02-19", "2035-02-08",
    )
)  # fmt: skip
"""first day of the spring festival"""
FESTIVAL_D = 8
"""days on which business rests"""

_PUBLIC_HOLIDAYS = ((1, 1), (5, 1), (5, 2), (5, 3), *((10, day) for day in range(1, 8)))
_HEATING_STARTS, _HEATING_ENDS = (11, 15), (3, 15)
"""the northern season of district heating"""


class DayType(IntEnum):
    """What people do on a day."""

    WORK = 0
    REST = 1
    FESTIVAL = 2


def day_number(day: date) -> int:
    """Return a date as days since 1970."""
    return (day - date(1970, 1, 1)).days


FESTIVAL_DAYS: Days = np.array([day_number(day) for day in FESTIVALS], dtype=np.int64)


def since_festival(days: Days) -> Days:
    """Return how many days after the first day of the nearest spring festival each day is; negative before it."""
    distance = days[:, None] - FESTIVAL_DAYS
    nearest = np.abs(distance).argmin(axis=1)
    return np.asarray(distance[np.arange(len(days)), nearest], dtype=np.int64)


def month_and_day(days: Days) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (month 1 to 12, day of the month) of days."""
    stamps = days.astype("datetime64[D]")
    months = stamps.astype("datetime64[M]")
    return months.astype(np.int64) % 12 + 1, (stamps - months).astype(np.int64) + 1


def day_types(days: Days) -> NDArray[np.int64]:
    """Return the DayType of each day."""
    month, day = month_and_day(days)
    types = np.where((days + 3) % 7 >= 5, DayType.REST, DayType.WORK)
    for holiday in _PUBLIC_HOLIDAYS:
        types[(month == holiday[0]) & (day == holiday[1])] = DayType.REST
    after = since_festival(days)
    types[(after >= -1) & (after < FESTIVAL_D - 1)] = DayType.FESTIVAL
    return types


def school_is_out(days: Days) -> NDArray[np.bool_]:
    """Say for each day whether schools are closed: in summer and around the spring festival."""
    month, day = month_and_day(days)
    after = since_festival(days)
    summer = ((month == 7) & (day >= 10)) | (month == 8)
    return np.asarray(summer | ((after >= -14) & (after <= 14)), dtype=np.bool_)


def into_heating_season(days: Days) -> tuple[Days, Days]:
    """Return (days since the nearest begin of the heating season, days until its end), for every day.

    The season begins on 15 November and ends on 15 March. A day lies in it when both are not negative; the figures are
    those of the season that is nearest, so that a customer who begins earlier or ends later can be told as well.
    """
    year = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    month, _ = month_and_day(days)
    first_year = np.where(month >= 7, year, year - 1)
    return days - _date_in(first_year, *_HEATING_STARTS), _date_in(first_year + 1, *_HEATING_ENDS) - days


def _date_in(years: NDArray[np.int64], month: int, day: int) -> Days:
    """Return a date in years since 1970."""
    months = (years * 12 + month - 1).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64) + day - 1
