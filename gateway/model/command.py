"""What a person tells a device to do: the states of a command, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.model.quantity import Quantity

SEND_WITHIN_S = 60.0
"""real seconds after the last person's word; what is older is never sent"""
APPROVE_WITHIN_S = 300.0
"""real seconds that a command waits for its second person"""


class CommandState(StrEnum):
    """How far a command is."""

    REQUESTED = "requested"
    APPROVED = "approved"
    """a second person agreed"""
    SENT = "sent"
    """the intent is on disk; from here on nobody may send it again"""
    CONFIRMED = "confirmed"
    MISMATCH = "mismatch"
    """the device shows something else than was ordered"""
    UNKNOWN = "unknown"
    """it may have been done; only a reading of the device can tell"""
    REFUSED = "refused"
    """by the second person or by the device; nothing was done"""
    EXPIRED = "expired"
    """it was never sent, for it would have been too late"""


WAITING = (CommandState.REQUESTED, CommandState.APPROVED)
"""States from which it may still be sent."""


@dataclass(frozen=True, slots=True)
class CommandOffer:
    """A command that can be given to an asset now."""

    asset: str
    name: str
    source: str
    confirm: Quantity
    """quantity of the asset that shows whether it was done"""
    expect: float
    """value of that quantity when it was"""
    tolerance: float
    settle_s: float
    """real seconds that the device needs before it shows the result"""
    second_person: bool
    closes: bool
    """True if all that it does is to close a valve"""
    look_for_s: float = 600.0
    """real seconds for which one tries to see the result"""
    by_reading: bool = False
    """True if the device reports the result by itself, with its next reading"""

    def met_by(self, value: float) -> bool:
        """Tell whether a reading shows that the command was done; NaN does not."""
        return abs(value - self.expect) <= self.tolerance


@dataclass(frozen=True, slots=True)
class CommandWish:
    """What a person asks for."""

    key: str
    """chosen by the caller: the same key again is the same command"""
    asset: str
    name: str
    reason: str
    who: str


@dataclass(frozen=True, slots=True)
class DeviceCommand:
    """A command as it is recorded. Moments are us UTC of the clock; those called `wall` are real seconds since 1970."""

    id: int
    wish: CommandWish
    offer: CommandOffer
    state: CommandState
    open: bool
    """True until nothing more is done about it"""
    requested_at: int
    wall_asked: float
    """of the last person's word: the request or the approval"""
    decided_by: str
    """who approved it or turned it down"""
    decided_at: int | None
    sent_at: int | None
    ended_at: int | None
    request_frame: str
    """hexadecimal, as it was or would have been sent"""
    reply_frame: str
    read_frames: str
    """question and answer of the read-back"""
    read_value: float | None
    read_at: int | None
    detail: str
    """why it is in this state, for a person"""

    @property
    def correlation(self) -> str:
        """Name that a device gets, different for each command also after a backup was restored."""
        return f"{self.id}-{self.requested_at:x}"

    def may_be_sent(self) -> bool:
        """Tell whether all who must agree have agreed, and it was not sent yet."""
        if self.offer.second_person:
            return self.state is CommandState.APPROVED
        return self.state is CommandState.REQUESTED

    def too_late(self, wall_now: float) -> bool:
        """Tell whether it must not be sent any more; a wall clock that went back is no excuse."""
        patience = SEND_WITHIN_S if self.may_be_sent() else APPROVE_WITHIN_S
        return not -1.0 <= wall_now - self.wall_asked <= patience
