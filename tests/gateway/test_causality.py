"""An analysis that looks ahead is caught, whatever it looks at; one that does not is not accused."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.causality import Told, check
from gateway.errors import ConfigError, GatewayError
from tests.gateway.scoring.examined_city import START, write_city

TIME = pa.timestamp("ms", tz="UTC")
DAYS = 20

ANALYSIS = """
import csv, json, sys, tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
import pyarrow.parquet as pq
folder, out, *looks = map(Path, sys.argv[1:])
if "fail" in map(str, looks):
    sys.exit("no such zone")
assert not (folder / "truth.json").exists()
about = tomllib.loads((folder / "dataset.toml").read_text())
rows = pq.read_table(folder / "readings.parquet").to_pylist()
lines = {name: len((folder / name).read_text().splitlines()) for name in ("events.csv", "weather.csv")}
first = datetime(2024, 2, 1, 22, tzinfo=UTC)
findings, loss = [], []
for day in range(1, (about["end"] - first).days + 1):
    now = first + timedelta(days=day, hours=6)
    if now > about["end"]:
        continue
    known = sum(row["received"] <= now for row in rows)
    scores = {"nothing": known, "readings": len(rows), "end": about["end"].timestamp(), "weather": lines["weather.csv"],
              "events": lines["events.csv"], "moment": day}
    for look in map(str, looks):
        at = (first if look == "moment" else now).isoformat()
        findings.append({"kind": "leak", "zone": look, "meter": None, "detected_at": at, "onset": at,
                         "score": scores[look], "estimate_m3_per_day": None})
        gas_day = (now - timedelta(days=1)).date().isoformat()
        loss.append({"zone": look, "gas_day": gas_day, "loss_rate": scores[look]})
out.write_text(json.dumps({"findings": findings, "loss": loss}))
"""


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """Return a dataset of 20 days with a reading a day, an event and the weather; and the analysis beside it."""
    folder = write_city(tmp_path / "city", [], days=DAYS)
    end = START + timedelta(days=DAYS)
    (folder / "dataset.toml").write_text(
        f'name = "small"\ntimezone = "Asia/Shanghai"\ngas_day_start = "06:00"\nstart = {START.isoformat()}\n'
        f"end = {end.isoformat()}\n"
    )
    (folder / "events.csv").write_text(
        "meter_id,time,event,old_register_m3,new_register_m3\n"
        f"M-1,{(START + timedelta(days=15)).isoformat()},exchange,5,0\nM-2,2024-02-03T00:00:00,exchange,5,0\n"
    )
    days = [(START + timedelta(days=day)).date().isoformat() for day in range(1, DAYS)]
    (folder / "weather.csv").write_text("date,temperature_mean_c\n" + "".join(f"{day},1\n" for day in days))
    times = [START + timedelta(hours=6 * quarter) for quarter in range(4 * DAYS)]
    late = [moment + timedelta(hours=1) for moment in times]
    columns = {
        "meter_id": pa.array(["M-1"] * len(times)),
        "time": pa.array(times, TIME),
        "received": pa.array(late, TIME),
        "register_m3": pa.array([float(n) for n in range(len(times))]),
    }
    pq.write_table(pa.table(columns), folder / "readings.parquet")
    (tmp_path / "analysis.py").write_text(ANALYSIS)
    return folder


def run(city: Path, looks_at: str, cuts: tuple[str, ...] = ("0.5",), keep: Path | None = None) -> list[Told]:
    command = f"'{sys.executable}' '{city.parent / 'analysis.py'}' {{dataset}} {{out}} {looks_at}"
    return list(check(city, cuts, command, keep, lambda _: None))


def test_an_honest_analysis_is_not_accused(city: Path) -> None:
    half, late = run(city, "nothing", ("0.5", "2024-02-20T01:00:00Z"))
    assert half.violations == late.violations == ()
    assert datetime.fromtimestamp(half.cut, UTC) == START + timedelta(days=10)
    assert (half.findings, half.rows) == (2 * 9, 2 * 3), "loss rows of the last seven days are not settled"
    assert (late.findings, late.rows) == (2 * 17, 2 * 11)


def test_whatever_uses_the_future_is_caught(city: Path) -> None:
    (told,) = run(city, "nothing readings end weather events moment")
    by_look = Counter(one.split()[1] for one in told.violations if one.startswith("leak"))
    assert by_look == {"readings": 9, "end": 9, "weather": 9, "events": 9, "moment": 10}
    assert "leak events at 2024-02-03T04:00:00+00:00: score: the future changed it" in told.violations
    assert "leak moment at 2024-02-01T22:00:00+00:00: raised only with the future" in told.violations
    rows = [one for one in told.violations if one.startswith("loss")]
    assert len(rows) == 4 * 3
    assert rows[0] == "loss of end on 2024-02-02: loss_rate: the future changed it"


def test_what_was_compared_can_be_kept(city: Path) -> None:
    kept = city.parent / "kept"
    run(city, "nothing", keep=kept)
    assert sorted(path.name for path in kept.iterdir()) == ["cut-1", "cut-1.json", "whole", "whole.json"]
    assert json.loads((kept / "cut-1.json").read_text())["findings"]
    assert pq.read_table(kept / "cut-1" / "readings.parquet").num_rows == 40
    assert (kept / "cut-1" / "events.csv").read_text().count("exchange") == 1
    with pytest.raises(ConfigError, match="is not empty; name a new folder"):
        run(city, "", keep=kept)


@pytest.mark.parametrize("cut", ["soon", "0", "1", "nan", "2030-01-01", "-inf"])
def test_a_cut_outside_the_dataset_is_refused(city: Path, cut: str) -> None:
    with pytest.raises(ConfigError, match=f"--cut {cut}: "):
        run(city, "", (cut,))


def test_a_command_that_cannot_work_is_refused(city: Path) -> None:
    for command, told in (("x {dataset}", "{out} is missing"), ("'x {out} {dataset}", "correct the quotes")):
        with pytest.raises(ConfigError, match="--command: ") as caught:
            list(check(city, ["0.5"], command, None, lambda _: None))
        assert told in str(caught.value)
    with pytest.raises(ConfigError, match="No such file"):
        list(check(city, ["0.5"], "no-such-program {dataset} {out}", None, lambda _: None))
    with pytest.raises(GatewayError, match=r"ended with exit code 1: .*: no such zone$"):
        run(city, "fail")
