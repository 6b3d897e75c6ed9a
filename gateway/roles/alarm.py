"""The role that judges readings, keeps alarms and delivers tickets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from alarms import TICKET_SINKS
from alarms.acts import AlarmDesk
from alarms.fallback import FallbackWorker
from alarms.master import MasterDefinitions
from alarms.outbox import OutboxWorker, sinks_by_class
from alarms.pipeline import AlarmPipeline
from alarms.reconcile import Reconciler
from alarms.service.calendar import WorkCalendar
from alarms.service.release import Checks
from gateway.errors import TransientError
from gateway.model.finding import FindingStatus
from gateway.model.ticket import TicketClass
from gateway.ports import Clock, TicketSink
from gateway.roles.common import (
    heartbeat,
    open_state,
    remote_store,
    service_desk,
    site_clock,
    site_network,
    ticket_policy,
)
from gateway.roles.revision import Follower
from gateway.roles.service_clocks import ServiceClocks
from gateway.roles.standing_watch import StandingWatch
from gateway.snapshot import Snapshot
from gateway.store import alarm_rows, command_rows, finding_rows, health_rows
from gateway.store.change_watch import ChangeWatch
from gateway.store.registry import StateRegistry
from gateway.store.remote import GoneError, RemoteStore
from gateway.store.state import State

log = logging.getLogger(__name__)

TICK_S = 0.25
"""real seconds between looks at what only time brings about"""
CALM_TICK_S = 1.0
"""the same while no alarm is active, no reading comes and nobody writes"""
FINDINGS_S = 1.0
LIVE = (FindingStatus.OPEN, FindingStatus.CONFIRMED)
TAIL_RECORDS = 100
BEHIND = "EVAL_LAG@gasgate"
DAMAGED = "STORE_FAULT@gasgate"
REFUSED = "STREAM_FAULT@gasgate"
WRONG = "SOURCE_FAULT@gasgate"
NO_LIST = "CALENDAR_HORIZON@gasgate"
NOT_DONE = "COMMAND_MISMATCH"
BEHIND_S = 10.0
"""real seconds without having judged everything that is stored, or without an answer from the role keep"""
WAIT_S = 5.0
"""longest wait for a reading, well below `BEHIND_S`"""
RETRY_S = 0.5


async def work(site: Snapshot) -> None:
    """Judge and deliver until cancelled."""
    config = site.config
    state = open_state(config)
    follower = Follower(state, "alarm", site)
    clock = site_clock(config)
    network = site_network(config)
    await asyncio.to_thread(network.affected, "")
    definitions = await asyncio.to_thread(MasterDefinitions, state, clock.now())
    desk = AlarmDesk(state, definitions, network, clock, ticket_policy(config, state))
    pipeline = await asyncio.to_thread(AlarmPipeline, desk, network, StateRegistry(state), definitions, clock)
    sinks: dict[str, TicketSink] = {sink.name: TICKET_SINKS[sink.kind](sink, clock) for sink in config.ticket_sink}
    first_ways = sinks_by_class(sinks, {sink.name: sink.classes for sink in config.ticket_sink})
    ways = {one: [sink.name for sink in config.ticket_sink if one in sink.fallback_for] for one in TicketClass}
    reconciler = Reconciler(desk, sinks)
    service = service_desk(config, state, network, clock)
    checks = Checks(state, network, desk.policy, service.calendar, clock, config.service.checks_a_day)
    judge = Judge(
        pipeline,
        state,
        clock,
        remote_store(config),
        calendar=service.calendar,
        definitions=definitions,
        standing=StandingWatch(state, config.site.time_server),
    )

    def at_work() -> bool:
        return service.calendar.is_open(clock.now())

    async with asyncio.TaskGroup() as group:
        group.create_task(heartbeat(state, "alarm", follower.status(judge.health)), name="heartbeat")
        group.create_task(follower.run(), name="configuration")
        group.create_task(_judge(reconciler, judge), name="judge")
        group.create_task(OutboxWorker(state, sinks, clock, ways=first_ways).run(), name="outbox")
        group.create_task(FallbackWorker(state, sinks, ways, working=at_work).run(), name="fallback")
        group.create_task(reconciler.run(), name="reconcile")
        group.create_task(ServiceClocks(service, checks).run(), name="clocks of tickets")


async def _judge(reconciler: Reconciler, judge: Judge) -> None:
    """Judge once the tickets that a restored state does not know are there: alarms may join them."""
    await reconciler.after_restoration()
    await judge.run()


class Judge:
    """Feeds the pipeline: readings as they become durable, and time as it passes; one after the other."""

    def __init__(
        self,
        pipeline: AlarmPipeline,
        state: State,
        clock: Clock,
        store: RemoteStore,
        *,
        calendar: WorkCalendar,
        definitions: MasterDefinitions | None = None,
        standing: StandingWatch | None = None,
    ) -> None:
        """Remember the parts; nothing is asked yet.

        Without `definitions` those of the pipeline never change, without `standing` desk and clock are not judged.
        """
        self._standing = standing
        self._definitions = definitions
        self._revised: set[str] = set()
        """definitions that changed and that the pipeline has not taken yet"""
        self._pipeline = pipeline
        self._state = state
        self._clock = clock
        self._store = store
        self._calendar = calendar
        self._turn = asyncio.Lock()
        self._problems: dict[str, str] = {}
        self._lost = 0
        """records that the spool no longer had when they were to be judged"""
        self._caught_up = time.monotonic()
        self._was_behind = False
        self._ticked_at = 0.0
        self._ticked_seq = -1

    def health(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether judging keeps up."""
        problems = sorted(self._problems.values())
        figures = {"seq": self._pipeline.seq, "lost": self._lost, "problems": problems}
        running = {} if self._definitions is None else {"definitions": self._definitions.digests()}
        return not problems, {**figures, **running}

    async def run(self) -> None:
        """Judge until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="tail")
                if self._standing is not None:
                    group.create_task(self._standing.run(self._judge_standing), name="desk and clock")
                group.create_task(self._every("timers", TICK_S, self._tick, self._tick_is_due), name="tick")
                group.create_task(
                    self._every("findings", FINDINGS_S, self._judge_findings, self._standing_changes), name="findings"
                )
        finally:
            await self._store.close()

    async def _follow(self) -> None:
        while True:
            try:
                records, newest = await self._store.tail(self._pipeline.seq, TAIL_RECORDS, WAIT_S)
                for record in records:
                    async with self._turn:
                        await asyncio.to_thread(self._pipeline.process, record)
                if self._pipeline.seq >= newest:
                    self._caught_up = time.monotonic()
                self._well("readings")
            except GoneError as gone:
                if self._pipeline.seq:
                    log.warning("readings %d to %d were not judged: the spool no longer has them",
                                self._pipeline.seq + 1, gone.first_seq - 1)  # fmt: skip
                    self._lost += gone.first_seq - 1 - self._pipeline.seq
                self._pipeline.seq = gone.first_seq - 1
            except TransientError as error:
                self._complain("readings", str(error))
                await asyncio.sleep(RETRY_S)

    async def _every(self, part: str, seconds: float, work: Callable[[], None], due: Callable[[], bool]) -> None:
        """Look again and again; work when somebody wrote to the state database, or when it is due anyhow."""
        changes = ChangeWatch(self._state)
        while True:
            try:
                if changes.changed() or due():
                    async with self._turn:
                        await asyncio.to_thread(work)
                    self._well(part)
            except TransientError as error:
                self._complain(part, str(error))
                changes.again()
            await asyncio.sleep(seconds)

    def _tick(self) -> None:
        self._ticked_at, self._ticked_seq = time.monotonic(), self._pipeline.seq
        self._pipeline.tick(self._clock.now())

    def _tick_is_due(self) -> bool:
        news = not self._pipeline.calm or self._pipeline.seq != self._ticked_seq
        return news or time.monotonic() - self._ticked_at >= CALM_TICK_S

    def _is_behind(self) -> bool:
        return time.monotonic() - self._caught_up > BEHIND_S

    def _standing_changes(self) -> bool:
        return self._is_behind() != self._was_behind

    def _judge_findings(self) -> None:
        self._take_definitions()
        with self._state.read() as connection:
            leaks = finding_rows.live_findings(connection, LIVE, kind="leak")
            zones = sorted({one.finding.zone for one in leaks})
            others = finding_rows.live_findings(connection, (FindingStatus.OPEN,), zones=zones)
        self._pipeline.judge_findings([one.finding for one in (*leaks, *others)])
        self._was_behind = self._is_behind()
        self._pipeline.own(BEHIND, holds=self._was_behind)
        self._pipeline.own(NO_LIST, holds=self._calendar.ends_soon(self._clock.now()))
        told = health_rows.detail(self._state, "keep")
        for alarm, figure in ((DAMAGED, "damaged_files"), (REFUSED, "faulty_streams"), (WRONG, "faulty_sources")):
            if (count := told.get(figure)) is not None:
                self._pipeline.own(alarm, holds=count > 0, value=float(count))
        self._judge_commands()

    async def _judge_standing(self, judged: Mapping[str, tuple[bool, float | None]]) -> None:
        for alarm_id, (holds, value) in judged.items():
            async with self._turn:
                await asyncio.to_thread(partial(self._pipeline.own, alarm_id, holds=holds, value=value))

    def _take_definitions(self) -> None:
        if self._definitions is None:
            return
        self._revised |= self._definitions.refresh()
        if self._revised:
            self._pipeline.revise(self._revised)
            self._revised = set()

    def _judge_commands(self) -> None:
        with self._state.read() as connection:
            wrong = {f"{NOT_DONE}@{asset}" for asset in command_rows.assets_that_differ(connection)}
            raised = {alarm.alarm_id for alarm in alarm_rows.load_of(connection, [NOT_DONE]) if alarm.cond}
        for alarm_id in wrong ^ raised:
            self._pipeline.own(alarm_id, holds=alarm_id in wrong)

    def _well(self, part: str) -> None:
        if self._problems.pop(part, None) is not None:
            log.info("judging %s again", part)

    def _complain(self, part: str, problem: str) -> None:
        if self._problems.get(part) != problem:
            log.warning("judging %s is held up: %s", part, problem)
        self._problems[part] = problem
