"""What can happen to an alarm, and what has to be done then: events in, effects out of `alarms.machine.step`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.model.alarm import Priority


@dataclass(frozen=True, slots=True)
class ConditionRises:
    """The shaped condition became true; `source_at` is the device's time of the deciding sample."""

    source_at: datetime
    value: float | None = None
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class ConditionFalls:
    """The shaped condition became false; never sent because data is missing."""

    value: float | None = None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has seen occurrence `occurrence_no`."""

    occurrence_no: int
    by: str


@dataclass(frozen=True, slots=True)
class UndoAcknowledge:
    """The same person within ten minutes, or a supervisor, takes an acknowledgement back."""

    by: str
    supervisor: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """A person mutes the horn of this alarm for two minutes."""

    by: str


@dataclass(frozen=True, slots=True)
class Realarm:
    """Timer: an acknowledged alarm has stayed for the definition's `realarm_after`; or what it is about grew.

    A new `value` is kept, and told to the alarm's ticket.
    """

    grew: bool = False
    value: float | None = None


@dataclass(frozen=True, slots=True)
class PriorityRises:
    """The condition grew into a higher priority within the same occurrence."""

    priority: Priority


@dataclass(frozen=True, slots=True)
class Reset:
    """A person releases the latch of a condition that is over and acknowledged."""

    by: str


@dataclass(frozen=True, slots=True)
class Shelve:
    """A person (or, with `auto`, the chatter rule) hides the alarm for a short time."""

    until: datetime
    reason: str
    by: str
    one_shot: bool = False
    auto: bool = False


@dataclass(frozen=True, slots=True)
class Unshelve:
    """A person takes the alarm off the shelf and has thereby seen occurrence `occurrence_no`."""

    occurrence_no: int
    by: str


@dataclass(frozen=True, slots=True)
class ShelfOver:
    """Timer: the shelf's time has come."""


@dataclass(frozen=True, slots=True)
class RuleOn:
    """A design rule begins to hide the alarm; `person` marks a forbidden try by hand."""

    rule: str
    person: bool = False


@dataclass(frozen=True, slots=True)
class RuleOff:
    """A design rule no longer hides the alarm."""

    rule: str
    person: bool = False


@dataclass(frozen=True, slots=True)
class RemoveFromService:
    """Maintenance begins; a highly managed alarm needs a second, different person."""

    work_order: str
    interim: str
    by: str
    until: datetime
    second: str = ""


@dataclass(frozen=True, slots=True)
class ReturnToService:
    """Maintenance is over; `test` records how the alarm was tested."""

    by: str
    test: str


@dataclass(frozen=True, slots=True)
class QualityBad:
    """The value behind the condition is not known now."""


@dataclass(frozen=True, slots=True)
class QualityGood:
    """The value behind the condition is known again."""


@dataclass(frozen=True, slots=True)
class NewRevision:
    """An approved revision of the definition is in force."""


@dataclass(frozen=True, slots=True)
class Chatters:
    """The alarm comes and goes; `repair` if that has to be put right by a repair."""

    repair: bool = False


@dataclass(frozen=True, slots=True)
class TicketDue:
    """Timer: the definition's `ticket_delay` has passed since the alarm was raised."""


AlarmEvent = (
    ConditionRises
    | ConditionFalls
    | Acknowledge
    | UndoAcknowledge
    | Silence
    | Realarm
    | PriorityRises
    | Reset
    | Shelve
    | Unshelve
    | ShelfOver
    | RuleOn
    | RuleOff
    | RemoveFromService
    | ReturnToService
    | QualityBad
    | QualityGood
    | NewRevision
    | TicketDue
    | Chatters
)


@dataclass(frozen=True, slots=True)
class Journal:
    """One row of the journal; the caller adds time, person and the facts before and after."""

    event: str
    occurrence_no: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Announce:
    """Show and sound it; `again` if this occurrence was announced before."""

    occurrence_no: int
    again: bool


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """See that the occurrence has a ticket: its own, a joined one, or the one it has already."""

    occurrence_no: int


@dataclass(frozen=True, slots=True)
class TicketNote:
    """Tell the ticket of this occurrence, if it has one: `rtn` or `update`."""

    command: str
    occurrence_no: int


Effect = Journal | Announce | OpenTicket | TicketNote
