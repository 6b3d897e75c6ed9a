"""What keeps noise from the operator: chatter, floods, and a noisy day against a bare threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from alarms.chatter import Chatter, Measure
from alarms.delay import Delay, Timer, shape
from alarms.flood import Flood, FloodWatch, floods
from gateway.store import alarm_rows, work_rows
from tests.alarms.alarm_fixtures import START, minutes
from tests.alarms.plant import Plant


def measures(chatter: Chatter, times: Sequence[float], *, shelvable: bool) -> list[str]:
    return [chatter.rise("X@1", START + timedelta(seconds=at), shelvable=shelvable).value for at in times]


def test_three_in_a_minute_are_marked_once_and_five_in_ten_minutes_shelved() -> None:
    assert measures(Chatter(), [0, 20, 40, 55], shelvable=True) == ["none", "none", "mark", "none"]
    assert measures(Chatter(), [0, 30, 60], shelvable=True) == ["none"] * 3, "60 s are over"
    assert measures(Chatter(), [0, 100, 200, 300, 400], shelvable=True)[-1] == "shelve"
    assert measures(Chatter(), [0, 150, 300, 450, 600], shelvable=True)[-1] == "none"


def test_twice_a_shift_then_a_repair_and_what_may_not_be_shelved_is_repaired_at_once() -> None:
    chatter = Chatter()
    burst = [0, 100, 200, 300, 400]
    day = [*burst, *(2400 + at for at in burst), *(4800 + at for at in burst), *(7200 + at for at in burst)]
    assert [one for one in measures(chatter, day, shelvable=True) if one != "none"] == [
        "shelve",
        "shelve",
        "repair",
        "mark",
    ]
    later = [8 * 3600 + 2500 + at for at in burst]
    assert measures(chatter, later, shelvable=True)[-1] == "shelve", "a new shift"
    assert measures(Chatter(), burst, shelvable=False)[-1] == "repair"


def test_the_same_occurrence_again_gives_the_same_measure() -> None:
    chatter = Chatter()
    times = [0.0, 100, 200, 300, 400]
    measures(chatter, times, shelvable=True)
    assert measures(chatter, [400], shelvable=True) == ["shelve"]
    assert measures(chatter, [500], shelvable=True) == ["shelve"], "the second of the shift"
    assert measures(chatter, [600], shelvable=True) == ["repair"]
    chatter.forget(START + minutes(600))
    assert chatter.rise("X@1", START + minutes(601), shelvable=True) is Measure.NONE


def brute_floods(times: list[int], until: int) -> list[tuple[int, int | None]]:
    """Second by second: begins above ten, ends below five."""
    found: list[tuple[int, int | None]] = []
    begin: int | None = None
    for now in range(until + 1):
        count = sum(now - 600 < at <= now for at in times)
        if begin is None and count > 10:
            begin = now
        elif begin is not None and count < 5:
            found.append((begin, now))
            begin = None
    return found if begin is None else [*found, (begin, None)]


@pytest.mark.parametrize("seed", range(6))
def test_floods_equal_a_count_of_every_second(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.random(60) < 0.6, rng.integers(1, 40, 60), rng.integers(60, 900, 60))
    times = np.cumsum(gaps).tolist()
    until = times[-1] + 300
    found = [
        (one.begin // 1_000_000, None if one.end is None else one.end // 1_000_000)
        for one in floods([at * 1_000_000 for at in times], until * 1_000_000)
    ]
    assert found == brute_floods(times, until)


def test_275_alarms_in_11_minutes_are_one_flood_with_one_end() -> None:
    times = [round(n * 660 / 275 * 1e6) for n in range(275)]
    (flood,) = floods(times, times[-1] + 3_600_000_000)
    assert flood == Flood(times[10], times[-5] + 600_000_000, 275)
    watch = FloodWatch()
    for at in times:
        watch.announce(at)
    assert watch.look(times[-1]) == Flood(times[10], None, 275)
    assert watch.look(times[-1] + 3_600_000_000) is None


def test_an_alarm_that_comes_and_goes_is_shelved_twice_and_then_repaired(plant: Plant) -> None:
    command = "COMMAND_MISMATCH@REG-001"
    for _ in range(4):
        for _ in range(5):
            plant.pipeline.own(command, holds=True)
            plant.after(30)
            plant.pipeline.own(command, holds=False)
            plant.after(30)
        plant.after(1800)
        plant.tick()
    with plant.desk.state.read() as connection:
        entries = alarm_rows.journal(connection, command, limit=500)
        items = work_rows.open_items(connection)
    events = Counter(one.event for one in entries)
    assert {one.actor for one in entries if one.event == "shelved"} == {"gasgate"}
    assert (events["raised"] + events["withheld"], events["shelved"], events["shelf_over"]) == (20, 2, 2)
    assert [(one.item.kind, one.item.subject) for one in items] == [("chatter", command)]


def test_gas_that_comes_and_goes_goes_on_sounding_and_wants_a_repair(plant: Plant) -> None:
    for _ in range(6):
        plant.feed(("REG-001/gas_lel_pct", 28.0))
        plant.after(20)
        for _ in range(5):
            plant.feed(("REG-001/gas_lel_pct", 1.0))
            plant.after(20)
    with plant.desk.state.read() as connection:
        events = Counter(one.event for one in alarm_rows.journal(connection, "GAS_CONC_HIHI@REG-001", limit=500))
        items = [one.item for one in work_rows.open_items(connection)]
    assert (events["raised"], events["announced"], events["shelved"], events["repair"]) == (6, 6, 0, 1)
    assert [(one.kind, one.subject) for one in items if "HIHI" in one.subject] == [("chatter", "GAS_CONC_HIHI@REG-001")]


def test_a_restart_remembers_what_came_and_went(tmp_path: Path) -> None:
    def run(folder: Path, *, restarts: bool) -> list[tuple[str, int]]:
        plant = Plant(folder)
        for _ in range(12):
            plant.feed(("REG-001/gas_lel_pct", 28.0))
            for _ in range(5):
                plant.after(20)
                plant.feed(("REG-001/gas_lel_pct", 1.0))
            plant.after(1)
            if restarts:
                plant.wall += 2
                plant.tick()
                plant.restart()
            else:
                plant.tick()
        with plant.desk.state.read() as connection:
            entries = alarm_rows.journal(connection, "GAS_CONC_HIHI@REG-001", limit=500)
        return [(one.event, one.occurrence_no) for one in entries]

    assert ("repair", 5) in run(tmp_path / "c", restarts=True)
    assert run(tmp_path / "a", restarts=True) == run(tmp_path / "b", restarts=False)


def test_a_noisy_day_is_announced_twenty_times_less_and_no_long_excursion_is_missed() -> None:
    rng = np.random.default_rng(5)
    steps = 24 * 3600 // 5
    level = np.full(steps, 1.66)
    excursions = [(3000, 60), (9000, 30), (15000, 200)]
    for begin, long in excursions:
        level[begin : begin + long] = 1.45
    signal = level + rng.normal(0, 0.04, steps)
    times = (np.arange(steps) * 5_000_000).tolist()
    beyond, inside = signal <= 1.6, signal > 1.6 * 1.03
    bare = int(np.sum(beyond[1:] & ~beyond[:-1]))
    delay = Delay(60_000_000, 60_000_000, 15_000_000)
    _, changes = shape(Timer(cond=False), delay, times, beyond.tolist(), inside.tolist())
    rises = [one.at for one in changes if one.rises]
    assert bare > 400
    assert len(rises) <= 0.05 * bare
    for begin, long in excursions:
        assert any(begin <= at <= begin + long for at in rises), "longer than its delay"


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)
