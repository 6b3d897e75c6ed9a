"""Where a live city's control API and its token are; for those that import nothing else."""

from __future__ import annotations

from pathlib import Path

CONTROL_PORT = 8790


def token_file(folder: Path) -> Path:
    """Return where the token of the control API stands."""
    return folder / "secrets" / "control.token"
