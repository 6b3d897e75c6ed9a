"""The clocks and the backoff."""

import asyncio
import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.model.reading import to_us
from gateway.runtime.backoff import Backoff
from gateway.runtime.clock import CityClock, ManualClock, SystemClock, make_clock

MOMENT = datetime(2024, 2, 3, 12, tzinfo=UTC)


def test_the_system_clock_is_real_time() -> None:
    clock = make_clock(None)
    assert isinstance(clock, SystemClock)
    assert abs(clock.now_us() - time.time_ns() // 1000) < 1_000_000
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert clock.real_seconds(3.0) == 3.0


def test_a_citys_clock_runs_by_its_factor(tmp_path: Path) -> None:
    wall_us = time.time_ns() // 1000 - 10_000_000
    path = tmp_path / "clock.json"
    path.write_text(json.dumps({"city_us": to_us(MOMENT), "wall_us": wall_us, "factor": 30.0}))
    clock = make_clock(path)
    assert timedelta(seconds=300) <= clock.now() - MOMENT < timedelta(seconds=330)
    assert clock.real_seconds(60.0) == 2.0


async def test_sleeping_ends_when_the_city_is_there() -> None:
    clock = CityClock(to_us(MOMENT), time.time_ns() // 1000, 600.0)
    begun = time.monotonic()
    await clock.sleep_until(MOMENT + timedelta(minutes=1))
    assert clock.now() >= MOMENT + timedelta(minutes=1)
    assert 0.05 < time.monotonic() - begun < 2
    await clock.sleep_until(MOMENT)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"city_us": 1}', '{"city_us": 1, "wall_us": 2, "factor": 0}', '{"city_us": "x"}', "\x00"]
)
def test_a_file_that_holds_no_clock_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"clock\.json"):
        make_clock(path)
    with pytest.raises(ConfigError, match="cannot read"):
        make_clock(tmp_path / "nowhere.json")


async def test_the_manual_clock_wakes_those_who_sleep() -> None:
    clock = ManualClock(to_us(MOMENT))
    sleeping = asyncio.create_task(clock.sleep_until(MOMENT + timedelta(seconds=10)))
    await asyncio.sleep(0.01)
    clock.advance(9.5)
    await asyncio.sleep(0.01)
    assert not sleeping.done()
    clock.advance(0.5)
    await asyncio.wait_for(sleeping, 1)
    assert clock.now() == MOMENT + timedelta(seconds=10)


def test_waits_are_spread_and_grow_to_the_cap() -> None:
    backoff = Backoff(1.0, 30.0, random.Random(1))
    samples = []
    for _ in range(400):
        backoff.reset()
        samples.append([backoff.next() for _ in range(12)])
    longest = [max(column) for column in zip(*samples, strict=True)]
    for number, wait in enumerate(longest):
        ceiling = min(30.0, 2.0**number)
        assert 0.9 * ceiling < wait <= ceiling
    assert min(min(row) for row in samples) < 0.05
