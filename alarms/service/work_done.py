"""What the monthly brief counts of the work: reminders, faults that came back, visits, steps as reported. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alarms.service.brief_facts import TicketFact

UNRECORDED = ("calls_answered", "third_party_survey", "first_ignition")
"""figures that the company reports and that nothing here records: shown as not recorded, never as none"""
QUOTAS = {"homes": 1, "others": 2}
"""safety inspections that each customer gets in a calendar year (documents 001, 003)"""


@dataclass(frozen=True, slots=True)
class WorkDone:
    """Work on the tickets of a month; each figure as the tickets that it counts, once for each count."""

    reminders: tuple[str, ...]
    """further calls about an open ticket"""
    same_caller: tuple[str, ...]
    """those of them from a number that had called about it before"""
    repeated: tuple[str, ...]
    """tickets about a danger that work had ended less than 90 days before"""
    visited: tuple[str, ...]
    """completed tickets with an arrival on record"""
    one_visit: tuple[str, ...]
    """those of them that one arrival ended, and that were not opened again"""
    replies: int
    """steps that crews reported"""
    untrue: tuple[str, ...]
    """those of them whose moment cannot be true"""

    @property
    def one_visit_share(self) -> float | None:
        """Share of completed work that one visit ended; None where no arrival is on record."""
        return len(self.one_visit) / len(self.visited) if self.visited else None

    @property
    def untrue_share(self) -> float | None:
        """Share of reported steps whose moment cannot be true; None where nothing was reported."""
        return len(self.untrue) / self.replies if self.replies else None

    def count(self, figure: str) -> int | None:
        """Return how many tickets a figure counts; None where nothing is on record that it could count."""
        unknown = {"visited": not self.visited, "one_visit": not self.visited, "untrue": not self.replies}
        return None if unknown.get(figure) else len(getattr(self, figure))


@dataclass(frozen=True, slots=True)
class Inspected:
    """Safety inspections of a year so far, of one group of customers."""

    customers: int
    quota: int
    """inspections that each gets in a year"""
    enough: int
    """customers that had as many"""
    tickets: tuple[str, ...]
    """completed inspections"""

    @property
    def share(self) -> float | None:
        """Share of customers that had their inspections, None where there are none."""
        return self.enough / self.customers if self.customers else None


def count_work(tickets: Sequence[TicketFact]) -> WorkDone:
    """Return the figures of the tickets of a month."""
    visited = [one for one in tickets if one.completed_at is not None and one.visits]
    return WorkDone(
        reminders=_times(tickets, "reminders"),
        same_caller=_times(tickets, "same_caller"),
        repeated=tuple(one.ticket_no for one in tickets if one.repeats),
        visited=tuple(one.ticket_no for one in visited),
        one_visit=tuple(one.ticket_no for one in visited if one.visits == 1 and not one.reopened),
        replies=sum(one.replies for one in tickets),
        untrue=_times(tickets, "not_believed"),
    )


def count_inspections(
    customers: Mapping[str, int], done: Iterable[tuple[str, str, str]]
) -> dict[str, Inspected] | None:
    """Return by group how far a year's inspections are; None if none was ever recorded: then nobody knows.

    `customers` counts them by group (`homes`, `others`), `done` are (ticket, meter, group) of completed inspections.
    """
    tickets: dict[str, list[str]] = {group: [] for group in QUOTAS}
    visits: dict[tuple[str, str], int] = {}
    for ticket_no, meter, group in done:
        tickets[group].append(ticket_no)
        visits[group, meter] = visits.get((group, meter), 0) + 1
    if not visits:
        return None
    return {
        group: Inspected(
            customers=customers.get(group, 0),
            quota=quota,
            enough=sum(count >= quota for (of, _), count in visits.items() if of == group),
            tickets=tuple(tickets[group]),
        )
        for group, quota in QUOTAS.items()
    }


def _times(tickets: Sequence[TicketFact], name: str) -> tuple[str, ...]:
    return tuple(one.ticket_no for one in tickets for _ in range(getattr(one, name)))
