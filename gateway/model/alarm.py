"""The ISA-18.2 alarm object: facts are stored, the shown state is derived from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum


class Priority(IntEnum):
    """What the operator does first."""

    P1 = 1
    P2 = 2
    P3 = 3
    P4 = 4


class AlarmState(StrEnum):
    """The letter of ISA-18.2, with latched states; derived, never stored."""

    NORMAL = "A"
    UNACKNOWLEDGED = "B"
    ACKNOWLEDGED = "C"
    RETURNED_UNACKNOWLEDGED = "D"
    LATCHED_UNACKNOWLEDGED = "L1"
    LATCHED_ACKNOWLEDGED = "L2"
    SHELVED = "E"
    SUPPRESSED = "F"
    OUT_OF_SERVICE = "G"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Why, by whom and until when an alarm is shelved."""

    since: datetime
    until: datetime
    one_shot: bool
    by: str
    reason: str
    auto: bool = False


@dataclass(frozen=True, slots=True)
class OutOfService:
    """Maintenance: who answers for it, and what watches meanwhile."""

    work_order: str
    interim: str
    by: str
    second: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Definition:
    """A row of the master alarm database."""

    id: str
    kind: str
    """how the condition is judged: high_limit, low_limit, flag, burst (pressure falls fast while flow is high),
    silence, area (several stations at once), finding, or own (raised by gasgate itself)"""
    quantity: str
    """the judged quantity, empty if there is none"""
    asset_kinds: tuple[str, ...]
    limit: float | None
    limit_of_set_pressure: float | None
    """limit as a multiple of the regulator's set pressure, used where `limit` is None"""
    unit: str
    deadband: float
    """in the unit; a share of the limit where `limit_of_set_pressure` is used"""
    on_delay_s: float
    off_delay_s: float
    priority: Priority
    alarm_class: str
    """safety, supply, communication or system"""
    highly_managed: bool
    latching: bool
    shelvable: bool
    max_shelve: timedelta
    ack_on_rtn: bool
    realarm_after: timedelta | None
    ticket_class: str
    """EMERGENCY, URGENT, CHECK or empty for none"""
    ticket_type: str
    ticket_delay: timedelta
    join_group: str
    rules: tuple[str, ...]
    """design rules that may suppress it"""
    cause: str
    consequence: str
    action: str
    time_available_s: float
    time_needed_s: float
    revision: int
    title: str
    """gettext message id of the name that operators see, in English"""
    limit_of_medium_pressure: float | None = None
    """in place of `limit_of_set_pressure` where the set pressure is medium: 10 kPa or more"""
    position: str = "control_room"
    """the operating place on whose list it stands"""
    guidance_url: str = ""
    """the company's own instruction for it"""
    owner: str = ""
    """who answers for the row"""
    basis: str = ""
    """the document that its limit and priority rest on"""


LATE = timedelta(minutes=2)
"""between the device's time and ours, longer than any delay of judging"""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A definition applied to one asset: stored facts only."""

    definition: str
    asset: str
    priority: Priority
    cond: bool = False
    occurrence_no: int = 0
    acked: bool = True
    latched: bool = False
    shelf: Shelf | None = None
    sbd: frozenset[str] = frozenset()
    oos: OutOfService | None = None
    uncertain: bool = False
    announced_no: int = 0
    silenced_until: datetime | None = None
    source_at: datetime | None = None
    condition_at: datetime | None = None
    raised_at: datetime | None = None
    acked_at: datetime | None = None
    acked_by: str = ""
    cleared_at: datetime | None = None
    value: float | None = None
    definition_rev: int = 1
    version: int = 0

    @property
    def alarm_id(self) -> str:
        """`<definition>@<asset>`."""
        return f"{self.definition}@{self.asset}"

    @property
    def late(self) -> bool:
        """True if its condition became known long after it began: the gateway, or the way to it, was away."""
        begun, known = self.source_at, self.condition_at
        return begun is not None and known is not None and known - begun > LATE

    @property
    def hidden(self) -> bool:
        """True while shelved, suppressed by design or out of service."""
        return self.oos is not None or bool(self.sbd) or self.shelf is not None

    @property
    def base_state(self) -> AlarmState:
        """The letter from condition, latch and acknowledgement alone."""
        if self.cond:
            return AlarmState.ACKNOWLEDGED if self.acked else AlarmState.UNACKNOWLEDGED
        if self.latched:
            return AlarmState.LATCHED_ACKNOWLEDGED if self.acked else AlarmState.LATCHED_UNACKNOWLEDGED
        return AlarmState.NORMAL if self.acked else AlarmState.RETURNED_UNACKNOWLEDGED

    @property
    def state(self) -> AlarmState:
        """The letter that is shown: out of service, then suppressed, then shelved, then the base state."""
        if self.oos is not None:
            return AlarmState.OUT_OF_SERVICE
        if self.sbd:
            return AlarmState.SUPPRESSED
        return AlarmState.SHELVED if self.shelf is not None else self.base_state
