"""Accounts: when they are opened, closed and opened again as people move, and who lives there afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators import noise, weather
from simulators.customers.calendar import Days
from simulators.customers.kinds import Kind
from simulators.customers.people import Customers, Floats

_BLOCK_D = 730
"""at most one move within such a span"""
_BACK = 6
"""spans in which the last move is looked for"""
_STREAM = 300
_WORKDAY_H = 10
"""local hour at which the office enters an account's change later"""
_LATE_SHARES = (0.06, 0.3)
"""of accounts opened, and closed, that are entered later"""
_LATEST_OPENED_D, _LATEST_D = 2, 10


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """What the office did to an account."""

    column: int
    """of the customer"""
    hour: int
    """since 1970 UTC"""
    event: str
    """account_opened or account_closed, as in events.csv"""


def _move(seed: int, customers: Customers, block: NDArray[np.int64]) -> tuple[NDArray[np.bool_], Days, Days]:
    """Return (whether somebody moves out within spans, first empty day, first day of the next); (spans, n) each."""
    key, place = customers.key[None, :], block[:, None]
    moves = noise.uniform(seed, _STREAM, key, place) < customers.moves
    left = place * _BLOCK_D + np.floor(_BLOCK_D * noise.uniform(seed, _STREAM + 1, key, place)).astype(np.int64)
    empty = 15 + np.floor(240.0 * noise.uniform(seed, _STREAM + 2, key, place) ** 2).astype(np.int64)
    return moves, left, left + empty


def is_open(seed: int, customers: Customers, days: Days) -> NDArray[np.bool_]:
    """Say on which local days each account is open, (days, n). An account without use is open or has never been."""
    opened = days[:, None] >= customers.opened_day
    blocks, row = np.unique(days // _BLOCK_D, return_inverse=True)
    for back in (0, 1):
        moves, left, next_in = _move(seed, customers, blocks - back)
        opened &= ~(moves[row] & (days[:, None] >= left[row]) & (days[:, None] < next_in[row]))
    return np.asarray(opened, dtype=np.bool_)


def household_factor(seed: int, customers: Customers, days: Days) -> Floats:
    """Return how much those who live there use against those who lived there first, (days, n)."""
    factor = np.ones((len(days), len(customers)))
    movers = np.flatnonzero(customers.moves > 0.0)
    if not len(movers) or not len(days):
        return factor
    some = customers.part(movers) if len(movers) < len(customers) else customers
    last = np.zeros((len(days), len(some)), dtype=np.int64)
    newest = int(days.max()) // _BLOCK_D
    for block in range(newest - _BACK, newest + 1):
        moves, _, next_in = _move(seed, some, np.array([block]))
        last = np.where(moves & (days[:, None] >= next_in), block, last)
    change = np.exp(0.4 * noise.normal(seed, _STREAM + 3, some.key[None, :], last))
    factor[:, movers] = np.where(last > 0, change, 1.0)
    return factor


def account_events(seed: int, customers: Customers, first_hour: int, hours: int) -> Iterator[AccountEvent]:
    """Yield what the office entered about accounts within hours since 1970 UTC, by customer.

    An account opens when the first day with gas begins, and closes when the first day without begins; some are entered
    days later, so that an honest customer burns gas on an account that is not open yet.
    """
    first = (first_hour + weather.UTC_OFFSET_H) // 24 - 1 - _LATEST_D
    days = np.arange(first, first + _LATEST_D + hours // 24 + 4, dtype=np.int64)
    changing = np.flatnonzero(
        (customers.moves > 0.0) | ((customers.opened_day > first) & (customers.opened_day < days[-1]))
    )
    for begin in range(0, len(changing), 2000):
        columns = changing[begin : begin + 2000]
        change = np.diff(is_open(seed, customers.part(columns), days).astype(np.int8), axis=0)
        at, row = np.nonzero(change.T)
        opens, day = change[row, at] > 0, days[row + 1]
        hour = day * 24 - weather.UTC_OFFSET_H + _delay_h(seed, customers.key[columns[at]], day, opens)
        for n in np.flatnonzero((hour >= first_hour) & (hour < first_hour + hours)):
            event = "account_opened" if opens[n] else "account_closed"
            yield AccountEvent(int(columns[at[n]]), int(hour[n]), event)


def _delay_h(seed: int, key: NDArray[np.int64], day: Days, opens: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how much later the office enters changes: mostly at once, else in its hours on another day."""
    late = noise.uniform(seed, _STREAM + 5, key, day) < np.where(opens, *_LATE_SHARES)
    most_d = np.where(opens, _LATEST_OPENED_D, _LATEST_D)
    delay_d = 1 + np.floor(most_d * noise.uniform(seed, _STREAM + 6, key, day)).astype(np.int64)
    return np.where(late, delay_d * 24 + _WORKDAY_H, 0)


def accounts_at(seed: int, customers: Customers, day: int, *, closed_share: float = 0.0) -> list[str]:
    """Return the state of each account on a day: open, closed or never_opened.

    Of the accounts without use that were opened once, `closed_share` are closed.
    """
    today = np.array([day], dtype=np.int64)
    opened = is_open(seed, customers, today)[0]
    empty = (customers.kind == Kind.UNUSED) & (noise.uniform(seed, _STREAM + 4, customers.key) < closed_share)
    never = customers.opened_day > day
    return [
        "never_opened" if n else "open" if o and not e else "closed"
        for n, o, e in zip(never, opened, empty, strict=True)
    ]
