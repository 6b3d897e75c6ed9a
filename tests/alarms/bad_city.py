"""A small healthy city as plain tables, to be spoilt one way or another and analysed from its files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from gateway.analyse import analyse

START = datetime(2025, 11, 1, 22, tzinfo=UTC)
"""06:00 at Shanghai"""
ZONES = ("R-1", "R-2")
KINDS = {
    *("leak", "non_moving", "theft", "unauthorised", "ic_mismatch", "slow", "silent", "flow_when_closed"),
    *("inside_leak", "supply_drift"),
}
SETTINGS = {
    "name": '"bad"',
    "timezone": '"Asia/Shanghai"',
    "gas_day_start": '"06:00"',
    "customer_pressure_kpa": "101.325",
}
METER_COLUMNS = (
    "meter_id,zone_id,role,kind,customer_class,digits,decimals,max_flow_m3h,temperature_compensated,installed_on,"
    "account,x_m,y_m"
)


@dataclass
class BadCity:
    """Tables of a dataset; rows of readings are columns of one length, times in us UTC."""

    days: int
    zones: list[str]
    meters: dict[str, str]
    readings: dict[str, Any]
    events: list[str] = field(default_factory=list)
    weather: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=lambda: dict(SETTINGS))

    def of(self, meter: str) -> Any:
        """Mark the readings of one meter."""
        return self.readings["meter_id"] == meter

    def during(self, first_day: float, last_day: float) -> Any:
        """Mark the readings of some days, counted from the start."""
        since = (self.readings["time"] - _us(START)) / 86_400e6
        return (since >= first_day) & (since < last_day)

    def without(self, rows: Any) -> None:
        """Leave some readings out."""
        self.readings = {name: values[~rows] for name, values in self.readings.items()}

    def more(self, rows: Any, **changes: Any) -> None:
        """Add some readings again, changed."""
        added = {name: values[rows].copy() for name, values in self.readings.items()} | changes
        self.readings = {name: np.concatenate([values, added[name]]) for name, values in self.readings.items()}

    def write(self, folder: Path) -> Path:
        """Write the dataset."""
        folder.mkdir(parents=True, exist_ok=True)
        span = {"start": START.isoformat(), "end": (START + timedelta(days=self.days, hours=7)).isoformat()}
        lines = [f"{name} = {value}" for name, value in (span | self.settings).items()]
        (folder / "dataset.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for name, header, rows in (
            ("zones.csv", "zone_id,parent_id,kind,name,pipe_volume_m3", self.zones),
            ("meters.csv", METER_COLUMNS, list(self.meters.values())),
            ("events.csv", "meter_id,time,event,old_register_m3,new_register_m3", self.events),
            ("weather.csv", "date,temperature_mean_c", self.weather),
        ):
            (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        write_readings(folder / "readings.parquet", self.readings)
        return folder


def write_readings(path: Path, readings: dict[str, Any]) -> None:
    """Write readings as the exchange format has them."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE t (meter_id VARCHAR, us BIGINT, arrived BIGINT, register_m3 DOUBLE)")
        columns = [readings[name].tolist() for name in ("meter_id", "time", "received", "register_m3")]
        connection.execute("INSERT INTO t SELECT unnest(?), unnest(?), unnest(?), unnest(?)", columns)
        connection.execute(
            "COPY (SELECT meter_id, make_timestamptz(us) AS time, make_timestamptz(arrived) AS received, register_m3, "
            "1::TINYINT AS valve, 0::UINTEGER AS flags, NULL::DOUBLE AS battery_v, NULL::DOUBLE AS balance_m3, "
            f"NULL::DOUBLE AS purchased_m3 FROM t) TO '{path}' (FORMAT parquet)"
        )


def meter_row(name: str, zone: str, role: str = "customer", digits: int = 6) -> str:
    """Return a row of meters.csv."""
    what = "corrector,," if role == "supply" else "remote,residential,"
    account = "" if role == "supply" else "open"
    return f"{name},{zone},{role},{what}{digits},3,{900 if role == 'supply' else 25},1,2020-01-01,{account},,"


def a_bad_city(days: int = 16, homes: int = 8, step_h: int = 6, seed: int = 3) -> BadCity:
    """Return a healthy city, to be spoilt: two zones whose homes burn 3-9 m3 a day, and 1 % is lost."""
    rng = np.random.default_rng(seed)
    steps = days * 24 // step_h
    meters: dict[str, str] = {}
    times = _us(START) + np.arange(steps + 1) * step_h * 3_600_000_000
    parts: list[tuple[str, Any]] = []
    for zone in ZONES:
        names = [f"M-{zone[-1]}-{index}" for index in range(homes)]
        use = rng.uniform(3.0, 9.0, homes) * rng.lognormal(0.0, 0.2, (steps, homes)) * step_h / 24
        flows = {f"V-{zone[-1]}": use.sum(axis=1) * 1.01} | {name: use[:, at] for at, name in enumerate(names)}
        meters |= {name: meter_row(name, zone, "supply" if name[0] == "V" else "customer") for name in flows}
        parts += [(name, 1000.0 + np.concatenate([[0.0], np.cumsum(flow)])) for name, flow in flows.items()]
    readings = {
        "meter_id": np.repeat(np.array([name for name, _ in parts], dtype=object), len(times)),
        "time": np.tile(times, len(parts)),
        "received": np.tile(times, len(parts)) + 60_000_000,
        "register_m3": np.round(np.concatenate([register for _, register in parts]), 3),
    }
    zones = ["CITY,,city,City,", *(f"{zone},CITY,regulator,{zone}," for zone in ZONES)]
    dates = [(START.date() + timedelta(days=day)).isoformat() for day in range(days + 2)]
    return BadCity(days, zones, meters, readings, weather=[f"{day},9.5" for day in dates])


def answer_of(city: BadCity, folder: Path, spoil: Callable[[Path], None] | None = None) -> dict[str, Any]:
    """Write, analyse as `gasgate analyse` does, and return the answer after checking what must hold of every answer."""
    data = city.write(folder / "data")
    if spoil is not None:
        spoil(data)
    analyse(data, folder / "findings.json")
    answer: dict[str, Any] = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    check_findings(city, answer["findings"])
    check_loss(answer["loss"])
    return answer


def check_findings(city: BadCity, findings: list[dict[str, Any]]) -> None:
    """Every finding names a subject that exists, at a possible moment, with figures that are numbers."""
    zones = {row.split(",")[0] for row in city.zones}
    for finding in findings:
        assert finding["kind"] in KINDS, finding
        assert finding["zone"] in zones, finding
        assert finding["meter"] is None or finding["meter"] in city.meters, finding
        assert 0.0 <= finding["score"] <= 1.0, finding
        assert finding["onset"] <= finding["detected_at"], finding
        size = finding["estimate_m3_per_day"]
        assert size is None or math.isfinite(size), finding
        assert finding["evidence"], finding


def check_loss(rows: list[dict[str, Any]]) -> None:
    """A zone and day stand once, and what is assessed is a number with its uncertainty; the rest says why not."""
    assert len({(row["zone"], row["gas_day"]) for row in rows}) == len(rows)
    for row in rows:
        if row["verdict"] == "not_assessable":
            assert row["reason"], row
            continue
        assert row["verdict"] in ("normal", "high"), row
        assert row["supply_m3"] > 0.0, row
        assert all(math.isfinite(row[name]) for name in ("metered_m3", "linepack_m3", "loss_m3", "loss_rate")), row
        assert row["sigma"] > 0.0, row
        assert 0.0 < row["coverage"] <= 1.0, row


def _us(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000
