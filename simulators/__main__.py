"""Command line of the simulators: `python -m simulators`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)

Folder = Annotated[Path, typer.Option(help="folder of the demo")]


@app.callback()
def simulators() -> None:
    """Serve a simulated city over real sockets, write one as a dataset, or run the demo ticket desk."""


@app.command()
def prepare(
    folder: Folder,
    seed: Annotated[int, typer.Option(help="the same seed gives the same city", min=0)] = 1,
    days: Annotated[int, typer.Option(help="days of history", min=8, max=400)] = 60,
) -> None:
    """Write network, history and secrets of a simulated city.

    Example: python -m simulators prepare --folder .demo --seed 1
    """
    from simulators.prepare import prepare as write

    write(folder, seed=seed, days=days)


if __name__ == "__main__":
    app()
