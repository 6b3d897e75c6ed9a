"""Runs collectors: schedule, breaker, silence, reconnection, and one line of log for each loss and each recovery."""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.reading import from_us
from gateway.ports import Clock, Delivery, PolledCollector, PushedCollector
from gateway.runtime.backoff import Backoff
from gateway.runtime.link_news import LinkNews
from gateway.runtime.polled_unit import LinkState, OnState, PolledUnit

FIRST_RECONNECT_S = 1.0
LONGEST_RECONNECT_S = 30.0
STABLE_AFTER_S = 60.0
"""A connection that lasted this long was a good one; two gateways with one client id end each other's sooner."""
_CLOSE_TIMEOUT_S = 5.0
_LAST_POLL_S = 10.0
"""how long a poll may take to end when its link is to change"""
_CLOCK_SLACK_S = 1.0
"""A clock that is later than this at a due time was set back."""

log = logging.getLogger(__name__)

Put = Callable[[Delivery], Awaitable[None]]
"""Takes a delivery towards the disk; waits while there is no room."""


def _ignore(_state: LinkState) -> None:
    """Tell nobody."""


class PollRunner:
    """Asks the units of a polled collector, each on a fixed grid of the clock; the units of a link take turns.

    A unit has at most one poll waiting: due times that pass meanwhile are counted as overruns. Three failures in a
    row open its breaker: it is then only probed, 5 s later and up to 300 s later, with full jitter, and
    its points get one BAD row at once and again every 15 min of the clock.
    """

    def __init__(
        self,
        collector: PolledCollector,
        put: Put,
        clock: Clock,
        on_state: OnState = _ignore,
        *,
        rng: random.Random | None = None,
    ) -> None:
        """Prepare the schedule; `rng` is given by tests."""
        self._collector = collector
        self._put = put
        self._clock = clock
        self._on_state = on_state
        source_rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._rng = source_rng
        self._units = [PolledUnit(job, collector.name, clock, source_rng) for job in collector.jobs()]
        self._news: dict[str, LinkNews] = {}
        self._group: asyncio.TaskGroup | None = None
        self._links: dict[str, asyncio.Task[None]] = {}
        self._in_turn: set[asyncio.Task[None]] = set()
        self._last_turns: set[asyncio.Task[None]] = set()

    def link_states(self) -> Sequence[LinkState]:
        """Return the state of every unit, with its plan and what its collector complains of although it answers."""
        return [self._told(unit) for unit in self._units]

    def _told(self, unit: PolledUnit) -> LinkState:
        complaint_of = getattr(self._collector, "complaint_of", None)
        plan_of = getattr(self._collector, "plan_of", None)
        state = unit.state
        if plan_of is not None:
            requests, addresses = plan_of(unit.job)
            state = replace(state, requests=requests, addresses=addresses)
        if complaint_of is not None and state.up and not state.error:
            state = replace(state, error=complaint_of(unit.job))
        return state

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            await self._open()
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._start_links()
                # links come and go, the group stays
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None
            await _close(self._collector)

    @asynccontextmanager
    async def paused(self, links: Collection[str]) -> AsyncIterator[None]:
        """Leave some links alone while their jobs are changed; polls under way end first, other links go on.

        Afterwards all jobs are those that the collector has then. A job that stayed the same keeps its state.
        """
        stopping = [self._links.pop(link) for link in links if link in self._links]
        await asyncio.gather(*(self._stop_link(task) for task in stopping))
        try:
            yield
        finally:
            known = {unit.job: unit for unit in self._units}
            self._units = [
                known.get(job) or PolledUnit(job, self._collector.name, self._clock, self._rng)
                for job in self._collector.jobs()
            ]
            self._start_links()

    async def finish(self) -> None:
        """Let the polls under way end, and ask nothing more."""
        stopping, self._links = list(self._links.values()), {}
        await asyncio.gather(*(self._stop_link(task) for task in stopping))

    async def _stop_link(self, task: asyncio.Task[None]) -> None:
        if task in self._in_turn:
            self._last_turns.add(task)
            await asyncio.wait([task], timeout=_LAST_POLL_S)
        task.cancel()
        await asyncio.wait([task])
        self._in_turn.discard(task)
        self._last_turns.discard(task)

    def _start_links(self) -> None:
        if self._group is None:
            return
        links: dict[str, list[PolledUnit]] = {}
        for unit in self._units:
            links.setdefault(unit.job.link, []).append(unit)
        for link, units in links.items():
            if link not in self._links:
                self._links[link] = self._group.create_task(self._run_link(units), name=f"poll {link}")

    async def _open(self) -> None:
        backoff = Backoff(FIRST_RECONNECT_S, LONGEST_RECONNECT_S)
        while True:
            try:
                await self._collector.open()
            except TransientError as error:
                if not backoff.failures:
                    log.warning("%s: cannot start yet: %s", self._collector.name, error)
                await asyncio.sleep(backoff.next())
            else:
                return

    async def _run_link(self, units: Sequence[PolledUnit]) -> None:
        now_us = self._clock.now_us()
        queue = [(unit.next_tick(now_us), place) for place, unit in enumerate(units)]
        heapq.heapify(queue)
        task = asyncio.current_task()
        assert task is not None
        while task not in self._last_turns:
            before_us, now_us = now_us, self._clock.now_us()
            if now_us < before_us:
                # the clock was set back: without this, polls would rest until it shows again what it showed before
                queue = [(min(due_us, units[place].next_tick(now_us)), place) for due_us, place in queue]
                heapq.heapify(queue)
            due_us, place = queue[0]
            unit = units[place]
            if not await self._reached(due_us):
                continue
            link_was_down = all(one.is_open for one in units)
            self._in_turn.add(task)
            try:
                await self._turn(unit, units)
            except Exception:
                log.exception("%s: poll failed unexpectedly", unit.job.key)
            finally:
                self._in_turn.discard(task)
            _end_if_cancelled()
            heapq.heapreplace(queue, (unit.after(due_us, self._clock.now_us()), place))
            if link_was_down and not unit.is_open:
                # one unit answers again after all were silent: the link is back, so the others need not wait for probes
                now_us = self._clock.now_us()
                queue = [(min(due_us, now_us) if units[at].is_open else due_us, at) for due_us, at in queue]
                heapq.heapify(queue)

    def _news_of(self, unit: PolledUnit) -> LinkNews:
        return self._news.get(unit.job.link) or self._news.setdefault(unit.job.link, LinkNews(unit.job.link))

    async def _reached(self, due_us: int) -> bool:
        """Wait until the clock shows a moment; return False if it does not although it should."""
        wait_s = self._clock.real_seconds(max(0, due_us - self._clock.now_us()) / 1e6)
        try:
            async with asyncio.timeout(wait_s + _CLOCK_SLACK_S):
                await self._clock.sleep_until(from_us(due_us))
        except TimeoutError:
            return False
        return True

    async def _turn(self, unit: PolledUnit, units: Sequence[PolledUnit]) -> None:
        try:
            batch = await self._collector.collect(unit.job)
            _end_if_cancelled()
        except TransientError as error:
            await self._failed(unit, units, error)
            return
        except Exception as error:
            unit.bad(self._clock.now_us(), repr(error))
            raise
        first = unit.state.up is None
        news = unit.good(self._clock.now_us())
        self._news_of(unit).good(unit.job.key, first=first)
        if news:
            self._on_state(unit.state)
        if len(batch):
            await self._put(Delivery(self._collector.name, batch))

    async def _failed(self, unit: PolledUnit, units: Sequence[PolledUnit], error: TransientError) -> None:
        now_us = self._clock.now_us()
        opened = unit.bad(now_us, str(error))
        all_open = all(one.is_open for one in units)
        self._news_of(unit).bad(unit.job.key, error, is_open=unit.is_open, all_open=all_open)
        if opened:
            self._on_state(unit.state)
        if unit.silence_is_due(now_us):
            await self._put(Delivery(self._collector.name, self._collector.silent(unit.job, now_us)))


class PushRunner:
    """Keeps a pushed collector connected and hands on what it delivers. Acknowledging is up to who stores it."""

    def __init__(
        self,
        collector: PushedCollector,
        put: Put,
        clock: Clock,
        on_state: OnState = _ignore,
        *,
        rng: random.Random | None = None,
    ) -> None:
        """Prepare; nothing is connected yet. `rng` is given by tests."""
        self._collector = collector
        self._put = put
        self._clock = clock
        self._on_state = on_state
        self._state = LinkState(collector.name, collector.name, collector.name, None, clock.now_us())
        self._backoff = Backoff(FIRST_RECONNECT_S, LONGEST_RECONNECT_S, rng)
        self._stand_back_s = 0.0

    def link_states(self) -> Sequence[LinkState]:
        """Return the state of the connection, with what its collector complains of although it is connected."""
        complaint = getattr(self._collector, "complaint", "")
        return [replace(self._state, error=complaint) if self._state.up and complaint else self._state]

    @asynccontextmanager
    async def paused(self, _links: Collection[str]) -> AsyncIterator[None]:
        """Change the collector while it goes on receiving."""
        yield

    async def finish(self) -> None:
        """Do nothing: what was delivered is on its way, and what is not acknowledged comes again."""

    async def run(self) -> None:
        """Receive until cancelled, or until the collector says that it can never work again."""
        try:
            while True:
                self._stand_back_s = 0.0
                if not await self._session():
                    return
                await asyncio.sleep(max(self._stand_back_s, FIRST_RECONNECT_S + self._backoff.next()))
        finally:
            await _close(self._collector)

    async def _session(self) -> bool:
        """Connect and receive until the connection is lost; return whether to try again."""
        opened_at = None
        try:
            await self._collector.open()
            _end_if_cancelled()
            opened_at = asyncio.get_running_loop().time()
            self._up()
            async for delivery in self._collector.deliveries():
                self._state = replace(
                    self._state, deliveries=self._state.deliveries + 1, last_good_us=self._clock.now_us()
                )
                await self._put(delivery)
                _end_if_cancelled()
            self._down("ended")
        except (TransientError, ConfigError) as error:
            # a secret or a certificate that is missing now may be put back
            self._down(str(error))
            self._stand_back_s = getattr(error, "retry_after_s", None) or 0.0
        except PermanentError as error:
            self._down(str(error))
            log.error("%s: stopped: %s", self._collector.name, error)  # noqa: TRY400 - the text says all
            return False
        except Exception as error:
            self._down(repr(error))
            log.exception("%s: failed unexpectedly", self._collector.name)
        if opened_at is not None and asyncio.get_running_loop().time() - opened_at >= STABLE_AFTER_S:
            self._backoff.reset()
        await _close(self._collector)
        return True

    def _up(self) -> None:
        self._state = replace(self._state, up=True, since_us=self._clock.now_us(), failures=0, error="")
        log.info("%s: connected", self._collector.name)
        self._on_state(self._state)

    def _down(self, error: str) -> None:
        news = self._state.up is not False
        since = self._clock.now_us() if news else self._state.since_us
        self._state = replace(self._state, up=False, since_us=since, failures=self._state.failures + 1, error=error)
        if news:
            log.warning("%s: lost: %s", self._collector.name, error)
            self._on_state(self._state)


def _end_if_cancelled() -> None:
    """Raise CancelledError if this task was cancelled, and whatever it awaited swallowed that.

    `asyncio.wait_for` of Python 3.11, which the protocol libraries use, does so when what it waits for ends in the same
    turn of the loop.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _close(collector: PolledCollector | PushedCollector) -> None:
    """Close within a few seconds, also while the task is being cancelled."""
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await asyncio.shield(collector.close())
    except TimeoutError:
        log.warning("%s: did not close in %g s", collector.name, _CLOSE_TIMEOUT_S)
    except Exception:
        log.exception("%s: close failed", collector.name)
