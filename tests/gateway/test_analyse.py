import json
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from gateway.analyse import PageWanted, analyse
from gateway.cli import app
from gateway.errors import ConfigError
from gateway.model.reading import from_us
from tests.alarms.small_city import BUSINESS, FIRST, a_city


def write_dataset(folder, city) -> Any:
    """Write a small city as a dataset; readings arrive a minute after their time."""
    network = city.model.network
    names, values = city.registers()
    (folder / "dataset.toml").write_text(
        'name = "small"\ntimezone = "Asia/Shanghai"\ngas_day_start = "06:00"\n'
        f"start = {city.bounds[0] and from_us(city.bounds[0]).isoformat()}\n"
        f"end = {(from_us(city.bounds[-1]) + timedelta(hours=7)).isoformat()}\n",
        encoding="utf-8",
    )
    zones = [f"{z.zone_id},{z.parent_id},{z.kind},{z.name}," for z in network.zones.values()]
    (folder / "zones.csv").write_text("\n".join(["zone_id,parent_id,kind,name,pipe_volume_m3", *zones]) + "\n")
    columns = (
        "meter_id,zone_id,role,kind,customer_class,digits,decimals,max_flow_m3h,temperature_compensated,installed_on,"
        "account,x_m,y_m"
    )
    rows = [
        f"{m.meter_id},{m.zone_id},{m.role},{m.kind},{m.customer_class},{m.digits},{m.decimals},{m.max_flow_m3h},1,"
        f"2020-01-01,{m.account},,"
        for m in network.meters.values()
    ]
    (folder / "meters.csv").write_text("\n".join([columns, *rows]) + "\n")
    number = np.tile(np.arange(len(names)), len(city.bounds))
    table = {
        "meter_id": np.array(names, dtype=object)[number],
        "us": np.repeat(city.bounds, len(names)),
        "register_m3": values.ravel(),
    }
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE t (meter_id VARCHAR, us BIGINT, register_m3 DOUBLE)")
        connection.execute(
            "INSERT INTO t SELECT unnest(?), unnest(?), unnest(?)", [column.tolist() for column in table.values()]
        )
        connection.execute(
            "COPY (SELECT meter_id, make_timestamptz(us) AS time, make_timestamptz(us + 60000000) AS received, "
            "register_m3, NULL::TINYINT AS valve, 0::UINTEGER AS flags, NULL::FLOAT AS battery_v, "
            "NULL::DOUBLE AS balance_m3, NULL::DOUBLE AS purchased_m3 FROM t) "
            f"TO '{folder / 'readings.parquet'}' (FORMAT parquet)"
        )
    return folder


@pytest.fixture(scope="module")
def thief(tmp_path_factory) -> Any:
    city = a_city(days=24).with_counted(BUSINESS, 18, 0.15)
    return write_dataset(tmp_path_factory.mktemp("thief"), city)


def test_a_dataset_is_analysed_as_the_gateway_would_have(thief, tmp_path):
    told: list[tuple[int, int]] = []
    answer = analyse(thief, tmp_path / "findings.json", report=lambda done, of: told.append((done, of)))
    assert json.loads((tmp_path / "findings.json").read_text(encoding="utf-8")) == answer
    # 24 gas days, and leaks looked for every six hours
    assert told == [(number, 97) for number in range(1, 98)]
    first = answer["findings"][0]
    assert (first["kind"], first["zone"], first["meter"]) == ("theft", "R-1", BUSINESS)
    assert first["onset"] == "2025-11-18T22:00:00Z"
    assert "2025-11-20T04:00:00Z" <= first["detected_at"] <= "2025-11-22T04:00:00Z"
    assert {finding["meter"] for finding in answer["findings"]} == {BUSINESS}
    assert len(answer["loss"]) == 3 * 24
    assert {row["verdict"] for row in answer["loss"] if row["zone"] == "R-2"} == {"normal"}
    days = [row["gas_day"] for row in answer["loss"] if row["zone"] == "R-1"]
    assert days == [(FIRST + timedelta(days=day)).isoformat() for day in range(24)]


def test_what_was_found_does_not_depend_on_what_came_after(thief, tmp_path):
    whole = analyse(thief, tmp_path / "whole.json")
    cut = from_us(int(a_city(days=24).bounds[21])) + timedelta(hours=6)
    part = analyse(thief, tmp_path / "part.json", until=cut)
    early = [f for f in whole["findings"] if f["detected_at"] <= cut.isoformat().replace("+00:00", "Z")]
    assert part["findings"] == early != []


def test_a_healthy_city_has_no_findings(tmp_path):
    city = a_city(days=24, seed=9).away("M-1-03", 15).away("M-2-04", 12, 16)
    answer = analyse(write_dataset(tmp_path, city), tmp_path / "findings.json")
    assert answer["findings"] == []


def test_the_command_writes_findings_and_a_page_up_to_a_moment(thief, tmp_path):
    out, page = tmp_path / "findings.json", tmp_path / "report.html"
    until = "2025-11-23T12:00:00+08:00"
    words = ["analyse", str(thief), "--out", str(out), "--until", until, "--report", str(page), "--lang", "en"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    answer = json.loads(out.read_text(encoding="utf-8"))
    assert answer == analyse(thief, tmp_path / "other.json", until=datetime.fromisoformat(until))
    assert max(row["gas_day"] for row in answer["loss"]) == "2025-11-22"
    shown = page.read_text(encoding="utf-8")
    assert "Loss analysis of small" in shown
    assert BUSINESS in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["findings.json", "other.json", "report.html"]


def test_before_the_first_gas_day_is_over_nothing_is_said(thief, tmp_path):
    page = PageWanted(tmp_path / "report.html", "zh")
    answer = analyse(thief, tmp_path / "f.json", until=from_us(int(a_city(days=24).bounds[0])), page=page)
    assert (answer["findings"], answer["loss"]) == ([], [])
    assert "读数不足一个完整供气日" in page.file.read_text(encoding="utf-8")


def test_what_cannot_be_written_is_said_before_hours_of_work(thief, tmp_path):
    words = ["analyse", str(thief), "--out", str(tmp_path / "f.json"), "--report", str(tmp_path / "none" / "r.html")]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, ConfigError)
    assert "there is no such folder to write r.html into" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
