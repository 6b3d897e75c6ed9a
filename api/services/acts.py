"""What a person does to an alarm. The machine decides whether it may be; this writes who asked for it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from alarms import alarm_events
from alarms.machine import LONGEST_SHELVE
from api.auth import User
from api.deps import Parts
from api.roles import Act
from api.services.shown import BELOW
from api.services.views import AlarmView, load_alarms
from gateway.errors import RefusedError
from gateway.model.alarm import Priority
from gateway.store import user_rows

LOWEST_WITH_HORN = Priority.P2
_NEEDS: dict[type[alarm_events.AlarmEvent], Act] = {
    alarm_events.Acknowledge: Act.ALARM_ACKNOWLEDGE,
    alarm_events.Shelve: Act.ALARM_SHELVE,
    alarm_events.Unshelve: Act.ALARM_SHELVE,
    alarm_events.Reset: Act.ALARM_RESET,
    alarm_events.UndoAcknowledge: Act.ALARM_ACKNOWLEDGE,
    alarm_events.Silence: Act.ALARM_ACKNOWLEDGE,
}


@dataclass(frozen=True, slots=True)
class Offer:
    """Which acts make sense on an alarm now, for this person."""

    acknowledge: bool
    shelve: bool
    unshelve: bool
    reset: bool
    undo: bool = False
    silence: bool = False
    service: bool = False
    """out of service, or back"""
    judge: bool = False
    """say whether it was a false alarm"""


def offer(view: AlarmView, user: User) -> Offer:
    """Return the acts that role and state allow; the machine still has the last word."""
    alarm, desk = view.alarm, user.may
    shelvable = view.definition.shelvable and alarm.shelf is None and alarm.oos is None
    return Offer(
        acknowledge=desk(Act.ALARM_ACKNOWLEDGE) and view.unacknowledged,
        shelve=desk(Act.ALARM_SHELVE) and shelvable and alarm.base_state.value != "A",
        unshelve=desk(Act.ALARM_SHELVE) and alarm.shelf is not None,
        reset=desk(Act.ALARM_RESET) and view.letter == "L2",
        undo=view.letter in {"C", "L2"}
        and (desk(Act.ALARM_SUPERVISE) or (desk(Act.ALARM_ACKNOWLEDGE) and alarm.acked_by == user.name)),
        silence=desk(Act.ALARM_ACKNOWLEDGE)
        and view.letter in {"B", "L1"}
        and alarm.priority <= LOWEST_WITH_HORN
        and alarm.silenced_until is None,
        service=desk(Act.ALARM_SUPERVISE),
        judge=desk(Act.ALARM_ACKNOWLEDGE) and alarm.occurrence_no > 0,
    )


def acknowledge(
    parts: Parts, user: User, alarm_id: str, occurrence_no: int, request_id: str, *, version: int | None = None
) -> AlarmView:
    """Say that a person has seen an occurrence, and with it the lower limit that its row tells of.

    Raises RefusedError.
    """
    event = alarm_events.Acknowledge(occurrence_no, user.name)
    view = _apply(parts, user, alarm_id, event, request_id, version=version)
    below = _folded(parts, view)
    if below is not None:
        seen = alarm_events.Acknowledge(below.alarm.occurrence_no, user.name)
        with contextlib.suppress(RefusedError):
            _apply(parts, user, below.id, seen, f"{request_id[:90]}:below")
    return view


def _folded(parts: Parts, view: AlarmView) -> AlarmView | None:
    """Return the alarm that has no row of its own because this one tells of it, if it waits for a person."""
    lower = BELOW.get(view.alarm.definition)
    if lower is None or not view.alarm.cond:
        return None
    found = load_alarms(parts, parts.state, [f"{lower}@{view.alarm.asset}"])
    return found[0] if found and found[0].unacknowledged else None


def undo(parts: Parts, user: User, alarm_id: str, request_id: str, *, version: int | None = None) -> AlarmView:
    """Take an acknowledgement back: whoever gave it within ten minutes, a supervisor at any time. Raises as others."""
    event = alarm_events.UndoAcknowledge(user.name, supervisor=user.may(Act.ALARM_SUPERVISE))
    return _apply(parts, user, alarm_id, event, request_id, version=version)


def silence(parts: Parts, user: User, alarm_id: str, request_id: str) -> AlarmView:
    """Mute the horn of an alarm for two minutes. Raises RefusedError."""
    return _apply(parts, user, alarm_id, alarm_events.Silence(user.name), request_id)


def shelve(  # noqa: PLR0917 - an act has its who, what and why
    parts: Parts,
    user: User,
    alarm_id: str,
    until: datetime,
    reason: str,
    request_id: str,
    *,
    one_shot: bool = False,
    version: int | None = None,
) -> AlarmView:
    """Hide an alarm for a short time. Raises RefusedError."""
    event = alarm_events.Shelve(until, reason, user.name, one_shot=one_shot)
    return _apply(parts, user, alarm_id, event, request_id, version=version)


def unshelve(
    parts: Parts, user: User, alarm_id: str, occurrence_no: int, request_id: str, *, version: int | None = None
) -> AlarmView:
    """Take an alarm off the shelf. Raises RefusedError."""
    return _apply(parts, user, alarm_id, alarm_events.Unshelve(occurrence_no, user.name), request_id, version=version)


def reset(parts: Parts, user: User, alarm_id: str, request_id: str, *, version: int | None = None) -> AlarmView:
    """Release the latch of an alarm that is over. Raises RefusedError."""
    return _apply(parts, user, alarm_id, alarm_events.Reset(user.name), request_id, version=version)


def shelf_choices(view: AlarmView) -> tuple[timedelta, ...]:
    """Return the spans that a person may shelve this alarm for."""
    usual = (timedelta(minutes=15), timedelta(minutes=30), timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))
    longest = min(view.definition.max_shelve, LONGEST_SHELVE.get(view.alarm.priority, timedelta(0)))
    return tuple(span for span in usual if span <= longest)


def one_alarm(parts: Parts, alarm_id: str) -> AlarmView:
    """Return one alarm. Raises RefusedError 404."""
    found = load_alarms(parts, parts.state, [alarm_id])
    if not found:
        raise RefusedError(404, "unknown_alarm")
    return found[0]


def _apply(
    parts: Parts,
    user: User,
    alarm_id: str,
    event: alarm_events.AlarmEvent,
    request_id: str,
    *,
    version: int | None = None,
) -> AlarmView:
    one_alarm(parts, alarm_id)
    parts.auth.permit(user, _NEEDS[type(event)])
    act = f"alarm.{type(event).__name__.lower()}"
    try:
        parts.desk.apply(alarm_id, event, user.name, request_id, version=version)
    except RefusedError as error:
        note(parts, user, act, alarm_id, {"refused": error.code})
        raise
    why = {"reason": event.reason} if isinstance(event, alarm_events.Shelve) else {}
    note(parts, user, act, alarm_id, {**why, "request_id": request_id})
    return one_alarm(parts, alarm_id)


def note(parts: Parts, user: User, act: str, alarm_id: str, detail: dict[str, str]) -> None:
    """Write into the audit trail who did, or tried, what to an alarm."""
    with parts.state.write() as connection:
        user_rows.add_audit(connection, parts.clock.now_us(), user.name, act, subject=alarm_id, detail=detail)
