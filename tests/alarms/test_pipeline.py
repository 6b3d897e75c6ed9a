from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alarms.alarm_events import Acknowledge, Shelve
from gateway.errors import TransientError
from gateway.model.alarm import Alarm, AlarmState
from gateway.model.reading import PointId, ReadingBatch, Reason, Severity, quality
from gateway.ports import SpoolRecord
from gateway.store import alarm_rows, tables, ticket_rows
from tests.alarms.alarm_fixtures import START, minutes
from tests.alarms.plant import Plant

BAD = quality(Severity.BAD, Reason.NO_REPLY)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def test_gas_is_announced_by_its_first_sample_without_a_tick(plant: Plant) -> None:
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    alarm = plant.alarm("GAS_CONC_HIHI@REG-001")
    assert alarm is not None
    assert (alarm.state, alarm.value, alarm.source_at) == (AlarmState.UNACKNOWLEDGED, 28.0, START)
    assert plant.state("GAS_CONC_HI@REG-001") == "B"
    with plant.desk.state.read() as connection:
        (ticket,) = ticket_rows.list_open(connection)
        assert len(ticket_rows.alarms_of(connection, ticket.ticket_no)) == 2


def test_gas_falls_after_60_s_inside_limit_less_deadband(plant: Plant) -> None:
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    plant.after(30)
    plant.feed(("REG-001/gas_lel_pct", 16.0))
    plant.after(90)
    plant.feed(("REG-001/gas_lel_pct", 16.0))
    assert plant.state("GAS_CONC_HIHI@REG-001") == "B"
    for _ in range(3):
        plant.after(30)
        plant.feed(("REG-001/gas_lel_pct", 14.9))
    assert plant.state("GAS_CONC_HIHI@REG-001") == "L1"


def test_bad_uncertain_and_missing_values_never_return_an_alarm_to_normal(plant: Plant) -> None:
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    for _ in range(10):
        plant.after(60)
        plant.feed(("REG-001/gas_lel_pct", math.nan), mark=BAD)
        plant.feed(("REG-001/gas_lel_pct", 0.0), mark=quality(Severity.UNCERTAIN, Reason.OUT_OF_RANGE))
        plant.tick()
    alarm = plant.alarm("GAS_CONC_HIHI@REG-001")
    assert alarm is not None
    assert alarm.cond
    assert alarm.uncertain
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    plant.tick()
    alarm = plant.alarm("GAS_CONC_HIHI@REG-001")
    assert alarm is not None
    assert not alarm.uncertain


def test_a_wrong_device_clock_hides_no_gas(plant: Plant) -> None:
    plant.feed(("REG-001/gas_lel_pct", 1.0), ago_s=-3600)
    plant.after(10)
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    assert plant.state("GAS_CONC_HIHI@REG-001") == "B"
    plant.feed(("REG-002/gas_lel_pct", 28.0), mark=quality(Severity.UNCERTAIN, Reason.CLOCK_SUSPECT), ago_s=86400 * 300)
    assert plant.state("GAS_CONC_HIHI@REG-002") == "B"


def test_history_that_arrives_late_raises_nothing(plant: Plant) -> None:
    plant.feed(("REG-001/gas_lel_pct", 28.0), ago_s=86400)
    assert plant.state("GAS_CONC_HIHI@REG-001") == "never"


def test_pressure_rises_only_after_its_delay_and_one_good_sample_breaks_it(plant: Plant) -> None:
    low = "UNDERPRESS_LO@REG-001"
    plant.feed(("REG-001/pressure_gauge_kpa", 1.6))
    plant.after(50)
    plant.feed(("REG-001/pressure_gauge_kpa", 1.61))
    plant.after(10)
    plant.feed(("REG-001/pressure_gauge_kpa", 1.6))
    plant.after(59)
    plant.feed(("REG-001/pressure_gauge_kpa", 1.5))
    assert plant.state(low) == "never"
    plant.after(1)
    plant.feed(("REG-001/pressure_gauge_kpa", 1.5))
    assert plant.state(low) == "B"


def test_a_delay_runs_out_without_a_sample_but_not_over_missing_polls(plant: Plant) -> None:
    for _ in range(3):
        plant.feed(("REG-001/pressure_gauge_kpa", 2.0), ("REG-002/pressure_gauge_kpa", 2.0))
        plant.after(20)
    plant.feed(("REG-001/pressure_gauge_kpa", 1.0))
    plant.after(40)
    plant.feed(("REG-002/pressure_gauge_kpa", 2.0))
    plant.tick()
    assert plant.state("UNDERPRESS_LOLO@REG-001") == "B"
    assert plant.state("UNDERPRESS_LO@REG-001") == "never"
    plant.after(40)
    plant.feed(("REG-002/pressure_gauge_kpa", 2.0))
    plant.tick()
    assert plant.state("UNDERPRESS_LO@REG-001") == "never"


def test_the_higher_limit_covers_the_lower_one_and_uncovers_it_again(plant: Plant) -> None:
    for _ in range(6):
        plant.feed(("REG-001/pressure_gauge_kpa", 2.8))
        plant.after(3)
    assert plant.state("OVERPRESS_HIHI@REG-001") == "B"
    alarm = plant.alarm("OVERPRESS_HI@REG-001")
    assert alarm is not None
    assert (alarm.state, alarm.announced_no) == (AlarmState.SUPPRESSED, 0)
    for _ in range(12):
        plant.feed(("REG-001/pressure_gauge_kpa", 2.5))
        plant.after(3)
    assert plant.state("OVERPRESS_HIHI@REG-001") == "L1"
    assert plant.state("OVERPRESS_HI@REG-001") == "B"


def test_medium_pressure_has_its_own_shares_and_a_point_its_own_limit(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    for _ in range(3):
        plant.feed(("S-01/pressure_gauge_kpa", 232.0))
        plant.after(3)
    assert plant.state("OVERPRESS_HIHI@S-01") == "B"
    own = Plant(tmp_path / "own")
    network = own.desk.network
    name = PointId("REG-001/gas_lel_pct")
    network.points[name] = replace(network.points[name], high=5.0)  # type: ignore[index]
    own.feed(("REG-001/gas_lel_pct", 6.0))
    assert own.state("GAS_CONC_HI@REG-001") == "B"
    assert own.state("GAS_CONC_HIHI@REG-001") == "never"


def test_a_home_sensor_is_a_bit_of_the_flags(plant: Plant) -> None:
    plant.feed(("M-000001/flags", 8.0), ("M-000003/flags", 72.0), ("M-999999/flags", 64.0))
    assert plant.state("HOME_GAS_SENSOR@M-000001") == "never"
    assert plant.state("HOME_GAS_SENSOR@M-000003") == "B"
    assert plant.state("HOME_GAS_SENSOR@M-999999") == "never"


def test_the_same_record_again_changes_nothing(plant: Plant) -> None:
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    for _ in range(4):
        plant.after(30)
        plant.feed(("REG-001/gas_lel_pct", 1.0))
    assert plant.state("GAS_CONC_HIHI@REG-001") == "L1"
    plant.feed(("REG-001/gas_lel_pct", 28.0), ago_s=120)
    alarm = plant.alarm("GAS_CONC_HIHI@REG-001")
    assert alarm is not None
    assert (alarm.cond, alarm.occurrence_no) == (False, 1)


def test_delays_and_edges_come_out_the_same_over_a_restart_at_every_step(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    values = np.where(rng.random(150) < 0.7, 1.5, 2.0).repeat(3)

    def run(folder: Path, *, restarts: bool) -> tuple[list[tuple[str, str]], int]:
        plant = Plant(folder)
        records: list[tuple[int, float]] = []
        for value in values:
            records.append((plant.clock.now_us(), float(value)))
            plant.feed(("REG-001/pressure_gauge_kpa", float(value)))
            if restarts and rng.random() < 0.2:
                plant.restart()
                committed = plant.pipeline.seq
                for at, again in records[committed:]:
                    batch = ReadingBatch.build([0], [at], at, [again])
                    plant.pipeline.process(SpoolRecord(plant.pipeline.seq + 1, batch))
            plant.wall += 0.3
            plant.after(12)
        with plant.desk.state.read() as connection:
            entries = alarm_rows.journal_after(connection, 0, limit=5000)
        return [(entry.event, entry.alarm_id) for entry in entries], plant.pipeline.seq

    straight, seq = run(tmp_path / "a", restarts=False)
    assert len(straight) > 20
    assert run(tmp_path / "b", restarts=True) == (straight, seq)


def test_a_burst_needs_a_fast_fall_and_a_high_flow(plant: Plant) -> None:
    def run(station: str, pressures: Sequence[float], flow: float) -> str:
        for _ in range(80):
            plant.feed((f"{station}/flow_base_m3h", 100.0))
            plant.feed((f"{station}/pressure_gauge_kpa", 2.0))
            plant.after(10)
        for pressure in pressures:
            plant.feed((f"{station}/flow_base_m3h", flow))
            plant.feed((f"{station}/pressure_gauge_kpa", pressure))
            plant.after(10)
        return plant.state(f"LEAK_BURST@{station}")

    assert run("REG-001", [1.95, 1.9], 200.0) == "B"
    assert run("REG-002", [1.95, 1.9], 120.0) == "never"
    assert run("REG-003", [1.999, 1.998], 200.0) == "never"


def test_shelves_end_and_acknowledged_alarms_sound_again_by_time(plant: Plant) -> None:
    for _ in range(8):
        plant.feed(("REG-001/pressure_gauge_kpa", 1.5))
        plant.after(10)
    low = "UNDERPRESS_LO@REG-001"
    plant.desk.apply(low, Shelve(plant.clock.now() + minutes(10), "work on the filter", "li"), "li")
    plant.after(599)
    plant.tick()
    assert plant.state(low) == "E"
    plant.after(1)
    plant.tick()
    assert plant.state(low) == "B"
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    gas = "GAS_CONC_HIHI@REG-001"
    plant.desk.apply(gas, Acknowledge(1, "li"), "li")
    plant.after(600)
    plant.tick()
    assert plant.state(gas) == "B"


def test_own_alarms_rise_and_fall_once(plant: Plant) -> None:
    for holds in (True, True, False, False):
        plant.pipeline.own("EVAL_LAG@gasgate", holds=holds, value=12.0)
    with plant.desk.state.read() as connection:
        events = [entry.event for entry in alarm_rows.journal(connection, "EVAL_LAG@gasgate")]
    assert events == ["raised", "announced", "returned"]


def test_a_flood_is_kept_whole_and_worst_first(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alarms.pipeline.MOST_AT_ONCE", 2)
    stations = ("REG-001", "REG-002", "REG-003", "S-01")
    plant.feed(*((f"{station}/gas_lel_pct", 28.0) for station in stations))
    with plant.desk.state.read() as connection:
        entries = alarm_rows.journal_after(connection, 0)
        announced = [entry.alarm_id for entry in entries if entry.event == "announced"]
        assert len(ticket_rows.list_open(connection)) == 4
    assert announced == [f"{name}@{station}" for name in ("GAS_CONC_HIHI", "GAS_CONC_HI") for station in stations]
    assert plant.desk.state.cursor("alarm") == plant.pipeline.seq


def test_edges_outlive_a_state_database_that_is_away(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = plant.desk.commit

    def away(*_: object, **__: object) -> list[Alarm]:
        raise TransientError("locked")

    monkeypatch.setattr(plant.desk, "commit", away)
    with pytest.raises(TransientError):
        plant.feed(("REG-001/gas_lel_pct", 28.0))
    monkeypatch.setattr(plant.desk, "commit", commit)
    assert plant.state("GAS_CONC_HIHI@REG-001") == "never"
    plant.tick()
    assert plant.state("GAS_CONC_HIHI@REG-001") == "B"


def test_a_point_without_name_and_a_definition_that_is_gone_stop_nothing(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.feed(("REG-002/gas_lel_pct", 28.0))
    plant.desk.definitions = {
        name: one for name, one in plant.desk.definitions.items() if name not in ("GAS_CONC_HI", "DEPART_OVERDUE")
    }
    plant.restart()
    now = plant.clock.now_us()
    plant.pipeline.process(SpoolRecord(9, ReadingBatch.build([900, 901], [now, now], now, [28.0, 1.0])))
    plant.after(600)
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    plant.tick()
    assert plant.state("GAS_CONC_HIHI@REG-001") == "B"
    assert plant.state("DEPART_OVERDUE@T-20260115-000001") == "never"


def test_a_valve_that_closes_by_itself_is_told_and_one_that_was_ordered_is_not(plant: Plant) -> None:
    shut = [f"SLAM_SHUT@REG-00{number}" for number in (1, 2)]
    order_closing(plant, "REG-002")
    plant.after(4)
    plant.feed(("REG-001/valve", 0.0), ("REG-002/valve", 0.0))
    assert [plant.state(one) for one in shut] == ["B", "F"]
    plant.after(10)
    plant.feed(("REG-002/valve", 1.0))
    plant.after(600)
    plant.feed(("REG-002/valve", 0.0))
    assert plant.state(shut[1]) == "B"


def test_what_was_ordered_speaks_when_it_has_been_hidden_for_a_day(plant: Plant) -> None:
    order_closing(plant, "REG-002")
    plant.feed(("REG-002/valve", 0.0))
    plant.after(86_399)
    plant.feed(("REG-001/valve", 1.0))
    plant.tick()
    assert plant.state("SLAM_SHUT@REG-002") == "F"
    plant.after(1)
    plant.tick()
    assert plant.state("SLAM_SHUT@REG-002") == "B"


def order_closing(plant: Plant, asset: str) -> None:
    values = {"key": asset, "asset": asset, "name": "valve_close", "reason": "", "who": "li", "offer": {}}
    moments = {"requested_at": plant.clock.now_us(), "sent_at": plant.clock.now_us(), "wall_requested": 1.0}
    with plant.desk.state.write() as connection:
        row = {**values, **moments, "wall_asked": 1.0, "state": "confirmed", "open": False}
        connection.execute(tables.device_command.insert().values(**row))


def test_what_happened_while_the_gateway_was_away_is_marked_as_late(plant: Plant) -> None:
    plant.feed(("REG-001/gas_lel_pct", 28.0), ago_s=600.0)
    plant.feed(("REG-002/gas_lel_pct", 28.0))
    late = [plant.alarm(f"GAS_CONC_HIHI@REG-00{number}") for number in (1, 2)]
    assert [alarm is not None and alarm.late for alarm in late] == [True, False]
