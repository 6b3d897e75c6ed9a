from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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
from alarms.definitions import load_definitions
from alarms.machine import step
from gateway.errors import RefusedError
from gateway.model.alarm import Alarm, AlarmState, Definition, Priority
from tests.alarms.alarm_fixtures import START, minutes

DEFINITIONS = load_definitions()
GAS, LOW, LOLO = DEFINITIONS["GAS_CONC_HIHI"], DEFINITIONS["UNDERPRESS_LO"], DEFINITIONS["UNDERPRESS_LOLO"]
SILENT = DEFINITIONS["STATION_COMM_LOSS"]
RISES, FALLS = ConditionRises(START, 1.0), ConditionFalls(0.0)
OUT = RemoveFromService("WO-1", "watch every hour", "li", START + minutes(600), "wu")


def play(definition: Definition, *events: AlarmEvent, now: datetime = START) -> tuple[Alarm, list[Effect]]:
    alarm = Alarm(definition.id, "REG-001", definition.priority)
    effects: list[Effect] = []
    for event in events:
        alarm, more = step(alarm, event, definition, now)
        effects += more
    return alarm, effects


def code(alarm: Alarm, event: AlarmEvent, definition: Definition, now: datetime = START) -> tuple[int, str]:
    with pytest.raises(RefusedError) as refused:
        step(alarm, event, definition, now)
    return refused.value.status, refused.value.code


HALF_AN_HOUR = minutes(30)


def shelve(until: timedelta = HALF_AN_HOUR, *, one_shot: bool = False) -> Shelve:
    return Shelve(START + until, "filter work", "li", one_shot=one_shot)


def test_rise_announces_and_asks_for_a_ticket() -> None:
    alarm, effects = play(GAS, RISES)
    assert alarm.state is AlarmState.UNACKNOWLEDGED
    assert (alarm.occurrence_no, alarm.announced_no, alarm.raised_at, alarm.latched) == (1, 1, START, True)
    assert effects == [Journal("raised", 1), Announce(1, again=False), OpenTicket(1)]


@pytest.mark.parametrize(
    ("definition", "events", "letter"),
    [
        (LOW, [RISES, FALLS], "D"),
        (LOW, [RISES, Acknowledge(1, "li")], "C"),
        (LOW, [RISES, Acknowledge(1, "li"), FALLS], "A"),
        (GAS, [RISES, FALLS], "L1"),
        (GAS, [RISES, FALLS, Acknowledge(1, "li")], "L2"),
        (GAS, [RISES, FALLS, Acknowledge(1, "li"), Reset("li")], "A"),
        (GAS, [RISES, Acknowledge(1, "li"), UndoAcknowledge("li")], "B"),
        (LOW, [RISES, shelve()], "E"),
        (LOW, [RISES, shelve(), Unshelve(1, "li")], "C"),
        (LOW, [RISES, shelve(), FALLS, Unshelve(1, "li")], "D"),
        (LOW, [RISES, shelve(one_shot=True), FALLS], "D"),
        (LOW, [RuleOn("area_supply"), RISES], "F"),
        (LOW, [RuleOn("area_supply"), RISES, FALLS], "F"),
        (LOW, [RuleOn("area_supply"), RISES, FALLS, RuleOff("area_supply")], "A"),
        (LOW, [RuleOn("area_supply"), RISES, RuleOff("area_supply")], "B"),
        (GAS, [RuleOn("area_supply"), RISES], "B"),
        (GAS, [RISES, OUT], "G"),
        (GAS, [OUT, RISES], "G"),
        (GAS, [OUT, RISES, FALLS], "G"),
        (GAS, [OUT, RISES, ReturnToService("li", "bump test")], "B"),
        (GAS, [RISES, OUT, FALLS, ReturnToService("li", "bump test")], "A"),
    ],
)
def test_each_way_ends_in_its_letter(definition: Definition, events: list[AlarmEvent], letter: str) -> None:
    assert play(definition, *events)[0].state.value == letter


def test_a_hidden_rise_is_withheld_and_speaks_when_the_last_cover_goes() -> None:
    alarm, effects = play(LOLO, RuleOn("area_supply"), OUT_PLAIN, RISES)
    assert effects[-1] == Journal("withheld", 1, "area_supply, out_of_service")
    assert alarm.raised_at is None
    alarm, effects_now = step(alarm, RuleOff("area_supply"), LOLO, START + minutes(1))
    assert not any(isinstance(effect, Announce | OpenTicket) for effect in effects_now)
    alarm, effects_now = step(alarm, ReturnToService("li", "tested"), LOLO, START + minutes(2))
    assert effects_now[1:] == (Announce(1, again=False), OpenTicket(1))
    assert alarm.raised_at == START + minutes(2)


OUT_PLAIN = replace(OUT, second="")


def test_a_condition_back_while_latched_is_a_new_occurrence() -> None:
    alarm, effects = play(GAS, RISES, FALLS, RISES)
    assert (alarm.occurrence_no, alarm.announced_no) == (2, 2)
    assert Journal("never_acknowledged", 1) in effects
    assert [effect for effect in effects if isinstance(effect, OpenTicket)] == [OpenTicket(1), OpenTicket(2)]
    assert code(alarm, Acknowledge(1, "li"), GAS) == (409, "stale_occurrence")
    assert not alarm.acked


def test_a_return_tells_the_ticket_and_a_quiet_priority_4_needs_no_acknowledgement() -> None:
    _, effects = play(LOW, RISES, FALLS)
    assert effects[-1] == TicketNote("rtn", 1)
    quiet = replace(LOW, priority=Priority.P4, ack_on_rtn=False)
    assert play(quiet, RISES, FALLS)[0].state is AlarmState.NORMAL


def test_shelf_over_and_realarm_wait_for_their_time() -> None:
    alarm, _ = play(LOW, RISES, shelve())
    assert step(alarm, ShelfOver(), LOW, START + minutes(29)) == (alarm, ())
    over, effects = step(alarm, ShelfOver(), LOW, START + minutes(30))
    assert over.state is AlarmState.UNACKNOWLEDGED
    assert effects == (Journal("shelf_over", 1), Announce(1, again=True))
    seen, _ = play(GAS, RISES, Acknowledge(1, "li"))
    assert step(seen, Realarm(), GAS, START + minutes(9)) == (seen, ())
    again, effects = step(seen, Realarm(), GAS, START + minutes(10))
    assert again.state is AlarmState.UNACKNOWLEDGED
    assert effects == (Journal("realarmed", 1), Announce(1, again=True))


def test_a_delayed_ticket_waits_for_its_time_and_its_alarm() -> None:
    alarm, effects = play(SILENT, RISES)
    assert OpenTicket(1) not in effects
    assert step(alarm, TicketDue(), SILENT, START + minutes(4)) == (alarm, ())
    assert step(alarm, TicketDue(), SILENT, START + minutes(5)) == (alarm, (OpenTicket(1),))
    gone, _ = step(alarm, FALLS, SILENT, START + minutes(5))
    assert step(gone, TicketDue(), SILENT, START + minutes(6)) == (gone, ())


def test_priority_only_rises_within_an_occurrence() -> None:
    alarm, _ = play(LOW, RISES, Acknowledge(1, "li"))
    grown, effects = step(alarm, PriorityRises(Priority.P2), LOW, START)
    assert (grown.state, grown.priority) == (AlarmState.UNACKNOWLEDGED, Priority.P2)
    assert TicketNote("update", 1) in effects
    assert step(grown, PriorityRises(Priority.P3), LOW, START) == (grown, ())
    assert play(LOW, RISES, PriorityRises(Priority.P2), FALLS, RISES)[0].priority is Priority.P3


def test_quality_marks_and_freezes_nothing_else() -> None:
    alarm, _ = play(GAS, RISES)
    bad, _ = step(alarm, QualityBad(), GAS, START)
    assert bad == replace(alarm, uncertain=True, version=alarm.version + 1)
    assert step(bad, QualityBad(), GAS, START) == (bad, ())
    assert step(bad, QualityGood(), GAS, START)[0].uncertain is False


def test_a_new_revision_keeps_all_facts() -> None:
    alarm, _ = play(GAS, RISES)
    after, effects = step(alarm, NewRevision(), replace(GAS, revision=2), START)
    assert after == replace(alarm, definition_rev=2, version=alarm.version + 1)
    assert effects == (Journal("limit_changed", 1),)
    assert step(after, NewRevision(), replace(GAS, revision=2), START) == (after, ())


def test_silence_ends_by_itself_or_with_the_next_announcement() -> None:
    alarm, _ = play(GAS, RISES, Silence("li"))
    assert alarm.silenced_until == START + minutes(2)
    assert play(GAS, RISES, Silence("li"), FALLS, RISES)[0].silenced_until is None


def test_calls_that_may_not_be_are_answered_with_their_code() -> None:
    normal, _ = play(LOW)
    active, _ = play(LOW, RISES)
    seen, _ = play(LOW, RISES, Acknowledge(1, "li"))
    gas, _ = play(GAS, RISES)
    latched, _ = play(GAS, RISES, FALLS)
    shelved, _ = play(LOW, RISES, shelve())
    out, _ = play(GAS, RISES, OUT)
    cases: list[tuple[Alarm, AlarmEvent, Definition, int, str]] = [
        (normal, Acknowledge(0, "li"), LOW, 409, "already_acknowledged"),
        (seen, Acknowledge(1, "li"), LOW, 409, "already_acknowledged"),
        (active, Acknowledge(0, "li"), LOW, 409, "stale_occurrence"),
        (shelved, Unshelve(0, "li"), LOW, 409, "stale_occurrence"),
        (shelved, Acknowledge(1, "li"), LOW, 409, "hidden"),
        (shelved, UndoAcknowledge("li"), LOW, 409, "hidden"),
        (out, Reset("li"), GAS, 409, "hidden"),
        (active, UndoAcknowledge("li"), LOW, 409, "not_acknowledged"),
        (normal, UndoAcknowledge("li"), LOW, 409, "nothing_active"),
        (seen, UndoAcknowledge("wu"), LOW, 403, "forbidden"),
        (gas, Reset("li"), GAS, 409, "condition_active"),
        (latched, Reset("li"), GAS, 409, "not_acknowledged"),
        (normal, Reset("li"), LOW, 409, "not_latched"),
        (normal, shelve(), LOW, 409, "nothing_active"),
        (shelved, shelve(), LOW, 409, "already_shelved"),
        (out, shelve(), GAS, 409, "out_of_service"),
        (active, Unshelve(1, "li"), LOW, 409, "not_shelved"),
        (gas, shelve(), GAS, 403, "not_shelvable"),
        (active, shelve(minutes(0)), LOW, 422, "shelve_time"),
        (active, shelve(minutes(241)), LOW, 422, "shelve_time"),
        (active, replace(shelve(), reason=" "), LOW, 422, "reason_required"),
        (active, RuleOn("higher_limit", person=True), LOW, 403, "rule_only"),
        (active, RuleOff("higher_limit", person=True), LOW, 403, "rule_only"),
        (out, OUT, GAS, 409, "already_out"),
        (gas, replace(OUT, work_order=""), GAS, 422, "field_required"),
        (gas, replace(OUT, interim=" "), GAS, 422, "field_required"),
        (gas, replace(OUT, second=""), GAS, 403, "second_person"),
        (gas, replace(OUT, second="li"), GAS, 403, "second_person"),
        (gas, ReturnToService("li", "ok"), GAS, 409, "in_service"),
        (out, ReturnToService("li", " "), GAS, 422, "test_required"),
    ]
    for alarm, event, definition, status, word in cases:
        assert code(alarm, event, definition) == (status, word), event
    late = START + minutes(11)
    assert code(seen, UndoAcknowledge("li"), LOW, late) == (403, "forbidden")
    assert not step(seen, UndoAcknowledge("chief", supervisor=True), LOW, late)[0].acked


BY_ITSELF: list[AlarmEvent] = [
    Realarm(), ShelfOver(), TicketDue(), NewRevision(), QualityBad(), QualityGood(), Chatters()
]  # fmt: skip
RULES = ["higher_limit", "area_supply", "parent_silent", "planned_interruption", "made_up"]


class Anything(RuleBasedStateMachine):
    """Any events in any order: the facts stay lawful and every occurrence is announced at most once as new."""

    @initialize(name=st.sampled_from(sorted(DEFINITIONS)))
    def begin(self, name: str) -> None:
        self.definition = DEFINITIONS[name]
        self.alarm = Alarm(name, "REG-001", self.definition.priority)
        self.now = START
        self.pairs: set[tuple[str, str]] = set()
        self.announced: list[int] = []
        self.tickets: list[int] = []

    def send(self, event: AlarmEvent) -> None:
        before = self.alarm
        self.pairs.add((before.state.value, type(event).__name__))
        try:
            after, effects = step(before, event, self.definition, self.now)
        except RefusedError:
            return
        assert after.version == before.version + (after != before)
        assert after == before or any(isinstance(one, Journal) for one in effects), "followers read the journal"
        self.announced += [one.occurrence_no for one in effects if isinstance(one, Announce) and not one.again]
        self.tickets += [one.occurrence_no for one in effects if isinstance(one, OpenTicket)]
        assert not any(isinstance(one, Announce | OpenTicket) for one in effects) or not after.hidden
        assert after.occurrence_no - before.occurrence_no == (after.cond and not before.cond)
        if isinstance(event, ConditionFalls | QualityBad | RuleOn | Shelve | Acknowledge):
            assert not any(isinstance(one, Announce) for one in effects)
        if before.oos is not None and not isinstance(event, ReturnToService):
            assert after.state is AlarmState.OUT_OF_SERVICE
        self.alarm = after

    @rule(minutes=st.sampled_from([0.1, 1.0, 9.0, 31.0, 300.0]))
    def time_passes(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(rises=st.booleans())
    def condition(self, rises: bool) -> None:
        self.send(ConditionRises(self.now, 1.0) if rises else ConditionFalls(0.0))

    @rule(event=st.sampled_from(BY_ITSELF))
    def by_itself(self, event: AlarmEvent) -> None:
        self.send(event)

    @rule(older=st.integers(0, 1), who=st.sampled_from(["li", "wu"]), kind=st.sampled_from([Acknowledge, Unshelve]))
    def answer(self, older: int, who: str, kind: Any) -> None:
        occurrence = self.alarm.occurrence_no - older
        before = self.alarm
        self.send(kind(occurrence, who))
        assert older == 0 or self.alarm == before

    @rule(who=st.sampled_from(["li", "wu"]), supervisor=st.booleans())
    def operate(self, who: str, supervisor: bool) -> None:
        for event in (UndoAcknowledge(who, supervisor), Silence(who), Reset(who)):
            self.send(event)

    @rule(minutes=st.integers(-1, 300), one_shot=st.booleans())
    def shelve(self, minutes: int, one_shot: bool) -> None:
        self.send(Shelve(self.now + timedelta(minutes=minutes), "reason", "li", one_shot=one_shot))

    @rule(name=st.sampled_from(RULES), begins=st.booleans())
    def design_rule(self, name: str, begins: bool) -> None:
        self.send(RuleOn(name) if begins else RuleOff(name))

    @rule(out=st.booleans(), second=st.sampled_from(["", "li", "wu"]))
    def service(self, out: bool, second: str) -> None:
        until = self.now + timedelta(days=1)
        self.send(RemoveFromService("W", "x", "li", until, second) if out else ReturnToService("li", "tested"))

    @rule(priority=st.sampled_from(list(Priority)))
    def grow(self, priority: Priority) -> None:
        self.send(PriorityRises(priority))

    @invariant()
    def facts_are_lawful(self) -> None:
        if not hasattr(self, "alarm"):
            return
        alarm, definition = self.alarm, self.definition
        assert alarm.announced_no <= alarm.occurrence_no
        assert alarm.acked or alarm.occurrence_no > 0
        assert not alarm.cond or alarm.occurrence_no > 0
        assert not alarm.latched or definition.latching
        assert alarm.shelf is None or (definition.shelvable and alarm.oos is None)
        assert alarm.sbd <= set(definition.rules)
        assert alarm.hidden or not alarm.cond or alarm.announced_no == alarm.occurrence_no
        assert alarm.hidden or not alarm.cond or alarm.raised_at is not None
        assert alarm.priority <= definition.priority
        assert len(self.announced) == len(set(self.announced))

    @invariant()
    def a_visible_emergency_has_its_ticket(self) -> None:
        if not hasattr(self, "alarm"):
            return
        at_once = self.definition.ticket_class and not self.definition.ticket_delay
        if at_once and self.alarm.cond and not self.alarm.hidden:
            assert self.alarm.occurrence_no in self.tickets


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


STEPS = 1_000_000 if os.environ.get("GASGATE_THOROUGH") == "1" else 50_000
"""a million with GASGATE_THOROUGH=1, which takes some minutes"""


def walk(dice: random.Random, steps: int) -> set[tuple[str, str]]:
    """Send so many random events to one alarm; return the pairs of state and event that came up."""
    one = Anything()
    one.begin(name=dice.choice(sorted(DEFINITIONS)))
    acts = [
        lambda: one.time_passes(minutes=dice.choice([0.1, 1.0, 9.0, 31.0, 300.0])),
        lambda: one.condition(rises=dice.random() < 0.5),
        lambda: one.condition(rises=True),
        lambda: one.by_itself(event=dice.choice(BY_ITSELF)),
        lambda: one.answer(older=dice.randrange(2), who=dice.choice("lw"), kind=dice.choice([Acknowledge, Unshelve])),
        lambda: one.operate(who=dice.choice("lw"), supervisor=dice.random() < 0.5),
        lambda: one.shelve(minutes=dice.randrange(-1, 300), one_shot=dice.random() < 0.5),
        lambda: one.design_rule(name=dice.choice(RULES), begins=dice.random() < 0.5),
        lambda: one.service(out=dice.random() < 0.3, second=dice.choice(["", "li", "wu"])),
        lambda: one.grow(priority=dice.choice(list(Priority))),
    ]
    for _ in range(steps):
        dice.choice(acts)()
        one.facts_are_lawful()
        one.a_visible_emergency_has_its_ticket()
    return one.pairs


def test_every_pair_of_state_and_event_has_one_result_on_long_random_walks() -> None:
    dice = random.Random(11)
    pairs: set[tuple[str, str]] = set()
    for _ in range(STEPS // 200):
        pairs |= walk(dice, 200)
    events = {event for _, event in pairs}
    assert len(events) == 20
    missing = {(state.value, event) for state in AlarmState for event in events} - pairs
    assert missing == set()
