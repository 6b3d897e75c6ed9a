"""Checks a site without starting anything, and does one-off work on its data."""

from __future__ import annotations

import contextlib
import errno
import getpass
import os
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from api.services.people import change_outside, give_password_outside, save_person, unlock_outside
from gateway.config import Config
from gateway.dataset import dataset_batches, read_dataset
from gateway.errors import GatewayError, PermanentError
from gateway.model.reading import ReadingBatch
from gateway.roles.common import open_state, site_clock
from gateway.roles.revision import begin_first
from gateway.snapshot import Snapshot
from gateway.store import audit_origin, user_rows
from gateway.store.audit_origin import Origin
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry
from gateway.store.spool import FileSpool
from gateway.store.state import State
from gateway.store.user_rows import UserRow


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


async def import_dataset(config: Config, folder: Path, *, show: Console) -> int:
    """Load a dataset's readings into the store and return their number; loading again changes nothing.

    Raises ConfigError if the folder cannot be read, PermanentError if the gateway is running.
    """
    dataset = read_dataset(folder)
    state = open_state(config)
    spool = FileSpool(config.data.folder / "spool")
    registry = StateRegistry(state)
    store = DuckReadings(config.data.folder / "readings", names=registry.names)
    try:
        if spool.last_seq() > await store.loaded():
            raise PermanentError(
                "the spool holds readings that are not loaded yet: run the gateway once, then try again"
            )
        batches = list(dataset_batches(dataset, registry))
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
    """Let a person sign in; the audit trail carries the site's time.

    Raises ConfigError if name, password or role will not do.
    """
    now_us = site_clock(config).now_us()
    with _people(config) as state:
        save_person(state, name, password, role, language, now_us=now_us)


def change_person(config: Config, name: str, act: str, **values: str | bool) -> None:
    """Change what is kept of a person, which ends their sessions. Raises ConfigError if nobody has this name."""
    now_us = site_clock(config).now_us()
    with _people(config) as state:
        change_outside(state, name, act, now_us, **values)


def give_password(config: Config, name: str, password: str) -> None:
    """Give a person a new password, which ends their sessions. Raises ConfigError."""
    now_us = site_clock(config).now_us()
    with _people(config) as state:
        give_password_outside(state, name, password, now_us)


def unlock_person(config: Config, name: str) -> bool:
    """Let a person try to sign in again at once; returns False if too many failures had not locked them out.

    Raises ConfigError if nobody has this name.
    """
    now_us = site_clock(config).now_us()
    with _people(config) as state:
        return unlock_outside(state, name, now_us)


@contextlib.contextmanager
def _people(config: Config) -> Iterator[State]:
    """Open the state; what is written to the audit trail tells who of this machine's users did it."""
    state = open_state(config)
    token = audit_origin.current.set(Origin(f"command line, {_user_of_machine()}"))
    try:
        yield state
    finally:
        audit_origin.current.reset(token)
        state.close()


def _user_of_machine() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def ensure_people(config: Config, people: Sequence[tuple[str, str, str]]) -> None:
    """Let (name, password, role) sign in where they do not yet; those who exist stay as they are."""
    known = {person.name for person in list_people(config)}
    for name, password, role in people:
        if name not in known:
            add_person(config, name, password, role, "zh")


def list_people(config: Config) -> list[UserRow]:
    """Return everybody who may sign in, by name."""
    state = open_state(config)
    try:
        with state.read() as connection:
            return user_rows.list_users(connection)
    finally:
        state.close()
