"""The table of the benchmark `detection`: counts of several cities are added up before they are divided."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.detection import cities_of
from benchmarks.exam_cities import REPORTING, SETS, TUNING
from benchmarks.exam_table import qualities, rows, table
from tests.gateway.scoring.examined_city import event, finding, rated, truth_of


def test_cases_of_all_cities_are_added_up(tmp_path: Path) -> None:
    still = [event(n, "non_moving", onset) for n in (2, 4, 6) for onset in (50, 150, 250)]
    one = truth_of(tmp_path / "one", [*still, event(0, "leak", 50, size_pct=3.0), event(1, "theft", 50, type="zero")])
    two = truth_of(
        tmp_path / "two", [*(event(n, "non_moving", 50) for n in (2, 4, 6)), event(1, "theft", 50, type="swap")]
    )
    found = [
        *(finding("non_moving", f"M-{n}", 51) for n in (2, 4, 6)),
        finding("leak", "R-1", 50.5),
        finding("theft", "M-1", 60),
    ]
    loss = [{"zone": "R-1", "gas_day": "2024-02-02", "loss_rate": 0.03, "sigma": 0.01, "verdict": "normal"}]
    scored = [("exam", rated(one, found, loss)), ("thefts", rated(two, found[:3])), ("clean", rated(two, []))]
    by_task = {(row.task, row.aim.partition(":")[0]): row for row in rows(scored)}
    non_moving = by_task["non-moving", "95 % in 30 d at 0.002 false/meter-year"]
    assert (non_moving.ours, non_moving.cases, non_moving.met) == (0.5, "12 meters", False)
    prompt = by_task["zone leak, prompt reads", "2 % of flow in 24 h"]
    assert (prompt.ours, prompt.cases, prompt.met) == (1.0, "1 leaks", None), "one case shows nothing"
    assert by_task["zone leak, prompt reads", "5 % of flow in 6 h"].met is None, "no leak is so large"
    assert by_task["theft: zero", "among the first 3 of the zone"].ours == 1.0
    assert by_task["theft: swap", "(no aim) among the first 3"].ours == 0.0
    assert by_task["theft: cap", "among the first 3 of the zone"].ours is None
    assert by_task["suspect list", "half of the first 100 of a city right"].cases == "7 meters listed"
    assert by_task["loss rate", "error within 2 sigma on 95 % of zone-days"].ours == 1.0
    assert by_task["loss rate", "error within 2 sigma on 95 % of zone-days"].cases == "1 zone-days"
    assert "95 % in 30 d at 0.002 false/meter-year                 0.500  no   12 meters" in table(
        list(by_task.values())
    )
    of_kind = qualities([figures for _, figures in scored[:2]])
    assert of_kind["non_moving"] == pytest.approx((100 / 3 + 100) / 2, abs=0.1)
    assert of_kind["leak"] == 100


def test_no_city_can_be_tabled() -> None:
    assert all(row.ours is None for row in rows([]))
    assert qualities([]) == {}


def test_no_seed_is_in_two_sets() -> None:
    seeds = [city.seed for cities in SETS.values() for city in cities]
    assert len(seeds) == len(set(seeds))
    assert (
        {city.preset for city in REPORTING} == {city.preset for city in TUNING} == {"exam", "leaks", "thefts", "clean"}
    )
    assert [city.seed for city in cities_of("3,4")] == [3, 4]
    with pytest.raises(SystemExit, match="--seeds x: give numbers such as 1,2,3 or one of tuning, reporting, quick"):
        cities_of("x")
