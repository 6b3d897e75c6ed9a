"""The month of a gas company on one sheet: each figure with its goal, and what it was the month before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from alarms.kpi import Report
from alarms.service.brief import GOALS as SERVICE_GOALS
from alarms.service.brief import Brief
from api.deps import Parts
from api.services import loss as loss_service
from api.services import service
from api.services.alarm_report import reports
from api.services.reading_rates import GOALS as READING_GOALS
from api.services.reading_rates import RateLine, reading_rates
from gateway.errors import GatewayError
from gateway.model.loss_total import month_after

LOSS_GOAL = 0.04
"""loss rate of the city that the company asks of itself (documents 001, 004)"""
ALARMS_AN_HOUR = 6.0
"""EEMUA 191"""
_LONGEST_AGO = 400
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Span:
    """A calendar month as far as it is over; `last` before `first` says that nothing of it is over yet."""

    month: str
    first: date
    last: date
    """the last local day that has begun"""
    last_gas_day: date
    """the last gas day that has ended"""

    @property
    def has_gas_days(self) -> bool:
        """Return True if a gas day of the month has ended."""
        return self.first <= self.last_gas_day

    @property
    def has_begun(self) -> bool:
        """Return True if the month is not in the future."""
        return self.first <= self.last


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: a share, or a number where `unit` says so; None where it is not known."""

    name: str
    value: float | None
    before: float | None
    goal: float | None = None
    at_most: bool = False
    """the goal is the most that is good, not the least"""
    unit: str = "%"
    sigma: float | None = None
    """standard uncertainty of the value"""

    @property
    def met(self) -> bool | None:
        """Tell whether the goal is met; None without a goal or a value."""
        if self.goal is None or self.value is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a month; None where it is not."""

    loss: loss_service.LossLine | None
    zones_high: int | None
    city: RateLine | None
    """reading rates of the whole city"""
    brief: Brief | None
    alarms: Report | None


def span_of(parts: Parts, month: str) -> Span:
    """Return a month such as 2026-11. Raises RefusedError 422 `month`."""
    first = service.first_of(month)
    now = parts.clock.now()
    today = now.astimezone(ZoneInfo(parts.site.gas_day.timezone)).date()
    end = month_after(first) - timedelta(days=1)
    return Span(month, first, min(end, today), min(end, parts.site.gas_day.of(now) - timedelta(days=1)))


def this_month(parts: Parts) -> str:
    """Return the month that goes on."""
    return f"{parts.clock.now().astimezone(ZoneInfo(parts.site.gas_day.timezone)):%Y-%m}"


def month_figures(parts: Parts, month: str) -> list[Figure]:
    """Return the figures of a month. Blocks, in a large city for many seconds. Raises RefusedError 422 `month`."""
    span = span_of(parts, month)
    earlier = span_of(parts, f"{span.first - timedelta(days=1):%Y-%m}")
    return list(_figures(_facts(parts, span), _facts(parts, earlier)))


def _facts(parts: Parts, span: Span) -> _Facts:
    too_old = span.first < parts.clock.now().date() - timedelta(days=_LONGEST_AGO)
    tree = loss_service.loss_tree(parts, span.first, span.last_gas_day) if span.has_gas_days and not too_old else []
    city = next((line for line in tree if line.depth == 0 and line.loss_rate is not None), None)
    return _Facts(
        city,
        sum(line.verdict == "high" for line in tree) if city is not None else None,
        _known(lambda: _city(reading_rates(parts, span.first, span.last_gas_day))) if span.has_gas_days else None,
        _known(lambda: service.brief(parts, span.month)),
        _known(lambda: next(iter(reports(parts, span.first, span.last).values()), None)) if span.has_begun else None,
    )


def _city(lines: list[RateLine] | None) -> RateLine | None:
    return lines[0] if lines else None


def _known(look: Callable[[], _T]) -> _T | None:
    try:
        return look()
    except GatewayError:
        return None


def _figures(now: _Facts, before: _Facts) -> Iterator[Figure]:
    def both(look: Callable[[_Facts], float | None]) -> tuple[float | None, float | None]:
        return look(now), look(before)

    sigma = None if now.loss is None else now.loss.sigma
    loss = both(lambda one: one.loss.loss_rate if one.loss else None)
    yield Figure("supply", *both(lambda one: one.loss.supply_m3 if one.loss else None), unit="m³")
    yield Figure("loss_rate", *loss, LOSS_GOAL, at_most=True, sigma=sigma)
    yield Figure("zones_high", *both(lambda one: one.zones_high), 0.0, at_most=True, unit="")
    yield Figure("homes_read", *both(lambda one: one.city.homes.share if one.city else None), READING_GOALS["homes"])
    yield Figure("others_read", *both(lambda one: one.city.others.share if one.city else None), READING_GOALS["others"])
    yield Figure("tickets", *both(lambda one: one.brief.tickets if one.brief else None), unit="")
    yield Figure("on_time", *both(lambda one: one.brief.on_time.share if one.brief else None), SERVICE_GOALS["all"])
    emergencies = both(lambda one: one.brief.emergencies.share if one.brief else None)
    yield Figure("emergencies", *emergencies, SERVICE_GOALS["emergency"])
    yield Figure("reached", *both(lambda one: _called(one, "reached", "drawn")), SERVICE_GOALS["reached"])
    yield Figure("satisfied", *both(lambda one: _called(one, "satisfied", "reached")), SERVICE_GOALS["satisfied"])
    an_hour = both(lambda one: one.alarms.per_hour if one.alarms else None)
    yield Figure("alarms_an_hour", *an_hour, ALARMS_AN_HOUR, at_most=True, unit="")
    yield Figure("floods", *both(lambda one: one.alarms.floods if one.alarms else None), 0.0, at_most=True, unit="")


def _called(facts: _Facts, of: str, among: str) -> float | None:
    if facts.brief is None:
        return None
    every = facts.brief.called.values()
    total = sum(getattr(one, among) for one in every)
    return sum(getattr(one, of) for one in every) / total if total else None
