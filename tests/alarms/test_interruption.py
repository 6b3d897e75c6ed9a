"""A planned interruption hides what it lists, from the recorded closing on, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import RefusedError
from gateway.model.alarm import Priority
from gateway.model.interruption import Interruption, InterruptionState, repeated_zones
from gateway.store import alarm_rows, interruption_rows
from tests.alarms.alarm_fixtures import START
from tests.alarms.plant import Plant

HOUR = timedelta(hours=1)
PLAN = Interruption("I-000001", ("R-001",), (), "new valve", False, START - 60 * HOUR, START, START + 8 * HOUR, "wu")


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    plant = Plant(tmp_path)
    with plant.desk.state.write() as connection:
        interruption_rows.add(connection, "r1", PLAN)
    return plant


def close(plant: Plant) -> None:
    with plant.desk.state.write() as connection:
        interruption_rows.record(connection, "I-000001", "closed", plant.clock.now(), "li")


def no_supply(plant: Plant, stations: tuple[str, ...], seconds: float, step: float = 20.0) -> None:
    for _ in range(round(seconds / step)):
        for station in stations:
            plant.feed((f"{station}/pressure_gauge_kpa", 0.1), (f"{station}/gas_lel_pct", 0.0))
        plant.tick()
        plant.after(step)


def test_hidden_from_the_closing_to_half_an_hour_after_the_restoring_or_24_hours() -> None:
    stopped = replace(PLAN, closed_at=START)
    assert not PLAN.hides_at(START + HOUR), "never by the clock alone"
    assert [stopped.hides_at(START + n * HOUR) for n in (-1, 0, 23, 24, 25)] == [False, True, True, False, False]
    restored = replace(stopped, restored_at=START + 5 * HOUR)
    assert restored.hides_at(START + 5.4 * HOUR)
    assert not restored.hides_at(START + 5.5 * HOUR)
    late = replace(stopped, restored_at=START + 23.9 * HOUR)
    assert not late.hides_at(START + 24 * HOUR)
    assert [stopped.overruns_at(START + n * HOUR) for n in (19, 20, 30)] == [False, True, True]
    assert not restored.overruns_at(START + 30 * HOUR)


def test_repeated_stops_of_one_zone_are_found() -> None:
    other = replace(PLAN, id="I-2", zones=("R-001", "R-002"), planned_start=START + timedelta(days=29))
    far = replace(PLAN, id="I-3", planned_start=START + timedelta(days=31))
    assert repeated_zones(PLAN, [PLAN, other, far]) == ("R-001",)
    assert repeated_zones(PLAN, [PLAN, replace(other, cancelled_at=START), far]) == ()
    assert repeated_zones(other, [PLAN, other, far]) == ("R-001",)


def test_before_the_recorded_closing_the_alarms_of_the_zone_speak(plant: Plant) -> None:
    no_supply(plant, ("REG-001",), 100)
    assert plant.state("SUPPLY_LOSS@REG-001") == "B"


def test_it_hides_what_it_lists_and_nothing_else_and_a_leak_inside_is_announced(plant: Plant) -> None:
    close(plant)
    no_supply(plant, ("REG-001", "REG-002"), 120)
    assert plant.state("SUPPLY_LOSS@REG-001") == "F"
    assert plant.state("UNDERPRESS_LOLO@REG-001") == "F"
    assert plant.state("SUPPLY_LOSS@REG-002") == "B"
    plant.feed(("REG-001/gas_lel_pct", 30.0))
    assert plant.state("GAS_CONC_HIHI@REG-001") == "B"
    with plant.desk.state.read() as connection:
        announced = {one.alarm_id for one in alarm_rows.journal_after(connection, 0) if one.event == "announced"}
    assert "SUPPLY_LOSS@REG-001" not in announced


def test_a_stop_of_several_regulators_raises_no_area_alarm(plant: Plant) -> None:
    with plant.desk.state.write() as connection:
        everything = replace(PLAN, zones=("D-1",))
        second = interruption_rows.add(connection, "r2", everything)
        interruption_rows.record(connection, second.id, "closed", plant.clock.now(), "li")
    no_supply(plant, ("REG-001", "REG-002", "REG-003"), 120)
    assert [plant.state(f"SUPPLY_LOSS@REG-00{n}") for n in (1, 2, 3)] == ["F", "F", "F"]
    assert plant.state("AREA_SUPPLY_LOSS@D-1") == "never"


def test_all_speak_again_at_24_hours_and_the_overrun_is_told_from_20_hours_on(plant: Plant) -> None:
    close(plant)
    no_supply(plant, ("REG-001",), 100)
    plant.after(19.8 * 3600)
    plant.tick()
    assert plant.state("PLAN_OVERRUN@I-000001") == "never"
    plant.after(0.3 * 3600)
    plant.tick()
    assert plant.state("PLAN_OVERRUN@I-000001") == "B"
    assert plant.state("SUPPLY_LOSS@REG-001") == "F"
    plant.after(4 * 3600)
    plant.tick()
    plant.tick()
    assert plant.state("SUPPLY_LOSS@REG-001") == "B"
    overrun = plant.alarm("PLAN_OVERRUN@I-000001")
    assert overrun is not None
    assert overrun.priority is Priority.P2
    with plant.desk.state.write() as connection:
        interruption_rows.record(connection, "I-000001", "restored", plant.clock.now(), "li")
    plant.tick()
    assert plant.state("PLAN_OVERRUN@I-000001") == "D"


def test_after_the_restoring_the_alarms_have_half_an_hour(plant: Plant) -> None:
    close(plant)
    no_supply(plant, ("REG-001",), 100)
    with plant.desk.state.write() as connection:
        interruption_rows.record(connection, "I-000001", "restored", plant.clock.now(), "li")
    plant.after(29 * 60)
    plant.tick()
    assert plant.state("SUPPLY_LOSS@REG-001") == "F"
    plant.restart()
    plant.after(60)
    plant.tick()
    assert plant.state("SUPPLY_LOSS@REG-001") == "B"


def test_steps_come_in_their_order(plant: Plant) -> None:
    with plant.desk.state.write() as connection:
        with pytest.raises(RefusedError, match="it is planned"):
            interruption_rows.record(connection, "I-000001", "restored", START, "li")
        interruption_rows.record(connection, "I-000001", "closed", START, "li")
        with pytest.raises(RefusedError, match="it is stopped"):
            interruption_rows.record(connection, "I-000001", "cancelled", START, "li")
        with pytest.raises(RefusedError, match="stopped later"):
            interruption_rows.record(connection, "I-000001", "restored", START - HOUR, "li")
        done = interruption_rows.record(connection, "I-000001", "restored", START + HOUR, "li")
    assert done.state is InterruptionState.RESTORED
    with plant.desk.state.read() as connection:
        assert interruption_rows.hiding(connection, START + HOUR) == [done]
        assert interruption_rows.hiding(connection, START + 30 * HOUR) == []
