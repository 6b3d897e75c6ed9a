"""`gasgate analyse DIR`: runs the daily passes over a dataset as the gateway would have, and writes what they find."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from alarms.analysis.city import CityModel, SiteFigures, build_tree
from alarms.analysis.marks import tampered_with
from alarms.city_data import PASS_QUANTITIES, REGISTERS, CityData, heard_rows, make_series
from alarms.company_events import accounts_of, cause_in, exchanges_of
from alarms.findings import update
from alarms.work_items import abnormal
from api.report.case import Case
from api.report.page import report_html
from api.text import texts
from gateway.dataset import Dataset, read_dataset
from gateway.errors import ConfigError
from gateway.meterdata.series import Series
from gateway.model.finding import Finding, FindingKind, FindingStatus, LossRow, LossVerdict
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, to_us
from gateway.pass_runs import results

SETTLE = timedelta(hours=6)
"""readings of a gas day are awaited this long before it is judged"""
NOT_ANSWERED = frozenset({FindingKind.INSIDE_LEAK, FindingKind.SUPPLY_DRIFT})
"""kinds that the exchange format has no word for: they stand in the page for people only"""
HOURLY_EVERY = timedelta(hours=6)
"""so often leaks are looked for by hours"""
REVISE = timedelta(days=7)
"""readings that arrive this long after a gas day still correct its loss"""

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the passes over a dataset said."""

    told: list[Finding]
    """findings as raised or changed, in the order of the passes"""
    episodes: list[Finding]
    """each episode as it stands at the end, with its newest figures and evidence"""
    loss: list[LossRow]
    """the last word on each day's loss"""


def analyse(
    folder: Path,
    out: Path,
    until: datetime | None = None,
    report: Report | None = None,
    page: PageWanted | None = None,
    *,
    processes: int = 1,
    change: Callable[[CityData], CityData] | None = None,
) -> dict[str, Any]:
    """Analyse a dataset up to its end, or `until`; write and return the answer, and the page for people if wanted.

    `report` is told, pass by pass, how many of how many are done; `processes` share the passes; `change` says
    what else of the city is judged. Raises ConfigError if
    the dataset cannot be read or there is no folder to write into; then nothing is written.
    """
    missing = [file for file in (out, *([page.file] if page else [])) if not file.parent.is_dir()]
    if missing:
        raise ConfigError([f"{file.parent}: there is no such folder to write {file.name} into" for file in missing])
    dataset = read_dataset(folder, PASS_QUANTITIES)
    city, dataset = city_of(dataset), replace(dataset, columns=())
    city = city if change is None else change(city)
    end = dataset.settings.end if until is None else min(until, dataset.settings.end)
    replayed = replay(city, dataset, end, report, processes)
    answer = {
        "dataset": dataset.settings.name,
        "findings": [finding_json(finding) for finding in replayed.told if finding.kind not in NOT_ANSWERED],
        "loss": [loss_json(row) for row in replayed.loss],
    }
    _write(out, json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n")
    if page is not None:
        case = Case(dataset.settings, dataset.network, end, replayed.episodes, replayed.loss)
        _write(page.file, report_html(case, texts(page.language)))
    return answer


@dataclass(frozen=True, slots=True)
class PageWanted:
    """Where to write the page for people, and in which language."""

    file: Path
    language: str


def _write(file: Path, text: str) -> None:
    partial = file.with_name(file.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, file)  # noqa: PTH105 - one atomic step


def replay(
    city: CityData, dataset: Dataset, end: datetime, report: Report | None = None, processes: int = 1
) -> Replayed:
    """Run every pass up to `end`, dealt out to processes; the result is the same with any number of them.

    The readings are in `city`; of `dataset` only what describes it is looked at.
    """
    daily = list(_moments(dataset, end))
    between = list(_between(dataset, end))
    moments = sorted({*daily, *between})
    told: list[Finding] = []
    known: dict[tuple[str, str, int], Finding] = {}
    fresh: dict[tuple[str, str, int], Finding] = {}
    cause_of = cause_in(city.exchanges, city.model.accounts)
    seen: dict[tuple[str, str], datetime] = {}
    loss: dict[tuple[str, object], LossRow] = {(row.zone, row.gas_day): row for row in _unread(dataset, daily)}
    made = results(
        city,
        [to_us(now) for now in moments],
        processes,
        loss_days=REVISE.days + 1,
        between_us={to_us(now) for now in between} - {to_us(now) for now in daily},
    )
    for done, (now, result) in enumerate(zip(moments, made, strict=True), start=1):
        for row in result.loss:
            if now - dataset.settings.gas_day.ends(row.gas_day) <= REVISE:
                loss[row.zone, row.gas_day] = row
        changes = update(
            list(known.values()), result.detections, now, city.model.zone_for, seen_at=seen, cause_of=cause_of
        )
        for finding in (*changes.raised, *changes.reopened, *changes.updated, *changes.ended):
            known[finding.kind, finding.subject, finding.episode_no] = finding
        for finding in (*changes.raised, *changes.updated, *changes.seen):
            fresh[finding.kind, finding.subject, finding.episode_no] = finding
        told += [*changes.raised, *(replace(finding, detected_at=now) for finding in changes.updated)]
        seen.update(dict.fromkeys(abnormal(result.detections), now))
        if report is not None:
            report(done, len(moments))
    episodes = [replace(fresh[key], status=old.status, cause=old.cause) for key, old in known.items()]
    return Replayed(told, episodes, sorted(loss.values(), key=lambda row: (row.gas_day, row.zone)))


def _moments(dataset: Dataset, end: datetime) -> Iterator[datetime]:
    """Yield the moments of the passes: each gas day's end, and the time to settle."""
    gas_day = dataset.settings.gas_day
    day = gas_day.of(dataset.settings.start)
    while gas_day.ends(day) + SETTLE <= end:
        if gas_day.ends(day) > dataset.settings.start:
            yield gas_day.ends(day) + SETTLE
        day += timedelta(days=1)


def _between(dataset: Dataset, end: datetime) -> Iterator[datetime]:
    """Yield the moments at which only what cannot wait is looked for."""
    now = dataset.settings.gas_day.begins(dataset.settings.gas_day.of(dataset.settings.start)) + SETTLE
    while now <= end:
        if now > dataset.settings.start:
            yield now
        now += HOURLY_EVERY


def _unread(dataset: Dataset, moments: list[datetime]) -> Iterator[LossRow]:
    """Yield what is said of a gas day as long as no pass can balance it: that the supply meter was not read."""
    zones = build_tree(dataset.network, list(dataset.network.meters)).zones
    for now in moments:
        day = dataset.settings.gas_day.of(now - SETTLE) - timedelta(days=1)
        for zone in zones:
            yield LossRow(
                zone,
                day,
                None,
                None,
                None,
                None,
                None,
                None,
                0.0,
                LossVerdict.NOT_ASSESSABLE,
                "supply meter was not read",
            )


def city_of(dataset: Dataset) -> CityData:
    """Return a dataset as the daily pass takes it."""
    settings = dataset.settings
    figures = SiteFigures(settings.base_temperature_c, settings.base_pressure_kpa, settings.customer_pressure_kpa)
    model = CityModel(dataset.network, settings.gas_day, figures, dataset.weather, accounts=accounts_of(dataset.events))
    series: dict[Quantity, Series] = {}
    heard: dict[Quantity, Series] = {}
    for part in dataset.columns:
        batch = ReadingBatch(part.column.astype("uint32"), part.time, part.received, part.value, part.quality)
        if part.quantity is Quantity.VALVE:
            # most valves are never closed, and nothing is concluded from those
            closed = np.bincount(part.column[part.value == 0.0], minlength=len(part.assets)) > 0
            batch = batch.take(closed[part.column])
        if part.quantity is Quantity.FLAGS:
            batch = batch.take(tampered_with(part.value))
        usable = series[part.quantity] = make_series(dataset.network, part.quantity, part.assets, batch)
        if part.quantity in REGISTERS:
            whole = len(usable.time) == len(part.time)
            heard[part.quantity] = usable if whole else heard_rows(part.assets, batch)
    return CityData(model, series, exchanges_of(dataset.events), heard=heard)


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as the answer holds it."""
    return {
        "kind": finding.kind,
        "zone": finding.zone,
        "meter": finding.meter,
        "detected_at": _utc(finding.detected_at),
        "onset": _utc(finding.onset),
        "score": finding.score,
        "estimate_m3_per_day": finding.estimate_m3_per_day,
        "evidence": dict(finding.evidence),
        "status": FindingStatus.OPEN.value,
    }


def loss_json(row: LossRow) -> dict[str, Any]:
    """Return a loss row as the answer holds it."""
    return {
        "zone": row.zone,
        "gas_day": row.gas_day.isoformat(),
        "supply_m3": row.supply_m3,
        "metered_m3": row.metered_m3,
        "linepack_m3": row.linepack_m3,
        "loss_m3": row.loss_m3,
        "loss_rate": row.loss_rate,
        "sigma": row.sigma,
        "coverage": row.coverage,
        "verdict": row.verdict.value,
        **({"reason": row.reason} if row.reason else {}),
        **({"steady_sigma": row.steady_sigma} if row.steady_sigma is not None else {}),
        **(
            {"between_m3": row.between_m3, "between_sigma_m3": row.between_sigma_m3}
            if row.between_m3 is not None
            else {}
        ),
        **({"terms": {name: list(pair) for name, pair in row.terms.items()}} if row.terms else {}),
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
