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
from gateway.runtime.clock import CityClock, ManualClock, Pace, SystemClock, make_clock

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
    assert time.monotonic() - begun > 0.05
    await clock.sleep_until(MOMENT)


def test_a_pace_that_was_announced_begins_at_its_moment() -> None:
    wall_us = time.time_ns() // 1000
    later = [Pace(9_000_000, wall_us + 9_000_000, 5.0), Pace(3_000_000, wall_us + 3_000_000, 2.0)]
    clock = CityClock(0, wall_us, 1.0, later)
    paces = [clock.pace(wall_us + round(second * 1e6)) for second in (-5, 0, 2.999999, 3, 8, 9, 1000)]
    assert [pace.factor for pace in paces] == [1.0, 1.0, 1.0, 2.0, 2.0, 5.0, 5.0]
    assert clock.pace(wall_us + 8_000_000).at(wall_us + 8_000_000) == 13_000_000


def test_a_city_that_changes_its_pace_takes_all_clocks_along(tmp_path: Path) -> None:
    path, wall_us = tmp_path / "clock.json", time.time_ns() // 1000
    now = {"city_us": to_us(MOMENT), "wall_us": wall_us, "factor": 1.0}
    path.write_text(json.dumps(now))
    clock = make_clock(path)
    assert clock.real_seconds(60.0) == 60.0
    soon = {"city_us": to_us(MOMENT) + 400_000, "wall_us": wall_us + 400_000, "factor": 3600.0}
    path.write_text(json.dumps({**now, "later": [soon]}))
    moments = []
    while time.time_ns() // 1000 < wall_us + 700_000:
        moments.append(clock.now_us())
        time.sleep(0.005)
    moments.append(clock.now_us())
    assert moments == sorted(moments)
    assert moments[-1] - to_us(MOMENT) > 700e6
    assert clock.real_seconds(60.0) == pytest.approx(1 / 60)
    path.write_text("{")
    time.sleep(0.25)
    assert clock.real_seconds(60.0) == pytest.approx(1 / 60), "what cannot be read changes nothing"
    path.unlink()
    time.sleep(0.25)
    assert clock.now_us() > moments[-1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"city_us": 1}',
        '{"city_us": 1, "wall_us": 2, "factor": 0}',
        '{"city_us": "x"}',
        '{"city_us": 1, "wall_us": 2, "factor": 1, "later": [{"city_us": 3}]}',
        '{"city_us": 1, "wall_us": 2, "factor": 1, "later": 7}',
        '{"city_us": 1, "wall_us": 2, "factor": 1e999}',
        "\x00",
    ],
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
    await asyncio.wait_for(sleeping, 30)
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
