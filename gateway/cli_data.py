"""Commands on a site's data: history, export, backup, and analysis of a dataset without a site."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress

from gateway.cli_parts import EXIT_CODES, ConfigFile, err, out

data = typer.Typer()
_MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S%z"]


class Language(StrEnum):
    """Languages that pages for people are written in."""

    ZH = "zh"
    EN = "en"


@data.command(epilog=EXIT_CODES)
def analyse(
    dataset: Annotated[Path, typer.Argument(help="Folder in the exchange format.", show_default=False)],
    out_file: Annotated[Path, typer.Option("--out", help="Where to write the findings.")] = Path("findings.json"),
    until: Annotated[
        datetime | None,
        typer.Option(
            help="Use only what was received until this moment, UTC unless it says otherwise.", formats=_MOMENTS
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write a page for people: one HTML file.", show_default=False)
    ] = None,
    language: Annotated[Language, typer.Option("--lang", help="Language of the page.")] = Language.ZH,
    *,
    processes: Annotated[
        int, typer.Option(min=0, help="Processes that share the work, 0 for one a core; the findings are the same.")
    ] = 0,
) -> None:
    """Compute loss rates and findings of a dataset, as the running gateway would have seen them day by day.

    Example: gasgate analyse city/ --out findings.json --report report.html
    """
    from gateway.analyse import PageWanted
    from gateway.analyse import analyse as run_analysis
    from gateway.pass_runs import cores
    from gateway.runtime import memory

    memory.reuse_freed()
    page = None if report is None else PageWanted(report, language.value)
    moment = until.replace(tzinfo=UTC) if until and until.tzinfo is None else until
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("gas days", total=None)
        answer = run_analysis(
            dataset,
            out_file,
            moment,
            lambda done, total: progress.update(task, completed=done, total=total),
            page,
            processes=processes or cores(),
        )
    found, loss = len(answer["findings"]), len(answer["loss"])
    out.print(f"{found} findings, {loss} loss rows written to {escape(str(out_file))}", soft_wrap=True)
    if report is not None:
        out.print(f"page for people written to {escape(str(report))}", soft_wrap=True)


@data.command("import", epilog=EXIT_CODES)
def import_history(
    config: ConfigFile,
    dataset: Annotated[Path, typer.Argument(help="Folder in the exchange format.", show_default=False)],
) -> None:
    """Load the history of a dataset folder into the readings store. The gateway must not be running.

    Loading the same folder again changes nothing.

    Example: gasgate import gasgate.toml history/
    """
    import asyncio

    from gateway import app as site
    from gateway.config import load

    count = asyncio.run(site.import_dataset(load(config), dataset, show=err))
    out.print(f"{count:,} readings imported")


@data.command(epilog=EXIT_CODES)
def export(
    config: ConfigFile,
    folder: Annotated[Path, typer.Argument(help="Where the Parquet files go.", metavar="OUT", show_default=False)],
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First received day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last received day.")] = None,
    points: Annotated[
        str, typer.Option(help="Only these points, separated by commas; * stands for anything: 'M-000123/*,S-01/*'.")
    ] = "",
) -> None:
    """Write readings as Parquet files, one per family and received day (UTC). The gateway may be running.

    Example: gasgate export gasgate.toml out/ --from 2026-01-01 --to 2026-01-31
    """
    import asyncio

    from gateway.config import load
    from gateway.exporting import export_site

    loaded, patterns = load(config), [one.strip() for one in points.split(",") if one.strip()]
    days = (first and first.date(), last and last.date())
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("days", total=None)

        def show(done: int, count: int, _rows: int) -> None:
            progress.update(task, completed=done, total=count)

        rows = asyncio.run(export_site(loaded, folder, days, patterns, show))
    out.print(f"{rows:,} readings written to {escape(str(folder))}", soft_wrap=True)


@data.command(epilog=EXIT_CODES)
def backup(
    config: ConfigFile,
    folder: Annotated[Path, typer.Argument(help="Where the backup goes.", metavar="OUT", show_default=False)],
) -> None:
    """Write state (alarms, tickets, users, audit trail) and final intervals into a folder. The gateway may be running.

    Readings are not in it: see `gasgate export` and docs/readings-store.md.

    Example: gasgate backup gasgate.toml /mnt/backup/2026-01-31
    """
    from gateway.backup import back_up
    from gateway.config import load

    size, files = back_up(load(config), folder)
    out.print(f"{files} files, {size / 1e6:,.1f} MB written to {escape(str(folder))}", soft_wrap=True)


@data.command(epilog=EXIT_CODES)
def restore(
    config: ConfigFile,
    folder: Annotated[Path, typer.Argument(help="What `gasgate backup` wrote.", metavar="FROM", show_default=False)],
) -> None:
    """Put a backup in the place of the state; what stood there is set aside. The gateway must not be running.

    Ticket keys of the time since the backup are not used again.

    Example: gasgate restore gasgate.toml /mnt/backup/2026-01-31
    """
    from gateway.backup import put_back
    from gateway.config import load

    out.print(escape(str(put_back(load(config), folder))), soft_wrap=True)
