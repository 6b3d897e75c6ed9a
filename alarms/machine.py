"""The ISA-18.2 alarm as a pure step: facts and an event in, facts and effects out.

An event of the plant or of a timer whose guard fails changes nothing. A person's call whose guard fails raises
RefusedError with a stable code, so that the page can say why.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from alarms.alarm_events import (
    Acknowledge,
    AlarmEvent,
    Announce,
    Chatters,
    ConditionFalls,
    ConditionRises,
    Effect,
    Journal,
    NewRevision,
    OpenTicket,
    PriorityRises,
    QualityBad,
    QualityGood,
    Realarm,
    RemoveFromService,
    Reset,
    ReturnToService,
    RuleOff,
    RuleOn,
    ShelfOver,
    Shelve,
    Silence,
    TicketDue,
    TicketNote,
    UndoAcknowledge,
    Unshelve,
)
from gateway.errors import RefusedError
from gateway.model.alarm import Alarm, AlarmState, Definition, OutOfService, Priority, Shelf

UNDO_WITHIN = timedelta(minutes=10)
SILENCE_FOR = timedelta(minutes=2)
LONGEST_SHELVE = {Priority.P2: timedelta(hours=1), Priority.P3: timedelta(hours=4), Priority.P4: timedelta(hours=12)}
CONFLICT, FORBIDDEN, UNPROCESSABLE = 409, 403, 422


Stepped = tuple[Alarm, tuple[Effect, ...]]


def step(alarm: Alarm, event: AlarmEvent, definition: Definition, now: datetime) -> Stepped:
    """Return the facts after the event and what has to be done with them, in order.

    `version` grows by one exactly when a fact changed. Raises RefusedError for a person's call that may not be.
    """
    after, effects = _dispatch(alarm, event, definition, now)
    if after != alarm:
        after = replace(after, version=alarm.version + 1)
    return after, effects


def _dispatch(alarm: Alarm, event: AlarmEvent, definition: Definition, now: datetime) -> Stepped:
    match event:
        case ConditionRises() | ConditionFalls() | QualityBad() | QualityGood() | PriorityRises():
            return _from_the_plant(alarm, event, definition, now)
        case Realarm() | ShelfOver() | TicketDue() | NewRevision() | RuleOn() | RuleOff() | Chatters():
            return _from_timers_and_rules(alarm, event, definition, now)
        case Acknowledge() | UndoAcknowledge() | Silence() | Reset():
            return _from_the_operator(alarm, event, now)
        case Shelve():
            return _shelve(alarm, event, definition, now)
        case Unshelve():
            return _unshelve(alarm, event, definition, now)
        case RemoveFromService():
            return _remove(alarm, event, definition, now)
        case ReturnToService():
            return _return(alarm, event, definition, now)
        case _:
            assert_never(event)


def _from_the_plant(
    alarm: Alarm,
    event: ConditionRises | ConditionFalls | QualityBad | QualityGood | PriorityRises,
    definition: Definition,
    now: datetime,
) -> Stepped:
    match event:
        case ConditionRises():
            return _rise(alarm, event, definition, now)
        case ConditionFalls():
            return _fall(alarm, event, definition, now)
        case QualityBad():
            return _marked(alarm, uncertain=True)
        case QualityGood():
            return _marked(alarm, uncertain=False)
        case PriorityRises():
            return _grow(alarm, event.priority)
        case _:
            assert_never(event)


def _from_timers_and_rules(
    alarm: Alarm,
    event: Realarm | ShelfOver | TicketDue | NewRevision | RuleOn | RuleOff | Chatters,
    definition: Definition,
    now: datetime,
) -> Stepped:
    match event:
        case Realarm():
            return _realarm(alarm, definition, now, event)
        case ShelfOver():
            if alarm.shelf is None or alarm.shelf.until > now:
                return alarm, ()
            return _uncover(replace(alarm, shelf=None), definition, now, "shelf_over")
        case Chatters():
            return alarm, (Journal("repair" if event.repair else "chattering", alarm.occurrence_no),)
        case TicketDue():
            return _ticket_due(alarm, definition, now)
        case NewRevision():
            if alarm.definition_rev == definition.revision:
                return alarm, ()
            return replace(alarm, definition_rev=definition.revision), (Journal("limit_changed", alarm.occurrence_no),)
        case RuleOn():
            return _rule_on(alarm, event, definition)
        case RuleOff():
            _no_person(event.person)
            if event.rule not in alarm.sbd:
                return alarm, ()
            return _uncover(replace(alarm, sbd=alarm.sbd - {event.rule}), definition, now, "rule_off", event.rule)
        case _:
            assert_never(event)


def _from_the_operator(alarm: Alarm, event: Acknowledge | UndoAcknowledge | Silence | Reset, now: datetime) -> Stepped:
    if alarm.hidden:
        raise RefusedError(CONFLICT, "hidden")
    match event:
        case Acknowledge():
            return _acknowledge(alarm, event, now)
        case UndoAcknowledge():
            return _undo(alarm, event, now)
        case Silence():
            if alarm.acked:
                raise RefusedError(CONFLICT, "already_acknowledged")
            silenced = replace(alarm, silenced_until=now + SILENCE_FOR)
            return silenced, (Journal("silenced", alarm.occurrence_no),)
        case Reset():
            return _reset(alarm)
        case _:
            assert_never(event)


def _rise(alarm: Alarm, event: ConditionRises, definition: Definition, now: datetime) -> Stepped:
    if alarm.cond:
        return alarm, ()
    effects: list[Effect] = []
    if not alarm.acked and alarm.announced_no == alarm.occurrence_no:
        effects.append(Journal("never_acknowledged", alarm.occurrence_no))
    risen = replace(
        alarm,
        cond=True,
        acked=False,
        occurrence_no=alarm.occurrence_no + 1,
        latched=alarm.latched or definition.latching,
        priority=definition.priority,
        definition_rev=definition.revision,
        uncertain=event.uncertain,
        value=event.value,
        source_at=event.source_at,
        condition_at=now,
        raised_at=None,
        acked_at=None,
        acked_by="",
        cleared_at=None,
    )
    effects.append(Journal("raised" if not risen.hidden else "withheld", risen.occurrence_no, _covers(risen)))
    announced, more = _announce(risen, definition, now)
    return announced, (*effects, *more)


def _fall(alarm: Alarm, event: ConditionFalls, definition: Definition, now: datetime) -> Stepped:
    if not alarm.cond:
        return alarm, ()
    fallen = replace(alarm, cond=False, cleared_at=now, value=event.value if event.value is not None else alarm.value)
    if fallen.hidden and fallen.announced_no < fallen.occurrence_no:
        fallen = replace(fallen, acked=True, latched=False)
    elif fallen.priority is Priority.P4 and not definition.ack_on_rtn:
        fallen = replace(fallen, acked=True)
    if fallen.shelf is not None and fallen.shelf.one_shot:
        fallen = replace(fallen, shelf=None)
    return fallen, (Journal("returned", alarm.occurrence_no), TicketNote("rtn", alarm.occurrence_no))


def _marked(alarm: Alarm, *, uncertain: bool) -> Stepped:
    if alarm.uncertain == uncertain:
        return alarm, ()
    word = "quality_uncertain" if uncertain else "quality_good"
    return replace(alarm, uncertain=uncertain), (Journal(word, alarm.occurrence_no),)


def _grow(alarm: Alarm, priority: Priority) -> Stepped:
    if alarm.hidden or not alarm.cond or priority >= alarm.priority:
        return alarm, ()
    grown = _unacknowledged(replace(alarm, priority=priority))
    number = alarm.occurrence_no
    return grown, (Journal("priority_raised", number), Announce(number, again=True), TicketNote("update", number))


def _realarm(alarm: Alarm, definition: Definition, now: datetime, event: Realarm) -> Stepped:
    number, waiting = alarm.occurrence_no, definition.realarm_after
    effects: tuple[Effect, ...] = ()
    waited = waiting is not None and alarm.acked_at is not None and now - alarm.acked_at >= waiting
    if alarm.state is AlarmState.ACKNOWLEDGED and (event.grew or waited):
        alarm, effects = _unacknowledged(alarm), (Journal("realarmed", number), Announce(number, again=True))
    if alarm.cond and event.value is not None:
        alarm, effects = replace(alarm, value=event.value), (*effects, TicketNote("update", number))
    return alarm, effects


def _ticket_due(alarm: Alarm, definition: Definition, now: datetime) -> Stepped:
    if alarm.hidden or not alarm.cond or alarm.raised_at is None or not definition.ticket_class:
        return alarm, ()
    if now - alarm.raised_at < definition.ticket_delay:
        return alarm, ()
    return alarm, (OpenTicket(alarm.occurrence_no),)


def _rule_on(alarm: Alarm, event: RuleOn, definition: Definition) -> Stepped:
    _no_person(event.person)
    if event.rule not in definition.rules or event.rule in alarm.sbd:
        return alarm, ()
    covered = replace(alarm, sbd=alarm.sbd | {event.rule})
    return covered, (Journal("rule_on", alarm.occurrence_no, event.rule),)


def _acknowledge(alarm: Alarm, event: Acknowledge, now: datetime) -> Stepped:
    _same_occurrence(alarm, event.occurrence_no)
    if alarm.acked:
        raise RefusedError(CONFLICT, "already_acknowledged")
    seen = replace(alarm, acked=True, acked_at=now, acked_by=event.by, silenced_until=None)
    return seen, (Journal("acknowledged", alarm.occurrence_no),)


def _undo(alarm: Alarm, event: UndoAcknowledge, now: datetime) -> Stepped:
    if not alarm.acked:
        raise RefusedError(CONFLICT, "not_acknowledged")
    if not alarm.cond and not alarm.latched:
        raise RefusedError(CONFLICT, "nothing_active")
    recent = alarm.acked_at is not None and now - alarm.acked_at <= UNDO_WITHIN
    if not event.supervisor and not (recent and event.by == alarm.acked_by):
        raise RefusedError(FORBIDDEN, "forbidden", "only the same person within 10 minutes, or a supervisor")
    number = alarm.occurrence_no
    return _unacknowledged(alarm), (Journal("acknowledgement_undone", number), Announce(number, again=True))


def _reset(alarm: Alarm) -> Stepped:
    if alarm.cond:
        raise RefusedError(CONFLICT, "condition_active")
    if not alarm.acked:
        raise RefusedError(CONFLICT, "not_acknowledged")
    if not alarm.latched:
        raise RefusedError(CONFLICT, "not_latched")
    return replace(alarm, latched=False), (Journal("reset", alarm.occurrence_no),)


def _shelve(alarm: Alarm, event: Shelve, definition: Definition, now: datetime) -> Stepped:
    if alarm.oos is not None:
        raise RefusedError(CONFLICT, "out_of_service")
    if alarm.shelf is not None:
        raise RefusedError(CONFLICT, "already_shelved")
    if alarm.base_state is AlarmState.NORMAL:
        raise RefusedError(CONFLICT, "nothing_active")
    if not definition.shelvable or definition.highly_managed or alarm.priority is Priority.P1:
        raise RefusedError(FORBIDDEN, "not_shelvable")
    if not event.reason.strip():
        raise RefusedError(UNPROCESSABLE, "reason_required")
    longest = min(definition.max_shelve, LONGEST_SHELVE.get(alarm.priority, timedelta(0)))
    if not now < event.until <= now + longest:
        raise RefusedError(UNPROCESSABLE, "shelve_time", f"at most {longest}")
    shelf = Shelf(now, event.until, event.one_shot, event.by, event.reason, event.auto)
    return replace(alarm, shelf=shelf), (Journal("shelved", alarm.occurrence_no, event.reason),)


def _unshelve(alarm: Alarm, event: Unshelve, definition: Definition, now: datetime) -> Stepped:
    if alarm.shelf is None:
        raise RefusedError(CONFLICT, "not_shelved")
    _same_occurrence(alarm, event.occurrence_no)
    taken = replace(alarm, shelf=None)
    effects: tuple[Effect, ...] = (Journal("unshelved", alarm.occurrence_no),)
    if not taken.cond:
        return taken, effects
    taken = replace(taken, acked=True, acked_at=now, acked_by=event.by)
    if taken.hidden:
        return taken, effects
    taken = replace(taken, announced_no=taken.occurrence_no, silenced_until=None, raised_at=taken.raised_at or now)
    return taken, (*effects, *_ticket_at_once(taken, definition))


def _remove(alarm: Alarm, event: RemoveFromService, definition: Definition, now: datetime) -> Stepped:
    if alarm.oos is not None:
        raise RefusedError(CONFLICT, "already_out")
    if not event.work_order.strip() or not event.interim.strip() or event.until <= now:
        raise RefusedError(UNPROCESSABLE, "field_required", "work order, interim measure and a later planned return")
    if definition.highly_managed and event.second.strip() in ("", event.by):
        raise RefusedError(FORBIDDEN, "second_person")
    oos = OutOfService(event.work_order, event.interim, event.by, event.second, now, event.until)
    out = replace(alarm, oos=oos, shelf=None)
    return out, (Journal("removed_from_service", alarm.occurrence_no, event.work_order),)


def _return(alarm: Alarm, event: ReturnToService, definition: Definition, now: datetime) -> Stepped:
    if alarm.oos is None:
        raise RefusedError(CONFLICT, "in_service")
    if not event.test.strip():
        raise RefusedError(UNPROCESSABLE, "test_required")
    back = replace(alarm, oos=None)
    if not back.cond:
        back = replace(back, acked=True, latched=False)
    return _uncover(back, definition, now, "returned_to_service", event.test)


def _uncover(alarm: Alarm, definition: Definition, now: datetime, event: str, reason: str = "") -> Stepped:
    """One cover is gone: a live condition speaks again once nothing else hides it."""
    journal = Journal(event, alarm.occurrence_no, reason)
    if not alarm.cond:
        return alarm, (journal,)
    announced, effects = _announce(_unacknowledged(alarm), definition, now)
    return announced, (journal, *effects)


def _announce(alarm: Alarm, definition: Definition, now: datetime) -> Stepped:
    if alarm.hidden:
        return alarm, ()
    again = alarm.announced_no == alarm.occurrence_no
    shown = replace(alarm, announced_no=alarm.occurrence_no, silenced_until=None, raised_at=alarm.raised_at or now)
    return shown, (Announce(shown.occurrence_no, again=again), *_ticket_at_once(shown, definition))


def _ticket_at_once(alarm: Alarm, definition: Definition) -> tuple[Effect, ...]:
    if not definition.ticket_class or definition.ticket_delay:
        return ()
    return (OpenTicket(alarm.occurrence_no),)


def _unacknowledged(alarm: Alarm) -> Alarm:
    return replace(alarm, acked=False, acked_at=None, acked_by="", silenced_until=None)


def _same_occurrence(alarm: Alarm, number: int) -> None:
    if number != alarm.occurrence_no:
        raise RefusedError(CONFLICT, "stale_occurrence", f"the current occurrence is {alarm.occurrence_no}")


def _no_person(person: bool) -> None:
    if person:
        raise RefusedError(FORBIDDEN, "rule_only")


def _covers(alarm: Alarm) -> str:
    covers = sorted(alarm.sbd)
    if alarm.shelf is not None:
        covers.append("shelved")
    if alarm.oos is not None:
        covers.append("out_of_service")
    return ", ".join(covers)
