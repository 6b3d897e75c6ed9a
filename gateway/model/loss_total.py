"""A zone's loss over several gas days: a week, a month, a two-month cycle, a year. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from gateway.model.finding import HIGH_RATE, LossRow, LossVerdict

STEADY_TERMS = frozenset({"meter_gain", "temperature"})
"""terms whose errors are alike every day; those of the others differ from day to day"""
ENOUGH_DAYS = 0.5
"""share of a span's gas days that must have a figure, so that the span has one"""


@dataclass(frozen=True, slots=True)
class LossTotal:
    """One zone's balance over a span; m3 at base conditions, shares of the supply, None where it cannot be said.

    All figures are of the gas days that have one.
    """

    days: int
    """gas days of the span that have a figure"""
    days_asked: int
    days_high: int
    supply_m3: float | None
    metered_m3: float | None
    loss_m3: float | None
    loss_rate: float | None
    sigma: float | None
    """standard uncertainty of the rate: what is alike every day added up, what differs from day to day squared"""
    coverage: float | None
    verdict: LossVerdict
    """high: the loss of the whole span is more than meters and readings can explain, and more than is usual"""
    reason: str
    between_m3: float | None = None
    between_sigma_m3: float | None = None
    terms: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def total(rows: Sequence[LossRow], days_asked: int) -> LossTotal:
    """Return the balance of one zone over a span of `days_asked` gas days, of which `rows` are known."""
    known = [row for row in rows if row.loss_m3 is not None and row.supply_m3]
    high = sum(row.verdict is LossVerdict.HIGH for row in rows)
    coverage = sum(row.coverage for row in rows) / len(rows) if rows else None
    reason = next((row.reason for row in reversed(rows) if row.reason), "")
    if not known:
        unknown = LossVerdict.NOT_ASSESSABLE
        return LossTotal(0, days_asked, high, None, None, None, None, None, coverage, unknown, reason)
    supply = math.fsum(row.supply_m3 or 0.0 for row in known)
    loss = math.fsum(row.loss_m3 or 0.0 for row in known)
    metered = [row.metered_m3 for row in known if row.metered_m3 is not None]
    rate, sigma = loss / supply, _sigma(known, supply)
    between, between_sigma = _between(known)
    return LossTotal(
        days=len(known),
        days_asked=days_asked,
        days_high=high,
        supply_m3=supply,
        metered_m3=math.fsum(metered) if metered else None,
        loss_m3=loss,
        loss_rate=rate,
        sigma=sigma,
        coverage=coverage,
        verdict=_verdict(rate, sigma, len(known), days_asked),
        reason=reason if len(known) < days_asked else "",
        between_m3=between,
        between_sigma_m3=between_sigma,
        terms=_terms(known, None if sigma is None else sigma * supply),
    )


def months(rows: Iterable[LossRow], size: int = 1) -> dict[date, list[LossRow]]:
    """Return rows by the first day of the calendar month, or of the `size` months from January on, that they lie in."""
    spans: dict[date, list[LossRow]] = {}
    for row in rows:
        spans.setdefault(month_of(row.gas_day, size), []).append(row)
    return dict(sorted(spans.items()))


def month_of(day: date, size: int = 1) -> date:
    """Return the first day of the span of `size` calendar months, counted from January on, that a day lies in."""
    return day.replace(month=day.month - (day.month - 1) % size, day=1)


def month_after(first: date, size: int = 1) -> date:
    """Return the first day of the span after the one that begins on `first`."""
    ahead = first.month - 1 + size
    return date(first.year + ahead // 12, ahead % 12 + 1, 1)


def _sigma(known: Sequence[LossRow], supply: float) -> float | None:
    """Return the uncertainty of the sum; where a day does not tell what is alike every day, all of it is taken so."""
    if any(row.sigma is None for row in known):
        return None
    steady = [(row.sigma if row.steady_sigma is None else row.steady_sigma) or 0.0 for row in known]
    volumes = [row.supply_m3 or 0.0 for row in known]
    noise = [
        max((row.sigma or 0.0) ** 2 - own**2, 0.0) * volume**2
        for row, own, volume in zip(known, steady, volumes, strict=True)
    ]
    alike = math.fsum(own * volume for own, volume in zip(steady, volumes, strict=True))
    return math.sqrt(alike**2 + math.fsum(noise)) / supply


def _between(known: Sequence[LossRow]) -> tuple[float | None, float | None]:
    """Sum what is lost between levels; its errors are taken as alike every day, which is the larger figure."""
    told = [row for row in known if row.between_m3 is not None]
    if not told or len(told) < len(known):
        return None, None
    sigmas = [row.between_sigma_m3 for row in told if row.between_sigma_m3 is not None]
    whole = math.fsum(sigmas) if len(sigmas) == len(told) else None
    return math.fsum(row.between_m3 or 0.0 for row in told), whole


def _terms(known: Sequence[LossRow], loss_sigma_m3: float | None) -> dict[str, tuple[float, float]]:
    """Sum terms; a day that does not tell them leaves the span without. The rest is as uncertain as the loss."""
    if not all(row.terms for row in known):
        return {}
    names = dict.fromkeys(name for row in known for name in row.terms)
    summed: dict[str, tuple[float, float]] = {}
    for name in names:
        pairs = [row.terms.get(name, (0.0, 0.0)) for row in known]
        sigmas = [sigma for _, sigma in pairs]
        sigma = math.fsum(sigmas) if name in STEADY_TERMS else math.hypot(*sigmas)
        if name == "rest" and loss_sigma_m3 is not None:
            sigma = loss_sigma_m3
        summed[name] = (math.fsum(value for value, _ in pairs), sigma)
    return summed


def _verdict(rate: float, sigma: float | None, days: int, asked: int) -> LossVerdict:
    if days < ENOUGH_DAYS * asked or sigma is None:
        return LossVerdict.NOT_ASSESSABLE
    return LossVerdict.HIGH if rate > max(HIGH_RATE, 2.0 * sigma) else LossVerdict.NORMAL
