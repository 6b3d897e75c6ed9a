"""Copies the files of an interval store while it is in use."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from gateway.errors import TransientError
from gateway.store.durable import make_durable
from gateway.store.intervals import FOLDER

_ROUNDS = 5


def copy_intervals(source: Path, target: Path) -> int:
    """Copy the files of a store that another folder does not have; return how many. Raises TransientError.

    A file that a merge removes meanwhile stands, with all its rows, in one that is copied in the next round.
    """
    copied = 0
    try:
        for _ in range(_ROUNDS):
            wanted = [file for file in source.glob("*/rev-*.parquet") if FOLDER.fullmatch(file.parent.name)]
            missing = [file for file in wanted if not (target / file.parent.name / file.name).exists()]
            if not missing:
                return copied
            for file in missing:
                place = target / file.parent.name / file.name
                place.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    shutil.copyfile(file, place.with_suffix(".part"))
                    make_durable(place.with_suffix(".part"))
                    place.with_suffix(".part").replace(place)
                    copied += 1
    except OSError as error:
        raise TransientError(f"intervals cannot be copied: {error}") from error
    return copied
