from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gateway.dataset import read_network
from gateway.errors import ConfigError
from gateway.model.quantity import Quantity
from simulators.city import LIVE_START, City, demo_plan
from simulators.dataset.history import write_weather
from simulators.live.reports import HalfHourly
from simulators.prepare import prepare, read_city
from simulators.story import past_faults


def test_the_gateway_reads_the_network(prepared_city: Path) -> None:
    network = read_network(prepared_city / "network")
    assert set(network.zones) == {"CITY", "D-1", "D-2", "R-001", "R-002", "R-003"}
    assert set(network.stations) == {"S-01", "S-02", "REG-001", "REG-002", "REG-003"}
    assert sum(meter.role == "customer" for meter in network.meters.values()) == 300
    assert {meter.zone_id for meter in network.meters.values() if meter.role == "supply"} == {"R-001", "R-002", "R-003"}
    assert all(point.asset in network.stations and point.quantity in Quantity for point in network.points.values())
    assert len(network.points) == 25
    lines = json.loads(network.geojson)["features"]
    assert {line["properties"]["kind"] for line in lines} == {"main", "distribution", "service"}
    spots = np.array([point for line in lines for point in line["geometry"]["coordinates"]])
    assert ((spots > -300) & (spots < 2500)).all()
    for meter in network.meters.values():
        assert meter.x_m is not None
        assert meter.y_m is not None
        assert np.hypot(spots[:, 0] - meter.x_m, spots[:, 1] - meter.y_m).min() < 40.0


def test_history_is_what_the_city_shows(prepared_city: Path) -> None:
    plan = demo_plan(3, 10)
    city = City(plan, past_faults(plan))
    table = pq.read_table(prepared_city / "history" / "readings.parquet").to_pylist()
    assert len(table) == 303 * 240
    customers = [meter.meter_id for meter in plan.customers.meters]
    for row in table[:: len(table) // 500]:
        assert plan.start <= row["time"] < LIVE_START
        assert row["time"] <= row["received"] <= row["time"] + timedelta(minutes=30)
        assert row["received"] < LIVE_START
        registers = city.registers(int(row["time"].timestamp()) * 1_000_000)
        if row["meter_id"] in customers:
            column = customers.index(row["meter_id"])
            assert row["register_m3"] == city.shown(registers)[column]
            assert (row["balance_m3"] is not None) == bool(plan.customers.ic_card[column])
        else:
            zone = int(row["meter_id"][2:]) - 1
            assert 0.0 <= registers.supply[zone] - row["register_m3"] < 0.0101


def test_points_are_written_each_quarter_of_an_hour(prepared_city: Path) -> None:
    plan = demo_plan(3, 10)
    city = City(plan, past_faults(plan))
    table = pq.read_table(prepared_city / "history" / "points.parquet").to_pylist()
    assert len(table) == 25 * 10 * 96
    for row in table[:: len(table) // 100]:
        station, quantity = row["point_id"].split("/")
        shown = city.station_values(int(row["time"].timestamp()) * 1_000_000)
        assert row["value"] == pytest.approx(shown[station][Quantity(quantity)], abs=1e-3)


def test_a_seed_writes_the_same_files_and_keeps_the_secret(prepared_city: Path, tmp_path: Path) -> None:
    prepare(tmp_path, seed=3, days=10)
    secret = (tmp_path / "secrets" / "desk.secret").read_text()
    prepare(tmp_path, seed=3, days=10)
    files = [file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 20
    for file in files:
        if file.parts[0] != "secrets":
            assert (tmp_path / file).read_bytes() == (prepared_city / file).read_bytes(), file
    assert (tmp_path / "secrets" / "desk.secret").read_text() == secret
    assert secret != (prepared_city / "secrets" / "desk.secret").read_text()
    assert (tmp_path / "secrets" / "desk.secret").stat().st_mode & 0o077 == 0
    assert read_city(tmp_path).seed == 3


def test_a_history_too_short_for_the_story_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 8 days"):
        prepare(tmp_path, days=7)


def test_weather_knows_only_days_that_have_ended(tmp_path: Path) -> None:
    plan = demo_plan(1, 8)
    write_weather(plan, tmp_path, LIVE_START)
    with (tmp_path / "weather.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [rows[0]["date"], rows[-1]["date"]] == ["2026-01-07", "2026-01-14"]
    write_weather(plan, tmp_path, datetime(2026, 1, 15, 16, tzinfo=UTC))
    assert (tmp_path / "weather.csv").read_text(encoding="utf-8").strip().splitlines()[-1].startswith("2026-01-15,")


def test_history_and_reports_agree_to_the_last_bit(prepared_city: Path) -> None:
    plan = demo_plan(3, 10)
    city = City(plan, past_faults(plan))
    live_us = int(LIVE_START.timestamp()) * 1_000_000
    reported: dict[tuple[str, int], int] = {}
    for _, payload in HalfHourly(city, live_us).due(live_us + 1_800_000_000):
        report = json.loads(payload)
        reported |= {(report["id"], reading["t"]): reading["v"] for reading in report["readings"]}
    table = pq.read_table(prepared_city / "history" / "readings.parquet").to_pylist()
    seen = 0
    for row in table:
        litres = reported.get((row["meter_id"], int(row["time"].timestamp()) * 1000))
        if litres is not None:
            seen += 1
            assert row["register_m3"] == float(Decimal(litres) * Decimal("0.001"))
    assert seen > 100


def test_a_folder_that_was_not_prepared_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="simulate prepare"):
        read_city(tmp_path)
    (tmp_path / "city.json").write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        read_city(tmp_path)
