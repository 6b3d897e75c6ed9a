"""Columns in a file that several processes map: what they share takes memory once.

A file is a cache of something else. It is written beside its final name and renamed, so a reader never sees half of
one; whoever reads it says which facts it must carry, and another file counts as none.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_MAGIC = b"gasgate columns 1\n"
_ALIGN = 64
_KINDS = frozenset({"|u1", "|i1", "|b1", "<u2", "<i4", "<u4", "<i8", "<u8", "<f8"})


def write_columns(path: Path, facts: Mapping[str, Any], columns: Mapping[str, Array]) -> None:
    """Write columns and facts, which JSON can hold, durably in the place of an older file. Raises OSError."""
    plan: list[tuple[str, str, int, int]] = []
    at = 0
    for name, column in columns.items():
        plan.append((name, column.dtype.str, len(column), at))
        at += -(-column.nbytes // _ALIGN) * _ALIGN
    head = json.dumps({"facts": dict(facts), "columns": plan, "bytes": at}).encode()
    start = -(-(len(_MAGIC) + 4 + len(head)) // _ALIGN) * _ALIGN
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + struct.pack("<I", len(head)) + head)
            for (_, _, _, offset), column in zip(plan, columns.values(), strict=True):
                file.seek(start + offset)
                np.ascontiguousarray(column).tofile(file)
            file.truncate(start + at)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - the name of a temporary file is a str
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise


def read_columns(path: Path) -> tuple[Mapping[str, Any], dict[str, Array]] | None:
    """Map a file; None if it is missing or not whole. The columns cannot be written to."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        if data[: len(_MAGIC)] != _MAGIC:
            return None
        (length,) = struct.unpack_from("<I", data, len(_MAGIC))
        first = len(_MAGIC) + 4
        head = json.loads(data[first : first + length])
        start = -(-(first + length) // _ALIGN) * _ALIGN
        if len(data) != start + int(head["bytes"]):
            return None
        return head["facts"], {name: _column(data, start, *rest) for name, *rest in head["columns"]}
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def _column(data: mmap.mmap, start: int, kind: str, count: int, at: int) -> Array:
    if kind not in _KINDS:
        raise ValueError(f"{kind} is no kind of column")
    return np.frombuffer(data, dtype=kind, count=count, offset=start + at)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Let one process at a time in, by a lock on a file that stays; waits for the others. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
