"""The live city's clock: continuous for whoever follows it, whatever happens."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.runtime.clock import CityClock, FollowedClock
from simulators.faults import HOUR_US, Fault, FaultKind
from simulators.live.clock import STANDS, LiveClock
from simulators.live.saved import Saved

START_US = 1_768_424_400_000_000


def _resumed(file: Path, speed: float) -> LiveClock:
    clock = LiveClock.resume(file, Saved(START_US), speed, alone=False)
    assert (clock.now_us(), clock.speed) == (START_US, 0.0)
    clock.go()
    return clock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clock.json"


def _wall_us() -> int:
    return time.time_ns() // 1000


async def _watch(
    clocks: dict[str, LiveClock | FollowedClock], until: asyncio.Event
) -> dict[str, list[tuple[int, int]]]:
    seen: dict[str, list[tuple[int, int]]] = {name: [] for name in clocks}
    while not until.is_set():
        for name, clock in clocks.items():
            seen[name].append((_wall_us(), clock.now_us()))
        await asyncio.sleep(0.01)
    return seen


async def test_a_change_of_pace_makes_no_step_and_happens_for_all_at_once(file: Path) -> None:
    live = _resumed(file, 100.0)
    done = asyncio.Event()
    watching = asyncio.create_task(_watch({"live": live, "follower": FollowedClock(file)}, done))
    await live.run_at(1.0)
    await asyncio.sleep(0.1)
    await live.run_at(0.0)
    await asyncio.sleep(0.1)
    done.set()
    seen = await watching
    for name, moments in seen.items():
        values = [city_us for _, city_us in moments]
        assert values == sorted(values), name
    for (_, one), (_, other) in zip(seen["live"], seen["follower"], strict=True):
        assert abs(one - other) < 30e6, "both show the same, but for the time between two looks"
    assert live.speed == 0.0
    assert FollowedClock(file).factor == STANDS


async def test_a_city_hurries_to_a_moment_and_goes_on_as_before(file: Path) -> None:
    live = _resumed(file, 2.0)
    target = START_US + 3_600_000_000
    await live.forward(target, 3600.0)
    assert live.speed == 3600.0
    clock = CityClock.from_file(file)
    reached = clock.paces[-1]
    assert (reached.city_us, reached.factor) == (target, 2.0)
    assert clock.pace(reached.wall_us - 1).at(reached.wall_us) == pytest.approx(target, abs=3700)
    assert reached.wall_us - clock.paces[1].wall_us == pytest.approx(1e6, rel=0.01)
    await asyncio.sleep((reached.wall_us - _wall_us()) / 1e6 + 0.05)
    assert live.speed == 2.0
    assert live.now_us() >= target


async def test_two_changes_at_once_happen_one_after_the_other(file: Path) -> None:
    live = _resumed(file, 10.0)
    before = live.now_us()
    await asyncio.gather(live.run_at(20.0), live.run_at(30.0))
    assert live.speed == 30.0
    spent_s = (live.now_us() - before) / 1e6
    assert 25.0 < spent_s < 45.0, "a second at 10, then a second at 20"


def test_after_a_crash_it_is_where_all_others_believe_it_to_be(file: Path) -> None:
    now = _wall_us()
    file.write_text(json.dumps({"city_us": START_US, "wall_us": now - 60_000_000, "factor": 30.0}))
    crashed = Saved(START_US + 5_000_000, clean=False, wall_us=now - 10_000_000)
    follower = FollowedClock(file)
    believed = follower.now_us()
    assert believed <= LiveClock.resume(file, crashed, 30.0, alone=False).now_us() < believed + 60_000_000
    assert follower.now_us() >= believed


@pytest.mark.parametrize(
    ("saved", "alone", "ahead_s"),
    [
        (Saved(START_US), False, 0.0),
        (Saved(START_US, clean=False, wall_us=1), False, 45.0),
        (Saved(START_US, clean=False, wall_us=_wall_us()), True, 45.0),
    ],
)
def test_it_goes_on_from_where_it_was_saved_or_a_little_later(
    file: Path, saved: Saved, alone: bool, ahead_s: float
) -> None:
    file.write_text(json.dumps({"city_us": START_US, "wall_us": _wall_us() - 3_600_000_000, "factor": 30.0}))
    clock = LiveClock.resume(file, saved, 30.0, alone=alone)
    assert (clock.now_us() - START_US) / 1e6 == pytest.approx(ahead_s, abs=5.0)


def test_where_it_stands_is_told_before_it_stands(file: Path) -> None:
    live = _resumed(file, 30.0)
    follower = FollowedClock(file)
    stands_at = live.stand()
    time.sleep(1.3)
    assert follower.now_us() == pytest.approx(stands_at, abs=1000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"city_us": 1}',
        '{"city_us": "x", "ended": {}, "done": [], "clean": true}',
        '{"city_us": 1, "ended": {}, "done": [], "clean": true, "injected": [{"kind": "moon"}]}',
        '{"city_us": 1, "ended": [], "done": [], "clean": true}',
        '{"city_us": 1, "ended": {}, "done": [], "clean": true, "opened": [1]}',
        "\x00\x00\x00",
    ],
)
def test_a_damaged_state_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "city_now.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"city_now\.json: is damaged .* delete it, and the city begins anew"):
        Saved.read(path, START_US)


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    fault = Fault("a", FaultKind.LEAK, "R-001", 7 * HOUR_US, size=3.0)
    saved = Saved(5, {"a": 9 * HOUR_US}, ("broker",), {"REG-001": 4}, (("M-1", 1, 2),), clean=False, wall_us=8,
                  reported_us=4, injected=(fault.to_json(),), speed=60.0, city="seed 1")  # fmt: skip
    path = tmp_path / "city_now.json"
    saved.write(path)
    again = Saved.read(path, START_US)
    assert again == saved
    assert again.with_ends(again.faults()) == (fault.ended(9 * HOUR_US),)
    assert Saved.read(tmp_path / "nowhere.json", START_US) == Saved(START_US)
