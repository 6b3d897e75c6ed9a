"""How each class of ticket is delivered: pauses, time limits, when people are told and when another way is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model.ticket import TicketClass


@dataclass(frozen=True, slots=True)
class Lane:
    """How a class is delivered; real seconds."""

    gaps_s: tuple[float, ...]
    """pause after each attempt; the last one repeats if the lane never ends by count"""
    connect_s: float
    total_s: float
    ends_after_s: float | None
    """None: it never ends"""
    ends_after_attempts: int | None = None
    told_after_s: float = 1800.0
    """age of an unconfirmed ticket at which an alarm tells people; it stands on their page a second or two later"""
    fallback_after_s: float | None = None
    """age of an unconfirmed ticket at which it goes another way, too; None: only when nobody hopes for it any more"""
    fallback_when_open: bool = False
    """that other way is taken in working hours only: nobody reads of such a ticket at night"""


_CALM = Lane(
    (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400), 5, 20, None, 10, 1800, 1800, fallback_when_open=True
)
LANES: Mapping[TicketClass, Lane] = {
    TicketClass.EMERGENCY: Lane((1, 1, 2, 4, 7, 15), 2, 5, None, None, 18, 58),
    TicketClass.URGENT: Lane((5, 10, 15, 30, 60, 300), 3, 10, 24 * 3600, None, 300, 900),
    **dict.fromkeys((TicketClass.REPAIR, TicketClass.CHECK, TicketClass.SERVICE, TicketClass.PLANNED), _CALM),
}
LOOKS_S = (1.0, 2.0, 4.0, 8.0)
"""when to look for a ticket that the receiver accepted but has not made yet, before it is sent again"""
