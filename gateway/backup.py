"""`gasgate backup` and `gasgate restore`: state and final intervals, while the gateway runs or after it was lost."""

from __future__ import annotations

import shutil
from pathlib import Path

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.store.durable import make_durable, make_private
from gateway.store.interval_copy import copy_intervals
from gateway.store.ownership import alone
from gateway.store.state_check import problem_of
from gateway.store.state_copies import NAME, Restoration, copy_into, restore_from


def back_up(config: Config, out: Path) -> tuple[int, int]:
    """Write state and intervals of a site into a folder that is empty or not there yet; return bytes and files.

    The gateway may be running. The state is one consistent view and is checked. Readings are not in it: the spool
    and the sealed files of the store are copied as files, or exported. Raises GatewayError.
    """
    if out.exists() and any(out.iterdir()):
        raise GatewayError(f"{out} is not empty: name a folder that is not there yet")
    if not (config.data.folder / NAME).is_file():
        raise GatewayError(f"{config.data.folder} holds no state database")
    make_private(out)
    # intervals first: whatever they name, the state that is copied after them knows too
    files = copy_intervals(config.data.folder / "intervals", out / "intervals")
    copy_into(config.data.folder, out / NAME)
    make_durable(out)
    every = [file for file in out.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in every), files + 1


def put_back(config: Config, source: Path) -> Restoration:
    """Put a backup in the place of a site's state, and add the intervals that the site does not have.

    What stood there is set aside. No ticket key that was used since the backup is used again. Raises GatewayError if
    the gateway runs or the backup is not whole; then nothing was changed.
    """
    problem = problem_of(source / NAME) if (source / NAME).is_file() else "there is no file"
    if problem:
        raise GatewayError(f"{source / NAME} is no whole state database: {problem}")
    folder = config.data.folder
    make_private(folder)
    with alone(folder):
        free = shutil.disk_usage(folder).free
        if free < 2 * (source / NAME).stat().st_size:
            raise GatewayError(f"{folder}: {free >> 20} MiB free is too little room")
        copy_intervals(source / "intervals", folder / "intervals")
        return restore_from(folder, source / NAME)
