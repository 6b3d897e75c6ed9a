"""Commands that examine an analysis: against the truth of a simulated city, and against its own past."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli_parts import EXIT_CODES, err, out

examine = typer.Typer()


@examine.command(epilog=EXIT_CODES)
def score(
    dataset: Annotated[Path, typer.Argument(help="Folder of a simulated city, with truth.json.", show_default=False)],
    findings: Annotated[Path, typer.Argument(help="What `gasgate analyse` wrote.", show_default=False)],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Score the findings of an analysis against what really happened in a simulated city.

    docs/simulator.md says what each figure means.

    Example: gasgate score city/ findings.json
    """
    from gateway.scoring import score as run_score
    from gateway.scoring.report import report

    figures = run_score(dataset, findings)
    out.print(report(figures), soft_wrap=True, markup=False)
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n", encoding="utf-8")


@examine.command()
def causality(
    dataset: Annotated[Path, typer.Argument(help="Folder in the exchange format.", show_default=False)],
    cut: Annotated[list[str] | None, typer.Option(help="Where to cut: a share of the time, or a UTC time.")] = None,
    command: Annotated[
        str, typer.Option(help="Another analysis than gasgate's; {dataset} and {out} stand for folder and answer.")
    ] = "",
    keep: Annotated[Path | None, typer.Option(help="Keep datasets and answers in this new folder.")] = None,
) -> None:
    """Check that an analysis does not look ahead: half a history has to give the first half of the answer.

    The analysis runs on the whole dataset and on what of it was known at each cut (0.5 if none is named); truth.json is
    in neither.

    Exit code 0: it does not. 1: it does, or an analysis failed. 2: wrong call or dataset.

    Example: gasgate causality city/ --cut 0.3 --cut 2024-12-01T00:00:00Z
    """
    from gateway.causality import check

    violations = 0
    for told in check(
        dataset, cut or ["0.5"], command, keep, show=lambda text: err.print(escape(text), soft_wrap=True)
    ):
        moment = datetime.fromtimestamp(told.cut, UTC).isoformat().replace("+00:00", "Z")
        out.print(f"cut {moment}: {told.findings} findings and {told.rows} loss rows compared, ", end="")
        out.print("[bold red]looks ahead[/]" if told.violations else "all the same", soft_wrap=True)
        for violation in told.violations[:20]:
            out.print(f"  {escape(violation)}", soft_wrap=True)
        if len(told.violations) > 20:
            out.print(f"  and {len(told.violations) - 20} more")
        violations += len(told.violations)
    raise typer.Exit(1 if violations else 0)
