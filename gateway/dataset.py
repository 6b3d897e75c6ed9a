"""The city dataset: a network, its history, its events and its weather, read in and checked, never changed."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, Field, ValidationError, ValidationInfo, field_validator

from gateway.csv_table import Row, Table
from gateway.errors import ConfigError
from gateway.model.gasday import GasDay
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, Severity, point_id
from gateway.network_folder import read_network
from gateway.ports import PointRegistry
from gateway.settings import AbsoluteKpa, MeteringC, Settings, TimeZoneName

__all__ = ["Columns", "Dataset", "DatasetSettings", "MeterEvent", "dataset_batches", "read_dataset", "read_network"]

READING_COLUMNS = ("valve", "flags", "battery_v", "balance_m3", "purchased_m3")
"""columns of readings.parquet beside the register, each of them a quantity of that name"""


FIRST, LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""a dataset lies between these"""
Moment = Annotated[AwareDatetime, Field(ge=FIRST, le=LAST)]


class DatasetSettings(Settings):
    """`dataset.toml`."""

    name: str
    timezone: TimeZoneName
    gas_day_start: time
    start: Moment
    end: Moment
    base_temperature_c: MeteringC = 20.0
    base_pressure_kpa: AbsoluteKpa = 101.325
    customer_pressure_kpa: AbsoluteKpa = 101.325

    @field_validator("end")
    @classmethod
    def _in_order(cls, end: datetime, info: ValidationInfo) -> datetime:
        if "start" in info.data and end <= info.data["start"]:
            raise ValueError("must be later than start")
        return end

    @property
    def gas_day(self) -> GasDay:
        """The gas day of this dataset."""
        return GasDay(self.timezone, self.gas_day_start)


EVENTS = ("exchange", "account_opened", "account_closed")


@dataclass(frozen=True, slots=True)
class MeterEvent:
    """Something the company knows it did to a meter; the registers are None unless written down."""

    meter_id: str
    at: datetime
    event: str
    """one of EVENTS"""
    old_register_m3: float | None = None
    new_register_m3: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Values of one quantity of a dataset, in no particular order; all arrays have one length."""

    quantity: Quantity
    assets: tuple[str, ...]
    column: NDArray[np.int32]
    """index into `assets`"""
    time: NDArray[np.int64]
    """device clock, us UTC"""
    received: NDArray[np.int64]
    """us UTC"""
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A city dataset in memory."""

    settings: DatasetSettings
    network: Network
    columns: tuple[Columns, ...]
    events: tuple[MeterEvent, ...]
    weather: Mapping[date, float]
    """mean air temperature of each local date, C"""


def read_dataset(folder: Path, quantities: Collection[Quantity] = tuple(Quantity)) -> Dataset:
    """Read a dataset, all of it or some quantities; its truth is never opened.

    Raises ConfigError if a file is missing or does not fit.
    """
    settings = read_settings(folder)
    network = read_network(folder)
    problems: list[str] = []
    events = read_events(folder, problems)
    weather = read_weather(folder, problems)
    if problems:
        raise ConfigError(problems)
    columns = (
        *_meter_columns(folder / "readings.parquet", network, quantities),
        *_point_columns(folder, network, quantities),
    )
    return Dataset(settings, network, columns, events, weather)


def read_settings(folder: Path) -> DatasetSettings:
    """Read `dataset.toml`. Raises ConfigError."""
    path = folder / "dataset.toml"
    try:
        return DatasetSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError([f"{path}: cannot read: {error.strerror}; is this the folder of a dataset?"]) from error
    except ValidationError as error:
        wrong = [f"{path}: key {'.'.join(map(str, e['loc']))}: {e['msg']}; correct it" for e in error.errors()]
        raise ConfigError(wrong) from error
    except ValueError as error:
        raise ConfigError([f"{path}: not TOML in UTF-8: {error}; correct it"]) from error


def read_events(folder: Path, problems: list[str]) -> tuple[MeterEvent, ...]:
    """Read `events.csv`, empty if it is missing; what cannot be read is added to `problems`."""
    table = Table(folder / "events.csv", problems)
    if not table.path.exists():
        return ()
    return tuple(
        MeterEvent(
            row.text("meter_id"),
            row.moment("time"),
            _event(row),
            row.optional("old_register_m3"),
            row.optional("new_register_m3"),
        )
        for row in table.rows(("meter_id", "time", "event"))
    )


def _event(row: Row) -> str:
    name = row.text("event")
    if name not in EVENTS:
        row.problem("event", f"{name!r} is unknown; use one of {', '.join(EVENTS)}")
    return name


def read_weather(folder: Path, problems: list[str]) -> dict[date, float]:
    """Read `weather.csv`, empty if it is missing; what cannot be read is added to `problems`."""
    table = Table(folder / "weather.csv", problems)
    if not table.path.exists():
        return {}
    return {row.day("date"): row.number("temperature_mean_c") for row in table.rows(("date", "temperature_mean_c"))}


def dataset_batches(dataset: Dataset, registry: PointRegistry, *, chunk: int = 200_000) -> Iterator[ReadingBatch]:
    """Yield the dataset as batches of at most `chunk` rows, for the import of a history."""
    for part in dataset.columns:
        index = registry.indices([point_id(asset, part.quantity) for asset in part.assets])
        for at in range(0, len(part.time), chunk):
            rows = slice(at, at + chunk)
            yield ReadingBatch(
                index[part.column[rows]], part.time[rows], part.received[rows], part.value[rows], part.quality[rows]
            )


def _meter_columns(path: Path, network: Network, quantities: Collection[Quantity]) -> Iterator[Columns]:
    """Yield the registers, then what else the meters sent; rows of unknown meters are left out."""
    if not path.exists():
        raise ConfigError([f"{path}: cannot read: no such file; put the file there"])
    besides = [name for name in READING_COLUMNS if Quantity(name) in quantities]
    assets, table = _fetch(path, "meter_id", ("register_m3", *besides), list(network.meters))
    base = np.array([network.meters[name].register is Quantity.REGISTER_BASE_M3 for name in assets], dtype=np.bool_)
    is_base = base[table["asset"]]
    yield _part(Quantity.REGISTER_MEASURED_M3, assets, table, "register_m3", ~is_base)
    yield _part(Quantity.REGISTER_BASE_M3, assets, table, "register_m3", is_base)
    for name in besides:
        yield _part(Quantity(name), assets, table, name, np.isfinite(table[name]))
        del table[name]


def _point_columns(folder: Path, network: Network, wanted: Collection[Quantity]) -> Iterator[Columns]:
    path = folder / "points.parquet"
    if not path.exists():
        return
    points = [point for point in network.points.values() if point.quantity in wanted]
    names = {written: point for point in points for written in (point.asset, point.point_id)}
    written, table = _fetch(path, "point_id", ("value", "quality"), list(names))
    quantities = [names[name].quantity for name in written]
    assets = tuple(names[name].asset for name in written)
    for quantity in dict.fromkeys(quantities):
        of_quantity = np.array([other is quantity for other in quantities], dtype=np.bool_)
        yield _part(quantity, assets, table, "value", of_quantity[table["asset"]])


def _fetch(
    path: Path, key: str, columns: tuple[str, ...], known: list[str]
) -> tuple[tuple[str, ...], dict[str, NDArray[Any]]]:
    """Return the assets that occur and the columns of a parquet file, `asset` being an index into them."""
    try:
        with duckdb.connect() as connection:
            connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
            connection.execute(f"CREATE VIEW source AS SELECT * FROM read_parquet({_quoted(path)})")  # noqa: S608 - quoted
            held = {row[0] for row in connection.execute("DESCRIBE source").fetchall()}
            missing = [name for name in (key, "time", "received", *columns) if name not in held]
            if missing:
                raise ConfigError([f"{path}: column {', '.join(missing)} is missing; write the file again with it"])
            return _fetched(connection, key, columns, known)
    except duckdb.Error as error:
        raise ConfigError([f"{path}: {str(error).splitlines()[0]}; write the file again"]) from error


def _fetched(
    connection: duckdb.DuckDBPyConnection, key: str, columns: tuple[str, ...], known: list[str]
) -> tuple[tuple[str, ...], dict[str, NDArray[Any]]]:
    connection.execute("CREATE TABLE known AS SELECT unnest(?::VARCHAR[]) AS name", [known])
    found = connection.execute(
        f"SELECT DISTINCT name FROM known JOIN source ON name = {key} ORDER BY name",  # noqa: S608 - own names
    ).fetchall()
    assets = tuple(row[0] for row in found)
    connection.execute("CREATE TABLE asset AS SELECT unnest(?::VARCHAR[]) AS name", [list(assets)])
    select = ", ".join(f"{name}::DOUBLE AS {name}" for name in columns)
    table = connection.execute(
        f"SELECT asset.rowid::INTEGER AS asset, epoch_us(time) AS time, epoch_us(received) AS received, {select} "  # noqa: S608
        f"FROM source JOIN asset ON asset.name = source.{key} WHERE time IS NOT NULL AND received IS NOT NULL",
    ).fetchnumpy()
    return assets, {name: _plain(column) for name, column in table.items()}


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _plain(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column with NaN where the file holds null."""
    return (
        column.filled(np.nan)
        if isinstance(column, np.ma.MaskedArray) and column.dtype.kind == "f"
        else np.asarray(column)
    )


def _part(
    quantity: Quantity, assets: tuple[str, ...], table: Mapping[str, NDArray[Any]], name: str, rows: NDArray[np.bool_]
) -> Columns:
    value = table[name][rows]
    grade = table["quality"][rows] if "quality" in table else np.zeros(len(value))
    bad = ~np.isfinite(value) | (grade >= Severity.BAD)
    severity = np.where(bad, int(Severity.BAD), np.nan_to_num(grade))
    return Columns(
        quantity=quantity,
        assets=assets,
        column=table["asset"][rows].astype(np.int32),
        time=table["time"][rows].astype(np.int64),
        received=table["received"][rows].astype(np.int64),
        value=np.where(bad, np.nan, value),
        quality=(severity.astype(np.uint8) << 6).astype(np.uint8),
    )
