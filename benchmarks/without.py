"""Analyses a dataset with one mechanism switched off, to show what it is worth."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alarms.analysis.city import GasTemperature
from alarms.city_data import REGISTERS, CityData
from gateway.analyse import analyse
from gateway.meterdata.series import DAY_US, Series
from gateway.model.gasday import GasDay
from gateway.model.reading import from_us

PARTS = {
    "alignment": "bringing registers to the end of the gas day: the last reading before it stands for it",
    "temperature": "the temperature of gas in meters that do not compensate it",
    "cumulative": "what days have in common (reading times, gains, drift): each day is weighed by itself",
    "vacancy": "how usual rests are, and how long they last",
    "match": "the zone's word about meters: whether it loses just what a register misses",
    "bank": "the hypotheses between a meter at rest and a sound one",
}
_OF_BANK = {"cumulative": "memory", "vacancy": "vacancy", "match": "match", "bank": "shares"}


def change_without(part: str) -> Callable[[CityData], CityData]:
    """Return what takes one of `PARTS` from a city that is to be judged."""
    if part not in PARTS:
        raise SystemExit(f"--without {part}: use one of {', '.join(PARTS)}")
    if part == "alignment":
        return _unaligned
    if part == "temperature":
        return _uncompensated
    off: dict[str, Any] = {_OF_BANK[part]: False}
    return lambda city: replace(city, config=replace(city.config, bank=replace(city.config.bank, **off)))


def _uncompensated(city: CityData) -> CityData:
    base_c = city.model.figures.base_temperature_c
    return replace(city, model=replace(city.model, temperature=GasTemperature(base_c, 0.0, 0.0)))


def _unaligned(city: CityData) -> CityData:
    gas_day = city.model.gas_day
    series = {
        quantity: _last_of_day(part, gas_day) if quantity in REGISTERS else part
        for quantity, part in city.series.items()
    }
    return replace(city, series=series)


def _last_of_day(part: Series, gas_day: GasDay) -> Series:
    """Return the last reading of each meter and gas day as if it were of the day's end."""
    if not len(part.time):
        return part
    first = int(part.time.min())
    count = (int(part.time.max()) - first) // DAY_US + 3
    ends = np.array([gas_day.begins_us(gas_day.of(from_us(first + n * DAY_US))) for n in range(count)], dtype=np.int64)
    number = np.searchsorted(ends, part.time, side="left")
    last = np.ones(len(number), dtype=np.bool_)
    last[:-1] = (number[1:] != number[:-1]) | (part.column[1:] != part.column[:-1])
    kept, end = part.take(last), ends[number[last]]
    return Series(kept.assets, kept.column, end, np.maximum(kept.received, end), kept.value)


if __name__ == "__main__":
    analyse(Path(sys.argv[2]), Path(sys.argv[3]), change=change_without(sys.argv[1]))
