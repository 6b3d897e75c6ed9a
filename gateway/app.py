"""Checks a site without starting anything, and does one-off work on its data."""

from __future__ import annotations

import errno
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from alarms import TICKET_SINKS
from alarms.definitions import load_definitions
from api.auth import add_user
from collectors import COLLECTORS
from collectors.modbus import load_of
from collectors.modbus_config import ModbusConfig
from collectors.modbus_link import unusable_certificates
from collectors.mqtt import tls_context
from collectors.mqtt_config import MqttConfig, broker_address
from gateway.config import Config
from gateway.dataset import dataset_batches, read_dataset
from gateway.errors import ConfigError, GatewayError, PermanentError
from gateway.model.reading import ReadingBatch
from gateway.roles.common import open_state, site_clock, site_network
from gateway.roles.revision import begin_first
from gateway.runtime.clock import SystemClock
from gateway.settings import Secret
from gateway.snapshot import Snapshot
from gateway.store import user_rows
from gateway.store.influx import warnings_of
from gateway.store.outputs import OUTPUTS
from gateway.store.readings import DuckReadings
from gateway.store.registry import MemoryRegistry, StateRegistry
from gateway.store.spool import FileSpool


def check(config: Config) -> list[str]:
    """Return every problem that would keep the site from running; opens no socket and writes nothing."""
    problems: list[str] = []
    with _collecting(problems):
        load_definitions()
    with _collecting(problems):
        site_clock(config)
    for where, secret in _secrets(config):
        with _collecting(problems, where):
            secret.read()
    for source in config.source:
        if isinstance(source, MqttConfig) and broker_address(source.url)[2]:
            with _collecting(problems):
                tls_context(source)
        if isinstance(source, ModbusConfig):
            problems += unusable_certificates(source)
    with _collecting(problems):
        network = site_network(config, keep=config.data.folder.is_dir())
        registry = MemoryRegistry()
        for source in config.source:
            with _collecting(problems, f"source {source.name}"):
                COLLECTORS[source.kind](source, registry, network, SystemClock())
        for output in config.output:
            with _collecting(problems, f"output {output.name}"):
                OUTPUTS[output.kind](output, registry.names, network)
    for sink in config.ticket_sink:
        with _collecting(problems, f"ticket_sink {sink.name}"):
            TICKET_SINKS[sink.kind](sink, SystemClock())
    return list(dict.fromkeys(problems))


def warnings(config: Config) -> list[str]:
    """Return what does not keep the site from running but should be changed."""
    readable = [
        f"{where}: {secret.file}: every user of this machine may read the secret; chmod o-r it"
        for where, secret in _secrets(config)
        if secret.file is not None and secret.file.is_file() and secret.file.stat().st_mode & stat.S_IROTH
    ]
    streams = [f"output {one.name}: {text}" for one in config.output for text in warnings_of(one)]
    loads = [text for one in config.source if isinstance(one, ModbusConfig) for text in load_of(one)]
    return readable + streams + loads


def _secrets(config: Config) -> Iterator[tuple[str, Secret]]:
    for table in ("source", "output", "ticket_sink"):
        for entry in getattr(config, table):
            for _, value in entry:
                for one in value if isinstance(value, tuple) else (value,):
                    if isinstance(one, Secret):
                        yield f"{table} {entry.name}", one


def begin(taken: Snapshot) -> None:
    """Make a configuration the one that the roles are to run, at the start of a gateway."""
    state = open_state(taken.config)
    try:
        begin_first(state, taken, "start")
    finally:
        state.close()


def wait_for_ports(addresses: Sequence[str], *, patience_s: float = 10.0) -> None:
    """Return when all `HOST:PORT` are free: a gateway that was killed needs a moment to let go of them.

    Raises GatewayError naming the one that cannot be had.
    """
    end = time.monotonic() + patience_s
    for address in addresses:
        while problem := _cannot_listen(address):
            if problem.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise GatewayError(
                    f"cannot listen on {address}: {problem.strerror}; is the gateway running already? "
                    "Else give keep.listen and web.listen free addresses of this machine"
                )
            time.sleep(0.2)


def _cannot_listen(address: str) -> OSError | None:
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
    except OSError as error:
        return error
    return None


@contextmanager
def _collecting(problems: list[str], where: str = "") -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        problems += [f"{where}: {problem}" if where else problem for problem in error.problems]


async def import_dataset(config: Config, folder: Path, *, show: Console) -> int:
    """Load a dataset's readings into the store and return their number; loading again changes nothing.

    Raises ConfigError if the folder cannot be read, PermanentError if the gateway is running.
    """
    dataset = read_dataset(folder)
    state = open_state(config)
    spool = FileSpool(config.data.folder / "spool")
    store = DuckReadings(config.data.folder / "readings")
    try:
        if spool.last_seq() > await store.loaded():
            raise PermanentError(
                "the spool holds readings that are not loaded yet: run the gateway once, then try again"
            )
        batches = list(dataset_batches(dataset, StateRegistry(state)))
        with Progress(console=show, transient=True) as progress:
            task = progress.add_task("readings", total=sum(map(len, batches)) or 1)
            stored = await store.bulk(ReadingBatch.concat(batches))
            progress.update(task, completed=sum(map(len, batches)))
        await store.checkpoint()
        spool.advance_to(await store.highest_seq())
        return stored.stored
    finally:
        await store.close()
        spool.close()
        state.close()


def add_person(config: Config, name: str, password: str, role: str, language: str) -> None:
    """Let a person sign in. Raises ConfigError if name, password or role will not do."""
    state = open_state(config)
    try:
        add_user(state, name, password, role, language)
    finally:
        state.close()


def ensure_people(config: Config, people: Sequence[tuple[str, str, str]]) -> None:
    """Let (name, password, role) sign in where they do not yet; those who exist stay as they are."""
    known = {name for name, _, _ in list_people(config)}
    for name, password, role in people:
        if name not in known:
            add_person(config, name, password, role, "zh")


def list_people(config: Config) -> list[tuple[str, str, bool]]:
    """Return (name, role, disabled) of everybody who may sign in."""
    state = open_state(config)
    try:
        with state.read() as connection:
            return [(user.name, user.role, user.disabled) for user in user_rows.list_users(connection)]
    finally:
        state.close()
