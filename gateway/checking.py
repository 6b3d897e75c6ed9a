"""`gasgate check`: what would keep a site from running, and what should be changed. Opens no socket, writes nothing."""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from alarms import TICKET_SINKS
from alarms.definitions import load_definitions
from collectors import COLLECTORS
from collectors.modbus import load_of
from collectors.modbus_config import ModbusConfig
from collectors.modbus_link import unusable_certificates
from collectors.mqtt_config import MqttConfig, broker_address
from collectors.tls_files import tls_context
from gateway.certificates import good_until
from gateway.config import Config
from gateway.doubles import doubled, doubled_but_usable
from gateway.errors import ConfigError
from gateway.model.file_problem import ERROR, WARNING, FileProblem
from gateway.roles.common import calendar_of, promises_of, site_clock, site_network
from gateway.runtime.clock import SystemClock
from gateway.settings import Secret
from gateway.snapshot import Snapshot, stamps, take_snapshot
from gateway.store.influx import warnings_of
from gateway.store.outputs import OUTPUTS
from gateway.store.registry import MemoryRegistry
from gateway.toml_lines import FilePlaces, Location
from gateway.volume import volume_warnings

EXPIRES_SOON = timedelta(days=30)
_OTHERS = stat.S_IROTH | stat.S_IWOTH
_PLACED = re.compile(
    r"(?P<file>[^\n]+?):(?P<line>\d+)(?::(?P<column>\d+))?: (?:(?P<key>column \w+|[\w.]+): )?(?P<text>.*)", re.DOTALL
)
_CELL = re.compile(r"column (\w+)")


def check_file(path: Path) -> list[FileProblem]:
    """Check a configuration file with everything that it names."""
    try:
        return examine(take_snapshot(path))
    except ConfigError as error:
        return _sorted([_placed(ERROR, problem) for problem in error.problems])


def examine(taken: Snapshot) -> list[FileProblem]:
    """Check a configuration that could be read: errors first, then warnings."""
    config = taken.config
    network_problems: list[str] = []
    errors = _once(_errors(config, network_problems))
    warnings = _once(_warnings(config))
    if not (errors or warnings or network_problems):
        return []
    places = FilePlaces(taken.files)
    starts = dict(_starts(config))
    return _sorted(
        [
            *(_placed(ERROR, problem) for problem in network_problems),
            *(_located(ERROR, problem, places, starts) for problem in errors),
            *(_located(WARNING, problem, places, starts) for problem in warnings),
        ]
    )


def errors_of(findings: Sequence[FileProblem]) -> list[str]:
    """Return what must be corrected, for people."""
    return [str(one) for one in findings if one.fatal]


def warnings_in(findings: Sequence[FileProblem]) -> list[str]:
    """Return what should be changed, for people."""
    return [str(one) for one in findings if not one.fatal]


_Problem = tuple[str, Location]
"""text, and where it stands; no place if the text begins with one or with the name of a table's entry"""


def _errors(config: Config, network_problems: list[str]) -> Iterator[_Problem]:
    found: list[_Problem] = []
    with _collecting(found):
        load_definitions()
    with _collecting(found, ("clock", "file")):
        site_clock(config)
    for where, location, secret in _secrets(config):
        with _collecting(found, location, where):
            secret.read()
    for source in config.source:
        if isinstance(source, MqttConfig) and broker_address(source.url)[2]:
            with _collecting(found):
                tls_context(source)
        if isinstance(source, ModbusConfig):
            found += [(problem, ()) for problem in unusable_certificates(source)]
    found += doubled(config)
    try:
        network = site_network(config, keep=config.data.folder.is_dir())
    except ConfigError as error:
        network_problems += error.problems
    else:
        registry = MemoryRegistry()
        for source in config.source:
            with _collecting(found, (), f"source {source.name}"):
                COLLECTORS[source.kind](source, registry, network, SystemClock())
        for output in config.output:
            with _collecting(found, (), f"output {output.name}"):
                OUTPUTS[output.kind](output, registry.names, network)
    with _collecting(found, ("service", "promises")):
        promises_of(config)
    with _collecting(found, ("service", "calendar")):
        calendar_of(config)
    for sink in config.ticket_sink:
        with _collecting(found, (), f"ticket_sink {sink.name}"):
            TICKET_SINKS[sink.kind](sink, SystemClock())
    yield from found


def _warnings(config: Config) -> Iterator[_Problem]:
    for where, location, file in _guarded_files(config):
        if file.is_file() and file.stat().st_mode & _OTHERS:
            yield (
                f"{where}: {file}: every user of this machine may read the secret or change it; chmod o-rw it",
                location,
            )
    yield from doubled_but_usable(config)
    for output in config.output:
        yield from ((f"output {output.name}: {text}", ()) for text in warnings_of(output))
    for source in config.source:
        if isinstance(source, ModbusConfig):
            yield from ((text, ()) for text in load_of(source))
    now = datetime.now(UTC)
    for where, location, file in _certificates(config):
        until = good_until(file)
        if until is not None and until - now < EXPIRES_SOON:
            word = "expired" if until < now else "expires"
            yield f"{where}: {file}: {word} on {until:%Y-%m-%d}; put a new certificate there", location
    yield from volume_warnings(config, _free_bytes(config.data.folder))


def _once(problems: Iterator[_Problem]) -> list[_Problem]:
    """Leave out what was found in two ways; what knows its place better is found first."""
    found: dict[str, Location] = {}
    for text, location in problems:
        found.setdefault(text, location)
    return list(found.items())


def _free_bytes(folder: Path) -> int:
    """Return the room where a folder is, or will be made."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    return shutil.disk_usage(there).free


def _entries(config: Config) -> Iterator[tuple[str, Location, Any]]:
    for table in ("source", "output", "ticket_sink"):
        for number, entry in enumerate(getattr(config, table)):
            yield f"{table} {entry.name}", (table, number), entry


def _secrets(config: Config) -> Iterator[tuple[str, Location, Secret]]:
    for where, location, entry in _entries(config):
        for name, value in entry:
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(one, Secret):
                    yield where, (*location, name), one
    if config.accounts.oidc is not None:
        yield "accounts.oidc", ("accounts", "oidc", "client_secret"), config.accounts.oidc.client_secret


def _guarded_files(config: Config) -> Iterator[tuple[str, Location, Path]]:
    """Yield the files that nobody else may read: secrets, and keys of certificates."""
    for where, location, secret in _secrets(config):
        if secret.file is not None:
            yield where, location, secret.file
    for where, location, table in _tables(config):
        key = getattr(table, "key", None)
        if isinstance(key, Path):
            yield where, (*location, "key"), key


def _certificates(config: Config) -> Iterator[tuple[str, Location, Path]]:
    for where, location, table in _tables(config):
        for name in ("ca", "certificate", "ca_file"):
            file = getattr(table, name, None)
            if isinstance(file, Path):
                yield where, (*location, name), file
    if config.accounts.oidc is not None and config.accounts.oidc.ca_file is not None:
        yield "accounts.oidc", ("accounts", "oidc", "ca_file"), config.accounts.oidc.ca_file


def _tables(config: Config) -> Iterator[tuple[str, Location, BaseModel]]:
    """Yield every entry of a list, and the links of the Modbus sources."""
    for where, location, entry in _entries(config):
        yield where, location, entry
        for number, link in enumerate(entry.links if isinstance(entry, ModbusConfig) else ()):
            yield f"{where}, link {link.name}", (*location, "link", number), link


def _starts(config: Config) -> Iterator[tuple[str, Location]]:
    """Yield how problems call the entries of the configuration, and where these stand."""
    for where, location, entry in _entries(config):
        yield where, location
        for number, link in enumerate(entry.links if isinstance(entry, ModbusConfig) else ()):
            yield f"{where}, link {link.name}", (*location, "link", number)
            for place, unit in enumerate(link.units):
                yield f"{where}, link {link.name}, unit {unit.unit}", (*location, "link", number, "unit", place)


@contextmanager
def _collecting(found: list[_Problem], location: Location = (), where: str = "") -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        found += [
            (f"{where}: {problem}" if where and not problem.startswith(where) else problem, location)
            for problem in error.problems
        ]


def _located(level: str, problem: _Problem, places: FilePlaces, starts: dict[str, Location]) -> FileProblem:
    """Return a problem with its place: the one given, or that of the entry which its text names first."""
    text, location = problem
    if not location:
        said = text
        while said and not location:
            said = said.rpartition(": ")[0]
            location = starts.get(said, ())
    if not location:
        return _placed(level, text)
    file, line, column = places.of(location).rsplit(":", 2)
    return FileProblem(level, file, int(line), int(column), ".".join(map(str, location)), text)


def _placed(level: str, problem: str) -> FileProblem:
    """Take a problem apart that says itself where it stands."""
    found = _PLACED.fullmatch(problem)
    if found is None:
        file, colon, text = problem.partition(": ")
        is_file = colon and "/" in file and " " not in file
        return FileProblem(level, file if is_file else "", 0, 0, "", text if is_file else problem)
    line, key = int(found["line"]), found["key"] or ""
    cell = _CELL.fullmatch(key)
    column = int(found["column"] or 0) or (1 if cell is None else _csv_column(Path(found["file"]), line, cell[1]))
    return FileProblem(level, found["file"], line, column, key, found["text"])


def _csv_column(file: Path, number: int, name: str) -> int:
    """Return the column of the line at which a cell begins; 1 where that cannot be told."""
    lines = _csv_lines(file, stamps([file]))
    header = lines[0].split(",") if lines else []
    line = lines[number - 1] if number <= len(lines) else ""
    if name not in header or '"' in line:
        return 1
    return sum(len(cell) + 1 for cell in line.split(",")[: header.index(name)]) + 1


@lru_cache(maxsize=8)
def _csv_lines(file: Path, _stamps: object) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _sorted(findings: Sequence[FileProblem]) -> list[FileProblem]:
    return sorted(findings, key=lambda one: (not one.fatal, one.file, one.line, one.column))
