"""Child processes that never outlive their parent, not even if it is killed."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_PARENT = "GASGATE_PARENT"
ORPHAN_PATIENCE_S = 6.0
"""how long an orphan may take to end by itself; nobody is left who would kill it later"""


def die_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it ends.

    Only for a process that was started by `start`, or with GASGATE_DIE_WITH_PARENT set: what a person started from a
    shell outlives the shell. Where the kernel cannot do it (not Linux) nothing happens. A parent that died before the
    call is noticed by its changed id. An orphan that has not ended `ORPHAN_PATIENCE_S` after its parent writes where it
    stands to its log and is killed: nothing of ours needs a clean end.
    """
    if not _must_die_with_parent():
        return
    _ask_kernel(signal.SIGTERM)
    threading.Thread(target=_end_orphan, args=(os.getppid(),), name="orphan watch", daemon=True).start()


def follow(parent: int) -> None:
    """Do the same in a process that the multiprocessing of process `parent` made."""
    os.environ[_PARENT] = str(parent)
    die_with_parent()


def _must_die_with_parent() -> bool:
    wanted = os.environ.get(_PARENT) or os.environ.get("GASGATE_DIE_WITH_PARENT")
    return bool(wanted) and sys.platform.startswith("linux")


def _ask_kernel(number: signal.Signals) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    parent = os.environ.get(_PARENT)
    if parent and parent != str(os.getppid()):
        os.kill(os.getpid(), number)


def _end_orphan(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    time.sleep(ORPHAN_PATIENCE_S)
    faulthandler.dump_traceback()
    os.kill(os.getpid(), signal.SIGKILL)


def start(
    arguments: Sequence[str],
    *,
    log: Path | None = None,
    answer: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `python -m ...` as a child in its own process group, so that Ctrl-C reaches only the parent.

    The child is expected to call `die_with_parent` first thing. What it prints goes to `log`; with `answer` only its
    errors do, and the rest into that file.
    """
    output = log.open("ab") if log is not None else None
    try:
        return subprocess.Popen(  # noqa: S603  (our own modules only)
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=answer or output,
            stderr=output,
            env={**os.environ, **(environment or {}), _PARENT: str(os.getpid())},
            start_new_session=True,
        )
    finally:
        if output is not None:
            output.close()


def stop(children: Sequence[subprocess.Popen[bytes]], *, patience_s: float = 8.0) -> None:
    """End children politely, then by force; returns when all are gone."""
    for child in children:
        if child.poll() is None:
            child.terminate()
    end = time.monotonic() + patience_s
    for child in children:
        try:
            child.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


if __name__ == "__main__":  # python -m gateway.runtime.child PROGRAM ...: a program that dies with its parent
    if _must_die_with_parent():
        _ask_kernel(signal.SIGKILL)  # a foreign program may take its time over SIGTERM
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  (the arguments come from the parent alone)
