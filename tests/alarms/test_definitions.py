from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from alarms.definitions import load_definitions, parse_definitions, priority_of, shipped_rows
from gateway.errors import ConfigError

ROW = """
[[alarm]]
id = "OVERPRESS_HI"
title = "Outlet pressure high"
kind = "high_limit"
quantity = "pressure_gauge_kpa"
asset_kinds = ["regulator"]
limit = 2.4
unit = "kPa"
priority = 2
alarm_class = "safety"
cause = "dirt"
consequence = "damage"
action = "look"
time_available_s = 600
time_needed_s = 300
"""


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parse_definitions(text, "own.toml")
    return str(refused.value)


def test_every_definition_that_comes_with_gasgate_can_be_acted_on() -> None:
    definitions = load_definitions()
    assert definitions["GAS_CONC_HIHI"].on_delay_s == 0
    assert definitions["STATION_COMM_LOSS"].ticket_delay == timedelta(minutes=5)
    for one in definitions.values():
        assert one.cause
        assert one.consequence
        assert one.action
        assert one.time_needed_s <= one.time_available_s
        assert not (one.highly_managed and one.shelvable)


def test_a_row_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(ROW, encoding="utf-8")
    assert load_definitions(path)["OVERPRESS_HI"].limit == 2.4
    with pytest.raises(ConfigError, match="cannot read"):
        load_definitions(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('cause = "dirt"', "", "OVERPRESS_HI: cause: Field required"),
        ('action = "look"', 'action = ""', "OVERPRESS_HI: action"),
        ("time_needed_s = 300", "time_needed_s = 700", "time_needed_s must not exceed"),
        ("limit = 2.4", "", "a limit needs quantity and limit"),
        ("priority = 2", "priority = 5", "priority"),
        ("priority = 2", "priority = 1\nshelvable = true\nmax_shelve_s = 60", "max_shelve_s"),
        ("priority = 2", "priority = 2\nhighly_managed = true", "a highly managed alarm latches"),
        ("priority = 2", 'priority = 2\nrules = ["wish"]', "rules.0"),
        ("priority = 2", 'priority = 2\nticket_class = "URGENT"', "ticket_class and ticket_type"),
        ("priority = 2", "priority = 2\ndelay = 3", "delay: Extra inputs"),
        ('"OVERPRESS_HI"', '"LEAK_X"\non_delay_s = 1', "has no on_delay_s"),
        ('"OVERPRESS_HI"', '"over"', "alarm over: id"),
        ("[[alarm]]", "[alarms]\n[[alarm]]", "unknown table 'alarms'"),
        ("[[alarm]]", "[[alarm", "own.toml"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_place(old: str, new: str, said: str) -> None:
    assert said in problems(ROW.replace(old, new, 1))


def test_doubled_and_missing_rows_are_refused() -> None:
    assert "defined twice" in problems(ROW + ROW)
    assert "at least one" in problems("")


@pytest.mark.parametrize(
    ("harm", "seconds", "priority"),
    [
        ("people", 180, 1), ("people", 600, 2), ("many", 170, 1), ("many", 180, 2), ("many", 1800, 3),
        ("few", 170, 2), ("few", 1799, 3), ("few", 1800, 4), ("money", 599, 4),
    ],
)  # fmt: skip
def test_harm_and_time_available_make_the_priority(harm: str, seconds: int, priority: int) -> None:
    assert priority_of(harm, seconds) == priority
    row = ROW.replace("time_available_s = 600", f'harm = "{harm}"\ntime_available_s = {seconds}')
    row = row.replace("time_needed_s = 300", "time_needed_s = 60")
    parse_definitions(row.replace("priority = 2", f"priority = {priority}"), "own.toml")
    other = priority % 4 + 1
    assert f"priority must be {priority}" in problems(row.replace("priority = 2", f"priority = {other}"))


def test_money_that_can_wait_is_no_alarm() -> None:
    row = ROW.replace("time_available_s = 600", 'harm = "money"\ntime_available_s = 7200')
    assert "work item" in problems(row)


def test_every_definition_that_comes_with_gasgate_has_the_priority_of_its_harm() -> None:
    assert [row.id for row in shipped_rows().values() if not row.harm] == []
