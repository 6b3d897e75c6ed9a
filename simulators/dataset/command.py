"""`gasgate simulate dataset`: its options, its progress, and what it says in the end."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.errors import ConfigError, GatewayError
from simulators.ground import Ground
from simulators.live.commands import plain_errors
from simulators.networks import NETWORKS, Wish
from simulators.networks.tiles import Tiles

LARGE_METERS = 50_000
"""meters from which on a tiled city is written group by group"""
MOST_AT_ONCE = 100_000
"""meters of a city that is drawn as a whole"""
_BYTES_A_READING = 10
_GAS_DAY_UTC = timedelta(hours=6 - 8)
"""a gas day begins at 06:00 in China"""


class PresetName(StrEnum):
    """What is drawn by seed."""

    EXAM = "exam"
    FIELD = "field"
    LEAKS = "leaks"
    THEFTS = "thefts"
    CLEAN = "clean"


class NetworkName(StrEnum):
    """Where pipes and meters come from."""

    STREETS = "streets"
    SCHUTTERWALD = "schutterwald"
    FILES = "files"
    TILES = "tiles"


class HabitsName(StrEnum):
    """How readings reach the company."""

    PROMPT = "prompt"
    MIXED = "mixed"
    POOR = "poor"


def dataset(  # noqa: PLR0917 - the options of the command
    out: Annotated[Path, typer.Argument(help="Folder to write; it must not be there yet.", show_default=False)],
    seed: Annotated[int, typer.Option(help="The same seed gives the same dataset.", min=0, max=2**31)] = 1,
    zones: Annotated[int, typer.Option(help="Regulator zones.", min=1, max=30_000)] = 6,
    meters_per_zone: Annotated[int, typer.Option(help="Customer meters in each zone.", min=1, max=5000)] = 80,
    days: Annotated[int, typer.Option(help="Gas days.", min=1, max=1100)] = 180,
    preset: Annotated[PresetName, typer.Option(help="What is drawn by seed; see above.")] = PresetName.EXAM,
    network: Annotated[
        NetworkName, typer.Option(help="Where pipes and meters come from: see docs/simulator.md.")
    ] = NetworkName.STREETS,
    source: Annotated[Path | None, typer.Option(help="Network folder, for --network files.")] = None,
    habits: Annotated[
        HabitsName | None, typer.Option(help="How all readings arrive, instead of the preset's choice.")
    ] = None,
    flats: Annotated[float, typer.Option(help="Share of the customers in apartment houses.", min=0, max=1)] = 0.3,
    mix: Annotated[str | None, typer.Option(help="Mix of customers instead of the preset's.")] = None,
    start: Annotated[str, typer.Option(help="First gas day, a local date.")] = "2024-10-01",
    processes: Annotated[int, typer.Option(help="Processes that compute at once.", min=1, max=64)] = 1,
) -> None:
    """Write a simulated city as a dataset, with `truth.json` for a scorer: faults and confounders drawn by seed.

    Presets:

    exam: every kind of fault, more often than in reality

    field: as often as in the field

    leaks: many sizes of leaks, most readings prompt

    thefts: every recipe many times

    clean: nothing is wrong; whatever is found is a false alarm

    The folder appears when all is written; the same options give the same bytes, whatever the number of processes.

    Example: gasgate simulate dataset city/ --seed 1

    More:

    gasgate simulate dataset year/ --seed 2 --zones 60 --days 365 --processes 2

    gasgate simulate dataset town/ --network schutterwald --preset leaks --days 90

    gasgate simulate dataset huge/ --network tiles --zones 1000 --meters-per-zone 100 --days 3 --preset field

    gasgate simulate dataset mine/ --network files --source network/ --preset field
    """
    if (network is NetworkName.FILES) != (source is not None):
        problem = "--network files and --source FOLDER belong together: give both or none"
        raise typer.BadParameter(problem)
    with plain_errors():
        _write(
            out,
            Wish(seed, zones, meters_per_zone, flats, source),
            network,
            days=days,
            preset_name=preset.value,
            habits=None if habits is None else habits.value,
            mix=mix,
            start=_begin(start),
            processes=processes,
        )


def _write(out: Path, wish: Wish, network: NetworkName, *, days: int, **how: Any) -> None:
    try:
        from simulators.dataset import exam, large
        from simulators.dataset.folder import refuse_taken
    except ModuleNotFoundError as error:
        raise GatewayError(
            f"the simulators need {error.name}: install gasgate with its extra, gasgate[simulators]"
        ) from error
    refuse_taken(out)
    if network is not NetworkName.FILES:
        _refuse_too_much(out, wish, network, days)
    city = _city(wish, network)
    meters = city.meters if isinstance(city, Tiles) else len(city.places)
    with _progress(Console(stderr=True, highlight=False)) as progress:
        task = progress.add_task("meter-days", total=meters * days)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        how |= {"seed": wish.seed, "days": days, "show": show}
        rows = large.write_large(out, city, **how) if isinstance(city, Tiles) else exam.write_exam(out, city, **how)
    size = sum(file.stat().st_size for file in out.iterdir())
    typer.echo(f"{out}: {rows:,} readings of {meters:,} meters, {size / 1e6:,.1f} MB")


def _city(wish: Wish, network: NetworkName) -> Ground | Tiles:
    """Return the ground, or what a large city is made of part by part."""
    if network is NetworkName.TILES and wish.zones * wish.meters_per_zone > LARGE_METERS:
        return Tiles.for_zones(wish.seed, wish.zones, wish.meters_per_zone)
    return NETWORKS[network.value](wish)


def _begin(day: str) -> datetime:
    try:
        first = date.fromisoformat(day)
    except ValueError as error:
        raise ConfigError([f"--start {day!r} is no date: write it as 2024-10-01"]) from error
    if not 2015 <= first.year <= 2034:
        raise ConfigError([f"--start {day}: the simulated calendar reaches from 2015 to 2034"])
    return datetime.combine(first, time(), UTC) + _GAS_DAY_UTC


def _refuse_too_much(out: Path, wish: Wish, network: NetworkName, days: int) -> None:
    meters = wish.zones * wish.meters_per_zone
    if network is not NetworkName.TILES and meters > MOST_AT_ONCE:
        problem = f"{meters:,} meters are too many to be drawn at once"
        raise ConfigError(
            [f"{problem}: ask for {MOST_AT_ONCE:,} or fewer, or use --network tiles, which knows no limit"]
        )
    at = out.absolute()
    while not at.exists():
        at = at.parent
    needs, free = meters * days * 24 * _BYTES_A_READING, shutil.disk_usage(at).free
    if needs > free:
        problem = f"{out} needs about {needs / 1e9:,.1f} GB and its disk has {free / 1e9:,.1f} GB left"
        raise ConfigError([f"{problem}: write fewer days or meters, or name a folder on another disk"])


def _progress(console: Console) -> Progress:
    """Return a bar on a terminal, nothing on a pipe."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
