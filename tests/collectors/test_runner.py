import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from gateway.errors import NotSentError, PermanentError, TransientError
from gateway.model.reading import ReadingBatch, Reason, Severity, quality
from gateway.ports import Delivery, Job
from gateway.runtime.clock import CityClock, ManualClock
from gateway.runtime.polled_unit import FAILURES_TO_OPEN, RECENT_POLLS, LinkState
from gateway.runtime.runner import PollRunner, PushRunner

START_US = 1_768_435_200_000_000
NO_REPLY = quality(Severity.BAD, Reason.NO_REPLY)


class FakeDevices:
    """Polled units that note when they were asked; `away` do not answer, `broken` raise what nobody expects."""

    name = "site"

    def __init__(self, clock: ManualClock, *jobs: Job) -> None:
        self.clock = clock
        self._jobs = jobs
        self.asked: list[tuple[str, float]] = []
        self.away: set[str] = set()
        self.broken: set[str] = set()
        self.takes_s: dict[str, float] = {}
        self.now_busy: set[str] = set()
        self.closed = 0
        self.connected = True

    def jobs(self) -> Sequence[Job]:
        return self._jobs

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        self.closed += 1

    async def collect(self, job: Job) -> ReadingBatch:
        assert job.link not in self.now_busy
        self.now_busy.add(job.link)
        self.asked.append((job.key, (self.clock.now_us() - START_US) / 1e6))
        self.clock.advance(self.takes_s.get(job.key, 0))
        await asyncio.sleep(0)
        self.now_busy.discard(job.link)
        if job.key in self.away and not self.connected:
            raise NotSentError("no connection")
        if job.key in self.away:
            raise TransientError(f"{job.key} does not answer")
        if job.key in self.broken:
            raise ZeroDivisionError
        return ReadingBatch.build([1], [self.clock.now_us()], self.clock.now_us(), [1.0])

    def silent(self, job: Job, now_us: int) -> ReadingBatch:
        return ReadingBatch.build([1, 2], [now_us, now_us], now_us, [np.nan, np.nan], NO_REPLY)

    def times(self, key: str) -> list[float]:
        return [at for asked, at in self.asked if asked == key]


class Site:
    def __init__(self, *jobs: Job) -> None:
        self.clock = ManualClock(START_US)
        self.devices = FakeDevices(self.clock, *jobs)
        self.got: list[Delivery] = []
        self.states: list[LinkState] = []
        self.runner = PollRunner(self.devices, self.put, self.clock, self.states.append, rng=random.Random(1))

    async def put(self, delivery: Delivery) -> None:
        self.got.append(delivery)

    def state(self, key: str) -> LinkState:
        return next(state for state in self.runner.link_states() if state.key == key)

    async def go(self, seconds: float, step_s: float = 0.5) -> None:
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            for _ in range(6):
                await asyncio.sleep(0)


@asynccontextmanager
async def running(site: Site) -> AsyncIterator[Site]:
    task = asyncio.create_task(site.runner.run())
    await asyncio.sleep(0)
    try:
        yield site
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert site.devices.closed == 1


def job(name: str = "site/a/1", link: str = "a", period_s: float = 10, phase_s: float = 3) -> Job:
    return Job(name, link, period_s, phase_s)


async def test_polls_lie_on_the_grid_and_do_not_drift() -> None:
    async with running(Site(job())) as site:
        site.devices.takes_s["site/a/1"] = 1.5
        await site.go(60)
    grid = [at % 10 for at in site.devices.times("site/a/1")]
    assert grid == [3.0] * len(grid)
    assert len(grid) >= 5
    assert len(site.got) == len(grid)
    assert site.state("site/a/1").overruns == 0


async def test_a_poll_that_takes_too_long_is_counted_and_never_queued() -> None:
    async with running(Site(job())) as site:
        site.devices.takes_s["site/a/1"] = 25
        await site.go(5)
        site.devices.takes_s.clear()
        await site.go(20)
    assert site.devices.times("site/a/1")[:3] == [3.0, 33.0, 43.0]
    assert site.state("site/a/1").overruns == 2


async def test_a_dead_unit_does_not_disturb_the_others_on_its_link() -> None:
    dead, well, elsewhere = job("site/a/1"), job("site/a/2", phase_s=4), job("site/b/1", "b")
    async with running(Site(dead, well, elsewhere)) as site:
        site.devices.away.add("site/a/1")
        site.devices.takes_s["site/a/1"] = 1
        await site.go(600)
    assert len(site.devices.times("site/a/2")) >= 58
    assert len(site.devices.times("site/b/1")) >= 58
    assert len(site.devices.times("site/a/1")) < 20


async def test_the_breaker_opens_after_three_failures_and_closes_at_the_first_success(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with running(Site(job(period_s=900, phase_s=0))) as site:
        site.devices.away.add("site/a/1")
        await site.go(1000)
        assert len(site.devices.times("site/a/1")) >= FAILURES_TO_OPEN
        assert site.state("site/a/1").up is False
        assert "does not answer" in site.state("site/a/1").error
        site.devices.away.clear()
        await site.go(320)
        assert site.state("site/a/1").up is True
        assert site.state("site/a/1").failures == 0
    lost = [record for record in caplog.records if "lost" in record.message]
    assert [state.up for state in site.states] == [False, True]
    assert len(lost) == 1
    assert sum("answers" in record.message for record in caplog.records) == 1


async def test_a_unit_tells_how_often_it_failed_lately_and_when_it_is_asked_again() -> None:
    async with running(Site(job())) as site:
        await site.go(40)
        state = site.state("site/a/1")
        assert (state.recent, state.recent_failed, state.period_s) == (4, 0, 10.0)
        assert state.next_us == START_US + 43_000_000
        site.devices.away.add("site/a/1")
        await site.go(30)
        away = site.state("site/a/1")
        assert away.recent_failed == away.recent - 4 >= FAILURES_TO_OPEN
        assert away.next_us is not None
        assert away.next_us > site.clock.now_us() - 1_000_000
        site.devices.away.clear()
        await site.go(3000)
        assert (site.state("site/a/1").recent, site.state("site/a/1").recent_failed) == (RECENT_POLLS, 0)


def _news(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message.split(": ")[0] + ": " + record.message.split(": ")[1] for record in caplog.records]


@pytest.mark.parametrize("connected", [True, False])
async def test_a_lost_link_is_one_event_however_many_units_it_has(
    caplog: pytest.LogCaptureFixture, *, connected: bool
) -> None:
    keys = [f"site/a/{number}" for number in range(1, 33)]
    async with running(Site(*(job(key, phase_s=place / 4) for place, key in enumerate(keys)))) as site:
        site.devices.connected = connected
        await site.go(30)
        caplog.clear()
        caplog.set_level(logging.INFO)
        site.devices.away.update(keys)
        await site.go(1800, step_s=1)
        assert _news(caplog) == ["a: lost"]
        site.devices.away.clear()
        await site.go(400)
        assert _news(caplog) == ["a: lost", "a: answers again"]
        assert all(site.state(key).up for key in keys)


async def test_a_unit_that_stays_away_when_its_link_is_back_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    keys = [f"site/a/{number}" for number in range(1, 5)]
    async with running(Site(*(job(key, phase_s=place) for place, key in enumerate(keys)))) as site:
        site.devices.away.add("site/a/2")
        await site.go(600)
        site.devices.away.update(keys)
        await site.go(600)
        site.devices.away = {"site/a/3"}
        await site.go(900)
        site.devices.away.clear()
        await site.go(400)
    told = [line for line in _news(caplog) if line not in {f"{key}: answers" for key in keys}]
    assert told[:3] == ["site/a/2: lost", "a: lost", "a: answers again"]
    assert told.count("site/a/3: lost") == told.count("site/a/3: answers again") == 1
    assert len(told) <= 6


async def test_probes_become_rarer_but_never_rarer_than_five_minutes() -> None:
    async with running(Site(job())) as site:
        site.devices.away.add("site/a/1")
        await site.go(7200, step_s=1)
    times = site.devices.times("site/a/1")
    waits = [right - left for left, right in pairwise(times)]
    assert max(waits) <= 302
    assert max(waits) > 60
    assert len(times) < 120


async def test_all_units_are_asked_at_once_when_their_link_is_back() -> None:
    keys = [f"site/a/{number}" for number in range(1, 9)]
    async with running(Site(*(job(key, phase_s=place) for place, key in enumerate(keys)))) as site:
        site.devices.away.update(keys)
        await site.go(3600, step_s=1)
        assert not any(site.state(key).up for key in keys)
        site.devices.away.clear()
        site.devices.asked.clear()
        while not site.devices.asked:
            await site.go(1)
        await site.go(2)
        assert all(site.state(key).up for key in keys)


async def test_silence_is_written_once_and_again_every_quarter_of_an_hour() -> None:
    async with running(Site(job())) as site:
        site.devices.away.add("site/a/1")
        await site.go(3600, step_s=2)
    rows = [delivery.batch for delivery in site.got]
    assert 3 <= len(rows) <= 5
    assert all(list(batch.quality) == [NO_REPLY, NO_REPLY] for batch in rows)
    gaps = np.diff([batch.source_time[0] for batch in rows]) / 60e6
    assert all(gaps >= 15)


async def test_a_bug_in_a_collector_stops_nothing() -> None:
    async with running(Site(job("site/a/1"), job("site/a/2", phase_s=5))) as site:
        site.devices.broken.add("site/a/1")
        await site.go(100)
        assert len(site.devices.times("site/a/2")) >= 9
        assert "ZeroDivisionError" in site.state("site/a/1").error
        site.devices.broken.clear()
        await site.go(320)
        assert site.state("site/a/1").up is True


async def test_full_intake_makes_polls_wait() -> None:
    site = Site(job())
    room = asyncio.Event()

    async def put(delivery: Delivery) -> None:
        await room.wait()
        site.got.append(delivery)

    site.runner = PollRunner(site.devices, put, site.clock)
    async with running(site):
        await site.go(60)
        assert len(site.devices.asked) == 1
        room.set()
        await site.go(20)
    assert len(site.got) >= 2
    assert site.state("site/a/1").overruns >= 4


async def test_where_the_clock_runs_fast_a_unit_is_found_again_within_three_periods() -> None:
    clock = CityClock(START_US, time.time_ns() // 1000, 1000.0)
    asked: list[int] = []

    class Away(FakeDevices):
        async def collect(self, job: Job) -> ReadingBatch:
            asked.append(clock.now_us())
            raise TransientError("away")

    async def put(_: Delivery) -> None:
        pass

    runner = PollRunner(Away(ManualClock(START_US), job(period_s=60, phase_s=0)), put, clock)
    task = asyncio.create_task(runner.run())
    await asyncio.sleep(1.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(asked) > 5
    assert max(np.diff(asked)) < 10 * 60e6


class FakeBroker:
    """A pushed collector that does what each entry says: an exception to raise, or deliveries to bring."""

    name = "meters"

    def __init__(self, *sessions: Exception | list[Delivery]) -> None:
        self.sessions = list(sessions)
        self.opened = 0
        self.closed = 0

    async def open(self) -> None:
        self.opened += 1
        if self.sessions and isinstance(self.sessions[0], Exception):
            raise self.sessions.pop(0)  # type: ignore[misc]

    async def close(self) -> None:
        self.closed += 1

    async def deliveries(self) -> AsyncIterator[Delivery]:
        if not self.sessions:
            await asyncio.Event().wait()
        for delivery in self.sessions.pop(0):  # type: ignore[union-attr]
            yield delivery
        raise TransientError("connection lost")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.runtime.runner.FIRST_RECONNECT_S", 0.001)
    monkeypatch.setattr("gateway.runtime.runner.LONGEST_RECONNECT_S", 0.002)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - tests watch from outside
            await asyncio.sleep(0.005)


async def test_a_lost_broker_is_connected_again(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one, two = Delivery("meters", ReadingBatch.empty()), Delivery("meters", ReadingBatch.empty())
    broker = FakeBroker([one], TransientError("refused"), ZeroDivisionError(), TransientError("refused"), [two])
    got: list[Delivery] = []
    states: list[LinkState] = []

    async def put(delivery: Delivery) -> None:
        got.append(delivery)

    runner = PushRunner(broker, put, ManualClock(START_US), states.append)
    task = asyncio.create_task(runner.run())
    await until(lambda: broker.opened == 6 and runner.link_states()[0].up is True)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert got == [one, two]
    assert [state.up for state in states] == [True, False, True, False, True]
    assert sum("lost" in record.message for record in caplog.records) == 2
    assert broker.closed >= 5


async def test_a_session_that_was_taken_over_is_not_fought_for(quick: None) -> None:
    async def put(_: Delivery) -> None:
        pass

    broker = FakeBroker(PermanentError("taken over"))
    runner = PushRunner(broker, put, ManualClock(START_US))
    await asyncio.wait_for(runner.run(), 60)
    assert broker.opened == 1
    assert (runner.link_states()[0].up, runner.link_states()[0].error) == (False, "taken over")


async def test_a_collector_that_asks_to_stand_back_is_left_alone_so_long(quick: None) -> None:
    async def put(_: Delivery) -> None:
        pass

    broker = FakeBroker(TransientError("perhaps taken over", retry_after_s=0.3))
    task = asyncio.create_task(PushRunner(broker, put, ManualClock(START_US)).run())
    await asyncio.sleep(0.15)
    assert broker.opened == 1, "tried again too soon"
    await until(lambda: broker.opened == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_library_that_swallows_the_cancellation_does_not_keep_the_runner_alive():
    class Swallowing(FakeDevices):
        async def collect(self, job: Job) -> ReadingBatch:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                raise TransientError("refused in the same moment") from None
            raise AssertionError

    clock = ManualClock(START_US)
    devices = Swallowing(clock, Job("site/a/1", "site/a", 1.0, 0.0))

    async def put(_delivery: Delivery) -> None:
        pass

    task = asyncio.create_task(PollRunner(devices, put, clock).run())
    await asyncio.sleep(0.05)
    clock.advance(2)
    await asyncio.sleep(0.05)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=20)
    assert done, "still polling"
    assert devices.closed


async def test_a_library_that_swallows_the_cancellation_of_a_connect_does_not_keep_the_runner_alive():
    class Swallowing(FakeBroker):
        async def open(self) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)

    broker = Swallowing()

    async def put(_delivery: Delivery) -> None:
        pass

    task = asyncio.create_task(PushRunner(broker, put, ManualClock(START_US)).run())
    await asyncio.sleep(0.05)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=20)
    assert done, "still connected"
    assert broker.closed


class SteppingClock(CityClock):
    """A fast clock that somebody sets."""

    def set_back(self, seconds: float) -> None:
        back_us = round(seconds * 1e6)
        self.paces = tuple(replace(pace, city_us=pace.city_us - back_us) for pace in self.paces)


@pytest.mark.parametrize("while_polling", [False, True])
async def test_polls_go_on_at_once_when_the_clock_is_set_back(while_polling: bool) -> None:
    clock = SteppingClock(START_US, time.time_ns() // 1000, 10.0)
    asked: dict[str, list[int]] = {"site/a/1": [], "site/a/2": []}

    class Noting(FakeDevices):
        async def collect(self, job: Job) -> ReadingBatch:
            asked[job.key].append(clock.now_us())
            if while_polling and len(asked[job.key]) == 2 and job.key == "site/a/1":
                clock.set_back(86_400)
            return ReadingBatch.empty()

    async def put(_: Delivery) -> None:
        pass

    jobs = [job("site/a/1", period_s=1, phase_s=0), job("site/a/2", period_s=2, phase_s=0.5)]
    task = asyncio.create_task(PollRunner(Noting(ManualClock(START_US), *jobs), put, clock).run())
    await until(lambda: min(map(len, asked.values())) >= 2)
    if not while_polling:
        clock.set_back(86_400)
    before = {key: len(times) for key, times in asked.items()}
    await until(lambda: all(len(times) >= before[key] + 3 for key, times in asked.items()))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
