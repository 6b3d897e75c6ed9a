"""Taking an alarm out of service for maintenance and back; a highly managed one needs a second person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from alarms.alarm_events import RemoveFromService, ReturnToService
from api.auth import User
from api.deps import Parts
from api.roles import Act
from api.services.acts import note, one_alarm
from api.services.views import AlarmView, load_alarms
from gateway.errors import RefusedError
from gateway.store import removal_rows
from gateway.store.removal_rows import Removal


@dataclass(frozen=True, slots=True)
class Wish:
    """Why an alarm is to leave service, what watches meanwhile, and when it shall be back."""

    work_order: str
    interim: str
    until: datetime


def remove(
    parts: Parts, user: User, alarm_id: str, wish: Wish, request_id: str, *, version: int | None = None
) -> AlarmView | Removal:
    """Take an alarm out of service, or ask a second person to agree if it is highly managed. Raises RefusedError."""
    parts.auth.permit(user, Act.ALARM_SUPERVISE)
    parts.desk.require_known(alarm_id)
    definition = parts.desk.definitions[alarm_id.partition("@")[0]]
    event = RemoveFromService(wish.work_order, wish.interim, user.name, wish.until.astimezone(UTC))
    if not definition.highly_managed:
        parts.desk.apply(alarm_id, event, user.name, request_id, version=version)
        note(parts, user, "alarm.remove", alarm_id, {"work_order": wish.work_order})
        return one_alarm(parts, alarm_id)
    now = parts.clock.now()
    if not wish.work_order.strip() or not wish.interim.strip() or wish.until <= now:
        raise RefusedError(422, "field_required", "work order, interim measure and a later planned return")
    _refuse_if_out(parts, alarm_id)
    with parts.state.write() as connection:
        asked = removal_rows.ask(
            connection,
            request_id,
            alarm_id,
            work_order=wish.work_order,
            interim=wish.interim,
            until=wish.until.astimezone(UTC),
            by=user.name,
            at=now,
        )
    note(parts, user, "alarm.remove.ask", alarm_id, {"work_order": wish.work_order})
    return asked


def agree(parts: Parts, user: User, removal_id: int) -> AlarmView:
    """Agree, as the second person, that a highly managed alarm leaves service. Raises RefusedError."""
    parts.auth.permit(user, Act.ALARM_SUPERVISE)
    with parts.state.read() as connection:
        wish = removal_rows.find(connection, removal_id)
    if wish.state != "asked":
        raise RefusedError(409, "not_waiting")
    if wish.by == user.name:
        raise RefusedError(403, "second_person")
    event = RemoveFromService(wish.work_order, wish.interim, wish.by, wish.until, user.name)
    parts.desk.apply(wish.alarm_id, event, user.name, f"removal-{wish.id}")
    _decide(parts, user, removal_id, agree=True)
    note(parts, user, "alarm.remove.agree", wish.alarm_id, {"asked_by": wish.by, "work_order": wish.work_order})
    return one_alarm(parts, wish.alarm_id)


def refuse(parts: Parts, user: User, removal_id: int) -> Removal:
    """Turn a wish down, or take one's own back. Raises RefusedError."""
    parts.auth.permit(user, Act.ALARM_SUPERVISE)
    wish = _decide(parts, user, removal_id, agree=False)
    note(parts, user, "alarm.remove.refuse", wish.alarm_id, {"asked_by": wish.by})
    return wish


def bring_back(
    parts: Parts, user: User, alarm_id: str, test: str, request_id: str, *, version: int | None = None
) -> AlarmView:
    """Return an alarm to service after a test. Raises RefusedError."""
    parts.auth.permit(user, Act.ALARM_SUPERVISE)
    parts.desk.apply(alarm_id, ReturnToService(user.name, test), user.name, request_id, version=version)
    note(parts, user, "alarm.return", alarm_id, {"test": test})
    return one_alarm(parts, alarm_id)


def waiting(parts: Parts) -> list[Removal]:
    """Return the wishes that wait for a second person."""
    with parts.state.read() as connection:
        return removal_rows.waiting(connection)


def _decide(parts: Parts, user: User, removal_id: int, *, agree: bool) -> Removal:
    with parts.state.write() as connection:
        return removal_rows.decide(connection, removal_id, user.name, agree=agree, at=parts.clock.now())


def _refuse_if_out(parts: Parts, alarm_id: str) -> None:
    if any(view.alarm.oos is not None for view in load_alarms(parts, parts.state, [alarm_id])):
        raise RefusedError(409, "already_out")
