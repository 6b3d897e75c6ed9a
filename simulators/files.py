"""Small files of the demo's folder: replaced at once, and secrets that only their owner may read."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

PIPES_FILE = "pipes.npz"
"""what was solved of the pipes of a city that lives in a folder"""


def replace_file(path: Path, text: str) -> None:
    """Replace a file at once, so that a reader never sees half of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def write_secret(path: Path) -> None:
    """Write a new webhook secret that only its owner may read; one that is there stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    part.replace(path)
