"""Sends one command so that it cannot become two tickets: look-up before each repeat, and belief only in our own."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime

from alarms.tickets.lanes import LOOKS_S, Lane
from gateway.errors import GatewayError
from gateway.model.ticket import (
    Attempt,
    Cause,
    Command,
    Confirmed,
    DeliveryState,
    ExternalTicket,
    Outcome,
    Refused,
    TicketClass,
    Unknown,
)
from gateway.ports import TicketSink


@dataclass(frozen=True, slots=True)
class Collision(Refused):
    """The receiver has a ticket of our key that was raised at another moment."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What is to be sent, and what is known of it."""

    command: Command
    state: DeliveryState
    attempts: int
    cause: Cause | None = None
    external_id: str = ""


async def send(sink: TicketSink, one: Sending, lane: Lane) -> Outcome:
    """Send one command once, or find that it is there already. Raises only what is a fault of our own."""
    command = one.command
    if command.command == "open" and sink.capabilities.lookup and (one.external_id or _unsure(one)):
        try:
            async with asyncio.timeout(lane.total_s):
                found = await sink.lookup(command.dedup_key)
        except (TimeoutError, GatewayError) as error:
            # Two tickets are better than none when lives are at stake; any other waits for its look-up.
            if command.ticket_class is not TicketClass.EMERGENCY or one.external_id:
                return Unknown(f"look-up failed: {error}"[:200], accepted=one.cause is Cause.ACCEPTED)
            found = None
        if found is not None:
            return ours(Confirmed(found, duplicate=True), command)
        if one.external_id:
            return Unknown("the ticketing system had this ticket and does not know it any more")
        if one.cause is Cause.ACCEPTED and one.attempts <= len(LOOKS_S):
            return Unknown("accepted, but not there yet", accepted=True)
    outcome = await sink.deliver(command, Attempt(one.attempts + 1, lane.connect_s, lane.total_s))
    return ours(outcome, command) if isinstance(outcome, Confirmed) else outcome


def ours(outcome: Confirmed, command: Command) -> Outcome:
    """Believe a confirmation only if key and moment are ours: a used key must never swallow a new leak."""
    external = outcome.ticket
    if external.dedup_key != command.dedup_key:
        return Unknown("the receiver answered about another key")
    if command.command == "open" and not same_moment(external, str(command.body.get("raised_at", ""))):
        return Collision("key collision: the receiver's ticket of this key was raised at another time")
    return outcome


def same_moment(external: ExternalTicket, raised_at: str) -> bool:
    """Tell whether a ticket of the receiver was raised at a moment; it is believed to be if it does not say."""
    if not external.raised_at:
        return True
    if external.raised_at == raised_at:
        return True
    with contextlib.suppress(ValueError, TypeError):
        apart = datetime.fromisoformat(external.raised_at) - datetime.fromisoformat(raised_at)
        return abs(apart.total_seconds()) < 1.0
    return False


def _unsure(one: Sending) -> bool:
    return one.state is DeliveryState.UNKNOWN
