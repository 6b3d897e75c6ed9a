"""An examination: a city with faults and confounders drawn by seed, as a dataset with the truth about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.errors import ConfigError
from gateway.model.network import Meter
from simulators import noise
from simulators.city import City, Plan
from simulators.customers import build_customers, mix_names
from simulators.dataset import supply, tables
from simulators.dataset.draw import draw_faults
from simulators.dataset.folder import whole_folder
from simulators.dataset.groups import GroupFiles, GroupResult, groups_of, spans, write_group
from simulators.dataset.ledger import DAY_H
from simulators.dataset.levels import Levels
from simulators.dataset.network_files import settings, write_network
from simulators.dataset.points import gate_rows
from simulators.dataset.presets import Preset, preset
from simulators.dataset.record import Record
from simulators.dataset.truth import truth_of
from simulators.dataset.work import in_order
from simulators.faults import Fault
from simulators.ground import Ground
from simulators.meters.habits import Habits, Way, build_habits
from simulators.meters.registers import Exchanges, draw_exchanges, near_rollover
from simulators.meters.traits import meter_traits

START = datetime(2024, 9, 30, 22, tzinfo=UTC)
"""06:00 on 1 October 2024 in Asia/Shanghai: a gas day, a season and soon the heating begin"""
Show = Callable[[int, int], None]
"""told how many meter-days of how many are written"""

_STREAM_HABITS, _STREAM_METERED = 521, 522
_PARENTS_METERED = 0.7


@dataclass(frozen=True, eq=False)
class Exam:
    """A city with all that befalls it; what a process needs to compute any group of its zones."""

    plan: Plan
    days: int
    metered: tuple[int, ...]
    """positions of the supply meters that exist, among those of the zones and then of the parents"""
    mixes: tuple[str, ...]
    """habits of each regulator zone's meters"""
    faults: tuple[Fault, ...]
    exchanges: Exchanges
    work: Path
    """folder for the groups' files"""

    @cached_property
    def groups(self) -> list[tuple[int, int]]:
        """First zone and number of zones of each group."""
        zones = len(self.plan.ground.regulator_zones)
        return groups_of(np.bincount(self.plan.customers.zone, minlength=zones).tolist(), self.days)

    @cached_property
    def city(self) -> City:
        """The whole city."""
        return City(self.plan, self.faults, exchanges=self.exchanges)

    @property
    def end(self) -> datetime:
        """When the history ends."""
        return self.plan.start + timedelta(days=self.days)

    def supplies(self) -> list[Meter]:
        """Return the supply meters."""
        metered = set(self.metered)
        return [meter for at, meter in enumerate(supply.meters(self.plan)) if at in metered]


def write_exam(
    out: Path,
    ground: Ground,
    *,
    seed: int,
    days: int,
    preset_name: str = "exam",
    habits: str | None = None,
    mix: str | None = None,
    start: datetime = START,
    processes: int = 1,
    show: Show | None = None,
) -> int:
    """Write a dataset with its `truth.json` into a new folder and return how many readings it has.

    The same arguments give the same bytes, whatever the number of processes. `habits` and `mix` take the place of the
    preset's ways in which readings arrive, and of its customers. Raises ConfigError for what cannot be, and
    GatewayError if the disk is full.
    """
    if days < 1 or not ground.places:
        raise ConfigError(["a dataset needs at least one day and one customer: raise --days, --zones or the like"])
    rules = preset(preset_name)
    mix = known_mix(rules, mix)
    with whole_folder(out) as folder:
        exam = build_exam(ground, folder, seed=seed, days=days, rules=rules, habits=habits, mix=mix, start=start)
        name = dataset_name(preset_name, seed, days, habits, mix, start, ground.regulator_zones, len(ground.places))
        return _write(exam, folder, name, processes, show or _silent)


def build_exam(
    ground: Ground, work: Path, *, seed: int, days: int, rules: Preset, habits: str | None, mix: str, start: datetime
) -> Exam:
    """Draw what befalls a city."""
    customers = build_customers(seed, ground, start.date(), mix)
    traits = meter_traits(seed, customers)
    plan = Plan(seed, start, ground, near_rollover(seed, traits, customers, rules.rolling_over))
    mixes = mixes_of(plan, rules, habits)
    metered = _metered(plan, rules)
    ids = plan.supply_meters
    feeds = dict(zip(ids, (*ground.regulator_zones, *plan.parents), strict=True))
    drawn = habits_of(plan, mixes)
    faults = draw_faults(plan, days, rules.fault, {ids[at]: feeds[ids[at]] for at in metered}, drawn.way <= Way.DAILY_1)
    exchanges = draw_exchanges(
        seed,
        traits,
        plan.start_hour,
        days * DAY_H,
        per_year=rules.exchanged_a_year,
        unrecorded=1.0 - rules.exchanges_recorded,
    )
    return Exam(plan, days, metered, mixes, faults, exchanges, work)


def known_mix(rules: Preset, mix: str | None) -> str:
    """Return the name of a mix of customers, by default the preset's. Raises ConfigError if there is none."""
    if mix is not None and mix not in mix_names():
        raise ConfigError([f"there is no mix of customers {mix!r}: use one of {', '.join(mix_names())}"])
    return rules.mix if mix is None else mix


def dataset_name(*options: object) -> str:
    """Return a name that tells an analysis nothing about what is in the dataset."""
    return f"city-{hashlib.sha256(repr(options).encode()).hexdigest()[:8]}"


def habits_of(plan: Plan, mixes: Sequence[str]) -> Habits:
    """Return the habits of a plan's meters, `mixes` naming those of each of its regulator zones."""
    return build_habits(plan.seed, plan.customers, [mixes[zone] for zone in plan.customers.zone.tolist()])


def mixes_of(plan: Plan, rules: Preset, habits: str | None) -> tuple[str, ...]:
    """Return the habits of each regulator zone's meters."""
    if habits is not None:
        return (habits,) * len(plan.ground.regulator_zones)
    draw = noise.uniform(plan.seed, _STREAM_HABITS, plan.zone_numbers)
    poor = draw > 1.0 - rules.poor_zones
    return tuple(np.where(draw < rules.prompt_zones, "prompt", np.where(poor, "poor", "mixed")).tolist())


def _metered(plan: Plan, rules: Preset) -> tuple[int, ...]:
    """Choose the supply meters that exist; the top of the tree always has one, and at least one zone."""
    number = supply.numbers(plan)
    draw = noise.uniform(plan.seed, _STREAM_METERED, number)
    zones = len(plan.ground.regulator_zones)
    share = np.where(np.arange(len(number)) < zones, 1.0 - rules.unmetered_zones, _PARENTS_METERED)
    chosen: NDArray[np.bool_] = draw < share
    chosen[zones:] |= plan.parent_of_parent < 0
    if not chosen[:zones].any():
        chosen[0] = True
    return tuple(np.flatnonzero(chosen).tolist())


def _write(exam: Exam, folder: Path, name: str, processes: int, show: Show) -> int:
    plan, zones = exam.plan, exam.plan.ground.regulator_zones
    prompt = [zone for zone, mix in zip(zones, exam.mixes, strict=True) if mix == "prompt"]
    record = Record.of(plan, exam.days, exam.faults, metered=exam.metered, prompt=prompt, name=name)
    levels = Levels(plan, exam.days, [at for at in exam.metered if at >= len(zones)])
    rows = done = 0
    total = max(1, len(plan.customers) * exam.days)
    with (
        tables.writer(folder / "readings.parquet", tables.READINGS) as readings,
        tables.writer(folder / "points.parquet", tables.POINTS) as points,
    ):
        for result in in_order(exam, compute_group, range(len(exam.groups)), processes):
            rows += tables.move(result.files.readings, readings)
            tables.move(result.files.points, points)
            levels.add(result)
            record.add(result)
            done += result.meters * exam.days
            show(min(done, total), total)
        for table in levels.readings():
            readings.write_table(table)
            rows += len(table)
        pieces = spans(plan.start_hour, exam.days, max(1, len(plan.parents)))
        for table in gate_rows(plan, exam.faults, levels.flows().supply, pieces):
            points.write_table(table)
    record.add_levels(levels.balances())
    write_network(plan, folder, exam.end, supplies=exam.supplies(), events=record.event_rows())
    (folder / "dataset.toml").write_text(settings(plan, exam.end, name), encoding="utf-8")
    (folder / "truth.json").write_text(json.dumps(truth_of(record.facts), indent=1) + "\n", encoding="utf-8")
    return rows


def compute_group(exam: Exam, number: int) -> GroupResult:
    """Compute one group of zones, in whichever process."""
    first, count = exam.groups[number]
    city = exam.city.part(range(first, first + count))
    files = GroupFiles(exam.work / f"readings-{number}.arrow", exam.work / f"points-{number}.arrow")
    metered = [at - first for at in exam.metered if first <= at < first + count]
    return write_group(city, exam.days, habits_of(city.plan, exam.mixes[first : first + count]), metered, files)


def _silent(_done: int, _total: int) -> None:
    """Show nothing."""
