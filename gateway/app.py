"""Checks a site without starting anything, and does one-off work on its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from alarms import TICKET_SINKS
from alarms.definitions import load_definitions
from api.auth import add_user
from collectors import COLLECTORS
from gateway.config import Config
from gateway.dataset import dataset_batches, read_dataset
from gateway.errors import ConfigError, PermanentError
from gateway.model.reading import ReadingBatch
from gateway.roles.common import open_state, site_network
from gateway.runtime.clock import SystemClock
from gateway.store import user_rows
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
        network = site_network(config)
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
            for secret in sink.secrets:
                secret.read()
    return problems


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
