"""What every collector must do. Subclass, and give a device or a broker that can be told to misbehave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import numpy as np
import pytest

from gateway.errors import TransientError
from gateway.model.reading import ReadingBatch, Reason, Severity, quality
from gateway.ports import Delivery, PolledCollector, PushedCollector

NO_REPLY = quality(Severity.BAD, Reason.NO_REPLY)


class Devices(Protocol):
    """What a polled collector asks, on a real socket."""

    away: bool
    """True: takes questions and never answers"""

    async def was_asked(self) -> None:
        """Return once a question has arrived."""
        ...


class PolledCollectorContract:
    """`collector` (unopened, all points good, a timeout under 0.5 s, at `now_us`) and `devices` come from fixtures."""

    async def test_jobs_have_their_own_key_and_a_phase_within_the_period(self, collector: PolledCollector) -> None:
        jobs = collector.jobs()
        assert len({job.key for job in jobs}) == len(jobs) > 0
        for job in jobs:
            assert 0 <= job.phase_s < job.period_s
            assert job.key.startswith(f"{collector.name}/")
            assert job.key.startswith(job.link)
        assert list(collector.jobs()) == list(jobs)

    async def test_a_poll_brings_good_readings_of_now(
        self, collector: PolledCollector, devices: Devices, now_us: int
    ) -> None:
        await collector.open()
        for job in collector.jobs():
            batch = await collector.collect(job)
            assert len(batch) > 0
            assert batch.good.all()
            assert np.isfinite(batch.value).all()
            assert set(batch.source_time) == set(batch.received_time) == {now_us}
        await collector.close()

    async def test_silence_covers_every_point_and_no_other(
        self, collector: PolledCollector, devices: Devices, now_us: int
    ) -> None:
        await collector.open()
        for job in collector.jobs():
            silent = collector.silent(job, now_us + 5)
            assert set(silent.point) >= set((await collector.collect(job)).point)
            assert len(set(silent.point)) == len(silent)
            assert set(silent.quality) == {NO_REPLY}
            assert np.isnan(silent.value).all()
            assert set(silent.source_time) == {now_us + 5}
        await collector.close()

    async def test_a_device_that_is_away_is_transient_and_found_again(
        self, collector: PolledCollector, devices: Devices
    ) -> None:
        await collector.open()
        job = collector.jobs()[0]
        devices.away = True
        for _ in range(2):
            with pytest.raises(TransientError):
                await collector.collect(job)
        devices.away = False
        assert (await collector.collect(job)).good.all()
        await collector.close()

    async def test_a_cancelled_poll_ends_at_once_and_spoils_nothing(
        self, collector: PolledCollector, devices: Devices
    ) -> None:
        await collector.open()
        job = collector.jobs()[0]
        devices.away = True
        poll = asyncio.create_task(collector.collect(job))
        await devices.was_asked()
        began = time.monotonic()
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        assert time.monotonic() - began < 1.5
        devices.away = False
        assert (await collector.collect(job)).good.all()
        await collector.close()

    async def test_it_closes_twice_and_opens_again(self, collector: PolledCollector, devices: Devices) -> None:
        await collector.open()
        await collector.collect(collector.jobs()[0])
        await collector.close()
        await collector.close()
        await collector.open()
        assert isinstance(await collector.collect(collector.jobs()[0]), ReadingBatch)
        await collector.close()


class Senders(Protocol):
    """Who sends to a pushed collector: whole numbers, which become values; `junk` becomes a dead letter."""

    def send(self, *numbers: int, junk: int = 0) -> None:
        """Send `junk` unreadable messages, then one message for each number; return when the broker has them."""
        ...


async def take(deliveries: AsyncIterator[Delivery], count: int, *, ack: bool) -> list[Delivery]:
    got: list[Delivery] = []
    async with asyncio.timeout(60):
        while len(got) < count:
            got.append(await anext(deliveries))
            if ack and (acknowledge := got[-1].ack):
                await acknowledge()
    return got


def numbers(deliveries: list[Delivery]) -> list[int]:
    return [round(float(value)) for delivery in deliveries for value in delivery.batch.value]


class PushedCollectorContract:
    """`make_collector` (a new one with the same session), `unreachable` and `senders` come from fixtures."""

    async def test_deliveries_come_in_order(
        self, make_collector: Callable[[], PushedCollector], senders: Senders
    ) -> None:
        collector = make_collector()
        await collector.open()
        await asyncio.to_thread(senders.send, *range(20))
        got = await take(collector.deliveries(), 20, ack=True)
        await collector.close()
        assert numbers(got) == list(range(20))
        assert {delivery.source for delivery in got} == {collector.name}

    async def test_only_what_was_acked_is_gone(
        self, make_collector: Callable[[], PushedCollector], senders: Senders
    ) -> None:
        collector = make_collector()
        await collector.open()
        await asyncio.to_thread(senders.send, *range(6))
        deliveries = collector.deliveries()
        assert numbers(await take(deliveries, 2, ack=True)) == [0, 1]
        await take(deliveries, 4, ack=False)
        await asyncio.sleep(0.3)  # a disconnect may overtake acknowledgements
        await collector.close()
        collector = make_collector()
        await collector.open()
        again = await take(collector.deliveries(), 4, ack=True)
        await collector.close()
        assert sorted(numbers(again)) == [2, 3, 4, 5]

    async def test_dead_messages_are_delivered_with_a_reason_and_an_ack(
        self, make_collector: Callable[[], PushedCollector], senders: Senders
    ) -> None:
        collector = make_collector()
        await collector.open()
        await asyncio.to_thread(senders.send, 7, junk=3)
        got = await take(collector.deliveries(), 4, ack=True)
        await collector.close()
        assert [len(delivery.dead) for delivery in got] == [1, 1, 1, 0]
        assert all(letter.reason and letter.payload for delivery in got for letter in delivery.dead)
        assert all(delivery.ack is not None for delivery in got)
        assert numbers(got) == [7]

    async def test_a_late_ack_of_a_closed_connection_is_harmless(
        self, make_collector: Callable[[], PushedCollector], senders: Senders
    ) -> None:
        collector = make_collector()
        await collector.open()
        await asyncio.to_thread(senders.send, 1)
        (delivery,) = await take(collector.deliveries(), 1, ack=False)
        await collector.close()
        await collector.close()
        assert delivery.ack is not None
        await delivery.ack()
        collector = make_collector()
        await collector.open()
        assert numbers(await take(collector.deliveries(), 1, ack=True)) == [1]
        await collector.close()

    async def test_nobody_there_is_transient(self, unreachable: PushedCollector) -> None:
        with pytest.raises(TransientError):
            await unreachable.open()
        await unreachable.close()
