from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.customers import build_customers, cards, hourly_use
from simulators.customers.calendar import day_number
from simulators.networks.streets import build_ground
from simulators.weather import UTC_OFFSET_H

START = date(2024, 10, 1)
FIRST_HOUR = day_number(START) * 24 - UTC_OFFSET_H
_ALL = build_customers(3, build_ground(3, [60] * 3), START, "heated_north")
CARDS = _ALL.part(np.flatnonzero(_ALL.ic_card)[:60])
USE = hourly_use(3, CARDS, FIRST_HOUR + np.arange(200 * 24))
YEAR = cards.step(3, CARDS, FIRST_HOUR, cards.first_state(3, CARDS), USE)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 90), min_size=1, max_size=6))
def test_the_cut_into_spans_does_not_matter(spans: list[int]) -> None:
    state, at = cards.first_state(3, CARDS), 0
    for span in spans:
        state = cards.step(3, CARDS, FIRST_HOUR + at, state, USE[at : at + span]).state
        at += span
    assert np.array_equal(state.purchased_m3, YEAR.purchased_m3[at])
    assert np.array_equal(state.counted_m3, YEAR.counted_m3[at])


def test_credit_is_conserved() -> None:
    counted = CARDS.start_m3 + (USE * YEAR.share).cumsum(axis=0)
    assert np.allclose(YEAR.state.counted_m3, counted[-1], rtol=1e-12)
    assert (np.diff(YEAR.purchased_m3, axis=0) >= 0.0).all()
    assert np.array_equal(YEAR.state.left_m3, YEAR.state.purchased_m3 - YEAR.state.counted_m3)


def test_a_valve_is_shut_only_when_the_credit_is_gone() -> None:
    left = YEAR.purchased_m3 - YEAR.counted_m3
    assert YEAR.closed.any()
    after = np.concatenate([left[1:], YEAR.state.left_m3[None, :]])
    assert (after[YEAR.closed] < 1e-6).all()
    assert (YEAR.share[1:][YEAR.closed[:-1]] == 0.0).all()
    assert left.min() >= -10.0 - 1e-6
    assert (YEAR.share[left > USE] == 1.0).all()


def test_most_customers_buy_in_time_and_all_buy_again() -> None:
    users = USE.sum(axis=0) > 0.5 * CARDS.lump_m3
    bought = (np.diff(YEAR.purchased_m3, axis=0) > 0.0).sum(axis=0)
    assert (bought[users] > 0).mean() > 0.9
    assert YEAR.closed.mean() < 0.02


def test_nobody_buys_at_night() -> None:
    hour, _ = np.nonzero(np.diff(YEAR.purchased_m3, axis=0) > 0.0)
    local = (FIRST_HOUR + hour + UTC_OFFSET_H) % 24
    assert set(local) <= set(range(7, 23))


def test_a_meter_at_rest_never_runs_out() -> None:
    still = cards.step(3, CARDS, FIRST_HOUR, cards.first_state(3, CARDS), np.zeros((48, len(CARDS))))
    assert not still.closed.any()
    assert np.array_equal(still.state.counted_m3, CARDS.start_m3)


def test_huge_use_stops_at_the_credit() -> None:
    first = cards.first_state(3, CARDS)
    flood = cards.step(3, CARDS, FIRST_HOUR, first, np.full((1, len(CARDS)), 1e9))
    assert np.allclose(flood.state.counted_m3, first.purchased_m3)
    assert flood.state.left_m3.max() < 1e-6 + CARDS.lump_m3.max() * 2


def test_an_exchange_carries_the_credit_over() -> None:
    columns = np.array([2, 5], dtype=np.intp)
    new = YEAR.state.exchanged(columns)
    assert np.allclose(new.left_m3, YEAR.state.left_m3)
    assert (new.counted_m3[columns] == 0.0).all()
    assert np.array_equal(new.purchased_m3[columns], YEAR.state.left_m3[columns])
    part = YEAR.state.part(columns)
    assert np.array_equal(part.left_m3, YEAR.state.left_m3[columns])


def test_some_readings_after_a_purchase_are_torn() -> None:
    hours = FIRST_HOUR + np.arange(4000)
    late = cards.record_is_late(3, np.full(4000, 7), hours)
    assert 0.09 < late.mean() < 0.15
    assert 0.05 < cards.valve_is_late(3, np.full(4000, 7), hours).mean() < 0.11
    assert np.array_equal(late[100:200], cards.record_is_late(3, np.full(100, 7), hours[100:200]))
