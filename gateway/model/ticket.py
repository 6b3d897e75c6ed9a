"""A ticket: an order for a crew, with clocks; and what passes between gasgate and a ticketing system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class TicketClass(StrEnum):
    """How fast somebody must come."""

    EMERGENCY = "EMERGENCY"
    URGENT = "URGENT"
    REPAIR = "REPAIR"
    CHECK = "CHECK"
    SERVICE = "SERVICE"
    PLANNED = "PLANNED"


class TicketState(StrEnum):
    """Last step that the ticketing system reported."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DISPATCHED = "dispatched"
    DEPARTED = "departed"
    ARRIVED = "arrived"
    IN_PROGRESS = "in_progress"
    SUPPLY_RESTORED = "supply_restored"
    FIXED = "fixed"
    LEFT_SITE = "left_site"
    COMPLETED = "completed"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    RECHECKED = "rechecked"
    CALLED_BACK = "called_back"
    REOPENED = "reopened"


ENDED = (TicketState.COMPLETED, TicketState.CANCELLED, TicketState.CALLED_BACK, TicketState.RECHECKED)
"""states of a ticket whose work is over"""


class DeliveryState(StrEnum):
    """Where a command of the outbox stands."""

    PENDING = "pending"
    SENDING = "sending"
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"
    RETRY = "retry"
    DEAD = "dead"


class Cause(StrEnum):
    """Why a command is not confirmed, as far as it decides what is done next."""

    ACCEPTED = "accepted"
    """the receiver took it and makes the ticket later: look, and send again only after some looks"""
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    GONE = "gone"
    """the receiver said that its address is no more: it is switched off"""
    PATIENCE = "patience"
    """the receiver asks for more patience than the class has"""
    TOO_LATE = "too_late"
    """its lane's attempts or time were used up"""


class DifferenceKind(StrEnum):
    """How gasgate and a ticketing system may disagree."""

    MISSING_THERE = "missing_there"
    MISSING_HERE = "missing_here"
    DOUBLED = "doubled"
    STATE = "state"
    FIELD = "field"
    GAP = "gap"
    """a step with a version beyond the next one came: those between are asked for"""
    COLLISION = "collision"
    """the receiver has our key for something else"""


class TicketAct(StrEnum):
    """What can be done with a ticket beside the alarms' own commands."""

    SPLIT = "split"
    LINK = "link"
    NOTE = "note"
    CANCEL_REQUEST = "cancel_request"
    HANDLED_BY_PHONE = "handled_by_phone"
    SIZE = "size"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement with a ticketing system; times are UTC."""

    id: int
    kind: DifferenceKind
    sink: str
    dedup_key: str
    ticket_no: str
    """empty if the ticket is not ours"""
    external_id: str
    detail: Mapping[str, Any]
    found_at: datetime
    settled_at: datetime | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket with its clocks; times are UTC, None = has not happened."""

    ticket_no: str
    dedup_key: str
    ticket_class: TicketClass
    type: str
    asset: str
    join_group: str
    scope: str
    """node of the network within which alarms may join"""
    state: TicketState
    raised_at: datetime
    depart_by: datetime | None
    arrive_by: datetime | None
    title: str
    description: str
    external_id: str = ""
    external_url: str = ""
    external_version: int = 0
    dispatched_at: datetime | None = None
    departed_at: datetime | None = None
    arrived_at: datetime | None = None
    completed_at: datetime | None = None
    delivery: DeliveryState = DeliveryState.PENDING
    size: str = ""
    """size of the job, e.g. large; empty = ordinary"""
    customer: str = ""
    """class of the customer if it is about one meter"""
    customers: int | None = None
    """customers behind the asset, None = not counted"""
    sensitive: int | None = None
    """those of them that depend on supply"""


@dataclass(frozen=True, slots=True)
class Command:
    """One message of the outbox: `body` is the `data` part of the CloudEvents envelope."""

    dedup_key: str
    ticket_no: str
    command: str
    """open, update, note, rtn or cancel_request"""
    command_no: int
    webhook_id: str
    ticket_class: TicketClass
    created_at: datetime
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which try this is (1 = first) and how long it may take in all, in real seconds."""

    number: int
    connect_timeout_s: float
    total_timeout_s: float


@dataclass(frozen=True, slots=True)
class ExternalEvent:
    """A step of the work as the ticketing system wrote it down."""

    event_id: str
    version: int
    type: str
    """a `TicketState` in words of the ticketing system; one that gasgate does not know is left out"""
    occurred_at: str
    """ISO 8601 with a time zone; empty if it is not known"""
    actor: str = ""
    result: str = ""
    """what the crew found, e.g. found or false_alarm; empty where nobody says"""


@dataclass(frozen=True, slots=True)
class ExternalTicket:
    """A ticket as the ticketing system knows it; texts are empty where it does not say."""

    external_id: str
    url: str
    state: str
    dedup_key: str
    raised_at: str
    received_at: str
    version: int = 0
    events: tuple[ExternalEvent, ...] = ()
    """all steps that it wrote down; empty if it keeps or tells none"""
    ticket_no: str = ""
    ticket_class: str = ""
    type: str = ""
    asset: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class ExternalChange:
    """A ticket that changed, and the cursor behind it."""

    ticket: ExternalTicket
    cursor: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ticket is there."""

    ticket: ExternalTicket
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can say whether it arrived: look it up by key before anything else."""

    reason: str
    retry_after_s: float | None = None
    accepted: bool = False
    """the receiver took it (202) but cannot say yet whether the ticket exists: look, do not send again at once"""


@dataclass(frozen=True, slots=True)
class Refused:
    """The message itself is at fault; sending it again cannot help."""

    reason: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Credentials or address are wrong; a person must repair them."""

    reason: str
    gone: bool = False
    """the receiver says that this address is no more and will not be again"""


Outcome = Confirmed | Unknown | Refused | Misconfigured


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a ticketing system can do for us."""

    create_once: bool
    lookup: bool
    push: bool
    pull: bool
    update: bool
