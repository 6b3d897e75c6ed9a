"""The examination: simulated cities are analysed, and what was found is held against what really happened.

Cities and answers are kept in a folder that the caller names, by the state of the code that made them, so that a second
run is quick; without a folder they are made in a temporary one.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import trade_rules
from benchmarks.ablation import Line
from benchmarks.exam_cities import SETS, City, Examined, analyse, make
from benchmarks.exam_table import qualities, rows, table
from benchmarks.without import PARTS, change_without
from gateway.scoring import rate_answer, score
from gateway.scoring.answer import Answer, findings_of
from gateway.scoring.rules import KINDS
from gateway.scoring.truth import read_truth

Figures = dict[str, Any]


def run(
    *,
    quick: bool,
    seeds: str = "reporting",
    keep: Path | None = None,
    baseline: bool = False,
    without: str | None = None,
    ablation: bool = False,
) -> dict[str, float]:
    """Examine the analysis on a set of cities, print the table, and return its figures.

    `without` names a part of the analysis (`benchmarks.without.PARTS`) that is switched off; `ablation` switches each
    of them off in turn and prints what that costs.
    """
    if without is not None:
        change_without(without)
    cities = cities_of("quick" if quick else seeds)
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gasgate-exam-")))
        folder.mkdir(parents=True, exist_ok=True)
        if ablation:
            return _ablated(cities, folder)
        examined = []
        for number, city in enumerate(cities, start=1):
            _show(f"{number} of {len(cities)}")
            dataset = make(city, folder, _show)
            examined.append(analyse(city, dataset, folder, _show, without))
        figures = _report("gasgate", examined, [score(one.dataset, one.answer) for one in examined])
        if baseline:
            plain = [_plain(one) for one in examined]
            figures |= {
                f"plain_{key}": value for key, value in _report("the trade's plain rules", examined, plain).items()
            }
    return figures


def _ablated(cities: Sequence[City], folder: Path) -> dict[str, float]:
    """Examine the whole analysis, and it without each of its parts in turn."""
    lines: list[Line] = []
    for part in (None, *PARTS):
        examined = [analyse(city, make(city, folder, _show), folder, _show, part) for city in cities]
        lines.append(Line.of(part or "nothing", [score(one.dataset, one.answer) for one in examined]))
        _show(lines[-1].text())
    print(f"\n{len(cities)} cities: {', '.join(map(str, cities))}")
    print("\n".join([Line.head(), *(line.text() for line in lines)]))
    return {f"without_{line.part}_{key}": value for line in lines for key, value in line.values.items()}


def cities_of(seeds: str) -> Sequence[City]:
    """Return a named set of cities, or an examination city for each of some numbers."""
    if seeds in SETS:
        return SETS[seeds]
    try:
        return [City("exam", int(one), 10, 60, 180) for one in seeds.split(",")]
    except ValueError:
        raise SystemExit(f"--seeds {seeds}: give numbers such as 1,2,3 or one of {', '.join(SETS)}") from None


def _plain(examined: Examined) -> Figures:
    _show(f"{examined.city}: the trade's plain rules")
    found = trade_rules.findings(examined.dataset)
    return rate_answer(read_truth(examined.dataset), Answer(findings_of(found), ()))


def _report(who: str, examined: Sequence[Examined], scored: Sequence[Figures]) -> dict[str, float]:
    pairs = [(one.city.preset, figures) for one, figures in zip(examined, scored, strict=True)]
    found = rows(pairs)
    print(f"\n{who}: {len(pairs)} cities")
    print(table(found))
    by_preset: dict[str, list[Figures]] = defaultdict(list)
    for preset, figures in pairs:
        by_preset[preset].append(figures)
    print(f"\n{'Q of 100':<12}" + "".join(f"{name:>17}" for name in ("all", *KINDS)))
    result = {_key(row.task, row.aim): row.ours for row in found if row.ours is not None}
    for preset, group in by_preset.items():
        of_kind = qualities(group)
        if preset != "clean":
            cells = [f"{of_kind[kind]:.1f}" if kind in of_kind else "-" for kind in ("all", *KINDS)]
            print(f"{preset:<12}" + "".join(f"{cell:>17}" for cell in cells))
            result |= {f"{preset}_q_{kind}": value for kind, value in of_kind.items()}
    print(f"\n{'false a year':<12}{'':>17}" + "".join(f"{name:>17}" for name in KINDS))
    for preset, group in by_preset.items():
        years = [figures["years"] for figures in group]
        rates = [
            sum(f["kinds"][kind]["false_per_unit_year"] * n for f, n in zip(group, years, strict=True)) / sum(years)
            for kind in KINDS
        ]
        print(f"{preset:<12}{'':>17}" + "".join(f"{rate:>17.4f}" for rate in rates))
    for one, figures in zip(examined, scored, strict=True):
        spent = asdict(one.analysis) if who == "gasgate" else {}
        took = f"; analysed in {spent['seconds']:.0f} s, {spent['peak_mib']:,.0f} MiB" if spent else ""
        print(f"{one.city}: Q {figures['quality']:.1f}, {figures['findings']} findings{took}")
    return {key: float(value) for key, value in result.items()}


def _key(task: str, aim: str) -> str:
    text = f"{task} {aim.partition(':')[0]}" if task.startswith("zone leak") else task
    return "_".join("".join(c if c.isalnum() or c == "." else " " for c in text.lower()).split())


def _show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
