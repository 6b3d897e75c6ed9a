"""What the API takes and gives as JSON."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from alarms.route import guidance
from api.roles import Act, Role
from api.services.findings import FindingView
from api.services.loss import LossLine
from api.services.views import AlarmView, TicketView
from gateway.model.finding import FindingKind, InspectionResult
from gateway.store.alarm_rows import JournalEntry
from gateway.store.removal_rows import Removal


def _storable(text: str) -> str:
    if any("\ud800" <= sign <= "\udfff" or (sign < " " and sign not in "\t\n\r") for sign in text):
        raise ValueError("control signs and half characters are not allowed")
    return text


Text = Annotated[str, Field(max_length=2000), AfterValidator(_storable)]
Reason = Annotated[str, Field(min_length=3, max_length=500), AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_storable)]


def telephone_number(text: str) -> str:
    """Return a number as it was written. Raises ValueError if it holds more than digits, + - ( ) and spaces."""
    if not all(sign.isdigit() or sign in "+-() " for sign in text) or not any(sign.isdigit() for sign in text):
        raise ValueError("a telephone number holds digits, + - ( ) and spaces")
    return text


Phone = Annotated[str, Field(min_length=3, max_length=40), AfterValidator(telephone_number)]
RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]


class Body(BaseModel):
    """Base of all request bodies: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


Password = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_storable)]


class LoginBody(Body):
    """Name and password."""

    name: Name
    password: Password


class OwnPasswordBody(Body):
    """One's own password, as it is and as it is to be."""

    before: Password
    after: Password


class PasswordBody(Body):
    """A password for somebody else."""

    password: Password


class RoleBody(Body):
    """What somebody is to be."""

    role: Role


class UserBody(RoleBody):
    """A new person."""

    name: Name
    password: Password
    """the first one; it must be changed before anything else"""
    language: Annotated[str, Field(pattern=r"^(zh|en)$")] = "zh"


class TokenBody(Body):
    """A wanted API token."""

    name: Name
    role: Role = Role.VIEWER
    """what it may do at most: one's own, or viewer"""
    acts: Annotated[list[Act], Field(min_length=1, max_length=100)] | None = None
    """its scope: some of what the role may, as `GET /me` names it; null: all of it"""
    days: Annotated[int, Field(ge=1, le=366)] = 90
    """how long it is good for"""


Version = Annotated[int, Field(ge=0, le=2**53)] | None


class RequestBody(Body):
    """An act that needs nothing but its id."""

    request_id: RequestId
    """the same id again gives the first answer and does nothing"""
    version: Version = None
    """of the facts that one saw; answered with 409 `conflict` if they changed since"""


class OccurrenceBody(RequestBody):
    """Which occurrence a person has seen."""

    occurrence_no: Annotated[int, Field(ge=0, le=2**53)]


class VerdictBody(OccurrenceBody):
    """Whether an occurrence was a false alarm, and why."""

    false_alarm: bool
    reason: Reason


class ShelveBody(RequestBody):
    """How long and why to hide an alarm."""

    minutes: Annotated[int, Field(ge=1, le=1440)]
    reason: Text
    one_shot: bool = False


class RemoveBody(RequestBody):
    """Taking an alarm out of service for maintenance."""

    work_order: Annotated[str, Field(max_length=120), AfterValidator(_storable)]
    interim: Text
    """who watches what meanwhile, and how often"""
    until: AwareDatetime
    """planned return"""


class ReturnBody(RequestBody):
    """Back into service."""

    test: Text
    """how the alarm was tested"""


class ChoiceBody(Body):
    """Which of several values of one device time counts."""

    source_time: AwareDatetime
    value_m3: Annotated[float, Field(ge=0, le=1e12)] | None
    """one of the values that came; null: none of them, as before any choice"""
    reason: Reason


class EditBody(Body):
    """What a gas day comes to by hand."""

    volume_m3: Annotated[float, Field(ge=0, le=1e9)] | None
    """whole steps of the register; null: the day is again what its readings tell"""
    reason: Reason


class InspectionBody(Body):
    """What an inspection found."""

    result: InspectionResult
    found_kind: FindingKind | None = None
    """what it really was; null: what was suspected"""
    found_m3_per_day: Annotated[float, Field(ge=0, le=1e7)] | None = None
    note: Text = ""


def plain(value: Any) -> Any:
    """Return a value as JSON values; moments are ISO 8601 in UTC."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, datetime | date):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, frozenset | set):
        return sorted(plain(entry) for entry in value)
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def alarm_json(view: AlarmView) -> dict[str, Any]:
    """Return an alarm as the API shows it."""
    facts = plain(view.alarm)
    rule = view.definition
    return {
        **facts,
        "id": view.id,
        "state": view.letter,
        "late": view.alarm.late,
        "title": rule.title,
        "unit": rule.unit,
        "limit": rule.limit,
        "asset_name": view.asset_name,
        "zone": view.zone,
        "zone_name": view.zone_name,
        "ticket_no": view.ticket_no or None,
        "guidance": guidance(rule),
        "shelvable": rule.shelvable,
    }


def journal_json(entry: JournalEntry) -> dict[str, Any]:
    """Return a line of the journal as the API shows it."""
    return {
        "seq": entry.seq,
        "at": plain(entry.at),
        "occurrence_no": entry.occurrence_no,
        "event": entry.event,
        "actor": entry.actor,
        "reason": entry.reason,
    }


def removal_json(removal: Removal) -> dict[str, Any]:
    """Return a wish to take an alarm out of service as the API shows it."""
    shown: dict[str, Any] = plain(removal)
    return {name: value for name, value in shown.items() if name != "request_id"}


def ticket_json(view: TicketView, now: datetime) -> dict[str, Any]:
    """Return a ticket with the clock that counts now."""
    clock = view.clock()
    counting = None
    if clock is not None:
        counting = {"clock": clock[0], "due": plain(clock[1]), "left_s": (clock[1] - now).total_seconds()}
    return {**plain(view), "counting": counting}


def finding_json(view: FindingView) -> dict[str, Any]:
    """Return a finding as the API shows it."""
    shown: dict[str, Any] = plain(view)
    return shown


def loss_json(line: LossLine) -> dict[str, Any]:
    """Return a zone's balance as the API shows it."""
    shown: dict[str, Any] = plain(line)
    return shown
