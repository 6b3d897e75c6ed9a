"""A change of several files that happens whole or not at all, whenever the process is killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.store.segment import sync_folder

_NAME = "swap.json"
PART = ".part"
"""ending of a file that nobody relies on yet"""


def swap(folder: Path, appear: Mapping[str, str], vanish: Iterable[str]) -> None:
    """Rename files (old name -> final name) and remove others. All names are in the folder.

    Once the intent is durable it is finished here or by `recover`. Raises OSError; before that point nothing changed.
    """
    part = folder / (_NAME + PART)
    with part.open("w", encoding="utf-8") as out:
        json.dump({"appear": dict(appear), "vanish": list(vanish)}, out)
        out.flush()
        os.fsync(out.fileno())
    part.replace(folder / _NAME)
    sync_folder(folder)
    _finish(folder)


def recover(folder: Path) -> None:
    """Finish a change that was interrupted, then remove what was written for one that never began. Raises OSError.

    An intent that cannot be read is dropped: the removals come last, so nothing is lost, at most a row is held twice.
    """
    try:
        _finish(folder)
    except (ValueError, KeyError, AttributeError):
        (folder / _NAME).unlink()
    for left in folder.glob("*" + PART + "*"):
        left.unlink()


def _finish(folder: Path) -> None:
    try:
        intent = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    for old, final in intent["appear"].items():
        if (folder / old).exists():
            (folder / old).rename(folder / final)
    sync_folder(folder)
    for name in intent["vanish"]:
        (folder / name).unlink(missing_ok=True)
        (folder / f"{name}.wal").unlink(missing_ok=True)
    sync_folder(folder)
    (folder / _NAME).unlink()
