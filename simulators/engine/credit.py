"""Credit on IC-card meters: purchases, valves that close when nothing is left, credit that nobody paid for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulators.customers import Customers
from simulators.customers.cards import CardHours, CardState, first_state, step
from simulators.engine.wanted import Wanted
from simulators.meters.registers import Exchanges

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CardsCarry:
    """Where the n card meters stand between two hours."""

    state: CardState
    closed: NDArray[np.bool_]
    """their valves are closed, (n,)"""


@dataclass(frozen=True, slots=True, eq=False)
class CardRun:
    """What card meters did in a day, (h, n)."""

    rows: slice
    counted: Floats
    """advance of their registers"""
    purchased_m3: Floats
    """ever loaded, at the begin of each hour"""
    used_m3: Floats
    """counted since new less what came onto the card without a purchase, at the begin of each hour"""
    end: CardsCarry


class Cards:
    """The card meters of a city."""

    def __init__(self, seed: int, customers: Customers, exchanges: Exchanges) -> None:
        """Take those that have a card."""
        self.columns = np.flatnonzero(customers.ic_card)
        self._seed, self._customers = seed, customers.part(self.columns)
        place = {int(column): n for n, column in enumerate(self.columns)}
        swaps = zip(exchanges.hour, exchanges.column, strict=True)
        self._swaps = [(int(hour), place[int(column)]) for hour, column in swaps if int(column) in place]

    def first(self) -> CardsCarry:
        """Return where the cards stand at the begin of the history."""
        state = first_state(self._seed, self._customers)
        return CardsCarry(state, np.zeros(len(self.columns), np.bool_))

    def run(self, start: CardsCarry, wanted: Wanted, rows: slice) -> CardRun:
        """Go through some hours; writes into `wanted` what passes valves that close without credit."""
        counted = wanted.counted[rows][:, self.columns]
        free = wanted.effects.top_up_m3[rows][:, self.columns]
        hours = wanted.hours[rows]
        swaps = {hour - int(hours[0]): [p for h, p in self._swaps if h == hour] for hour, _ in self._swaps}
        cuts = sorted({0, *np.flatnonzero(free.any(axis=1)).tolist(), *(at for at in swaps if 0 <= at < len(hours))})
        pieces: list[CardHours] = []
        state = start.state
        for first, end in zip(cuts, [*cuts[1:], len(hours)], strict=True):
            if first in swaps:
                state = state.exchanged(np.array(swaps[first], dtype=np.intp))
            state = replace(state, counted_m3=state.counted_m3 - free[first])
            pieces.append(step(self._seed, self._customers, int(hours[first]), state, counted[first:end]))
            state = pieces[-1].state
        share = np.concatenate([piece.share for piece in pieces])
        share = np.where(wanted.effects.defeated[rows][:, self.columns], 1.0, share)
        closed = np.concatenate([start.closed[None, :], *(piece.closed for piece in pieces)])
        at = np.ix_(np.arange(rows.start, rows.stop), self.columns)
        wanted.passing[at] *= share
        wanted.counted[at] *= share
        wanted.closed[at] |= closed[:-1]
        return CardRun(
            rows,
            counted * share,
            np.concatenate([piece.purchased_m3 for piece in pieces]),
            np.concatenate([piece.counted_m3 for piece in pieces]),
            CardsCarry(state, closed[-1]),
        )

    def shown(self, run: CardRun, counted: Floats) -> tuple[Floats, Floats, CardsCarry]:
        """Return (left, ever loaded) at the begin of each hour, (h, meters), and where the cards stand then.

        `counted` is what the registers of all meters really counted, (h, meters): less than wanted where gas ran out.
        """
        less = np.cumsum(run.counted - counted[:, self.columns], axis=0)
        left, bought = np.zeros(counted.shape), np.zeros(counted.shape)
        bought[:, self.columns] = run.purchased_m3
        left[:, self.columns] = run.purchased_m3 - run.used_m3
        left[1:, self.columns] += less[:-1]
        state = replace(run.end.state, counted_m3=run.end.state.counted_m3 - less[-1])
        return left, bought, replace(run.end, state=state)
