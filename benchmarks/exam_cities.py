"""The cities of the examination, made and analysed once for each state of the code, in processes of their own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.dataset_cut import copy_without_truth

ROOT = Path(__file__).parent.parent
SIMULATING = ("simulators", "gateway/model", "gateway/settings.py")
ANALYSING = ("gateway", "alarms")


@dataclass(frozen=True, slots=True)
class City:
    """One city of the examination: what `gasgate simulate dataset` is told."""

    preset: str
    seed: int
    zones: int
    meters_per_zone: int
    days: int

    def __str__(self) -> str:
        """Return a name that can be a folder's."""
        return f"{self.preset}-{self.seed}-{self.zones}x{self.meters_per_zone}x{self.days}"


TUNING = (
    *(City("exam", seed, 16, 80, 240) for seed in (11, 12, 13)),
    *(City("leaks", seed, 16, 60, 180) for seed in (21, 22)),
    *(City("thefts", seed, 16, 60, 180) for seed in (31, 32)),
    City("clean", 41, 16, 60, 240),
)
"""cities to try methods on: figures of these may never be reported"""
REPORTING = (
    *(City("exam", seed, 20, 80, 300) for seed in (9101, 9102, 9103)),
    *(City("leaks", seed, 20, 60, 180) for seed in (9201, 9202)),
    *(City("thefts", seed, 20, 60, 180) for seed in (9301, 9302)),
    City("clean", 9401, 20, 60, 240),
)
"""cities whose figures are reported: nobody may tune a method on them"""
QUICK = (City("exam", 9501, 6, 40, 120), City("thefts", 9502, 6, 40, 120))
"""small ones that show in a few minutes whether all works; their figures mean little"""
SETS = {"tuning": TUNING, "reporting": REPORTING, "quick": QUICK}


@dataclass(frozen=True, slots=True)
class Effort:
    """What a run took."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Examined:
    """A city that lies ready, and the answer to it."""

    city: City
    dataset: Path
    """with its truth"""
    answer: Path
    analysis: Effort


def digest(parts: Iterable[str]) -> str:
    """Return a short name for the state of the code in some folders: any change of it gives another."""
    total = hashlib.sha256()
    for part in parts:
        top = ROOT / part
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.suffix in {".py", ".toml", ".npz"}:
                total.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:10]


def make(city: City, folder: Path, show: Callable[[str], None]) -> Path:
    """Return the folder of the city's dataset, which is written unless this state of the code wrote it before."""
    out = folder / f"{city}-{digest(SIMULATING)}"
    if not out.exists():
        show(f"{city}: simulating")
        words = ["simulate", "dataset", str(out), "--seed", city.seed, "--preset", city.preset, "--zones", city.zones]
        run(
            [*words, "--meters-per-zone", city.meters_per_zone, "--days", city.days, "--processes", os.cpu_count() or 1]
        )
    return out


def analyse(
    city: City, dataset: Path, folder: Path, show: Callable[[str], None], without: str | None = None
) -> Examined:
    """Run `gasgate analyse` on a copy without the truth, unless this state of the code did before.

    `without` names a part of the analysis that is switched off.
    """
    answer = folder / f"{dataset.name}-{digest(ANALYSING)}{'-without-' + without if without else ''}.json"
    effort = answer.with_suffix(".effort")
    if not effort.exists():
        show(f"{city}: analysing")
        plain = folder / f"{dataset.name}-without-truth"
        if not plain.exists():
            copy_without_truth(dataset, plain)
        if without:
            spent = run([without, plain, answer], module="benchmarks.without")
        else:
            spent = run(["analyse", str(plain), "--out", str(answer)])
        effort.write_text(json.dumps([spent.seconds, spent.peak_mib]), encoding="utf-8")
    return Examined(city, dataset, answer, Effort(*json.loads(effort.read_text(encoding="utf-8"))))


def run(words: Sequence[Any], module: str = "gateway") -> Effort:
    """Run a gasgate command, or another module's; return its time and peak memory. Raises SystemExit if it fails."""
    begun = time.monotonic()
    told = [sys.executable, "-m", module, *map(str, words)]
    process = subprocess.Popen(told, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"exit code {process.returncode}: {' '.join(told)}")
    return Effort(time.monotonic() - begun, usage.ru_maxrss / 1024)
