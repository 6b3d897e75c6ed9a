"""The whole configuration: one TOML file and those it includes, checked before anything starts."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias, Union

from pydantic import AfterValidator, Field, ValidationError, model_validator

from alarms import TICKET_SINKS
from api.account_config import AccountsConfig
from api.page_config import PagesConfig
from collectors import COLLECTORS
from gateway.errors import ConfigError
from gateway.model.gasday import GasDay
from gateway.settings import AbsoluteKpa, ConfigPath, MeteringC, Settings, TimeZoneName
from gateway.store.outputs import OUTPUTS
from gateway.toml_lines import FilePlaces


def _one_of(registry: Mapping[str, Any]) -> Any:
    kinds = tuple(kind.Config for kind in registry.values())
    return kinds[0] if len(kinds) == 1 else Annotated[Union[kinds], Field(discriminator="kind")]  # noqa: UP007


if TYPE_CHECKING:
    SourceConfig: TypeAlias = Any
    OutputConfig: TypeAlias = Any
    TicketSinkConfig: TypeAlias = Any
else:
    SourceConfig = _one_of(COLLECTORS)
    OutputConfig = _one_of(OUTPUTS)
    TicketSinkConfig = _one_of(TICKET_SINKS)


def _listen(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError('must be "HOST:PORT", for example "127.0.0.1:8080"')
    return address


def _web_address(address: str) -> str:
    if address and (not address.startswith(("http://", "https://")) or any(sign in address for sign in " ?#")):
        raise ValueError('must be like "https://gas.example.com"')
    return address


def _proxy(address: str) -> str:
    """Return an address or a network; a name, or "*", would let everybody say where they come from."""
    try:
        ipaddress.ip_network(address)
    except ValueError:
        raise ValueError('must be an address such as "192.0.2.10" or a network such as "192.0.2.0/28"') from None
    return address


Listen = Annotated[str, AfterValidator(_listen)]


class SiteConfig(Settings):
    """The company's site and its figures."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,20}$")]
    """short name; part of every ticket's key, never change it"""
    name: str = "gasgate"
    """name that people see"""
    desk: str = ""
    """name of the control room that crews call back; goes out with each ticket"""
    phone: Annotated[str, Field(max_length=40)] = ""
    """telephone number of the control room; goes out with each ticket"""
    time_server: Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+(:[0-9]{1,5})?)?$", max_length=200)] = ""
    """NTP server, HOST or HOST:PORT, that the machine's clock is held against; empty = the clock is not judged"""
    timezone: TimeZoneName = "Asia/Shanghai"
    """IANA time zone of the gas day and of all pages"""
    gas_day_start: time = time(6)
    """local time at which the gas day begins"""
    base_temperature_c: MeteringC = 20.0
    """temperature of base volume"""
    base_pressure_kpa: AbsoluteKpa = 101.325
    """absolute pressure of base volume"""
    customer_pressure_kpa: AbsoluteKpa = 103.4
    """mean absolute gas pressure at customer meters"""

    @property
    def gas_day(self) -> GasDay:
        """The gas day of this site."""
        return GasDay(self.timezone, self.gas_day_start)


class ClockConfig(Settings):
    """A simulated city's clock; leave the table out in production."""

    file: ConfigPath
    """file in which the simulator says what time it is"""


class DataConfig(Settings):
    """Where gasgate keeps everything."""

    folder: ConfigPath
    """folder of spool, readings and state; made if missing"""
    epoch: Annotated[int, Field(ge=1)] = 1
    """raise by one when the folder was put back by hand, so that no ticket key is used twice; restoring needs none"""
    state_copies: Annotated[int, Field(ge=1, le=1000)] = 12
    """how many of the hourly copies of the state database are kept; a damaged one is restored from the newest"""
    state_reserve_mib: Annotated[int, Field(ge=0, le=65536)] = 256
    """room on the disk that is held for alarms and tickets when all else is full; 0 = none"""


class NetworkConfig(Settings):
    """The company's description of its network."""

    folder: ConfigPath
    """folder with zones.csv, meters.csv, points.csv, stations.csv and, if there is one, network.geojson"""


class KeepConfig(Settings):
    """The role that collects and keeps readings."""

    listen: Listen = "127.0.0.1:8801"
    """address of the internal store service; the other roles connect to it with a token"""
    spool_cap_gib: Annotated[float, Field(gt=0)] = 8.0
    """how much of the spool is kept as repair stock after it was loaded"""
    store_memory_mib: Annotated[int, Field(ge=64)] = 512
    """memory that the readings store may fill with what it has read, so that it need not read it again"""
    meter_days: Annotated[int, Field(ge=32)] = 3660
    """days for which registers, balances, valves, gas concentrations and flags (classes A and B) are kept"""
    network_raw_days: Annotated[int, Field(ge=2)] = 30
    """days for which every pressure, flow, temperature, battery and signal (classes C and D) is kept"""
    network_days: Annotated[int, Field(ge=2)] = 3660
    """days for which of those the lowest, the highest and the last of each minute are kept"""


class WebConfig(Settings):
    """The role that serves pages and API."""

    listen: Listen = "127.0.0.1:8080"
    """address of pages and API; put a TLS proxy in front of any other than loopback"""
    public_url: Annotated[str, AfterValidator(_web_address)] = ""
    """address under which people open the pages, e.g. "https://gas.example.com"; links in tickets begin with it"""
    proxies: Annotated[tuple[Annotated[str, AfterValidator(_proxy)], ...], Field(max_length=20)] = ("127.0.0.1", "::1")
    """addresses of the TLS proxies in front, which are believed when they name the address of a browser"""
    note_file: ConfigPath | None = None
    """JSON list of notes shown on the control room, written by a simulator"""


class AnalyseConfig(Settings):
    """The role that computes loss and findings."""

    lookback_days: Annotated[int, Field(ge=7, le=400)] = 60
    """gas days of history that a pass sees"""
    settle_minutes: Annotated[float, Field(ge=0, le=2880)] = 20
    """how long after the end of a gas day its first pass waits for readings"""
    audit_days: Annotated[int, Field(ge=7, le=400)] = 35
    """gas days whose readings are audited again at each pass; readings that come later change no interval"""
    processes: Annotated[int, Field(ge=0, le=256)] = 0
    """processes that judge the parts of a city of more than 5,000 customers side by side, each up to 2 GB; 0 = cores"""


class ServiceConfig(Settings):
    """What customers are promised."""

    promises: ConfigPath | None = None
    """TOML file with the clocks of tickets, instead of those that gasgate brings; a copy of them is where to begin"""
    calendar: ConfigPath | None = None
    """CSV file (date, working, name) of days that are worked, or not, other than the official list says"""
    checks_a_day: Annotated[int, Field(ge=0, le=1000)] = 0
    """findings that become CHECK tickets by themselves, a district and working day; 0 = a person releases each"""


class Config(Settings):
    """One site."""

    site: SiteConfig
    data: DataConfig
    network: NetworkConfig
    clock: ClockConfig | None = None
    keep: KeepConfig = KeepConfig()
    web: WebConfig = WebConfig()
    pages: PagesConfig = PagesConfig()
    analyse: AnalyseConfig = AnalyseConfig()
    service: ServiceConfig = ServiceConfig()
    accounts: AccountsConfig = AccountsConfig()
    source: tuple[SourceConfig, ...] = ()
    output: tuple[OutputConfig, ...] = ()
    ticket_sink: tuple[TicketSinkConfig, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        for table in ("source", "output", "ticket_sink"):
            names = [entry.name for entry in getattr(self, table)]
            if doubled := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{table}: the name {doubled[0]} is used twice; every {table} needs its own")
        if self.accounts.oidc is not None and not self.web.public_url:
            raise ValueError(
                "accounts.oidc needs web.public_url: the address to which the identity provider sends people back"
            )
        if self.keep.listen == self.web.listen:
            raise ValueError(f"keep.listen and web.listen are both {self.web.listen}; give each its own port")
        return self


def load(path: Path) -> Config:
    """Read and check a configuration file; looks at no network and no device.

    Raises ConfigError with one line per problem: file, line, column, key, what is wrong, what is allowed.
    """
    return load_files(path)[0]


def load_files(path: Path) -> tuple[Config, dict[Path, str]]:
    """Return a configuration as `load` does, and the SHA-256 of each file that it stands in. Raises ConfigError."""
    merged, digest = _read(path)
    files = {path: digest}
    for included in _included(path, merged.pop("include", [])):
        content, files[included] = _read(included)
        _merge(path, merged, included, content)
    try:
        return Config.model_validate(merged, context={"folder": path.parent}), files
    except ValidationError as error:
        places = FilePlaces(list(files))
        raise ConfigError([_explain(problem, places) for problem in _causes(error.errors())]) from None


def _read(path: Path) -> tuple[dict[str, Any], str]:
    try:
        content = path.read_bytes()
        return tomllib.loads(content.decode("utf-8")), hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{_toml_place(path, str(error))}: is not TOML: {error}"]) from error


def _toml_place(path: Path, error: str) -> str:
    found = re.search(r"at line (\d+), column (\d+)", error)
    return str(path) if found is None else f"{path}:{found[1]}:{found[2]}"


def _included(path: Path, patterns: object) -> Iterable[Path]:
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ConfigError([f'{path}: include: must be a list of file patterns, for example ["sources/*.toml"]'])
    for pattern in patterns:
        try:
            found = sorted(one for one in path.parent.glob(pattern) if not one.samefile(path))
        except (NotImplementedError, ValueError):
            raise ConfigError([f"{path}: include: {pattern!r} is no pattern of files beside it"]) from None
        if not found and "*" not in pattern:
            raise ConfigError([f"{path}: include: there is no file {pattern} beside it"])
        yield from found


def _merge(main: Path, merged: dict[str, Any], file: Path, content: dict[str, Any]) -> None:
    for key, value in content.items():
        if isinstance(value, list) and isinstance(merged.get(key, []), list):
            merged.setdefault(key, []).extend(value)
        elif key in merged:
            raise ConfigError([f"{file}: {key}: stands in {main} already; only lists may be spread over files"])
        else:
            merged[key] = value


def _causes(problems: Sequence[Any]) -> Iterator[Any]:
    """Leave out "too few" of a list that is short only because its entries are wrong."""
    places = [problem["loc"] for problem in problems]
    for problem in problems:
        inside = [loc for loc in places if loc != problem["loc"] and loc[: len(problem["loc"])] == problem["loc"]]
        if problem["type"] != "too_short" or not inside:
            yield problem


def _explain(problem: Any, places: FilePlaces) -> str:
    text = problem["msg"].removeprefix("Value error, ")
    match problem["type"]:
        case "extra_forbidden":
            text = "is no known key; remove it or correct its spelling (gasgate check --keys lists them all)"
        case "missing":
            text = "is missing; add it"
        case "union_tag_invalid":
            text = f'kind is "{problem["ctx"]["tag"]}"; allowed: {problem["ctx"]["expected_tags"]}'
        case "union_tag_not_found":
            text = "kind is missing; it says which of the kinds this table is"
    key = ".".join(str(part) for part in problem["loc"])
    return f"{places.of(problem['loc'])}: {key or 'configuration'}: {text}"
