"""The table of the examination: what must be reached, what is, over how many cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.scoring.rules import KINDS

Figures = Mapping[str, Any]
RECIPES = {"zero": 0.95, "share": 0.95, "days": 0.95, "onset": 0.95, "cap": 0.60}
"""types of theft, and how often the thief has to be among the first three suspects of its zone"""

ENOUGH = 10
"""an aim is neither met nor missed over fewer cases"""


@dataclass(frozen=True, slots=True)
class Row:
    """One aim and what was reached."""

    task: str
    aim: str
    ours: float | None
    """None where no case was there to be judged"""
    cases: str
    met: bool | None


def rows(scored: Sequence[tuple[str, Figures]]) -> list[Row]:
    """Return the table of all aims over cities, each with its preset; counts are added up before they are divided."""
    rated = [figures for preset, figures in scored if preset != "clean"]
    city = Row(
        "whole city, one gas day", "60 s on 2 cores, 2 GiB", None, "measured elsewhere, not by this benchmark", None
    )
    return [*_leaks(rated), *_non_moving(rated), *_thefts(rated), *_lists(rated), *_loss(rated), city]


def qualities(scored: Sequence[Figures]) -> dict[str, float]:
    """Return Q of each kind, the mean over the cities that have it, and of all kinds."""
    result = {}
    for kind in KINDS:
        values = [f["kinds"][kind]["quality"] for f in scored if f["kinds"][kind]["quality"] is not None]
        if values:
            result[kind] = sum(values) / len(values)
    if result:
        result["all"] = sum(result.values()) / len(result)
    return result


def table(found: Sequence[Row]) -> str:
    """Return the table as text."""
    lines = [f"{'task':<30} {'must reach':<52} {'ours':>7}  {'met':<4} of"]
    for row in found:
        met = {True: "yes", False: "no", None: "-"}[row.met]
        ours = "-" if row.ours is None else f"{row.ours:.3f}"
        lines.append(f"{row.task:<30} {row.aim:<52} {ours:>7}  {met:<4} {row.cases}")
    return "\n".join(lines)


def _row(task: str, aim: str, share: tuple[float, float], what: str, *, least: float) -> Row:
    """Return the row of a share, given as so many of so many."""
    hits, of = share
    value = hits / of if of else None
    return Row(task, aim, value, f"{of:,.0f} {what}", None if value is None or of < ENOUGH else value >= least)


def _leaks(rated: Sequence[Figures]) -> Iterator[Row]:
    for place, name in (("prompt", "zone leak, prompt reads"), ("all", "zone leak, all zones")):
        for index, aim in enumerate(rated[0]["leak_sizes"]["aims"] if rated else ()):
            pairs = [figures["leak_sizes"]["aims"][index][place] for figures in rated]
            hours = f"{aim['within_h']:g} h" if aim["within_h"] < 100 else f"{aim['within_h'] / 24:g} d"
            wanted = f"{aim['at_least_pct']:g} % of flow in {hours}: 90 % at 1 false/zone-year"
            share = sum(p["found"] for p in pairs), sum(p["leaks"] for p in pairs)
            yield _row(name, wanted, share, "leaks", least=0.9)


def _non_moving(rated: Sequence[Figures]) -> Iterator[Row]:
    kinds = [figures["kinds"]["non_moving"] for figures in rated]
    fair = [kind["events_within"]["30d"] for kind in kinds]
    hits = sum(round(n * (kind["recall_within_at_budget"]["30d"] or 0.0)) for n, kind in zip(fair, kinds, strict=True))
    yield _row("non-moving", "95 % in 30 d at 0.002 false/meter-year", (hits, sum(fair)), "meters", least=0.95)


def _thefts(rated: Sequence[Figures]) -> Iterator[Row]:
    ranked = [figures["theft_rank"]["by_type"] for figures in rated]
    others = sorted({name for by_type in ranked for name in by_type} - RECIPES.keys())
    for name in (*RECIPES, *others):
        cases = [by_type[name] for by_type in ranked if name in by_type]
        hits, of = sum(round(c["hit_at_3"] * c["events"]) for c in cases), sum(c["events"] for c in cases)
        if name in RECIPES:
            aim = f"among the first 3 of the zone: {100 * RECIPES[name]:.0f} %"
            yield _row(f"theft: {name}", aim, (hits, of), "thieves", least=RECIPES[name])
        else:
            yield Row(f"theft: {name}", "(no aim) among the first 3", hits / of, f"{of:,.0f} thieves", None)
    pooled = {
        key: sum(figures["theft_without_zone_meter"][key] for figures in rated)
        for key in ("thefts", "found", "honest", "false")
    }
    balanced = (
        (pooled["found"] / pooled["thefts"] + 1 - pooled["false"] / pooled["honest"]) / 2
        if pooled["thefts"] and pooled["honest"]
        else None
    )
    met = None if balanced is None or pooled["thefts"] < ENOUGH else balanced >= 0.85
    yield Row(
        "theft without a zone meter", "balanced accuracy 0.85 at 1 % false", balanced,
        f"{pooled['thefts']} thieves, {pooled['honest']} honest", met,
    )  # fmt: skip


def _lists(rated: Sequence[Figures]) -> Iterator[Row]:
    lists = [figures["inspection"] for figures in rated]
    length = sum(min(one["meters"], 100) for one in lists)
    right = sum(round((one["precision_at_100"] or 0.0) * min(one["meters"], 100)) for one in lists)
    yield _row("suspect list", "half of the first 100 of a city right", (right, length), "meters listed", least=0.5)


def _loss(rated: Sequence[Figures]) -> Iterator[Row]:
    zones = [figures["loss"]["regulator"] for figures in rated if "regulator" in figures["loss"]]
    days = [zone["zone_days"] * zone["assessed_share"] for zone in zones]
    inside = sum(n * zone.get("within_2_sigma", 0.0) for n, zone in zip(days, zones, strict=True))
    error = sum(n * zone.get("mae_pct", 0.0) for n, zone in zip(days, zones, strict=True))
    every = sum(zone["zone_days"] for zone in zones)
    yield _row("loss rate", "error within 2 sigma on 95 % of zone-days", (inside, sum(days)), "zone-days", least=0.95)
    share = sum(days) / every if every else None
    yield Row("loss rate: zone-days assessed", "(no aim)", share, f"{every:,.0f} zone-days", None)
    mean = error / sum(days) if sum(days) else None
    yield Row("loss rate: mean error, % points", "(no aim)", mean, f"{sum(days):,.0f} zone-days", None)
