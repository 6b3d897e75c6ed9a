from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gateway.dataset import read_dataset
from gateway.errors import ConfigError
from gateway.model.quantity import Quantity
from simulators.dataset.exam import START, build_exam, write_exam
from simulators.dataset.ledger import DAY_H
from simulators.dataset.presets import PRESETS, preset
from simulators.faults import KINDS, FaultKind
from simulators.ground import Ground
from simulators.networks.streets import build_ground

DAYS = 16


def _ground() -> Ground:
    return build_ground(5, [30, 22, 35], flats_share=0.3)


def _write(out: Path, **more: Any) -> Path:
    options: dict[str, Any] = {"seed": 5, "days": DAYS, **more}
    write_exam(out, _ground(), **options)
    return out


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small examination; nobody writes to it."""
    return _write(tmp_path_factory.mktemp("exam") / "city")


@pytest.fixture(scope="module")
def truth(exam: Path) -> dict[str, Any]:
    """Return its truth."""
    found: dict[str, Any] = json.loads((exam / "truth.json").read_text(encoding="utf-8"))
    return found


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.slow
def test_a_seed_gives_the_same_bytes_in_one_process_or_in_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.dataset.groups.METERS_OF_A_GROUP", 1)
    ground = build_ground(5, [8, 6])
    for name, seed, processes in (("one", 5, 1), ("two", 5, 2), ("other", 6, 1)):
        write_exam(tmp_path / name, ground, seed=seed, days=4, processes=processes)
    assert _bytes(tmp_path / "two") == _bytes(tmp_path / "one")
    assert _bytes(tmp_path / "other") != _bytes(tmp_path / "one")


def test_cutting_the_city_into_groups_and_spans_changes_no_row(
    exam: Path, truth: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.dataset.groups.METERS_OF_A_GROUP", 1)
    monkeypatch.setattr("simulators.dataset.groups.CELLS_AT_ONCE", 60 * DAY_H * 5)
    cut = _write(tmp_path / "cut")
    assert json.loads((cut / "truth.json").read_text(encoding="utf-8")) == truth
    order = [(name, "ascending") for name in ("meter_id", "time", "received", "register_m3")]
    rows = [pq.read_table(folder / "readings.parquet").sort_by(order) for folder in (exam, cut)]
    assert rows[0].equals(rows[1])
    for name in ("events.csv", "meters.csv", "weather.csv"):
        assert (cut / name).read_bytes() == (exam / name).read_bytes()


def test_the_gateway_reads_what_is_written(exam: Path, truth: dict[str, Any]) -> None:
    dataset = read_dataset(exam)
    assert dataset.settings.end - dataset.settings.start == timedelta(days=DAYS)
    assert len([meter for meter in dataset.network.meters.values() if meter.role == "customer"]) == 87
    assert set(truth["zones"]) == {m.zone_id for m in dataset.network.meters.values() if m.role == "supply"}
    quantities = {columns.quantity for columns in dataset.columns}
    assert {Quantity.REGISTER_BASE_M3, Quantity.REGISTER_MEASURED_M3, Quantity.PRESSURE_GAUGE_KPA} <= quantities
    assert len(dataset.weather) == DAYS
    end_us = int(dataset.settings.end.timestamp()) * 1_000_000
    for columns in dataset.columns:
        assert (columns.received < end_us).all()
        assert np.isfinite(columns.value[columns.quality == 0]).all()


def test_columns_of_readings_are_those_of_the_format(exam: Path) -> None:
    schema = pq.read_schema(exam / "readings.parquet")
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "meter_id": "string", "time": "timestamp[ms, tz=UTC]", "received": "timestamp[ms, tz=UTC]",
        "register_m3": "double", "valve": "int8", "flags": "uint32", "battery_v": "float", "balance_m3": "double",
        "purchased_m3": "double",
    }  # fmt: skip
    table = pq.read_table(exam / "readings.parquet").to_pydict()
    kinds = {row["meter_id"]: row["kind"] for row in _csv(exam / "meters.csv")}
    cards = {name for name, kind in kinds.items() if kind == "ic_card"}
    with_credit = {name for name, left in zip(table["meter_id"], table["balance_m3"], strict=True) if left is not None}
    assert with_credit
    assert with_credit <= cards


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_every_kind_of_finding_happens_and_every_event_fits_the_city(exam: Path, truth: dict[str, Any]) -> None:
    assert {event["kind"] for event in truth["events"]} == {
        "leak", "non_moving", "theft", "unauthorised", "ic_mismatch", "slow", "silent", "flow_when_closed",
    }  # fmt: skip
    zone_of = {row["meter_id"]: row["zone_id"] for row in _csv(exam / "meters.csv")}
    above = {row["zone_id"]: row["parent_id"] for row in _csv(exam / "zones.csv")}
    start, end = truth["start"], truth["end"]
    for event in truth["events"]:
        assert start < event["onset"] <= event["effective"] <= end
        assert event["zone"] in truth["loss"]
        if event["meter"] is not None:
            chain, at = [], zone_of[event["meter"]]
            while at:
                chain.append(at)
                at = above[at]
            assert event["zone"] == next(zone for zone in chain if zone in truth["loss"])
        if event["kind"] == "leak":
            assert event["size_pct"] > 0
    for confounder in truth["confounders"]:
        assert start <= confounder["start"] <= confounder["end"] <= end
    meters = [event["meter"] for event in truth["events"] if event["meter"] and event["id"].startswith("E")]
    assert len(meters) == len(set(meters)), "one fault a meter"


def test_loss_is_supply_less_what_meters_should_have_counted_and_the_linepack(
    tmp_path: Path, truth: dict[str, Any]
) -> None:
    built = build_exam(_ground(), tmp_path, seed=5, days=DAYS, rules=preset("exam"), habits=None,
                       mix="heated_north", start=START)  # fmt: skip
    for fault in built.faults:
        KINDS[fault.kind].check(fault, built.plan.assets)
    flows = built.city.flows(built.plan.start_hour, DAYS * DAY_H)
    by_day = (DAYS, DAY_H, -1)
    registered = built.plan.zone_sums(flows.passing + flows.stolen - flows.unregistered)
    lost = (flows.supply - registered - flows.linepack).reshape(by_day).sum(axis=1)
    supply = flows.supply.reshape(by_day).sum(axis=1)
    for column, zone in enumerate(built.plan.ground.regulator_zones):
        if zone in truth["loss"]:
            assert truth["loss"][zone]["supply_m3"] == pytest.approx(supply[:, column], abs=1e-4)
            assert truth["loss"][zone]["loss_m3"] == pytest.approx(lost[:, column], abs=1e-4)
    city = built.plan.parents.index("CITY")
    between = (flows.parent_leak.sum(axis=1) + lost.repeat(DAY_H, axis=0).sum(axis=1) / DAY_H).reshape(DAYS, DAY_H)
    assert truth["loss"]["CITY"]["loss_m3"] == pytest.approx(between.sum(axis=1), abs=1e-4)
    top = flows.parent_supply[:, city].reshape(DAYS, DAY_H).sum(axis=1)
    assert truth["loss"]["CITY"]["supply_m3"] == pytest.approx(top, abs=1e-4)


def test_supply_registers_advance_by_the_supply_that_the_truth_names(exam: Path, truth: dict[str, Any]) -> None:
    table = pq.read_table(exam / "readings.parquet").to_pydict()
    seen: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    for name, at, register in zip(table["meter_id"], table["time"], table["register_m3"], strict=True):
        seen[name].append((at, register))
    biased = {c["zone"] for c in truth["confounders"] if c["cause"] == "supply_bias"}
    checked = 0
    for row in _csv(exam / "meters.csv"):
        if row["role"] == "supply" and row["zone_id"] not in biased:
            (first, low), (last, high) = min(seen[row["meter_id"]]), max(seen[row["meter_id"]])
            hours = (last - first) / timedelta(hours=1)
            mean = sum(truth["loss"][row["zone_id"]]["supply_m3"]) / (DAYS * DAY_H)
            assert high - low == pytest.approx(mean * hours, rel=0.05)
            checked += 1
    assert checked


def test_what_was_loaded_less_what_is_left_is_what_the_register_counted(exam: Path, truth: dict[str, Any]) -> None:
    table = pq.read_table(exam / "readings.parquet").to_pydict()
    odd = {e["meter"] for e in truth["events"]} | {
        c["meter"] for c in truth["confounders"] if c["cause"] in {"exchange", "rollover", "stray_pulses", "back_flow"}
    }
    gaps: dict[str, list[float]] = defaultdict(list)
    for name, register, left, bought in zip(
        table["meter_id"], table["register_m3"], table["balance_m3"], table["purchased_m3"], strict=True
    ):
        if left is not None and name not in odd:
            gaps[name].append(round(register - (bought - left), 3))
    assert len(gaps) > 10
    wrong = total = 0
    for values in gaps.values():
        (_, most), *_ = Counter(values).most_common(1)
        wrong, total = wrong + len(values) - most, total + len(values)
        assert len(values) - most <= max(3, 0.05 * len(values)), "but for records that come a reading late"
    assert wrong < 0.01 * total


@pytest.mark.parametrize("name", PRESETS)
def test_presets_ask_only_for_what_faults_can_be(name: str) -> None:
    for rule in preset(name).fault:
        kind = KINDS[FaultKind(rule.kind)]
        if rule.size_of == "unit" and kind.size:
            assert kind.least <= rule.size[0] <= rule.size[1] <= kind.most, rule
        assert set(rule.details) <= set(kind.details), rule
        assert rule.law == "even" or rule.size[0] > 0, rule


def test_an_unknown_preset_or_mix_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exam, field"):
        preset("nothing")
    with pytest.raises(ConfigError, match="heated_north"):
        _write(tmp_path / "city", mix="nobody")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("zones", "days"), [([1], 1), ([0, 1], 2), ([3], 2)])
def test_tiny_cities(tmp_path: Path, zones: list[int], days: int) -> None:
    write_exam(tmp_path / "city", build_ground(1, zones), seed=1, days=days)
    read_dataset(tmp_path / "city")
    write_exam(tmp_path / "clean", build_ground(1, zones), seed=1, days=days, preset_name="clean")
    events = json.loads((tmp_path / "clean" / "truth.json").read_text())["events"]
    assert [event for event in events if event["type"] != "battery"] == []


@pytest.mark.parametrize(("zones", "days"), [([], 5), ([5], 0), ([0], 5)])
def test_a_city_without_customers_or_days_is_refused(tmp_path: Path, zones: list[int], days: int) -> None:
    ground = build_ground(1, zones or [1])
    if not zones:
        ground = Ground(ground.zones, ground.stations, (), ground.pipes, ())
    with pytest.raises(ConfigError, match="at least one day and one customer"):
        write_exam(tmp_path / "city", ground, seed=1, days=days)


def test_a_leap_day_is_a_gas_day(tmp_path: Path) -> None:
    start = datetime.fromisoformat("2024-02-27T22:00:00+00:00")
    write_exam(tmp_path / "city", build_ground(1, [4]), seed=1, days=3, start=start)
    dates = [row["date"] for row in _csv(tmp_path / "city" / "weather.csv")]
    assert dates == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert json.loads((tmp_path / "city" / "truth.json").read_text())["first_gas_day"] == "2024-02-28"


_COMMAND = (sys.executable, "-m", "simulators", "dataset")


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_that_looks_whole_and_the_next_one_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "city"
    options = ("--zones", "3", "--meters-per-zone", "30", "--days", "90")
    with subprocess.Popen([*_COMMAND, str(out), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("city.part/readings-*.arrow")) and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    assert not out.exists()
    assert (tmp_path / "city.part").exists()
    done = subprocess.run(
        [*_COMMAND, str(out), "--zones", "1", "--meters-per-zone", "5", "--days", "2"],
        capture_output=True, text=True, check=True, env={**os.environ},
    )  # fmt: skip
    assert done.stderr == "", "nothing on a pipe but the answer"
    assert "readings of 5 meters" in done.stdout
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["city"]
    again = subprocess.run([*_COMMAND, str(out)], capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "delete it first" in again.stderr
