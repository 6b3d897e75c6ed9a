"""A folder that is either whole or not there: it grows beside its place and is moved there last."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import ConfigError, GatewayError

_LOCK = ".writing"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refuse_taken(out: Path) -> None:
    """Raise ConfigError if a folder cannot be written because something stands at its place."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise ConfigError([f"{out} is there already: name another folder, or delete it first"])


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield the folder `OUT.part`, which becomes OUT when the block ends without an error.

    After an error or Ctrl-C nothing is left; after a kill `OUT.part` is left, and the next run replaces it. Raises
    ConfigError if OUT holds anything or another process writes it, GatewayError if the disk is full.
    """
    refuse_taken(out)
    part = out.with_name(out.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    lock = _take(part, out)
    try:
        yield part
        _keep(part, out)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise GatewayError(
                f"{out}: no room left on its disk; free some, or write fewer days or meters (nothing was left behind)"
            ) from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(lock)


def _take(part: Path, out: Path) -> int:
    """Make an empty folder that no other process writes to; return the handle that keeps it ours."""
    if part.exists() and not (part / _LOCK).is_file() and (not part.is_dir() or any(part.iterdir())):
        raise ConfigError([f"{part} is in the way and was not written by gasgate: move it, or name another folder"])
    part.mkdir(exist_ok=True)
    lock = os.open(part / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ConfigError([f"another process writes {out}: wait until it has ended, or name another folder"]) from error
    for entry in part.iterdir():
        if entry.name != _LOCK:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    return lock


def _keep(part: Path, out: Path) -> None:
    """Force all files to the disk and give the folder its name."""
    for file in part.rglob("*"):
        if file.is_file():
            _sync(file)
    (part / _LOCK).unlink()
    part.replace(out)
    _sync(out.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
