"""What differs between a ticket of ours and the ticketing system's, and which steps of the work are new. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from alarms.tickets.sending import same_moment
from gateway.model.ticket import DifferenceKind, ExternalEvent, ExternalTicket, Ticket, TicketState

_NAMES = ("ticket_no", "type", "asset")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that differs."""

    kind: DifferenceKind
    detail: Mapping[str, Any]


def compare(ticket: Ticket, external: ExternalTicket, raised_at: str) -> list[Finding]:
    """Return how the ticketing system's ticket of our key differs from ours.

    `raised_at` is what we sent as the ticket's moment. What the ticketing system does not say differs from nothing.
    """
    found = []
    if ticket.external_id and external.external_id and ticket.external_id != external.external_id:
        detail = {"ours": ticket.external_id, "theirs": external.external_id}
        found.append(Finding(DifferenceKind.DOUBLED, detail))
    state = state_of(external.state)
    if external.version != ticket.external_version or (state is not None and state is not ticket.state):
        ours, theirs = [ticket.external_version, ticket.state.value], [external.version, external.state]
        found.append(Finding(DifferenceKind.STATE, {"ours": ours, "theirs": theirs}))
    fields = {name: (str(getattr(ticket, name)), str(getattr(external, name))) for name in _NAMES}
    fields["class"] = (ticket.ticket_class.value, external.ticket_class)
    differing: dict[str, object] = {name: pair for name, pair in fields.items() if pair[1] and pair[0] != pair[1]}
    if not same_moment(external, raised_at):
        differing["raised_at"] = [raised_at, external.raised_at]
    if differing:
        found.append(Finding(DifferenceKind.FIELD, differing))
    return found


def state_of(word: str) -> TicketState | None:
    """Return a state in our words, None for one that we do not know."""
    return TicketState(word) if word in TicketState.__members__.values() else None


def steps_of(external: ExternalTicket) -> list[tuple[ExternalEvent, datetime | None]]:
    """Return the steps that a ticketing system told in their order, each with its moment; None where it says none.

    How the ticket stands now is a step, too, if it is not among them.
    """
    nothing = (None, TicketState.OPEN)
    told = [one for one in external.events if state_of(one.type) not in nothing]
    if external.version not in {one.version for one in told} and state_of(external.state) not in nothing:
        event_id = f"{external.external_id}-{external.version}"
        told.append(ExternalEvent(event_id, external.version, external.state, ""))
    return [(one, moment_of(one.occurred_at)) for one in sorted(told, key=lambda step: step.version)]


def moment_of(text: str) -> datetime | None:
    """Read a moment with its time zone, None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
