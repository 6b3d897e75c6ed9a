from datetime import UTC, date, datetime
from typing import Any

import duckdb
import numpy as np
import pytest

from gateway.dataset import dataset_batches, read_dataset, read_network
from gateway.errors import ConfigError
from gateway.model.network import MeterKind, MeterRole, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, Severity

METERS = (
    "meter_id,zone_id,role,kind,customer_class,digits,decimals,max_flow_m3h,temperature_compensated,installed_on,"
    "account,x_m,y_m\n"
    "V-001,R-1,supply,corrector,,9,2,400,1,2020-01-01,,,\n"
    "M-001,R-1,customer,ic_card,residential,5,3,6,0,2021-06-30,open,10.5,-3\n"
)
ZONES = "zone_id,parent_id,kind,name,pipe_volume_m3\nCITY,,city,Testville,\nR-1,CITY,regulator,Old town,12.5\n"
STATIONS = (
    "station_id,kind,zone_id,name,address,x_m,y_m,set_pressure_gauge_kpa,remote\n"
    "REG-1,regulator,R-1,Mill Lane,,1,2,200,1\n"
)
POINTS = (
    "point_id,zone_id,quantity,low,high\nREG-1/pressure_gauge_kpa,R-1,pressure_gauge_kpa,150,250\n"
    "REG-1/gas_lel_pct,R-1,gas_lel_pct,,20\n"
)
SETTINGS = """name = "tiny"
timezone = "Asia/Shanghai"
gas_day_start = "06:00"
start = 2025-01-01T00:00:00Z
end = 2025-02-01T00:00:00Z
base_temperature_c = 20.0
base_pressure_kpa = 101.325
customer_pressure_kpa = 103.4
"""
T0 = "TIMESTAMPTZ '2025-01-01 00:00:00+00'"
T1 = "TIMESTAMPTZ '2025-01-01 01:00:00+00'"
SECOND = "INTERVAL 1 SECOND"


@pytest.fixture
def folder(tmp_path) -> Any:
    for name, text in (
        ("zones.csv", ZONES),
        ("meters.csv", METERS),
        ("stations.csv", STATIONS),
        ("points.csv", POINTS),
        ("dataset.toml", SETTINGS),
        ("network.geojson", '{"type": "FeatureCollection", "features": []}'),
        ("weather.csv", "date,temperature_mean_c\n2025-01-01,-2.5\n"),
        (
            "events.csv",
            "meter_id,time,event,old_register_m3,new_register_m3\nM-001,2025-01-02T00:00:00Z,exchange,5.5,\n",
        ),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "COPY (SELECT * FROM (VALUES "
            f"('V-001', {T0}, {T0} + {SECOND}, 10.0, NULL, NULL, NULL, NULL, NULL),"
            f"('M-001', {T1}, {T1} + {SECOND} * 2, 5.5, 1, 8, 3.6, 20.0, 25.5),"
            f"('M-999', {T1}, {T1} + {SECOND} * 2, 1.0, 1, 0, 3.6, NULL, NULL)"
            ") AS t(meter_id, time, received, register_m3, valve, flags, battery_v, balance_m3, purchased_m3))"
            f" TO '{tmp_path / 'readings.parquet'}' (FORMAT parquet)"
        )
        connection.execute(
            "COPY (SELECT * FROM (VALUES "
            f"('REG-1/pressure_gauge_kpa', {T0}, {T0} + {SECOND}, 200.5, 0),"
            f"('REG-1/gas_lel_pct', {T0}, {T0} + {SECOND}, 3.0, 1),"
            f"('REG-1/gas_lel_pct', {T1}, {T1} + {SECOND}, 99.0, 2)"
            ") AS t(point_id, time, received, value, quality))"
            f" TO '{tmp_path / 'points.parquet'}' (FORMAT parquet)"
        )
    return tmp_path


class Registry:
    """Hands out indices from 100 on."""

    def __init__(self) -> None:
        self.known: list[Any] = []

    def indices(self, points) -> Any:
        self.known += [point for point in points if point not in self.known]
        return np.array([100 + self.known.index(point) for point in points], dtype=np.uint32)

    def names(self, indices) -> Any:
        return [self.known[index - 100] for index in indices]

    def find(self, points) -> Any:
        return np.array([100 + self.known.index(point) if point in self.known else -1 for point in points])


def problems_of(folder, name, old, new) -> Any:
    path = folder / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_network(folder)
    return [problem.removeprefix(str(folder) + "/") for problem in error.value.problems]


def test_a_network_is_read(folder):
    network = read_network(folder)
    assert network.zones["R-1"].kind is ZoneKind.REGULATOR
    assert network.zones["R-1"].pipe_volume_m3 == 12.5
    assert network.zones["CITY"].pipe_volume_m3 is None
    meter = network.meters["M-001"]
    assert (meter.role, meter.kind, meter.digits, meter.installed_on) == (
        MeterRole.CUSTOMER,
        MeterKind.IC_CARD,
        5,
        date(2021, 6, 30),
    )
    assert (meter.x_m, meter.y_m, meter.temperature_compensated) == (10.5, -3.0, False)
    assert network.stations["REG-1"].remote
    point = network.points[PointId("REG-1/gas_lel_pct")]
    assert (point.asset, point.quantity, point.low, point.high) == ("REG-1", Quantity.GAS_LEL_PCT, None, 20.0)
    assert network.geojson.startswith('{"type"')


def test_stations_points_and_pipes_may_be_missing(folder):
    for name in ("stations.csv", "points.csv", "network.geojson"):
        (folder / name).unlink()
    network = read_network(folder)
    assert (network.stations, network.points, network.geojson) == ({}, {}, "")


def test_a_byte_order_mark_and_other_columns_do_no_harm(folder):
    text = ZONES.replace("pipe_volume_m3\n", "pipe_volume_m3,remark\n")
    (folder / "zones.csv").write_text(text, encoding="utf-8-sig")
    assert set(read_network(folder).zones) == {"CITY", "R-1"}


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("meters.csv", "M-001,R-1", "M-001,R-9", "meters.csv:3: column zone_id: 'R-9' is no zone; add it"),
        ("meters.csv", "ic_card", "icard", "meters.csv:3: column kind: 'icard' is unknown; use one of ic_card, remote"),
        ("meters.csv", "2021-06-30", "30.6.21", "meters.csv:3: column installed_on: '30.6.21' cannot be used"),
        ("meters.csv", ",5,3,6,", ",0,3,6,", "meters.csv:3: column digits: '0' cannot be used (1 to 15 is wanted)"),
        ("meters.csv", ",5,3,6,", ",5,3,nan,", "meters.csv:3: column max_flow_m3h: 'nan' cannot be used"),
        ("meters.csv", ",open,", ",opened,", "meters.csv:3: column account: 'opened' is unknown; use one of open"),
        ("meters.csv", "M-001", "V-001", "meters.csv:3: column meter_id: 'V-001' stands here twice"),
        ("meters.csv", "M-001", "M/1", "meters.csv:3: column meter_id: 'M/1' holds a slash"),
        ("meters.csv", "M-001", "", "meters.csv:3: column meter_id: is empty"),
        ("meters.csv", "meter_id,", "meter,", "meters.csv:1: column meter_id is missing; add it to the header"),
        ("zones.csv", "R-1,CITY", "R-1,R-1", "zones.csv:3: column parent_id: 'R-1' lies below itself"),
        ("zones.csv", "R-1,CITY", "R-1,TOWN", "zones.csv:3: column parent_id: 'TOWN' is no zone"),
        ("zones.csv", "12.5", "-1", "zones.csv:3: column pipe_volume_m3: '-1' cannot be used"),
        ("stations.csv", "REG-1,regulator", "REG-1,pump", "stations.csv:2: column kind: 'pump' is unknown"),
        ("stations.csv", "REG-1,", "M-001,", "'M-001' names more than one asset; rename one"),
        ("points.csv", "150,250", "250,150", "points.csv:2: column low: 250 is not below the high limit 150"),
        ("points.csv", "/gas_lel_pct", "/x/gas_lel_pct", "points.csv:3: column point_id: 'REG-1/x/gas_lel_pct' is not"),
        ("network.geojson", "FeatureCollection", "Feature", "network.geojson: not a FeatureCollection"),
        ("network.geojson", "[]", "[", "network.geojson: not readable as GeoJSON"),
    ],
)
def test_each_fault_names_file_line_column_and_remedy(folder, name, old, new, problem):
    found = problems_of(folder, name, old, new)
    assert any(problem in line for line in found), found
    assert all(";" in line for line in found)


def test_all_faults_are_told_at_once(folder):
    (folder / "zones.csv").unlink()
    found = problems_of(folder, "meters.csv", ",5,3,6,", ",5,x,6,")
    assert any(line.startswith("zones.csv: cannot read") for line in found)
    assert any("column decimals: 'x'" in line for line in found)


def test_a_file_that_is_no_text_is_refused(folder):
    (folder / "zones.csv").write_bytes(b"zone_id,parent_id,kind,name\n\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a CSV file in UTF-8"):
        read_network(folder)


def test_a_dataset_is_read_with_each_register_under_its_own_quantity(folder):
    dataset = read_dataset(folder)
    parts = {part.quantity: part for part in dataset.columns}
    measured, base = parts[Quantity.REGISTER_MEASURED_M3], parts[Quantity.REGISTER_BASE_M3]
    assert [measured.assets[c] for c in measured.column] == ["M-001"]
    assert [base.assets[c] for c in base.column] == ["V-001"]
    assert measured.value.tolist() == [5.5]
    assert measured.time.tolist() == [1_735_693_200_000_000]
    assert measured.received.tolist() == [1_735_693_202_000_000]
    assert parts[Quantity.FLAGS].value.tolist() == [8.0]
    assert parts[Quantity.PURCHASED_M3].value.tolist() == [25.5]
    gas = parts[Quantity.GAS_LEL_PCT]
    order = np.argsort(gas.time)
    assert (gas.quality[order] >> 6).tolist() == [Severity.UNCERTAIN, Severity.BAD]
    assert np.isnan(gas.value[order]).tolist() == [False, True]
    assert dataset.weather == {date(2025, 1, 1): -2.5}
    assert dataset.events[0].at == datetime(2025, 1, 2, tzinfo=UTC)
    assert (dataset.events[0].old_register_m3, dataset.events[0].new_register_m3) == (5.5, None)
    assert dataset.settings.gas_day.begins(date(2025, 1, 2)) == datetime(2025, 1, 1, 22, tzinfo=UTC)


def test_batches_name_points_and_hold_at_most_a_chunk(folder):
    registry = Registry()
    batches = list(dataset_batches(read_dataset(folder), registry, chunk=1))
    assert {len(batch) for batch in batches} == {1}
    rows = {(registry.names(batch.point)[0], float(batch.value[0])) for batch in batches if batch.good[0]}
    assert rows == {
        ("V-001/register_base_m3", 10.0),
        ("M-001/register_measured_m3", 5.5),
        ("M-001/valve", 1.0),
        ("M-001/flags", 8.0),
        ("M-001/battery_v", 3.6),
        ("M-001/balance_m3", 20.0),
        ("M-001/purchased_m3", 25.5),
        ("REG-1/pressure_gauge_kpa", 200.5),
    }


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("dataset.toml", "timezone", "time_zone", "key timezone: Field required"),
        ("dataset.toml", 'name = "tiny"', "name = tiny", "not TOML"),
        ("weather.csv", "-2.5", "cold", "weather.csv:2: column temperature_mean_c: 'cold' cannot be used"),
        ("events.csv", "2025-01-02T00:00:00Z", "soon", "events.csv:2: column time: 'soon' cannot be used"),
    ],
)
def test_a_dataset_that_does_not_fit_is_refused(folder, name, old, new, problem):
    path = folder / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_dataset(folder)
    assert problem in str(error.value)


def test_missing_or_broken_readings_are_refused(folder):
    (folder / "readings.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ConfigError, match=r"readings.parquet: .*; write the file again"):
        read_dataset(folder)
    (folder / "readings.parquet").unlink()
    with pytest.raises(ConfigError, match="no such file"):
        read_dataset(folder)
    (folder / "dataset.toml").unlink()
    with pytest.raises(ConfigError, match="is this the folder of a dataset"):
        read_dataset(folder)


def test_a_column_that_is_missing_is_named(folder):
    path = folder / "readings.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t AS SELECT * EXCLUDE (received, valve) FROM '{path}'")
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    with pytest.raises(ConfigError) as error:
        read_dataset(folder)
    assert str(error.value) == f"{path}: column received, valve is missing; write the file again with it"
