"""The rules by code, and how they are run over a case. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gateway.meterdata import register_rules as register
from gateway.meterdata import use_rules as use
from gateway.meterdata.case import Case, Fired, Result
from gateway.meterdata.series import Ints


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; a change of what it says raises its version."""

    name: str
    result: Result
    judge: Callable[[Case], Fired]
    version: int = 1
    of_arrival: bool = False
    """it tells how or when readings came, not what they say: it marks no interval and is not taken back"""


RULES: Mapping[str, Rule] = {
    "V01": Rule("gap", Result.MISSING, register.gap),
    "V02": Rule("conflict", Result.OUT, register.conflict),
    "V03": Rule("rollover", Result.NOTED, register.rollover),
    "V04": Rule("exchange", Result.NOTED, register.exchange),
    "V05": Rule("reset", Result.BROKEN, register.reset),
    "V06": Rule("backwards", Result.INVALID, register.backwards),
    "V07": Rule("too_fast", Result.INVALID, register.too_fast),
    "V08": Rule("spike", Result.JOINED, register.spike),
    "V09": Rule("unusual_use", Result.UNCERTAIN, use.unusual_use),
    "V10": Rule("zero_use", Result.EVIDENCE, use.zero_use),
    "V11": Rule("repeated", Result.EVIDENCE, register.repeated, of_arrival=True),
    "V12": Rule("sum_check", Result.ADJUSTED, register.sum_check, of_arrival=True),
    "V13": Rule("multiplier", Result.UNCERTAIN, use.multiplier),
    "V14": Rule("clock", Result.UNCERTAIN, use.clock, of_arrival=True),
    "V15": Rule("closed", Result.EVIDENCE, use.closed),
    "V16": Rule("card", Result.EVIDENCE, use.card),
    "V17": Rule("corrector", Result.UNCERTAIN, use.corrector),
    "V18": Rule("long_estimate", Result.VISIT, use.long_estimate),
}


def judge(case: Case) -> dict[str, Fired]:
    """Run every rule; the case is not changed."""
    return {code: rule.judge(case) for code, rule in RULES.items()}


def doubts(fired: Mapping[str, Fired], bounds: Ints, assets: int) -> Ints:
    """Return for each (day, asset) a bit set of the rules that throw doubt on it; bit 0 is the first of `RULES`."""
    days = len(bounds) - 1
    bits = np.zeros((days, assets), dtype=np.int64)
    for number, (code, rule) in enumerate(RULES.items()):
        if rule.of_arrival:
            continue
        found = fired[code]
        if found.days is not None:
            bits[found.days] |= 1 << number
            continue
        first = np.searchsorted(bounds, found.since, side="right") - 1
        last = np.maximum(np.searchsorted(bounds, found.until, side="left") - 1, first)
        inside = (last >= 0) & (first < days)
        first, last = np.clip(first[inside], 0, None), np.minimum(last[inside], days - 1)
        count = last - first + 1
        column = np.repeat(found.column[inside], count)
        offset = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        np.bitwise_or.at(bits, (np.repeat(first, count) + offset, column), 1 << number)
    return bits


def codes_of(bits: int) -> tuple[str, ...]:
    """Return the codes in a bit set of `doubts`."""
    return tuple(code for number, code in enumerate(RULES) if bits >> number & 1)
