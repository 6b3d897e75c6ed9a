"""From readings to alarms: take in a record, judge, suppress, commit; and what only time brings about.

The order of a commit: what was judged, worst first; the design rules, before anything is announced; then one
transaction with facts, journal, tickets, running delays and the reader's cursor. After a kill the reader goes on
behind the committed cursor, from the committed facts and delays, so everything comes out as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from alarms.active import ActiveAlarms
from alarms.acts import CURSOR, AlarmDesk, Edge
from alarms.alarm_events import (
    ConditionFalls,
    ConditionRises,
    NewRevision,
)
from alarms.batteries import BatteryWatch
from alarms.chatter import SHELVE_WITHIN, SHIFT, Chatter
from alarms.delay import STOPPED
from alarms.detectors.limits import LimitEdge, LimitJudge, Running, watches_of
from alarms.detectors.pressure import BurstJudge
from alarms.detectors.silence import SilenceJudge
from alarms.homes import Homes
from alarms.shaping import Shaped, Shaping
from alarms.tickets.watch import delivery_alarms
from alarms.timers import area_edges, interruption_edges, quality_edges, ticket_edges, timer_edges
from alarms.zone_leaks import ZoneLeaks
from gateway.errors import TransientError
from gateway.model.alarm import Alarm, Definition
from gateway.model.finding import Finding
from gateway.model.network import Network
from gateway.model.reading import PointId, from_us, to_us
from gateway.model.ticket import TicketClass
from gateway.ports import Clock, PointRegistry, SpoolRecord
from gateway.store import alarm_rows, command_rows, interruption_rows, ticket_rows, work_rows
from gateway.store.memory import StateMemory
from gateway.store.state import Transaction

COMMIT_EVERY_S = 1.0
"""real seconds after which the cursor is committed although nothing happened"""
MOST_AT_ONCE = 200
"""events of one transaction, so that a flood leaves other writers their turn; the last one moves the cursor"""
MOST_IN_A_CALL = 5000
"""events that one call commits; what is left waits for the next one, behind whatever is worse"""
CLOSED_LATELY = timedelta(days=400)
"""commands that closed a valve before that are not looked at any more"""
_log = logging.getLogger(__name__)
_AREAS = ("AREA_COMM_LOSS", "AREA_SUPPLY_LOSS")


class AlarmPipeline:
    """The one reader of the spool that judges. Not safe for threads; one process has one."""

    def __init__(
        self,
        desk: AlarmDesk,
        network: Network,
        registry: PointRegistry,
        definitions: Mapping[str, Definition],
        clock: Clock,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Rebuild from the committed facts. Raises TransientError if the state database is away."""
        self._desk, self._network, self._registry = desk, network, registry
        self._definitions, self._clock, self._wall = definitions, clock, wall
        self._limits = LimitJudge()
        self._burst = BurstJudge(network)
        grave = frozenset(one.quantity for one in definitions.values() if one.highly_managed and one.quantity)
        self._silence = SilenceJudge(network, grave)
        self._batteries = BatteryWatch()
        self._homes = Homes(network, registry, StateMemory(desk.state))
        self._seen = ActiveAlarms(_AREAS)
        self._queue: list[Edge] = []
        self._area_well: dict[str, datetime] = {}
        self._leaks = ZoneLeaks()
        self._newest_us = 0
        self._committed_wall = wall()
        self.calm = False
        """no alarm was active when time was looked at last"""
        with desk.state.read() as connection:
            self._facts = {alarm.alarm_id: alarm for alarm in alarm_rows.load_all(connection)}
            self._timers = {timer.alarm_id: timer for timer in alarm_rows.load_timers(connection)}
            chatter = _chatter_of(connection, clock.now())
        self._shaping = Shaping(desk.definition_of, network, chatter)
        self._chatter_swept = clock.now()
        self.seq = desk.state.cursor(CURSOR)
        """seq of the newest record that was taken in; after a start the committed cursor"""
        self._committed_seq = self.seq
        self._homes.restore(self._facts.values(), clock.now())
        for alarm in self._facts.values():
            if alarm.cond and alarm.definition == "STATION_COMM_LOSS":
                self._silence.restore(alarm.asset)
            if alarm.cond and alarm.definition == "LEAK_BURST":
                self._burst.restore(alarm.asset)

    def process(self, record: SpoolRecord) -> None:
        """Take in one record of the spool; edges are committed before it returns.

        Raises TransientError if the state database is away. Then the record was not taken in and `seq` stands before
        it, or it was and its edges are kept: the next call commits them. A record that comes again changes nothing.
        """
        try:
            edges = self._judge(record)
        except TransientError:
            raise  # not taken in: the same record is read again
        except Exception:  # noqa: BLE001
            # read again it would fail again, and every later leak would wait behind it
            _log.exception("record %d cannot be judged; going on behind it", record.seq)
            edges = []
        self.seq = max(self.seq, record.seq)
        self._commit(edges)

    def tick(self, now: datetime) -> None:
        """Do what only time brings about; `now` is the clock's. Raises TransientError as `process` does."""
        active = self._active()
        if now - self._chatter_swept > SHIFT:
            self._shaping.chatter.forget(now - SHIFT)
            self._chatter_swept = now
        self.calm = not active
        with self._desk.state.read() as connection:
            timed = timer_edges(connection, active, self._definitions, now)
            undelivered = delivery_alarms(connection, self._wall())
            overdue = ticket_rows.list_overdue(connection, TicketClass.EMERGENCY, now)
        # what is told once is asked for when nothing can fail any more before it waits
        silent = self._silence_edges()
        areas = area_edges(
            active,
            silent,
            self._definitions,
            self._network,
            suspects=self._silence.suspects(),
            well_since=self._area_well,
            now=now,
        )
        told = [
            *silent,
            *self._homes.edges(self._definitions, now, self._shaping.plans),
            *(_limit_edge(edge) for edge in self._limits.overdue(self._newest_us)),
        ]
        seen = [*areas, *interruption_edges(self._shaping.plans, active, now)]
        seen += quality_edges(active, self._limits.stale(self._newest_us, 60_000_000))
        seen += [*timed, *ticket_edges(overdue, undelivered, active, now)]
        # what is seen in facts is seen again until it is committed; it waits once
        waiting = {(edge.alarm_id, type(edge.event)) for edge in self._queue}
        seen = [edge for edge in seen if (edge.alarm_id, type(edge.event)) not in waiting]
        self._commit([*seen, *told], active)
        self._list_batteries()

    def judge_findings(self, findings: Iterable[Finding]) -> None:
        """Raise LEAK_ZONE or LEAK_LARGE for grave live leak findings, and end them where no leak finding is live.

        A further leak in a zone whose alarm stands is announced, and its ticket told. `findings` are all findings that
        are open or confirmed now. Raises as `process` does.
        """
        known, active = list(findings), self._active()
        self._commit(self._leaks.edges(known, active, self._definitions), active)
        self._leaks.committed(known)

    def own(self, alarm_id: str, *, holds: bool, value: float | None = None) -> None:
        """Raise or end an alarm about gasgate itself (kind `own`). Raises as `process` does."""
        active = self._active()
        if _cond(active, alarm_id) == holds:
            return
        event = ConditionRises(self._clock.now(), value) if holds else ConditionFalls(value)
        self._commit([Edge(alarm_id, event)], active)

    def revise(self, changed: Collection[str]) -> None:
        """Go by definitions that were approved meanwhile: facts stay, new limits hold from the next sample.

        Delays that run are kept, except those of `changed`. Raises as `process` does; then call it again.
        """
        active = self._active()
        with self._desk.state.read() as connection:
            facts = {alarm.alarm_id: alarm for alarm in alarm_rows.load_all(connection)}
        kept = [timer for timer in self._running() if timer.alarm_id.partition("@")[0] not in changed]
        self._facts, self._timers = facts, {timer.alarm_id: timer for timer in kept}
        self._limits = LimitJudge()
        edges = [Edge(one.alarm_id, NewRevision()) for one in active.values() if one.definition in changed]
        self._commit(edges, active)

    def _judge(self, record: SpoolRecord) -> list[Edge]:
        batch = record.batch
        self._adopt(batch.point)
        edges = [_limit_edge(edge) for edge in self._limits.judge(batch)]
        edges += self._burst_edges(record)
        self._silence.feed(batch)
        self._batteries.feed(batch, self._clock.now())
        self._homes.feed(batch)
        if len(batch):
            self._newest_us = max(self._newest_us, int(batch.received_time.max()))
        return edges

    def _adopt(self, points: NDArray[np.uint32]) -> None:
        fresh = self._limits.unknown(points)
        if not len(fresh):
            return
        numbers, names = self._named(fresh)
        watches = [watches_of(name, self._definitions, self._network) for name in names]
        self._limits.adopt(numbers, watches)
        self._silence.adopt(numbers, names)
        self._burst.adopt(numbers, names)
        self._batteries.adopt(numbers, names)
        self._homes.adopt(numbers, names)
        for watch in (one for own in watches for one in own):
            self._restore(watch.alarm_id)

    def _named(self, points: NDArray[np.uint32]) -> tuple[list[int], list[PointId]]:
        """Return index and name of each point; one that the registry has lost must not stop the others."""
        with contextlib.suppress(KeyError):
            return points.tolist(), self._registry.names(points)
        names: list[PointId] = []
        for point in points:
            try:
                names += self._registry.names(np.array([point], dtype=np.uint32))
            except KeyError:
                _log.warning("point %d has no name; its readings are not judged", point)
                names.append(PointId(""))
        return points.tolist(), names

    def _restore(self, alarm_id: str) -> None:
        alarm, timer = self._facts.pop(alarm_id, None), self._timers.pop(alarm_id, None)
        cond = alarm is not None and alarm.cond
        last = STOPPED if alarm is None or alarm.source_at is None else to_us(alarm.source_at)
        running = None if timer is None else Running(**asdict(timer))
        self._limits.restore(alarm_id, cond=cond, last=last, running=running)

    def _burst_edges(self, record: SpoolRecord) -> list[Edge]:
        definition = self._definitions.get("LEAK_BURST")
        if definition is None:
            return []
        found = self._burst.judge(record.batch, round(definition.off_delay_s * 1e6))
        return [_edge(f"LEAK_BURST@{asset}", rises, at, value) for asset, rises, at, value in found]

    def _silence_edges(self) -> list[Edge]:
        definition = self._definitions.get("STATION_COMM_LOSS")
        if definition is None:
            return []
        found = self._silence.edges(self._newest_us, round(definition.off_delay_s * 1e6))
        return [_edge(f"STATION_COMM_LOSS@{station}", rises, at, math.nan) for station, rises, at in found]

    def _active(self) -> dict[str, Alarm]:
        with self._desk.state.read() as connection:
            found = self._seen.read(connection)
            self._shaping.plans = interruption_rows.hiding(connection, self._clock.now())
            self._shaping.closed = command_rows.closed_by_command(connection, self._clock.now() - CLOSED_LATELY)
        return {alarm_id: alarm for alarm_id, alarm in found.items() if alarm.definition in self._definitions}

    def _commit(self, edges: Sequence[Edge], active: dict[str, Alarm] | None = None) -> None:
        """Commit what waits, worst first, but not more than one call may take: gas must not wait for thousands."""
        self._queue += [edge for edge in edges if edge.alarm_id.partition("@")[0] in self._definitions]
        due = self._wall() - self._committed_wall >= COMMIT_EVERY_S and self.seq != self._committed_seq
        if not self._queue and not due and active is None:
            return
        facts = dict(self._active() if active is None else active)
        self._queue.sort(key=lambda edge: self._desk.definition_of(edge.alarm_id).priority)
        count = 0
        while count < MOST_IN_A_CALL:
            ready, later, shaped = self._next(facts)
            if later:
                self._desk.commit(ready)
            elif ready or due:
                self._desk.commit(ready, cursor=self.seq, timers=self._running())
                self._committed_seq, self._committed_wall = self.seq, self._wall()
            self._shaping.settle(shaped)
            self._queue = later
            count += len(ready)
            if not later:
                return

    def _next(self, facts: dict[str, Alarm]) -> tuple[list[Edge], list[Edge], Shaped]:
        """Return what one transaction takes and what waits behind it.

        The rules that change because of an event go with it: a kill between the two would let them change later.
        """
        later, now = self._queue[MOST_AT_ONCE:], self._clock.now()
        shaped = self._shaping.follow(self._queue[:MOST_AT_ONCE], facts, now)
        ready = list(shaped.ready)
        while shaped.looks and not later and len(ready) + len(shaped.looks) <= MOST_AT_ONCE:
            shaped = self._shaping.follow(shaped.looks, facts, now)
            ready += shaped.ready
        return ready, [*later, *shaped.looks], shaped

    def _list_batteries(self) -> None:
        items = self._batteries.items()
        if items:
            with self._desk.state.write() as connection:
                work_rows.add(connection, items[:MOST_AT_ONCE])
            self._batteries.settle(MOST_AT_ONCE)

    def _running(self) -> list[alarm_rows.RunningTimer]:
        running = [alarm_rows.RunningTimer(**asdict(one)) for one in self._limits.running()]
        return [*running, *self._timers.values()]


def _chatter_of(connection: Transaction, now: datetime) -> Chatter:
    """Return what the journal tells of alarms that came and went lately."""
    chatter = Chatter()
    for entry in alarm_rows.journal_since(connection, now - SHIFT, ("chattering", "repair", "shelved")):
        if entry.event != "shelved" or (entry.after["shelf"] or {}).get("auto"):
            chatter.restore(entry.alarm_id, entry.event, _risen_at(entry))
    for entry in alarm_rows.journal_since(connection, now - 2 * SHELVE_WITHIN, ("raised", "withheld")):
        chatter.restore(entry.alarm_id, "raised", _risen_at(entry))
    return chatter


def _risen_at(entry: alarm_rows.JournalEntry) -> datetime:
    source = entry.after["source_at"]
    return entry.at if source is None else from_us(source)


def _limit_edge(edge: LimitEdge) -> Edge:
    return _edge(edge.alarm_id, edge.rises, edge.source_time, edge.value)


def _edge(alarm_id: str, rises: bool, at_us: int, value: float) -> Edge:
    measured = None if math.isnan(value) else value
    return Edge(alarm_id, ConditionRises(from_us(at_us), measured) if rises else ConditionFalls(measured))


def _cond(active: Mapping[str, Alarm], alarm_id: str) -> bool:
    alarm = active.get(alarm_id)
    return alarm is not None and alarm.cond
