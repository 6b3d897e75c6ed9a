from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.customers import Customers
from simulators.meters.quirks import Quirks
from simulators.meters.registers import (
    Exchanges,
    RegisterBank,
    draw_exchanges,
    near_rollover,
    show,
    whole_pulses,
)
from simulators.meters.traits import Traits, meter_traits, supply_traits

HOUR = 482_136
SEED = 5


def four(pulse: float, digits: int) -> Traits:
    drawn = supply_traits(SEED, np.arange(4), 6.0, date(2020, 1, 1), digits=digits, decimals=3)
    return replace(drawn, pulse_m3=np.full(4, pulse))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([0.001, 0.01, 0.1, 1.0]),
    st.integers(1, 3),
    st.lists(st.floats(0.0, 4.0), min_size=1, max_size=40),
    st.floats(0.0, 10_000.0),
    st.lists(st.integers(1, 39), max_size=4),
)
def test_a_register_shows_whole_pulses_and_never_steps_back_but_around(
    pulse: float, digits: int, counted: list[float], start: float, cuts: list[int]
) -> None:
    traits = four(pulse, digits)
    table = np.array(counted)[:, None].repeat(4, axis=1)
    bank = RegisterBank(traits, np.full(4, start))
    shown = bank.advance(HOUR, table)
    assert np.allclose(np.round(shown / pulse) * pulse, shown, atol=1e-9)
    assert ((shown >= 0.0) & (shown < 10.0**digits)).all()
    steps = np.mod(np.diff(shown, axis=0), 10.0**digits)
    assert (np.abs(steps - table[:-1]) <= pulse + 1e-6).all()
    assert (bank.since_new_m3 - start >= table.sum(axis=0) - 1e-6).all()
    pieces = np.split(np.arange(len(table)), sorted({cut for cut in cuts if cut < len(table)}))
    other = RegisterBank(traits, np.full(4, start))
    again = [other.advance(HOUR + int(piece[0]), table[piece]) for piece in pieces]
    assert np.array_equal(np.concatenate(again), shown)
    assert np.array_equal(other.since_new_m3, bank.since_new_m3)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 19), st.floats(0.0, 99_999.0), st.sampled_from([0.0, 0.37, 1.999]), st.booleans())
def test_an_exchange_loses_no_gas(at: int, start: float, fresh: float, recorded: bool) -> None:
    traits, table = four(0.001, 5), np.random.default_rng(at).exponential(0.5, (20, 4))
    swaps = Exchanges(np.array([2]), np.array([HOUR + at]), np.array([fresh]), np.array([recorded]))
    bank = RegisterBank(traits, np.full(4, start), swaps)
    shown = np.concatenate([bank.advance(HOUR, table[:7]), bank.advance(HOUR + 7, table[7:])])
    untouched = RegisterBank(traits, np.full(4, start)).advance(HOUR, table)
    (done,) = bank.done
    assert (done.column, done.hour, done.new_start_m3, done.recorded) == (2, HOUR + at, fresh, recorded)
    assert done.old_end_m3 == untouched[at, 2]
    assert shown[at, 2] == whole_pulses(traits, np.full(4, fresh))[2]
    assert np.array_equal(shown[:at, 2], untouched[:at, 2])
    others = [0, 1, 3]
    assert np.array_equal(shown[:, others], untouched[:, others])
    assert abs(bank.since_new_m3[2] - fresh - table[at:, 2].sum()) < 1e-9


def test_a_register_that_is_turned_back_goes_below_zero_as_a_counter_does() -> None:
    traits = four(0.01, 4)
    shown = RegisterBank(traits, np.full(4, 0.5)).advance(HOUR, np.array([[-1.0], [0.25], [0.0]]).repeat(4, axis=1))
    assert shown[:, 0].tolist() == [0.5, 9999.5, 9999.75]


def test_no_hours_change_nothing() -> None:
    bank = RegisterBank(four(0.01, 4), np.full(4, 3.0))
    assert bank.advance(HOUR, np.empty((0, 4))).shape == (0, 4)
    assert bank.since_new_m3.tolist() == [3.0] * 4


def test_the_largest_registers_are_exact() -> None:
    traits = replace(four(0.01, 8), capacity_m3=np.full(4, 1e12))
    assert show(traits, np.array([123_456_789_012.347])).tolist() == [123_456_789_012.34] * 4


def test_exchanges_happen_in_working_hours_and_mostly_to_old_meters(townspeople: Customers) -> None:
    drawn = supply_traits(SEED, np.arange(20_000), 6.0, date(2015, 1, 1))
    young = replace(drawn, installed_day=np.full(20_000, HOUR / 24.0 - 30.0))
    swaps = draw_exchanges(SEED, drawn, HOUR, 8766, per_year=0.1, unrecorded=0.2)
    assert 0.15 < len(swaps) / 20_000 < 0.25
    assert len(draw_exchanges(SEED, young, HOUR, 8766, per_year=0.1)) < 0.2 * len(swaps)
    local = (swaps.hour + 8) % 24
    assert (local.min(), local.max()) == (8, 16)
    assert ((swaps.hour > HOUR) & (swaps.hour < HOUR + 8766)).all()
    assert 0.77 < swaps.recorded.mean() < 0.83
    assert (swaps.new_start_m3 >= 0.0).all()
    assert (swaps.new_start_m3 <= 2.0).all()
    assert 0.4 < (swaps.new_start_m3 == 0.0).mean() < 0.7
    traits = meter_traits(SEED, townspeople)
    all_, some = draw_exchanges(SEED, traits, HOUR, 8766), np.arange(60, 120)
    own = draw_exchanges(SEED, traits.part(some), HOUR, 8766)
    assert np.array_equal(own.hour, all_.part(some).hour)
    assert np.array_equal(own.column, all_.part(some).column)


def test_a_span_without_an_inner_hour_has_no_exchange(townspeople: Customers) -> None:
    traits = meter_traits(SEED, townspeople)
    for count in (-5, 0, 1):
        assert len(draw_exchanges(SEED, traits, HOUR, count, per_year=1000.0)) == 0


def test_some_registers_roll_over_within_a_year(townspeople: Customers) -> None:
    traits = meter_traits(SEED, townspeople)
    many = near_rollover(SEED, traits, townspeople, 0.5)
    moved = many.start_m3 != townspeople.start_m3
    assert 0.3 < moved.mean() < 0.6
    assert (many.start_m3 < many.capacity_m3).all()
    left = (many.capacity_m3 - many.start_m3)[moved]
    assert (left <= np.maximum(366.0 * many.winter_m3_d()[moved], 1.0)).all()
    some = np.arange(50, 90)
    part = near_rollover(SEED, traits.part(some), townspeople.part(some), 0.5)
    assert np.array_equal(part.start_m3, many.start_m3[some])
    assert np.array_equal(near_rollover(SEED, traits, townspeople, 0.0).start_m3, townspeople.start_m3)


def test_some_honest_registers_count_without_gas_or_go_back_for_a_night() -> None:
    drawn = supply_traits(SEED, np.arange(3000), 6.0, date(2020, 1, 1), digits=5, decimals=3)
    traits = replace(drawn, corrector=np.zeros(3000, bool))
    quirks = Quirks(SEED, traits)
    assert 0.013 < len(quirks.loose) / 3000 < 0.027
    assert 0.006 < len(quirks.open_back) / 3000 < 0.014
    bank, plain = RegisterBank(traits, np.full(3000, 50.0), None, quirks), RegisterBank(traits, np.full(3000, 50.0))
    shown, nothing = bank.advance(HOUR, np.zeros((600, 3000))), plain.advance(HOUR, np.zeros((600, 3000)))
    odd = np.flatnonzero((shown != nothing).any(axis=0))
    assert set(odd.tolist()) <= set(quirks.loose.tolist()) | set(quirks.open_back.tolist())
    assert len(odd) > 25
    steps = np.round(np.diff(shown, axis=0) / traits.pulse_m3)
    assert steps.min() in {-3.0, -2.0}
    honest = sorted(set(quirks.open_back.tolist()) - set(quirks.loose.tolist()))
    assert np.array_equal(shown[-1, honest], nothing[-1, honest]) or (HOUR + 599 + 8) % 24 < 6
    again = RegisterBank(traits, np.full(3000, 50.0), None, quirks)
    pieces = [again.advance(HOUR + first, np.zeros((150, 3000))) for first in range(0, 600, 150)]
    assert np.array_equal(np.concatenate(pieces), shown)
    assert not len(Quirks(SEED, drawn).loose)
    part = np.arange(1000, 2000)
    assert np.array_equal(part[Quirks(SEED, traits.part(part)).loose], quirks.loose[np.isin(quirks.loose, part)])
