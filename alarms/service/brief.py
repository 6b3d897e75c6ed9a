"""The monthly service brief: what was promised, what was kept, where not and how late. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from alarms.service.brief_facts import LATE, OPEN, CallFact, ClockFact, TicketFact
from alarms.service.brief_index import index
from alarms.service.clocks import Standing
from alarms.service.month import Delivery, Stops
from alarms.service.quota import satisfied
from alarms.service.work_done import UNRECORDED, Inspected, WorkDone, count_work

GOALS = {"all": 0.95, "emergency": 1.0, "reached": 0.86, "satisfied": 0.98}
"""shares on time and of call-backs by the company's service standards (documents 001, 004)"""


@dataclass(frozen=True, slots=True)
class OnTime:
    """Promises of one group. Not recorded counts as late; what is still open, or was cancelled, counts for neither."""

    kept: int = 0
    late: int = 0
    not_recorded: int = 0
    open: int = 0
    cancelled: int = 0

    @property
    def share(self) -> float | None:
        """Return the share on time, None before anything is decided."""
        decided = self.kept + self.late + self.not_recorded
        return self.kept / decided if decided else None


@dataclass(frozen=True, slots=True)
class Took:
    """How long something took in seconds, over so many tickets (nearest-rank percentiles)."""

    count: int
    median_s: float
    p90_s: float
    p99_s: float
    worst_s: float
    worst: str
    """the ticket that took longest"""


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that was not kept."""

    ticket_no: str
    ticket_class: str
    type: str
    clock: str
    promise_id: str
    standing: Standing
    district: str
    crew: str
    due_at: datetime | None
    stopped_at: datetime | None


@dataclass(frozen=True, slots=True)
class Called:
    """Call-backs of one level."""

    drawn: int
    in_time: int
    tried: int
    reached: int
    satisfied: int


@dataclass(frozen=True, slots=True)
class Brief:
    """The service of one month."""

    month: str
    tickets: int
    by_class: Mapping[str, int]
    by_source: Mapping[str, int]
    on_time: OnTime
    emergencies: OnTime
    by_clock: Mapping[str, OnTime]
    """key `class/clock`"""
    by_district: Mapping[str, OnTime]
    by_crew: Mapping[str, OnTime]
    took: Mapping[str, Took]
    """confirmed, departed, arrived and completed, each from raised"""
    breaches: tuple[Breach, ...]
    reopened: int
    late_entries: int
    called: Mapping[str, Called] = field(default_factory=dict)
    not_believed: int = 0
    complaints: int = 0
    """complaints received; how they were answered stands among the clocks SERVICE/first_answer and SERVICE/solution"""
    stops: Stops | None = None
    delivery: Delivery | None = None
    work: WorkDone | None = None
    inspected: Mapping[str, Inspected] | None = None
    """safety inspections of the year so far by group of customers; None where none was ever recorded"""
    unrecorded: tuple[str, ...] = UNRECORDED
    opened: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """the tickets that each figure counts, by `group:name:figure`; a ticket stands once for each count"""


def make_brief(
    month: str,
    tickets: Sequence[TicketFact],
    calls: Iterable[CallFact] = (),
    *,
    stops: Stops | None = None,
    delivery: Delivery | None = None,
    inspected: Mapping[str, Inspected] | None = None,
) -> Brief:
    """Return the brief of the tickets raised in a month."""
    calls = list(calls)
    everything = [(one, clock) for one in tickets for clock in one.clocks]
    work = count_work(tickets)
    return Brief(
        month=month,
        tickets=len(tickets),
        by_class=dict(Counter(one.ticket_class for one in tickets)),
        by_source=dict(Counter(one.source for one in tickets)),
        on_time=_on_time(clock for _, clock in everything),
        emergencies=_on_time(clock for one, clock in everything if one.ticket_class == "EMERGENCY"),
        by_clock=_grouped(everything, lambda one, clock: f"{one.ticket_class}/{clock.clock}"),
        by_district=_grouped(everything, lambda one, _: one.district),
        by_crew=_grouped(everything, lambda one, _: one.crew),
        took={name: found for name in _STEPS if (found := _took(tickets, name)) is not None},
        breaches=tuple(_breach(one, clock) for one, clock in everything if clock.standing in _NOT_KEPT),
        reopened=sum(one.reopened for one in tickets),
        late_entries=sum(one.late_entries for one in tickets),
        called=_called(calls),
        not_believed=sum(one.not_believed for one in tickets),
        complaints=sum(one.type == COMPLAINT for one in tickets),
        stops=stops,
        delivery=delivery,
        work=work,
        inspected=inspected,
        opened=index(tickets, calls, delivery, work, inspected or {}),
    )  # fmt: skip


COMPLAINT = "complaint"
"""type of the tickets that customers open to complain"""
_STEPS = ("confirmed", "departed", "arrived", "completed")
_NOT_KEPT = LATE | {Standing.NOT_RECORDED}


def _on_time(clocks: Iterable[ClockFact]) -> OnTime:
    count = Counter(clock.standing for clock in clocks)
    return OnTime(
        kept=count[Standing.MET],
        late=sum(count[standing] for standing in LATE),
        not_recorded=count[Standing.NOT_RECORDED],
        open=sum(count[standing] for standing in OPEN),
        cancelled=count[Standing.CANCELLED],
    )


def _grouped(
    everything: Sequence[tuple[TicketFact, ClockFact]], key: Callable[[TicketFact, ClockFact], str]
) -> dict[str, OnTime]:
    groups: dict[str, list[ClockFact]] = defaultdict(list)
    for one, clock in everything:
        groups[key(one, clock)].append(clock)
    return {name: _on_time(groups[name]) for name in sorted(groups)}


def _took(tickets: Sequence[TicketFact], what: str) -> Took | None:
    spans: list[tuple[float, str]] = sorted(
        ((at - one.raised_at).total_seconds(), one.ticket_no)
        for one in tickets
        if (at := getattr(one, f"{what}_at")) is not None
    )
    if not spans:
        return None

    def rank(share: float) -> float:
        seconds, _ = spans[max(math.ceil(share * len(spans)) - 1, 0)]
        return seconds

    return Took(len(spans), rank(0.5), rank(0.9), rank(0.99), *spans[-1])


def _breach(one: TicketFact, clock: ClockFact) -> Breach:
    return Breach(
        one.ticket_no,
        one.ticket_class,
        one.type,
        clock.clock,
        clock.promise_id,
        clock.standing,
        one.district,
        one.crew,
        clock.due_at,
        clock.stopped_at,
    )


def _called(calls: Iterable[CallFact]) -> dict[str, Called]:
    levels: dict[str, list[CallFact]] = defaultdict(list)
    for call in calls:
        levels[call.level].append(call)
    return {
        level: Called(
            drawn=len(found),
            in_time=sum(call.in_time for call in found),
            tried=sum(call.tried for call in found),
            reached=sum(call.reached for call in found),
            satisfied=sum(call.reached and satisfied(call.marks) for call in found),
        )
        for level, found in levels.items()
    }
