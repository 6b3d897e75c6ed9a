"""Rules about what a meter's days tell beside each other, beside its class, its valve, its card. Pure."""

from __future__ import annotations

import numpy as np

from gateway.meterdata.case import Case, Fired
from gateway.meterdata.clock_offset import WINDOW_US
from gateway.meterdata.estimate import OWN_DAYS, column_median
from gateway.meterdata.intervals import Status
from gateway.meterdata.series import Flags, Floats

FACTORS = (10.0, 100.0, 1000.0, 35.3147)
"""wrong decimals, and cubic feet for cubic metres"""
FACTOR_SHARE = 0.15
"""a level that jumped by a factor is within this share of it"""


def unusual_use(case: Case) -> Fired:
    """V09: far from the meter's own level in this season, and from what its class uses.

    A day without use is not low, nor the part of a day beside it: homes are left alone. V10 looks at such runs.
    """
    use, known, limits = case.use, case.built.known, case.limits
    own = column_median(use, OWN_DAYS)[None, :]
    usual, on_day = known.usual[case.group][None, :], known.on_day[:, case.group]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = own * np.where(usual > 0, on_day / usual, 1.0)
        high = (use > limits.use_times * expected) & (use > limits.use_times * on_day)
        low = ~_away(use) & (use * limits.use_times < expected) & (use * limits.use_times < on_day)
        fires = (high | low) & (np.abs(use - expected) > limits.use_m3)
    return Fired.on_days(fires, case.bounds, {"use_m3": use, "expected_m3": expected, "class_m3": on_day})


def zero_use(case: Case) -> Fired:
    """V10: no step in the last N gas days while the class used gas on each."""
    use, limits = case.use, case.limits
    peers = case.built.known.on_day[:, case.group]
    with np.errstate(invalid="ignore"):
        still = _run(use == 0.0) >= limits.zero_days
        others = _run(peers >= limits.peers_use_m3) >= limits.zero_days
    return Fired.of_runs(case, still & others, {"days": _run(use == 0.0), "class_m3": peers})


def multiplier(case: Case) -> Fired:
    """V13: the level of use jumps by a factor of units or decimals and stays, or the register has too many digits."""
    level, digits = _level_jump(case), _too_long(case)
    jumped = {"value_m3": np.full(len(level.time), np.nan), **level.numbers}
    wide = {**digits.numbers, "factor": np.full(len(digits.time), np.nan)}
    return Fired(
        np.concatenate([level.column, digits.column]),
        np.concatenate([level.time, digits.time]),
        np.concatenate([level.since, digits.since]),
        np.concatenate([level.until, digits.until]),
        {name: np.concatenate([jumped[name], wide[name]]) for name in ("factor", "value_m3")},
    )


def _level_jump(case: Case) -> Fired:
    use, days = case.use, case.limits.jump_days
    fires, ratio = np.zeros(use.shape, dtype=np.bool_), np.full(use.shape, np.nan)
    if len(use) >= 2 * days:
        stretches = np.lib.stride_tricks.sliding_window_view(use, days, axis=0)
        before, after = stretches[:-days], stretches[days:]
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = (after.min(axis=-1) > 2.0 * before.max(axis=-1)) | (before.min(axis=-1) > 2.0 * after.max(axis=-1))
            # days without use are people who are away, not another unit
            apart &= (after.min(axis=-1) > 0) & (before.min(axis=-1) > 0)
            times = np.where(apart, after.mean(axis=-1) / before.mean(axis=-1), np.nan)
        ratio[days : len(use) - days + 1] = times
        # NaN anywhere in the ten days makes `apart` False: unknown days tell no level
        for factor in (*FACTORS, *(1.0 / factor for factor in FACTORS)):
            with np.errstate(invalid="ignore"):
                fires |= np.abs(ratio / factor - 1.0) <= FACTOR_SHARE
    return Fired.on_days(fires, case.bounds, {"factor": ratio})


def _too_long(case: Case) -> Fired:
    series = case.series
    long = series.value >= case.registers.modulus[series.column]
    return Fired.at(series.column[long], series.time[long], {"value_m3": series.value[long]})


def clock(case: Case) -> Fired:
    """V14: the device's clock is far off, drifts or jumped, or readings bear a time before the meter was installed.

    A jump is told once, where the clock's new epoch begins; else it is told on the newest restated day. The doubt is
    on the readings since the epoch began, or of the days over which a clock is looked at.
    """
    clocks, until = case.clocks, int(case.bounds[-1])
    early = np.zeros(len(clocks.offset_us)) if case.too_early is None else case.too_early.astype(np.float64)
    jumped = clocks.jumped_at >= 0
    column = np.flatnonzero(clocks.suspect | (clocks.drift_ppm != 0) | jumped | (early > 0))
    again = np.flatnonzero(case.restated) if case.restated is not None else np.empty(0, dtype=np.int64)
    told = int(case.bounds[again[-1]] if len(again) else case.bounds[max(len(case.bounds) - 2, 0)])
    numbers = {
        "offset_s": clocks.offset_us[column] / 1e6,
        "spread_s": clocks.spread_us[column] / 1e6,
        "drift_ppm": clocks.drift_ppm[column],
        "jumped": jumped[column].astype(np.float64),
        "suspect": clocks.suspect[column].astype(np.float64),
        "before_installation": early[column],
    }
    time = np.where(jumped[column], clocks.jumped_at[column], told)
    since = np.where(jumped[column], clocks.jumped_at[column], until - WINDOW_US)
    return Fired(column.astype(np.int32), time, since, np.full(len(column), until), numbers)


def closed(case: Case) -> Fired:
    """V15: gas was counted while the valve was closed, or on an account that is closed or was never opened."""
    more = 3.0 * case.registers.resolution_m3
    with np.errstate(invalid="ignore"):
        used = case.use > more
    valve = (case.valve[:-1] == 0) & (case.valve[1:] == 0)
    numbers = {"use_m3": case.use, "valve_closed": valve.astype(np.float64), "account_shut": case.shut.astype(float)}
    return Fired.on_days(used & (valve | case.shut), case.bounds, numbers)


def card(case: Case) -> Fired:
    """V16: what was loaded on the card less what is left does not follow the register."""
    spent = np.diff(case.credit_m3, axis=0)
    use, limits = case.use, case.limits
    with np.errstate(invalid="ignore"):
        allowed = np.maximum(limits.credit_m3, limits.credit_share * np.maximum(np.abs(spent), use))
        fires = np.abs(spent - use) > allowed
    return Fired.on_days(fires, case.bounds, {"use_m3": use, "spent_m3": spent})


def corrector(case: Case) -> Fired:
    """V17: base volume is not measured volume times the correction for pressure and temperature."""
    known, limits = case.corrector, case.limits
    expected = known.measured_m3 * known.factor
    with np.errstate(invalid="ignore"):
        fires = np.abs(known.base_m3 - expected) > limits.corrector_share * expected
        fires &= expected >= limits.corrector_m3
    return Fired.on_days(fires, case.bounds, {"base_m3": known.base_m3, "expected_m3": expected})


def long_estimate(case: Case) -> Fired:
    """V18: not measured for more than N gas days."""
    run = days_estimated(case)
    return Fired.of_runs(case, run > case.limits.estimated_days, {"days": run})


def days_estimated(case: Case) -> Floats:
    """Return for each (day, asset) on how many days in a row, up to it, it was not measured."""
    missing = case.built.intervals.status != Status.MEASURED
    missing[: case.since_day] = False
    return _run(missing)


def _away(use: Floats) -> Flags:
    """Mark days without use, and those right before and after."""
    zero: Flags = np.equal(use, 0.0)
    beside = zero.copy()
    beside[1:] |= zero[:-1]
    beside[:-1] |= zero[1:]
    return beside


def _run(days: Flags) -> Floats:
    """Return for each day how many days in a row, up to it, are marked."""
    run = np.zeros(days.shape)
    length = np.zeros(days.shape[1])
    for number, marked in enumerate(days):
        length = np.where(marked, length + 1.0, 0.0)
        run[number] = length
    return run
