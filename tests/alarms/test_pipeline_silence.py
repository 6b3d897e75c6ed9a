from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.errors import TransientError
from gateway.model.reading import Reason, Severity, quality
from gateway.store import alarm_rows, ticket_rows
from tests.alarms.plant import Plant

BAD = quality(Severity.BAD, Reason.NO_REPLY)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def keep_alive(plant: Plant, stations: Sequence[str], seconds: int, step: int = 10) -> None:
    for _ in range(seconds // step):
        plant.after(step)
        for station in stations:
            plant.feed((f"{station}/gas_lel_pct", 0.0), (f"{station}/pressure_gauge_kpa", good_pressure(station)))
        plant.tick()


def good_pressure(station: str) -> float:
    return 200.0 if station.startswith("S-") else 2.0


EVERYONE = ("S-01", "REG-001", "REG-002", "REG-003")


def test_one_silent_station_is_one_alarm_and_gets_a_ticket_after_five_minutes(plant: Plant) -> None:
    keep_alive(plant, EVERYONE, 60)
    for _ in range(9):
        keep_alive(plant, EVERYONE[:3], 10)
        plant.feed(("REG-003/gas_lel_pct", math.nan), ("REG-003/pressure_gauge_kpa", math.nan), mark=BAD)
    plant.tick()
    with plant.desk.state.read() as connection:
        (alarm,) = alarm_rows.list_active(connection)
        assert ticket_rows.list_open(connection) == []
    assert alarm.alarm_id == "STATION_COMM_LOSS@REG-003"
    keep_alive(plant, EVERYONE[:3], 320)
    with plant.desk.state.read() as connection:
        (ticket,) = ticket_rows.list_open(connection)
    assert ticket.type == "communication"
    keep_alive(plant, EVERYONE, 20)
    assert plant.state("STATION_COMM_LOSS@REG-003") == "B"
    keep_alive(plant, EVERYONE, 40)
    assert plant.state("STATION_COMM_LOSS@REG-003") == "D"


def test_a_dead_gas_sensor_at_a_live_station_is_a_communication_alarm(plant: Plant) -> None:
    keep_alive(plant, EVERYONE, 60)
    for _ in range(12):
        keep_alive(plant, EVERYONE[1:], 10)
        plant.feed(("S-01/pressure_gauge_kpa", 200.0))
        plant.feed(("S-01/gas_lel_pct", math.nan), mark=BAD)
    plant.tick()
    assert plant.state("STATION_COMM_LOSS@S-01") == "B"


def test_a_restart_does_not_end_a_silence(plant: Plant) -> None:
    keep_alive(plant, EVERYONE, 60)
    for _ in range(10):
        keep_alive(plant, EVERYONE[:3], 10)
        plant.feed(("REG-003/gas_lel_pct", math.nan), mark=BAD)
    plant.tick()
    assert plant.state("STATION_COMM_LOSS@REG-003") == "B"
    plant.restart()
    keep_alive(plant, EVERYONE[:3], 300)
    assert plant.state("STATION_COMM_LOSS@REG-003") == "B"


def test_nothing_arriving_at_all_is_not_every_stations_silence(plant: Plant) -> None:
    keep_alive(plant, EVERYONE, 60)
    for _ in range(20):
        plant.after(60)
        plant.tick()
    with plant.desk.state.read() as connection:
        assert alarm_rows.list_active(connection) == []


def test_many_silent_stations_become_one_area_alarm(plant: Plant) -> None:
    keep_alive(plant, EVERYONE, 60)
    silent = EVERYONE[1:]
    for _ in range(9):
        keep_alive(plant, EVERYONE[:1], 10)
        for station in silent:
            plant.feed((f"{station}/gas_lel_pct", math.nan), mark=BAD)
    plant.tick()
    assert plant.state("AREA_COMM_LOSS@D-1") == "B"
    assert [plant.state(f"STATION_COMM_LOSS@{station}") for station in silent] == ["F", "F", "F"]
    with plant.desk.state.read() as connection:
        announced = [
            entry.alarm_id for entry in alarm_rows.journal_after(connection, 0) if entry.event.startswith("announced")
        ]
    assert announced == ["AREA_COMM_LOSS@D-1"]
    keep_alive(plant, EVERYONE[:3], 400)
    assert plant.state("AREA_COMM_LOSS@D-1") == "D"
    assert plant.state("STATION_COMM_LOSS@REG-001") == "A"
    assert plant.state("STATION_COMM_LOSS@REG-003") == "F"
    keep_alive(plant, EVERYONE[:3], 900)
    assert plant.state("STATION_COMM_LOSS@REG-003") == "B"


def test_a_silence_outlives_a_look_that_failed(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> set[str]:
        raise TransientError("locked")

    keep_alive(plant, EVERYONE, 60)
    for _ in range(9):
        with monkeypatch.context() as patched:
            patched.setattr("alarms.pipeline.delivery_alarms", away)
            plant.after(10)
            for station in EVERYONE[:3]:
                plant.feed((f"{station}/gas_lel_pct", 0.0))
            plant.feed(("REG-003/gas_lel_pct", math.nan), ("REG-003/pressure_gauge_kpa", math.nan), mark=BAD)
            with pytest.raises(TransientError):
                plant.tick()
        plant.tick()
    assert plant.state("STATION_COMM_LOSS@REG-003") == "B"
