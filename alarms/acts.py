"""What the plant, a timer or a person does to an alarm: each act is one transaction.

Facts, journal, ticket, clocks and outbox change together or not at all. Any process that holds the state database may
act; the row is read inside the transaction, so two acts never see the same old facts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never

from alarms import route
from alarms.alarm_events import AlarmEvent, Announce, Chatters, Journal, OpenTicket, TicketNote
from alarms.machine import step
from alarms.tickets.raising import Raising
from gateway.errors import RefusedError
from gateway.model.alarm import Alarm, Definition
from gateway.model.network import Network
from gateway.ports import Clock
from gateway.store import alarm_rows, ticket_rows, work_rows
from gateway.store.state import State, Transaction, put_cursor
from gateway.store.work_rows import WorkItem

GATEWAY = "gasgate"
CURSOR = "alarm"


@dataclass(frozen=True, slots=True)
class Edge:
    """One event for one alarm; `asset` of the alarm may be new."""

    alarm_id: str
    event: AlarmEvent


class AlarmDesk:
    """Acts on alarms. Safe to share between threads; several processes may each have one."""

    def __init__(
        self,
        state: State,
        definitions: Mapping[str, Definition],
        network: Network,
        clock: Clock,
        policy: route.TicketPolicy,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self.definitions = definitions
        self.network = network
        self.clock = clock
        self.policy = policy
        self._wall = wall

    def apply(
        self,
        alarm_id: str,
        event: AlarmEvent,
        actor: str,
        request_id: str | None = None,
        *,
        version: int | None = None,
    ) -> Alarm:
        """Apply one event and return the facts after it.

        The same `request_id` again gives the first answer, a refusal too, and does nothing. Raises RefusedError:
        404 `unknown_alarm`, 409 `conflict` if `version` is given and old, 409 `request_id_used` if another person
        used the id or it was about another alarm, and the codes of the machine. Raises TransientError if the database
        is away.
        """
        refused: RefusedError | None = None
        with self.state.write() as connection:
            if request_id is not None:
                answered = alarm_rows.find_answer(connection, request_id)
                if answered is not None:
                    return _first_answer(answered, actor, alarm_id)
            work = self._work(connection, actor, alarm_rows.load_many(connection, [alarm_id]))
            try:
                self._guard(connection, alarm_id, version)
                after = work.act(alarm_id, event)
                work.store()
                body: dict[str, Any] = {"alarm": alarm_rows.facts_of(after), "alarm_id": alarm_id}
                answer = alarm_rows.Answer(actor, 200, body)
            except RefusedError as error:
                refused = error
                body = {"code": error.code, "text": str(error), "alarm_id": alarm_id[:200]}
                answer = alarm_rows.Answer(actor, error.status, body)
            if request_id is not None:
                alarm_rows.keep_answer(connection, request_id, answer, work.now)
        if refused is not None:
            raise refused
        return after

    def commit(
        self,
        edges: Sequence[Edge],
        *,
        cursor: int | None = None,
        timers: Sequence[alarm_rows.RunningTimer] | None = None,
        actor: str = GATEWAY,
    ) -> list[Alarm]:
        """Apply events of the plant and move the reader's cursor, all in one transaction; return facts per edge."""
        with self.state.write() as connection:
            known = alarm_rows.load_many(connection, [edge.alarm_id for edge in edges])
            work = self._work(connection, actor, known)
            done = [work.act(edge.alarm_id, edge.event) for edge in edges]
            work.store()
            if timers is not None:
                alarm_rows.replace_timers(connection, timers)
            if cursor is not None:
                put_cursor(connection, CURSOR, cursor)
        return done

    def definition_of(self, alarm_id: str) -> Definition:
        """Return the definition of an alarm. Raises RefusedError 404 `unknown_alarm`."""
        found = self.definitions.get(alarm_id.partition("@")[0])
        if found is None or not alarm_id.partition("@")[2]:
            raise RefusedError(404, "unknown_alarm", alarm_id[:200])
        return found

    def require_known(self, alarm_id: str) -> None:
        """Raise RefusedError 404 `unknown_alarm` unless it rose once, or may rise at an asset of the network."""
        with self.state.read() as connection:
            self._guard(connection, alarm_id, None)

    def _work(self, connection: Transaction, actor: str, known: Mapping[str, Alarm]) -> _Work:
        return _Work(self, connection, actor, self.clock.now(), self._wall(), dict(known), frozenset(known))

    def _guard(self, connection: Transaction, alarm_id: str, version: int | None) -> None:
        definition = self.definition_of(alarm_id)
        before = alarm_rows.load(connection, alarm_id)
        if before is None and not self._fits(definition, alarm_id.partition("@")[2]):
            raise RefusedError(404, "unknown_alarm", alarm_id[:200])
        if version is not None and before is not None and before.version != version:
            raise RefusedError(409, "conflict", f"the current version is {before.version}")

    def _fits(self, definition: Definition, asset: str) -> bool:
        """Tell whether the asset is known and of a kind that the definition is about."""
        network = self.network
        if asset in network.stations:
            return network.stations[asset].kind in definition.asset_kinds
        kind = "meter" if asset in network.meters else "zone" if asset in network.zones else ""
        return kind in definition.asset_kinds


@dataclass(frozen=True, slots=True)
class _Work:
    """One transaction at work: who acts, and the one moment at which all of it happens."""

    desk: AlarmDesk
    connection: Transaction
    actor: str
    now: datetime
    wall_s: float
    facts: dict[str, Alarm]
    """of all alarms that this is about, as they stand in this transaction"""
    stored: frozenset[str]
    """those that have a row"""
    changed: set[str] = field(default_factory=set)
    lines: list[alarm_rows.NewLine] = field(default_factory=list)

    def act(self, alarm_id: str, event: AlarmEvent) -> Alarm:
        """Step one alarm and write its ticket; facts and journal wait for `store`."""
        definition = self.desk.definition_of(alarm_id)
        asset = alarm_id.partition("@")[2]
        fresh = Alarm(definition.id, asset, definition.priority, definition_rev=definition.revision)
        before = self.facts.get(alarm_id, fresh)
        after, effects = step(before, event, definition, self.now)
        if after != before:
            self.facts[alarm_id] = after
            self.changed.add(alarm_id)
        if isinstance(event, Chatters) and event.repair:
            self._order_repair(after)
        for effect in effects:
            if isinstance(effect, Journal | Announce):
                self._journal(effect, before, after)
                before = after
            else:
                self._ticket(effect, after, definition)
        return after

    def store(self) -> None:
        """Write the facts that changed and the lines of the journal, in their order."""
        alarm_rows.save_many(self.connection, [self.facts[name] for name in sorted(self.changed)], self.stored)
        alarm_rows.append_lines(self.connection, self.lines)

    def _order_repair(self, alarm: Alarm) -> None:
        """Want a repair: what comes and goes is put right at its sensor or its limit, not at the desk."""
        key = f"chatter:{alarm.alarm_id}:{alarm.occurrence_no}"
        detail = {"occurrence_no": alarm.occurrence_no}
        work_rows.add(self.connection, [WorkItem(key, "chatter", alarm.alarm_id, detail, self.now)])

    def _journal(self, effect: Journal | Announce, before: Alarm, after: Alarm) -> None:
        match effect:
            case Journal():
                event, reason = effect.event, effect.reason
            case Announce():
                event, reason = ("announced_again" if effect.again else "announced"), ""
            case _:
                assert_never(effect)
        number = effect.occurrence_no
        self.lines.append(alarm_rows.NewLine(self.now, before, after, event, number, self.actor, reason))

    def _ticket(self, effect: OpenTicket | TicketNote, alarm: Alarm, definition: Definition) -> None:
        ticket = ticket_rows.ticket_of(self.connection, alarm.alarm_id, alarm.occurrence_no)
        match effect:
            case OpenTicket() if ticket is None:
                self._raising().open_or_join(alarm, definition)
            case TicketNote() if ticket is not None and ticket.state not in ticket_rows.ENDED:
                make = route.rtn_body if effect.command == "rtn" else route.update_body
                self._raising().send(ticket, effect.command, make(ticket, alarm, definition))
            case _:
                return

    def _raising(self) -> Raising:
        return Raising(self.connection, self.desk.network, self.desk.policy, self.now, self.wall_s)


def _first_answer(answer: alarm_rows.Answer, actor: str, alarm_id: str) -> Alarm:
    if answer.who != actor or answer.body.get("alarm_id", alarm_id) != alarm_id:
        raise RefusedError(409, "request_id_used", "another person, or another alarm, had this request id")
    if answer.status != 200:
        raise RefusedError(answer.status, str(answer.body["code"]), str(answer.body["text"]))
    return alarm_rows.alarm_from(answer.body["alarm"])
