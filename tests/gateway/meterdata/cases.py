"""Small cases for the rules: meters of one class with registers given by gas day, and what one test changes."""

from typing import Any

import numpy as np

from gateway.meterdata.case import Case, Corrector, Limits
from gateway.meterdata.clock_offset import clock_offsets
from gateway.meterdata.intervals import build
from gateway.meterdata.series import DAY_US, HOUR_US, Exchanges, Registers, Series

SENT_AFTER_US = 20_000_000


def facts(meters, *, digits=5, flow=6.0, decimals=3) -> Any:
    return Registers(np.full(meters, 10.0**digits), np.full(meters, flow), np.full(meters, 10.0**-decimals))


def rows_of(registers, step_us=DAY_US) -> Any:
    """Turn registers of each meter, one a step, into rows (column, us, m3); None is a reading that did not come."""
    return [
        (column, at * step_us, value)
        for column, values in enumerate(registers)
        for at, value in enumerate(values)
        if value is not None
    ]


def series_of(rows, meters, *, delay_us=SENT_AFTER_US, received=None, whole=False) -> Any:
    column = np.array([row[0] for row in rows], dtype=np.int32)
    time = np.array([row[1] for row in rows], dtype=np.int64)
    value = np.array([row[2] for row in rows], dtype=np.float64)
    arrived = time + delay_us if received is None else np.array(received, dtype=np.int64)
    make = Series.ordered if whole else Series.build
    return make([f"M-{number}" for number in range(meters)], column, time, arrived, value)


def exchange(column, at_us, old_m3, new_m3) -> Any:
    one = (np.array([column], dtype=np.int32), np.array([at_us], dtype=np.int64))
    return Exchanges(*one, np.array([old_m3], dtype=float), np.array([new_m3], dtype=float))


def a_case(rows, *, meters, days, registers=None, exchanges=None, received=None, until_us=None, **given) -> Any:
    registers = registers or facts(meters)
    exchanges = exchanges or Exchanges.none()
    bounds = np.arange(days + 1, dtype=np.int64) * DAY_US
    group = np.zeros(meters, dtype=np.int64)
    until = int(bounds[-1]) + 12 * HOUR_US if until_us is None else until_us
    raw = series_of(rows, meters, received=received, whole=True)
    series = Series.build(raw.assets, raw.column, raw.time, raw.received, raw.value)
    built = build(series, registers, exchanges, bounds, group, until_us=until)
    by_day, by_bound = (days, meters), (days + 1, meters)
    unknown = np.full(by_day, np.nan)
    figures = {
        "clocks": clock_offsets(meters, raw.column, raw.time, raw.received, until),
        "valve": np.full(by_bound, np.nan),
        "shut": np.zeros(by_day, dtype=np.bool_),
        "credit_m3": np.full(by_bound, np.nan),
        "corrector": Corrector(unknown, unknown, unknown),
        "before_units": np.full(by_day, -1, dtype=np.int64),
        "limits": Limits(),
        **given,
    }
    return Case(raw, series, registers, exchanges, built, group, **figures)


def neighbours_of(own, *, count=5, a_day=1.0) -> Any:
    """Return registers of a class: the meters of the test, then others that use gas evenly."""
    days = max(len(values) for values in own)
    return [*own, *[[100.0 + a_day * day for day in range(days)] for _ in range(count)]]


def days_of(values, **more) -> Any:
    """Make a case from registers at the boundaries of gas days."""
    return a_case(rows_of(values), meters=len(values), days=max(len(own) for own in values) - 1, **more)
