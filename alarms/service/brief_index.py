"""Which tickets each figure of a brief counts, so that a figure can be opened to them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields

from alarms.service.brief_facts import LATE, OPEN, CallFact, ClockFact, TicketFact
from alarms.service.clocks import Standing
from alarms.service.month import Delivery
from alarms.service.quota import satisfied
from alarms.service.work_done import Inspected, WorkDone

_STEPS = ("confirmed", "departed", "arrived", "completed")
_FIGURES: Mapping[str, frozenset[Standing]] = {
    "kept": frozenset({Standing.MET}),
    "late": LATE,
    "not_recorded": frozenset({Standing.NOT_RECORDED}),
    "open": OPEN,
    "cancelled": frozenset({Standing.CANCELLED}),
}


def index(
    tickets: Sequence[TicketFact],
    calls: Iterable[CallFact],
    delivery: Delivery | None,
    work: WorkDone,
    inspected: Mapping[str, Inspected],
) -> dict[str, tuple[str, ...]]:
    """Return the tickets by `group:name:figure`, e.g. `clock:EMERGENCY/arrive:late`; once for each count."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in tickets:
        for key in _of_ticket(one):
            found[key].append(one.ticket_no)
        for clock in one.clocks:
            for key in _of_clock(one, clock):
                found[key].append(one.ticket_no)
    for call in calls:
        for key in _of_call(call):
            found[key].append(call.ticket_no)
    for group, counted in (("delivery", delivery), ("work", work)):
        for field in fields(counted) if counted is not None else ():
            numbers = getattr(counted, field.name)
            if isinstance(numbers, tuple) and numbers:
                found[f"{group}:{field.name}:tickets"] += numbers
    for name, group_of in inspected.items():
        if group_of.tickets:
            found[f"inspected:{name}:tickets"] += group_of.tickets
    return {key: tuple(numbers) for key, numbers in found.items()}


def _of_ticket(one: TicketFact) -> Iterator[str]:
    yield "all::tickets"
    yield f"class:{one.ticket_class}:tickets"
    yield f"source:{one.source}:tickets"
    yield f"type:{one.type}:tickets"
    for name in ("reopened", "late_entries", "not_believed"):
        yield from (f"all::{name}" for _ in range(getattr(one, name)))
    yield from (f"took:{name}:tickets" for name in _STEPS if getattr(one, f"{name}_at") is not None)


def _of_clock(one: TicketFact, clock: ClockFact) -> Iterator[str]:
    figure = next(name for name, standings in _FIGURES.items() if clock.standing in standings)
    yield f"all::{figure}"
    if one.ticket_class == "EMERGENCY":
        yield f"emergencies::{figure}"
    yield f"clock:{one.ticket_class}/{clock.clock}:{figure}"
    yield f"district:{one.district}:{figure}"
    yield f"crew:{one.crew}:{figure}"


def _of_call(call: CallFact) -> Iterator[str]:
    yield f"called:{call.level}:drawn"
    facts = {"in_time": call.in_time, "tried": call.tried, "reached": call.reached}
    facts["satisfied"] = call.reached and satisfied(call.marks)
    yield from (f"called:{call.level}:{name}" for name, holds in facts.items() if holds)
