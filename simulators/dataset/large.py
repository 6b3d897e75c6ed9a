"""The dataset of a city that does not fit into memory: groups of its zones, each drawn and written by itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import numpy as np

from gateway.errors import ConfigError
from gateway.model.network import Zone
from simulators.city import Plan
from simulators.customers import build_customers
from simulators.dataset import supply, tables
from simulators.dataset.exam import START, Show, build_exam, dataset_name, habits_of, known_mix
from simulators.dataset.folder import whole_folder
from simulators.dataset.groups import GroupFiles, groups_of, write_group
from simulators.dataset.network_files import COLUMNS, Rows, network_rows, settings, write_weather
from simulators.dataset.presets import Preset, preset
from simulators.dataset.record import Record
from simulators.dataset.truth import truth_of
from simulators.dataset.work import in_order
from simulators.networks.tiles import Tiles


@dataclass(frozen=True, slots=True, eq=False)
class _Large:
    """What a process needs to compute any group."""

    tiles: Tiles
    seed: int
    start: datetime
    days: int
    rules: Preset
    habits: str | None
    mix: str
    name: str
    groups: list[tuple[int, int]]
    work: Path


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What is known of a group."""

    files: GroupFiles
    meters: int
    above: tuple[Zone, ...]
    """levels above its zones"""
    text: dict[str, str]
    """its rows of the CSV files"""
    truth: dict[str, Any]


def write_large(
    out: Path,
    tiles: Tiles,
    *,
    seed: int,
    days: int,
    preset_name: str = "field",
    habits: str | None = None,
    mix: str | None = None,
    start: datetime = START,
    processes: int = 1,
    show: Show | None = None,
) -> int:
    """Write the dataset of a city of any size and return how many readings it has; memory does not grow with it.

    Differs from `write_exam` in what only a whole city can know: levels above the regulators have no supply meters
    and gates no instruments, a rare fault may not occur, and there is no map. Raises ConfigError and GatewayError.
    """
    if days < 1:
        raise ConfigError(["a dataset needs at least one day: raise --days"])
    rules = preset(preset_name)
    anywhere = tuple(rule.model_copy(update={"at_least": 0}) for rule in rules.fault if rule.among != "mains")
    rules = rules.model_copy(update={"fault": anywhere})
    mix = known_mix(rules, mix)
    groups = groups_of(np.diff(tiles.first_place).tolist(), days)
    name = dataset_name(preset_name, seed, days, habits, mix, start, tiles.zones_count, tiles.meters)
    with whole_folder(out) as folder:
        city = _Large(tiles, seed, start, days, rules, habits, mix, name, groups, folder)
        return _write(city, processes, show)


def _write(city: _Large, processes: int, show: Show | None) -> int:
    folder, rows, done = city.work, 0, 0
    above: dict[str, Zone] = {}
    truth: dict[str, Any] = {}
    with ExitStack() as stack:
        readings = stack.enter_context(tables.writer(folder / "readings.parquet", tables.READINGS))
        points = stack.enter_context(tables.writer(folder / "points.parquet", tables.POINTS))
        files = {name: stack.enter_context(_csv_file(folder / name, columns)) for name, columns in COLUMNS.items()}
        for part in in_order(city, _compute, range(len(city.groups)), processes):
            rows += tables.move(part.files.readings, readings)
            tables.move(part.files.points, points)
            for name, text in part.text.items():
                files[name].write(text)
            above |= {zone.zone_id: zone for zone in part.above}
            _join(truth, part.truth)
            done += part.meters * city.days
            if show is not None:
                show(done, city.tiles.meters * city.days)
        files["zones.csv"].write(_text((z.zone_id, z.parent_id, z.kind, z.name, "") for z in above.values()))
    _finish(city, truth)
    return rows


def _finish(city: _Large, truth: dict[str, Any]) -> None:
    ground = city.tiles.part(0, 1)
    plan = Plan(city.seed, city.start, ground, build_customers(city.seed, ground, city.start.date(), city.mix))
    end = city.start + timedelta(days=city.days)
    write_weather(plan, city.work, end)
    (city.work / "dataset.toml").write_text(settings(plan, end, city.name), encoding="utf-8")
    with (city.work / "truth.json").open("w", encoding="utf-8") as file:
        json.dump(truth, file)


def _compute(city: _Large, number: int) -> _Part:
    first, count = city.groups[number]
    exam = build_exam(
        city.tiles.part(first, count), city.work, seed=city.seed, days=city.days, rules=city.rules, habits=city.habits,
        mix=city.mix, start=city.start,
    )  # fmt: skip
    plan, zones = exam.plan, exam.plan.ground.regulator_zones
    metered = [at for at in exam.metered if at < len(zones)]
    files = GroupFiles(city.work / f"readings-{number}.arrow", city.work / f"points-{number}.arrow")
    result = write_group(exam.city, city.days, habits_of(plan, exam.mixes), metered, files)
    prompt = [zone for zone, mix in zip(zones, exam.mixes, strict=True) if mix == "prompt"]
    record = Record.of(plan, city.days, exam.faults, metered=metered, prompt=prompt, name=city.name)
    record.add(result)
    below = set(plan.assets.zones)
    own = replace(
        plan.ground,
        zones=tuple(zone for zone in plan.ground.zones if zone.zone_id in below),
        stations=tuple(station for station in plan.ground.stations if station.kind == "regulator"),
    )
    supplies = [meter for at, meter in enumerate(supply.meters(plan)) if at in set(metered)]
    rows = network_rows(replace(plan, ground=own), supplies) | {"events.csv": record.event_rows()}
    return _Part(
        files=files,
        meters=len(plan.customers),
        above=tuple(zone for zone in plan.ground.zones if zone.zone_id not in below),
        text={name: _text(of_file) for name, of_file in rows.items()},
        truth=truth_of(record.facts),
    )


def _join(truth: dict[str, Any], more: dict[str, Any]) -> None:
    """Add the truth of a group to that of the groups before it; what concerns the whole city is told once."""
    if not truth:
        truth.update(more)
        return
    truth["events"] += more["events"]
    truth["confounders"] += [one for one in more["confounders"] if one["meter"] or one["zone"] in more["zones"]]
    truth["zones"] |= more["zones"]
    truth["loss"] |= more["loss"]


def _text(rows: Rows) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


@contextmanager
def _csv_file(path: Path, columns: Sequence[str]) -> Iterator[IO[str]]:
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(_text([columns]))
        yield file
