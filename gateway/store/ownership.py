"""One process per folder: a lock that the kernel gives back when its owner dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import PermanentError


def own(folder: Path) -> int:
    """Take a folder for this process; closing the handle returned gives it back.

    Raises PermanentError if another process has it.
    """
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise PermanentError(f"{folder} is in use by another process") from error
    return handle


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have a folder's state database for oneself. Raises PermanentError while anybody uses it."""
    handle = os.open(folder / "state.lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermanentError(f"{folder} is in use: stop the gateway first") from None
        yield
    finally:
        os.close(handle)


def share(folder: Path, *, alone: Callable[[], object]) -> int:
    """Use a folder's state database together with other processes; closing the handle returned ends that.

    `alone` is called if nobody else uses it; those who come meanwhile wait.
    """
    handle = os.open(folder / "state.lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(handle, fcntl.LOCK_SH)
        else:
            alone()
            fcntl.flock(handle, fcntl.LOCK_SH)
    except BaseException:
        os.close(handle)
        raise
    return handle
