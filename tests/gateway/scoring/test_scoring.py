"""Worked examples of what counts as a hit, and what holds for every answer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.scoring import score
from gateway.scoring.report import report
from gateway.scoring.rules import KINDS, RULES
from gateway.scoring.truth import Truth
from tests.gateway.scoring.examined_city import (
    DAYS,
    METERS,
    ZONES,
    event,
    finding,
    rated,
    truth_of,
    write_city,
    zone_of,
)

TWINS: dict[str, Any] = {"accepts": ["non_moving", "theft"]}


def one_of_each() -> list[Any]:
    """Return an event of each kind on a meter or zone of its own, all early enough for the longest time of Q."""
    return [
        event(
            number, kind, 40.0 + number, days=None, size_m3_per_day=3.0, **({"size_pct": 3.0} if kind == "leak" else {})
        )
        for number, kind in enumerate(KINDS)
    ]


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return truth_of(tmp_path_factory.mktemp("city"), one_of_each())


def kind_of(truth: Truth, findings: list[Any], kind: str) -> dict[str, Any]:
    figures: dict[str, Any] = rated(truth, findings)["kinds"][kind]
    return figures


def perfect(truth: Truth) -> list[Any]:
    day = [(one.onset - truth.start) / 86400 + 0.5 for one in truth.events]
    return [finding(one.kind, str(one.subject), at) for one, at in zip(truth.events, day, strict=True)]


def test_an_empty_answer_is_worth_nothing(every_kind: Truth) -> None:
    figures = rated(every_kind, [])
    assert figures["quality"] == 0
    assert all(row["recall"] == 0 and row["false_alarms"] == 0 for row in figures["kinds"].values())


def test_a_perfect_answer_is_worth_all(every_kind: Truth) -> None:
    figures = rated(every_kind, perfect(every_kind))
    assert figures["quality"] == 100
    assert all(row["recall_24h"] == 1 and row["precision_at_n"] == 1 for row in figures["kinds"].values())
    assert figures["theft_rank"]["hit_at_1"] == 1
    assert figures["kinds"]["leak"]["delay_median_d"] == 0.5
    assert figures["kinds"]["leak"]["estimate_error_median"] is None


def test_everything_reported_every_day_is_worth_nothing(every_kind: Truth) -> None:
    everything = [
        finding(kind, subject, day)
        for day in range(0, DAYS, 2)
        for kind in KINDS
        for subject in (ZONES if RULES[kind].subject == "zone" else METERS)
    ]
    figures = rated(every_kind, everything)
    assert figures["quality"] == 0
    assert all(row["recall"] == 1 for row in figures["kinds"].values())


@pytest.mark.parametrize(
    ("day", "found", "false"),
    [(99.9, 0, 1), (100.0, 1, 0), (219.9, 1, 0), (223.1, 0, 1)],
    ids=["before the onset", "at the onset", "in time", "after the horizon"],
)
def test_a_finding_has_to_come_within_the_window(tmp_path: Path, day: float, found: int, false: int) -> None:
    truth = truth_of(tmp_path, [event(1, "non_moving", 100, lag=3)])
    row = kind_of(truth, [finding("non_moving", "M-1", day)], "non_moving")
    assert (row["found"], row["false_alarms"]) == (found, false)


def test_an_event_that_ended_is_found_within_its_grace(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [event(1, "leak", 100, days=10, size_pct=2.0)])
    assert kind_of(truth, [finding("leak", "R-2", 112.9)], "leak")["found"] == 1
    assert kind_of(truth, [finding("leak", "R-2", 113.1)], "leak")["false_alarms"] == 1


def test_a_late_finding_is_a_repeat_only_if_its_kind_was_there_in_time(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [event(1, "leak", 100, size_pct=2.0)])
    late = finding("leak", "R-2", 300)
    row = kind_of(truth, [finding("leak", "R-2", 110), late], "leak")
    assert (row["found"], row["repeats"], row["false_alarms"]) == (1, 1, 0)
    assert kind_of(truth, [late], "leak")["false_alarms"] == 1


def test_a_kind_that_the_data_cannot_tell_apart_is_a_hit_as_well(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [event(1, "theft", 100, **TWINS), event(2, "silent", 100)])
    found = [finding("non_moving", "M-1", 120), finding("non_moving", "M-2", 120)]
    kinds = rated(truth, found)["kinds"]
    assert (kinds["theft"]["found"], kinds["theft"]["recall_exact_kind"]) == (1, 0)
    assert (kinds["non_moving"]["false_alarms"], kinds["non_moving"]["listed"]) == (1, 1)
    assert kinds["non_moving"]["false_by_cause"] == {"wrong kind": 1}


@pytest.mark.parametrize(("zone", "false"), [("D-1", 0), ("CITY", 0), ("B-1", 0), ("R-2", 1)])
def test_a_leak_named_above_or_below_its_zone_is_imprecise(tmp_path: Path, zone: str, false: int) -> None:
    truth = truth_of(tmp_path, [event(0, "leak", 100, size_pct=2.0)])
    row = kind_of(truth, [finding("leak", zone, 110)], "leak")
    assert (row["found"], row["false_alarms"]) == (0, false)


def test_a_leak_in_a_zone_that_only_a_thief_drains_is_false(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [event(1, "theft", 100)])
    assert kind_of(truth, [finding("leak", "R-2", 110)], "leak")["false_by_cause"] == {
        "theft or bad meter in the zone": 1
    }


def test_events_of_the_last_week_are_left_out_with_their_findings(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [event(1, "silent", DAYS - 6.0)])
    row = kind_of(truth, [finding("silent", "M-1", DAYS - 5.0)], "silent")
    assert (row["events"], row["false_alarms"], row["listed"], row["quality"]) == (0, 0, 0, None)


def test_equal_scores_stand_or_fall_together(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [event(1, "leak", 100, size_pct=2.0)])
    false = [finding("leak", "R-1", day, 0.7) for day in (10, 20, 30)]
    for own, kept in ((0.7, 0), (0.71, 1), (0.69, 0)):
        row = kind_of(truth, [*false, finding("leak", "R-2", 101, own)], "leak")
        assert (row["budget_count"], row["found"], row["recall_at_budget"]) == (2, 1, kept)
    assert kind_of(truth, [*false[:2], finding("leak", "R-2", 101, 0.1)], "leak")["recall_at_budget"] == 1


def test_the_thief_is_ranked_among_the_suspects_of_its_zone(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [event(1, "theft", 50), event(3, "slow", 50), event(5, "silent", 50)])
    thief = finding("theft", "M-1", 60, 0.5)
    other_zone, true_case = finding("theft", "M-2", 60, 0.9), finding("slow", "M-3", 60, 0.9)
    neighbours = [
        finding("non_moving", "M-5", 60, 0.5),
        finding("slow", "M-7", 60, 0.8),
        finding("theft", "M-9", 60, 0.9),
    ]
    assert rated(truth, [thief, other_zone, true_case])["theft_rank"]["hit_at_1"] == 1
    assert rated(truth, [thief, neighbours[0]])["theft_rank"] == {
        "hit_at_1": 0, "hit_at_3": 1, "by_type": {"plain": {"events": 1, "hit_at_1": 0, "hit_at_3": 1}},
    }  # fmt: skip
    assert rated(truth, [thief, *neighbours])["theft_rank"]["hit_at_3"] == 0


def test_leaks_are_judged_by_size_and_growth(tmp_path: Path) -> None:
    events = [event(2 * n, "leak", 20 + 30 * n, days=20, size_pct=4.0, size_m3_per_day=4.0) for n in range(4)]
    events.append(event(1, "leak", 100, size_pct=6.0, size_m3_per_day=6.0, ramp_days=12))
    truth = truth_of(tmp_path, events)
    found = [finding("leak", "R-1", 20.5 + 30 * n) for n in range(3)] + [finding("leak", "R-2", 110.2)]
    leaks = rated(truth, found)["leak_sizes"]
    assert leaks["by_size"]["2-5 %"] == {"leaks": 4, "1d": 0.75, "7d": 0.75, "30d": 0.75, "60d": 0.75}
    by_aim = {aim["at_least_pct"]: (aim["all"], aim["prompt"]) for aim in leaks["aims"]}
    assert by_aim[5.0] == ({"leaks": 1, "found": 1}, {"leaks": 0, "found": 0}), "5 of 6 % is reached on day 110"
    assert by_aim[2.0] == ({"leaks": 5, "found": 3}, {"leaks": 4, "found": 3}), "2 of 6 % was reached on day 104"
    assert leaks["gas_lost_before_alarm_median_m3"] == 2.0


def test_a_loss_rate_is_compared_with_the_true_one(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [], days=40)
    row = {"zone": "R-1", "gas_day": "2024-02-02", "loss_rate": 0.03, "sigma": 0.004, "verdict": "high"}
    rows = [row, row, {**row, "zone": "R-9"}, {**row, "gas_day": "2024-02-03", "verdict": "not_assessable"}, None]
    figures = rated(truth, [], rows)["loss"]
    assert (figures["unknown_rows"], figures["doubled_rows"]) == (2, 1)
    loss = figures["regulator"]
    assert (loss["zone_days"], loss["assessed_share"]) == (80, round(1 / 80, 4))
    assert (loss["mae_pct"], loss["bias_pct"], loss["within_2_sigma"]) == (1.0, 1.0, 0.0)
    assert loss["mae_30d_pct"] is None
    month = [{**row, "gas_day": f"2024-02-{day:02d}", "loss_rate": 0.01, "sigma": 0.01} for day in range(2, 30)]
    assert rated(truth, [], month)["loss"]["regulator"]["mae_30d_pct"] == 1.0


def test_neither_a_huge_nor_a_tiny_sigma_helps(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [], days=30)

    def crps(sigma: float) -> float:
        row = {"zone": "R-1", "gas_day": "2024-02-02", "loss_rate": 0.03, "sigma": sigma, "verdict": "normal"}
        value: float = rated(truth, [], [row])["loss"]["regulator"]["crps_pct"]
        return value

    assert crps(0.01) < crps(0.0) == pytest.approx(1.0)
    assert crps(0.01) < crps(1.0)


kinds = st.sampled_from([*KINDS, "nonsense"])
subjects = st.sampled_from([*METERS, *ZONES, "D-1", "B-1", "nowhere"])
scores = st.sampled_from([0.1, 0.5, 0.9, math.nan, math.inf])
findings_of_any_kind = st.lists(
    st.builds(finding, kinds, subjects, st.floats(-5, DAYS + 5), scores)
    | st.sampled_from([None, {}, {"kind": ["leak"], "detected_at": 7, "score": "high"}]),
    max_size=30,
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(findings=findings_of_any_kind, data=st.data())
def test_the_order_of_findings_is_irrelevant(every_kind: Truth, findings: list[Any], data: st.DataObject) -> None:
    assert rated(every_kind, data.draw(st.permutations(findings))) == rated(every_kind, findings)


@quick
@given(findings=findings_of_any_kind)
def test_every_finding_is_accounted_for(every_kind: Truth, findings: list[Any]) -> None:
    figures = rated(every_kind, findings)
    assert figures["findings"] == len(findings)
    for row in figures["kinds"].values():
        assert row["false_alarms"] + row["repeats"] <= row["findings"]
        assert row["recall_at_budget"] <= row["recall"] <= 1
        assert sum(row["false_by_cause"].values()) == row["false_alarms"]
        assert 0 <= row["quality"] <= 100
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert report(figures).startswith("examined: 2 zones with a supply meter, 10 customer meters")


@quick
@given(findings=findings_of_any_kind, day=st.floats(0, 39))
def test_what_is_raised_before_the_onset_never_helps(every_kind: Truth, findings: list[Any], day: float) -> None:
    before = [finding(one.kind, str(one.subject), day, 1.0) for one in every_kind.events]
    plain, with_more = rated(every_kind, findings), rated(every_kind, [*findings, *before])
    for kind in KINDS:
        assert with_more["kinds"][kind]["false_alarms"] == plain["kinds"][kind]["false_alarms"] + 1
        assert with_more["kinds"][kind]["found"] == plain["kinds"][kind]["found"]
        assert with_more["kinds"][kind]["quality"] <= plain["kinds"][kind]["quality"]


@quick
@given(findings=findings_of_any_kind)
def test_a_monotone_change_of_the_scores_changes_nothing(every_kind: Truth, findings: list[Any]) -> None:
    other = [
        one and {**one, "score": one["score"] ** 3} if one and isinstance(one["score"], float) else one
        for one in findings
    ]
    before, after = rated(every_kind, findings), rated(every_kind, other)
    for row in (*before["kinds"].values(), *after["kinds"].values()):
        row.pop("budget_threshold")
    assert before == after


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"events": {}}, "key events: is an object; give a list [...]"),
        ({"events": [7]}, "event 1: is a number; an object {...} is wanted"),
        ({"events": [event(1, "murder", 3)]}, "event 1: key kind: 'murder' is unknown; use one of leak, non_moving"),
        ({"events": [event(1, "theft", 3, meter="M-77")]}, "event 1: key meter: 'M-77' is not in meters.csv"),
        ({"events": [event(1, "theft", 3, accepts=["x"])]}, "event 1: key accepts: x: unknown"),
        ({"events": [event(1, "theft", 3), event(1, "theft", 3)]}, "event 2: key id: 'theft-1-3' stands here twice"),
        ({"events": [{**event(1, "theft", 3), "onset": "soon"}]}, "key onset: 'soon' is not a UTC time such as"),
        ({"start": None}, "key start: is missing; give a UTC time such as 2024-02-03T22:00:00Z"),
        ({"end": "2024-01-01"}, "key end: is not after the start; correct one of them"),
        ({"gas_days": 2.5}, "key gas_days: 2.5 is no number of days; give a whole number"),
        ({"gas_days": 10**30}, "is no number of days; give a whole number"),
        ({"loss": {"R-1": {"supply_m3": [1.0]}}}, "loss of R-1: key supply_m3: holds 1 values; give 366"),
        ({"loss": {"R-1": {"supply_m3": ["x"] * DAYS}}}, "key supply_m3: holds 366 values; give 366 finite"),
        ({"first_gas_day": 3}, "key first_gas_day: 3 is not a date such as 2024-02-03"),
    ],
)  # fmt: skip
def test_a_defect_of_the_truth_is_named_with_its_remedy(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    folder = write_city(tmp_path, [])
    path = folder / "truth.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    (folder / "f.json").write_text('{"findings": []}')
    with pytest.raises(ConfigError) as caught:
        score(folder, folder / "f.json")
    assert any(one.startswith(f"{path}") and told in one for one in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not JSON in UTF-8"),
        ("[]", "holds a list; an object {...} is wanted"),
        ("{}", "key findings: is missing; give a list, which may be empty"),
        ('{"findings": {}}', "key findings: is an object; give a list [...]"),
        ("[" * 200_000, "not JSON in UTF-8"),
        ("\udcff", "not JSON in UTF-8"),
    ],
)
def test_what_is_no_answer_is_named(tmp_path: Path, text: str, told: str) -> None:
    write_city(tmp_path, [])
    path = tmp_path / "f.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"f\.json") as caught:
        score(tmp_path, path)
    assert told in str(caught.value)


def test_a_city_without_anything_can_be_scored(tmp_path: Path) -> None:
    write_city(tmp_path, [], days=1, loss={}, zones={}, gas_days=0)
    (tmp_path / "zones.csv").write_text("zone_id,parent_id\n")
    (tmp_path / "meters.csv").write_text("meter_id,zone_id,role\n")
    (tmp_path / "f.json").write_text(json.dumps({"findings": [finding("leak", "R-1", 0.5)], "loss": []}))
    figures = score(tmp_path, tmp_path / "f.json")
    assert (figures["quality"], figures["invalid"], figures["loss"]) == (0.0, 1, {})
    assert "0 customer meters" in report(figures)


def test_the_meters_of_a_building_belong_to_the_measured_zone_above(every_kind: Truth) -> None:
    assert every_kind.tree.homes["M-0"] == "R-1"
    assert {every_kind.tree.homes[meter] for meter in METERS[1::2]} == {zone_of("M-1")}


def test_a_thief_without_a_zone_meter_is_held_against_the_honest(tmp_path: Path) -> None:
    zones = {zone: {"kind": "district", "parent": "D-1", "mean_flow_m3_per_day": 1.0} for zone in ZONES}
    truth = truth_of(tmp_path, [event(1, "theft", 50), event(3, "theft", 50), event(5, "slow", 50)], zones=zones)
    found = [finding("theft", "M-1", 60, 0.6), finding("theft", "M-3", 40, 0.9), finding("slow", "M-5", 60, 0.9)]
    found.append(finding("non_moving", "M-2", 60, 0.5))
    expected = {"thefts": 2, "found": 1, "honest": 7, "false": 0}
    assert rated(truth, found)["theft_without_zone_meter"] == expected, "M-3 was reported before it stole"
    found.append(finding("non_moving", "M-4", 60, 0.6))
    assert rated(truth, found)["theft_without_zone_meter"]["found"] == 0
    assert rated(truth_of(tmp_path, [event(1, "theft", 50)]), found)["theft_without_zone_meter"]["thefts"] == 0


def test_huge_numbers_are_only_huge_errors(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [event(1, "theft", 50, size_m3_per_day=0.01)], days=200)
    row = {"zone": "R-1", "gas_day": "2024-02-02", "loss_rate": 1e308, "sigma": 1e308, "verdict": "high"}
    figures = rated(truth, [finding("theft", "M-1", 60, 1e308, estimate_m3_per_day=1e308)], [row])
    assert figures["kinds"]["theft"]["estimate_error_median"] == 1e6
    assert figures["loss"]["regulator"]["mae_pct"] == 100
    json.dumps(figures, allow_nan=False)
