"""What all commands of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

ConfigFile = Annotated[Path, typer.Argument(help="The site's configuration file (TOML).", show_default=False)]
EXIT_CODES = "Exit code 0: done. 1: it ran and failed. 2: wrong call or configuration."
"""What a command's help says unless it has other meanings for them."""
