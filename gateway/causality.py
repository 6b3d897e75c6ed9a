"""Checks that an analysis does not look ahead: given less of the future, it has to say the same of the past."""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.dataset import DatasetSettings, read_settings
from gateway.dataset_cut import copy_known, copy_without_truth
from gateway.errors import ConfigError, GatewayError
from gateway.scoring.reading import number, read_json, seconds

LOSS_SETTLED = timedelta(days=7)
"""a loss row may use what is received up to this long after its gas day"""
TOLERANCE = 1e-6
_FINDING_FIELDS = ("onset", "score", "estimate_m3_per_day")
_LOSS_FIELDS = (
    "supply_m3", "metered_m3", "linepack_m3", "loss_m3", "loss_rate", "sigma", "coverage", "verdict",
)  # fmt: skip
_TOLD_AT_MOST = 500
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What one cut showed."""

    cut: float
    """seconds since 1970 UTC"""
    findings: int
    """findings up to the cut, of both runs"""
    rows: int
    """loss rows that were settled at the cut, of both runs"""
    violations: tuple[str, ...]


def check(
    dataset: Path, cuts: Sequence[str], command: str, keep: Path | None, show: Callable[[str], None]
) -> Iterator[Told]:
    """Run an analysis on a whole dataset and on what was known at each cut; yield what differs.

    `command` holds {dataset} and {out}; empty is `gasgate analyse`. Raises ConfigError for a wrong cut, command or
    dataset, GatewayError if the analysis fails.
    """
    settings = read_settings(dataset)
    moments = [_cut(settings, text) for text in cuts]
    words = _words(command)
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gasgate-causality-")))
        if keep is not None and keep.exists() and any(keep.iterdir()):
            raise ConfigError([f"{keep}: is not empty; name a new folder"])
        folder.mkdir(parents=True, exist_ok=True)
        show("the whole dataset")
        copy_without_truth(dataset, folder / "whole")
        whole = _run(words, folder / "whole", folder / "whole.json")
        for index, moment in enumerate(moments, start=1):
            show(f"cut {index} of {len(moments)}")
            known = folder / f"cut-{index}"
            copy_known(dataset, known, moment)
            yield compare(whole, _run(words, known, folder / f"cut-{index}.json"), moment, settings)


def compare(whole: Row, known: Row, cut: datetime, settings: DatasetSettings) -> Told:
    """Compare the answer to a whole dataset with the answer to what was known at the cut."""
    limit = cut.timestamp()
    told = list(_differing_findings(_up_to(whole, limit), _up_to(known, limit)))
    told += [f"{_name(one)}: detected after the cut" for one in _listed(known, "findings") if _at(one) > limit]
    unreadable = [one for one in (*_listed(whole, "findings"), *_listed(known, "findings")) if math.isnan(_at(one))]
    told += [f"{_name(one)}: its detected_at cannot be read" for one in unreadable]
    before, after = (_settled_rows(answer, cut, settings) for answer in (whole, known))
    for key in sorted(before.keys() | after.keys()):
        fields = _different(before.get(key, {}), after.get(key, {}), _LOSS_FIELDS)
        if fields:
            told.append(f"loss of {key[0]} on {key[1]}: {', '.join(fields)}: the future changed it")
    findings = len(_up_to(whole, limit)) + len(_up_to(known, limit))
    return Told(limit, findings, len(before) + len(after), tuple(told))


def _cut(settings: DatasetSettings, text: str) -> datetime:
    span = settings.end - settings.start
    at = seconds(text)
    try:
        moment = settings.start + span * float(text) if math.isnan(at) else datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError) as error:
        raise ConfigError([f"--cut {text}: neither a share such as 0.5 nor a UTC time; correct it"]) from error
    if not settings.start < moment < settings.end:
        raise ConfigError([f"--cut {text}: not between the dataset's start and end; choose another"])
    return moment.replace(microsecond=0)


def _words(command: str) -> list[str]:
    if not command:
        return [sys.executable, "-m", "gateway", "analyse", "{dataset}", "--out", "{out}"]
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError([f"--command: {error}; correct the quotes"]) from error
    for wanted in ("{dataset}", "{out}"):
        if not any(wanted in word for word in words):
            raise ConfigError([f"--command: {wanted} is missing; put it where the analysis takes it"])
    return words


def _run(words: Sequence[str], dataset: Path, out: Path) -> Row:
    told = [word.replace("{dataset}", str(dataset)).replace("{out}", str(out)) for word in words]
    try:
        ended = subprocess.run(told, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603 - the user's command
    except OSError as error:
        raise ConfigError([f"--command: {told[0]}: {error.strerror}; correct the command"]) from error
    if ended.returncode != 0:
        last = ended.stderr.decode(errors="replace").strip()[-_TOLD_AT_MOST:]
        raise GatewayError(
            f"the analysis of {dataset} ended with exit code {ended.returncode}: {shlex.join(told)}: {last}"
        )
    return read_json(out)


def _listed(answer: Row, key: str) -> list[Row]:
    value = answer.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _at(finding: Row) -> float:
    return seconds(finding.get("detected_at"))


def _up_to(answer: Row, limit: float) -> list[Row]:
    return [one for one in _listed(answer, "findings") if _at(one) <= limit]


def _name(finding: Row) -> str:
    subject = finding.get("meter") or finding.get("zone")
    return f"{finding.get('kind')} {subject} at {finding.get('detected_at')}"


def _differing_findings(whole: Sequence[Row], known: Sequence[Row]) -> Iterator[str]:
    """Pair findings of one kind, subject and second, those most alike first, and name what differs."""
    pairs: dict[tuple[object, ...], tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for side, findings in enumerate((whole, known)):
        for one in findings:
            key = (one.get("kind"), one.get("zone"), one.get("meter"), int(_at(one)))
            pairs[tuple(map(str, key))][side].append(one)
    for with_future, without in pairs.values():
        left = list(without)
        for one in with_future:
            if not left:
                yield f"{_name(one)}: raised only with the future"
                continue
            twin = min(left, key=lambda other: len(_different(one, other, _FINDING_FIELDS)))
            left.remove(twin)
            if fields := _different(one, twin, _FINDING_FIELDS):
                yield f"{_name(one)}: {', '.join(fields)}: the future changed it"
        for one in left:
            yield f"{_name(one)}: raised only without the future"


def _settled_rows(answer: Row, cut: datetime, settings: DatasetSettings) -> dict[tuple[str, str], Row]:
    rows = {}
    for row in _listed(answer, "loss"):
        try:
            ended = settings.gas_day.ends(date.fromisoformat(str(row.get("gas_day"))))
        except (ValueError, OverflowError):
            continue
        if ended + LOSS_SETTLED <= cut:
            rows[str(row.get("zone")), str(row.get("gas_day"))] = row
    return rows


def _different(one: Row, other: Row, fields: Sequence[str]) -> list[str]:
    return [field for field in fields if not _same(one.get(field), other.get(field))]


def _same(one: object, other: object) -> bool:
    """Tell whether two values are equal: numbers to the tolerance, times to the second."""
    if one == other:
        return True
    a, b = number(one), number(other)
    if math.isnan(a) or math.isnan(b):
        a, b = seconds(one), seconds(other)
        return abs(a - b) < 1
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
