"""What the monthly brief counts beside promises: interruptions of supply and the delivery of tickets. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.model.interruption import LONGEST, Interruption, InterruptionState, repeated_zones


@dataclass(frozen=True, slots=True)
class StopFact:
    """An interruption of the month, and how many customers were told of it."""

    plan: Interruption
    told: int


@dataclass(frozen=True, slots=True)
class Stops:
    """Interruptions of supply that were to begin, or began, in a month; each with its number."""

    planned: tuple[str, ...]
    """all but emergencies and those that were cancelled"""
    emergencies: tuple[str, ...]
    cancelled: tuple[str, ...]
    short_notice: tuple[str, ...]
    """announced later than 48 hours before: a breach"""
    untold: tuple[str, ...]
    """stopped although no notice is on record"""
    overrun: tuple[str, ...]
    """supply came back later than 24 hours after it stopped"""
    repeated: tuple[str, ...]
    """zones that were stopped twice within 30 days"""
    told: int
    """customers that were told, as often as they were"""


@dataclass(frozen=True, slots=True)
class DeliveryFact:
    """How a ticket reached the ticketing system."""

    ticket_no: str
    confirmed: bool
    attempts: int
    """of its `open`"""
    dead: int
    """commands that were given up"""
    fallbacks: int
    """other ways that took it"""
    by_phone: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """Delivery of a month's tickets; each figure as the tickets that it counts."""

    confirmed: tuple[str, ...]
    retried: tuple[str, ...]
    """needed more than one attempt"""
    unconfirmed: tuple[str, ...]
    dead: tuple[str, ...]
    """something of it was given up"""
    fallbacks: tuple[str, ...]
    by_phone: tuple[str, ...]
    differences: Mapping[str, int] = field(default_factory=dict)
    """disagreements with ticketing systems that were found, by kind"""


def count_stops(found: Iterable[StopFact], near: Sequence[Interruption]) -> Stops:
    """Return the figures of a month's interruptions; `near` are all of the 30 days around each of them."""
    facts = list(found)
    held = [one for one in facts if one.plan.state is not InterruptionState.CANCELLED]
    begun = [one for one in held if one.plan.closed_at is not None]
    zones = Counter(zone for one in held for zone in repeated_zones(one.plan, near))
    return Stops(
        planned=_ids(one for one in held if not one.plan.emergency),
        emergencies=_ids(one for one in held if one.plan.emergency),
        cancelled=_ids(one for one in facts if one.plan.state is InterruptionState.CANCELLED),
        short_notice=_ids(one for one in held if one.plan.short_notice),
        untold=_ids(one for one in begun if not one.told and not one.plan.emergency),
        overrun=_ids(one for one in begun if _overran(one.plan)),
        repeated=tuple(sorted(zones)),
        told=sum(one.told for one in held),
    )


def count_delivery(found: Iterable[DeliveryFact], differences: Mapping[str, int]) -> Delivery:
    """Return the figures of the delivery of a month's tickets."""
    facts = list(found)
    return Delivery(
        confirmed=_numbers(one for one in facts if one.confirmed),
        retried=_numbers(one for one in facts if one.attempts > 1),
        unconfirmed=_numbers(one for one in facts if not one.confirmed),
        dead=_numbers(one for one in facts if one.dead),
        fallbacks=_numbers(one for one in facts if one.fallbacks),
        by_phone=_numbers(one for one in facts if one.by_phone),
        differences=dict(differences),
    )


def _overran(plan: Interruption) -> bool:
    """Tell whether supply was away for longer than promised; while it is, the alarm PLAN_OVERRUN tells."""
    if plan.closed_at is None or plan.restored_at is None:
        return False
    return plan.restored_at - plan.closed_at > LONGEST


def _ids(found: Iterable[StopFact]) -> tuple[str, ...]:
    return tuple(one.plan.id for one in found)


def _numbers(found: Iterable[DeliveryFact]) -> tuple[str, ...]:
    return tuple(one.ticket_no for one in found)
