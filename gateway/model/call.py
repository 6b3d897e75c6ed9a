"""A telephone report: what a caller said of a smell, a hiss, a flame or a meter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gateway.model.ticket import TicketClass

LATE = timedelta(minutes=10)
"""a call that is entered so long after it was taken, for instance from paper, is marked as entered late"""


class Said(StrEnum):
    """What a caller reports."""

    SMELL = "smell"
    HISS = "hiss"
    FIRE = "fire"
    ILL = "ill"
    NO_GAS = "no_gas"
    METER_PROBLEM = "meter_problem"
    OTHER = "other"


CLASSES: Mapping[Said, TicketClass] = {
    Said.SMELL: TicketClass.EMERGENCY,
    Said.HISS: TicketClass.EMERGENCY,
    Said.FIRE: TicketClass.EMERGENCY,
    Said.ILL: TicketClass.EMERGENCY,
    Said.METER_PROBLEM: TicketClass.URGENT,
    Said.NO_GAS: TicketClass.REPAIR,
    Said.OTHER: TicketClass.REPAIR,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call; its first three fields open the ticket, the rest may follow."""

    called_at: datetime
    number: str
    """telephone number of the caller"""
    place: str
    """address in words"""
    what: Said = Said.SMELL
    asset: str = ""
    """meter, building, zone or station at the place, as far as it is known"""
    caller: str = ""
    x_m: float | None = None
    y_m: float | None = None
    indoors: bool | None = None
    valve_closed: bool | None = None
    ill_persons: bool | None = None
    note: str = ""
    reference: str = ""
    """number at the police or the city's hotline"""

    @property
    def details(self) -> dict[str, Any]:
        """Return all that was said, ready for JSON, without what was not asked."""
        said = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        return {**said, "called_at": self.called_at.isoformat(), "what": self.what.value}

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Call:
        """Return the call whose details these are."""
        known = {field.name: details[field.name] for field in fields(cls) if field.name in details}
        return cls(**{**known, "called_at": datetime.fromisoformat(known["called_at"]), "what": Said(known["what"])})
