"""The file that describes a live city: TOML, checked before anything is built."""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError, model_validator

from gateway.errors import ConfigError
from gateway.model.reading import to_us
from gateway.settings import ConfigPath, Settings
from gateway.toml_lines import FilePlaces
from simulators.faults import HOUR_US, Fault, FaultKind
from simulators.live.clock import FASTEST, SLOWEST
from simulators.live.places import CONTROL_PORT

MOST_ZONES, MOST_METERS = 500, 20_000
"""a live city answers each question from the whole city's state; larger ones are written as datasets"""
MOST_FAULTS = 1000
FAULT_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"

Port = Annotated[int, Field(ge=1, le=65535)]


def _whole_hour(moment: datetime) -> datetime:
    if to_us(moment) % HOUR_US:
        raise ValueError(f"{moment.isoformat()} is no whole hour; write for example 2026-01-14T21:00:00Z")
    if not datetime(1990, 1, 1, tzinfo=UTC) <= moment <= datetime(2090, 1, 1, tzinfo=UTC):
        raise ValueError("must be between 1990 and 2090")
    return moment


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError(f'"{text}" is no IPv4 address; 127.0.0.1 is this machine, 0.0.0.0 all it has') from None


class CitySettings(Settings):
    """Which city, from when on, how fast."""

    seed: Annotated[int, Field(ge=0, le=2**31)] = 1
    """the same seed gives the same city"""
    start: Annotated[AwareDatetime, AfterValidator(_whole_hour)] = datetime(2026, 1, 14, 21, tzinfo=UTC)
    """the city's moment at its first start, a whole hour"""
    history_days: Annotated[int, Field(ge=0, le=400)] = 30
    """days before it that the city has already lived"""
    speed: Annotated[float, Field(ge=SLOWEST, le=FASTEST)] = 30.0
    """city seconds in a real second at the first start; `gasgate simulate speed` changes it"""


class NetworkSettings(Settings):
    """Where the pipes come from."""

    kind: str = "streets"
    """source of the network: streets, tiles, schutterwald, files"""
    zones: Annotated[int, Field(ge=1, le=MOST_ZONES)] = 3
    """regulator zones (streets, tiles)"""
    meters_per_zone: Annotated[int, Field(ge=1, le=5000)] = 100
    """customer meters in each zone (streets, tiles)"""
    flats_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """share of the customers who live in apartment houses, each a zone of its own (streets, tiles)"""
    folder: ConfigPath | None = None
    """network folder of your own, for kind files"""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.kind in ("streets", "tiles") and self.zones * self.meters_per_zone > MOST_METERS:
            raise ValueError(
                f"{self.zones} zones with {self.meters_per_zone} meters each are more than {MOST_METERS} meters; "
                "take fewer, or write a dataset (gasgate simulate dataset --help)"
            )
        if (self.kind == "files") != (self.folder is not None):
            raise ValueError('kind "files" needs folder = "PATH", and no other kind takes one')
        return self


class CustomerSettings(Settings):
    """Who lives there."""

    mix: str = "town"
    """composition of the customers"""


class MeterSettings(Settings):
    """What remote meters send when."""

    habits: Literal["half_hourly", "prompt", "mixed", "poor"] = "mixed"
    """half_hourly: every meter every half hour; the others: see Meters and uploads in docs/simulator.md"""


class ServeSettings(Settings):
    """Where the city listens."""

    address: Annotated[str, AfterValidator(_address)] = "127.0.0.1"
    """IPv4 address of devices and broker; they know no passwords, so keep it on this machine or in a closed network"""
    modbus_port: Annotated[int, Field(ge=1, le=65000)] = 15020
    """first of a run of Modbus TCP ports, one a link"""
    broker_port: Port = 18830
    """MQTT broker of the remote meters"""
    control_port: Port = CONTROL_PORT
    """control API, on 127.0.0.1 only"""


class FaultSettings(Settings):
    """Something that is wrong from the beginning or will be."""

    id: Annotated[str, Field(pattern=FAULT_ID)]
    """name of your own"""
    kind: FaultKind
    """`gasgate simulate kinds` lists them"""
    asset: Annotated[str, Field(min_length=1, max_length=64)]
    """whom it befalls"""
    start: AwareDatetime
    """the city's moment; most kinds begin and end at whole hours"""
    end: AwareDatetime | None = None
    """without it, it lasts until somebody clears it"""
    size: float = 0.0
    """how large; the unit depends on the kind"""
    ramp_minutes: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """how long it grows"""
    position: Annotated[float, Field(ge=0, le=1)] = 0.5
    """where a leak is: 0 at the regulator, 1 at the farthest node"""
    detail: Annotated[str, Field(max_length=40)] = ""
    """what the kind wants to know besides"""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        self.fault()
        return self

    def fault(self) -> Fault:
        """Return it as the city knows it. Raises ValueError if it is none."""
        return Fault(
            self.id,
            self.kind,
            self.asset,
            to_us(self.start),
            None if self.end is None else to_us(self.end),
            self.size,
            self.ramp_minutes * 60.0,
            self.position,
            self.detail,
        )


class LiveConfig(Settings):
    """One live city."""

    folder: ConfigPath
    """where the city keeps its clock, its state and what the gateway needs to know of it"""
    city: CitySettings = CitySettings()
    network: NetworkSettings = NetworkSettings()
    customers: CustomerSettings = CustomerSettings()
    meters: MeterSettings = MeterSettings()
    serve: ServeSettings = ServeSettings()
    fault: Annotated[tuple[FaultSettings, ...], Field(max_length=MOST_FAULTS)] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [one.id for one in self.fault]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"fault: the id {doubled[0]} is used twice; give each fault its own")
        if self.serve.broker_port == self.serve.control_port:
            raise ValueError(f"serve: broker_port and control_port are both {self.serve.broker_port}")
        return self

    @property
    def history_start(self) -> datetime:
        """Begin of the city's life, from which its registers are counted."""
        return self.city.start - timedelta(days=self.city.history_days)


def load(path: Path) -> LiveConfig:
    """Read and check a file. Raises ConfigError with one line for each problem: file, line, column, key, remedy."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}; gasgate simulate init writes one"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: is not TOML: {error}"]) from error
    try:
        return LiveConfig.model_validate(data, context={"folder": path.parent})
    except ValidationError as error:
        raise ConfigError(explain(path, error.errors())) from None


def explain(path: Path, problems: Sequence[Any]) -> list[str]:
    """Return a line for each problem that pydantic found in a file."""
    places = FilePlaces([path])
    lines = []
    for problem in problems:
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            text = "is no known key; remove it or correct its spelling (docs/simulator.md lists them all)"
        elif problem["type"] == "missing":
            text = "is missing; add it"
        key = ".".join(str(part) for part in problem["loc"])
        lines.append(f"{places.of(problem['loc'])}: {key or 'configuration'}: {text}")
    return lines
