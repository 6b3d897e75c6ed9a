"""What really happened in a dataset: its `truth.json` and the tree of its zones. Only the examination may read it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.csv_table import Table
from gateway.errors import ConfigError
from gateway.scoring.reading import Fields, read_json
from gateway.scoring.rules import DAY_S, KINDS, RULES, SETTLING_D, YEAR_S

MAX_DEPTH = 20
MAX_GAS_DAYS = 100_000


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that really happened; times in seconds since 1970 UTC."""

    event_id: str
    kind: str
    type: str
    zone: str
    meter: str | None
    onset: float
    effective: float
    """from when on it shows in the data, never before the onset"""
    end: float
    """infinite where it lasts"""
    accepts: frozenset[str]
    """kinds of findings that name it rightly"""
    size_m3_per_day: float
    size_pct: float
    """per cent of the zone's mean flow"""
    ramp_days: float

    @property
    def subject(self) -> str | None:
        """The meter or the zone that a finding has to name."""
        return self.zone if RULES[self.kind].subject == "zone" else self.meter

    @property
    def window_end(self) -> float:
        """A finding later than this is no hit."""
        return min(self.effective + RULES[self.kind].horizon_d * DAY_S, self.over)

    @property
    def over(self) -> float:
        """When the event is over, grace included."""
        return self.end + RULES[self.kind].grace_d * DAY_S


@dataclass(frozen=True, slots=True)
class Confounder:
    """What may look like an event but is none."""

    cause: str
    zone: str
    meter: str | None
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class TrueZone:
    """What is true of a zone with a supply meter."""

    kind: str
    clean: bool
    prompt: bool
    """its meters report within minutes"""
    mean_flow_m3_per_day: float


@dataclass(frozen=True, slots=True)
class Tree:
    """Zones and meters of a dataset."""

    parents: Mapping[str, str]
    measured: frozenset[str]
    """zones with a supply meter"""
    homes: Mapping[str, str]
    """the nearest measured zone of each customer meter"""
    meters: frozenset[str]

    def above(self, zone: str) -> Iterator[str]:
        """Yield the zones above a zone, nearest first."""
        for _ in range(MAX_DEPTH):
            zone = self.parents.get(zone, "")
            if not zone:
                return
            yield zone

    def measured_zone(self, zone: str) -> str:
        """Return the nearest zone with a supply meter, the zone itself included; the zone if there is none."""
        return next((z for z in (zone, *self.above(zone)) if z in self.measured), zone)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What an answer is compared with."""

    name: str
    start: float
    end: float
    first_gas_day: date
    gas_days: int
    events: tuple[Event, ...]
    confounders: tuple[Confounder, ...]
    zones: Mapping[str, TrueZone]
    loss: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """supply and loss of each gas day, m3"""
    tree: Tree

    @property
    def years(self) -> float:
        """Length of the dataset."""
        return (self.end - self.start) / YEAR_S

    def unit_years(self, kind: str) -> float:
        """Zone-years or meter-years over which false alarms of a kind are counted."""
        units = self.tree.measured if RULES[kind].subject == "zone" else self.tree.homes
        return len(units) * self.years

    def counts(self, event: Event) -> bool:
        """Tell whether an event leaves enough data to be found at all."""
        return event.effective <= self.end - SETTLING_D * DAY_S


def read_truth(folder: Path) -> Truth:
    """Read `truth.json`, `zones.csv` and `meters.csv` of a dataset. Raises ConfigError that names every defect."""
    problems: list[str] = []
    tree = read_tree(folder, problems)
    path = folder / "truth.json"
    top = Fields(str(path), read_json(path), problems)
    start, end, days = top.moment("start"), top.moment("end"), top.number("gas_days")
    if end <= start:
        top.problem("end", "is not after the start; correct one of them")
    if not 0 <= days <= MAX_GAS_DAYS or days != int(days):
        top.problem("gas_days", f"{days:g} is no number of days; give a whole number")
        days = 0
    truth = Truth(
        name=top.text("dataset"),
        start=start,
        end=end,
        first_gas_day=top.day("first_gas_day"),
        gas_days=int(days),
        events=tuple(_events(top, tree)),
        confounders=tuple(_confounders(top)),
        zones=dict(_zones(top)),
        loss=dict(_loss(top, int(days))),
        tree=tree,
    )
    if problems:
        raise ConfigError(problems)
    return truth


def read_tree(folder: Path, problems: list[str]) -> Tree:
    """Read `zones.csv` and `meters.csv`; what is wrong with them is added to `problems`."""
    zones = Table(folder / "zones.csv", problems)
    parents = {row.text("zone_id"): row.text("parent_id") for row in zones.rows(("zone_id", "parent_id"))}
    supplies, customers = set(), {}
    meters = Table(folder / "meters.csv", problems)
    for row in meters.rows(("meter_id", "zone_id", "role")):
        if row.text("role") == "supply":
            supplies.add((row.text("meter_id"), row.text("zone_id")))
        else:
            customers[row.text("meter_id")] = row.text("zone_id")
    tree = Tree(
        parents, frozenset(zone for _, zone in supplies), {}, frozenset({m for m, _ in supplies} | {*customers})
    )
    nearest = {zone: tree.measured_zone(zone) for zone in set(customers.values())}
    return Tree(parents, tree.measured, {meter: nearest[zone] for meter, zone in customers.items()}, tree.meters)


def _events(top: Fields, tree: Tree) -> Iterator[Event]:
    seen: set[str] = set()
    for number, item in enumerate(top.listed("events"), start=1):
        row = Fields(f"{top.where}: event {number}", item, top.problems)
        kind, event_id = row.text("kind"), row.text("id")
        if kind not in RULES:
            row.problem("kind", f"{kind!r} is unknown; use one of {', '.join(KINDS)}")
            continue
        if event_id in seen:
            row.problem("id", f"{event_id!r} stands here twice; give each event its own")
        seen.add(event_id)
        onset = row.moment("onset")
        event = Event(
            event_id=event_id,
            kind=kind,
            type=row.text("type"),
            zone=row.text("zone"),
            meter=row.name("meter"),
            onset=onset,
            effective=max(onset, row.moment("effective", onset)),
            end=row.moment("end", math.inf),
            accepts=frozenset(str(one) for one in row.listed("accepts")) or frozenset({kind}),
            size_m3_per_day=row.number("size_m3_per_day", math.nan),
            size_pct=row.number("size_pct", math.nan),
            ramp_days=row.number("ramp_days", 0.0),
        )
        _check_subject(row, event, tree)
        yield event


def _check_subject(row: Fields, event: Event, tree: Tree) -> None:
    if event.zone not in tree.parents:
        row.problem("zone", f"{event.zone!r} is not in zones.csv; add it or correct the name")
    if RULES[event.kind].subject == "meter" and event.meter not in tree.meters:
        row.problem("meter", f"{event.meter!r} is not in meters.csv; add it or correct the name")
    if wrong := sorted(event.accepts - set(KINDS)):
        row.problem("accepts", f"{', '.join(wrong)}: unknown; use some of {', '.join(KINDS)}")


def _confounders(top: Fields) -> Iterator[Confounder]:
    for number, item in enumerate(top.listed("confounders"), start=1):
        row = Fields(f"{top.where}: confounder {number}", item, top.problems)
        yield Confounder(
            row.text("cause"),
            row.name("zone") or "",
            row.name("meter"),
            row.moment("start"),
            row.moment("end", math.inf),
        )


def _zones(top: Fields) -> Iterator[tuple[str, TrueZone]]:
    for name, item in top.inner("zones").items():
        row = Fields(f"{top.where}: zone {name}", item, top.problems)
        clean, prompt = row.values.get("clean") is True, row.values.get("prompt") is True
        yield name, TrueZone(row.text("kind"), clean, prompt, row.number("mean_flow_m3_per_day", math.nan))


def _loss(top: Fields, days: int) -> Iterator[tuple[str, tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    for name, item in top.inner("loss").items():
        row = Fields(f"{top.where}: loss of {name}", item, top.problems)
        yield name, (_column(row, "supply_m3", days), _column(row, "loss_m3", days))


def _column(row: Fields, key: str, days: int) -> NDArray[np.float64]:
    values = row.listed(key)
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        column = np.full(1, np.nan)
    if column.shape != (days,) or not np.isfinite(column).all():
        row.problem(key, f"holds {len(values)} values; give {days} finite numbers, one for each gas day")
        return np.zeros(days)
    return column
