"""New revisions in the judging pipeline, and what a new version of gasgate ships."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from alarms.acts import AlarmDesk
from alarms.definitions import shipped_rows
from alarms.master import MasterDefinitions, definition_of, digest
from alarms.pipeline import AlarmPipeline
from alarms.route import guidance
from gateway.store import alarm_rows, definition_rows
from tests.alarms.alarm_fixtures import START, small_network
from tests.alarms.plant import Plant

LOW = "UNDERPRESS_LO@REG-001"


def master_plant(folder: Path) -> tuple[Plant, MasterDefinitions]:
    plant = Plant(folder)
    definitions = MasterDefinitions(plant.desk.state, START)
    desk = AlarmDesk(plant.desk.state, definitions, small_network(), plant.clock, plant.desk.policy)
    plant.desk = desk
    plant.pipeline = AlarmPipeline(desk, desk.network, plant.names, definitions, plant.clock, wall=lambda: plant.wall)
    return plant, definitions


def approve(plant: Plant, name: str, **changes: object) -> None:
    with plant.desk.state.write() as connection:
        row = {**definition_rows.in_force(connection)[name].row, **changes}
        made = definition_rows.propose(connection, name, row, author="wu", reason="trial", at=START)
        definition_rows.decide(connection, made.id, "li", agree=True, at=START)


def press(plant: Plant, value: float, times: int) -> None:
    for _ in range(times):
        plant.feed(("REG-001/pressure_gauge_kpa", value), ("REG-002/gas_lel_pct", 12.0))
        plant.after(20)


def test_new_limits_hold_from_the_next_sample_and_facts_are_kept(tmp_path: Path) -> None:
    plant, definitions = master_plant(tmp_path)
    press(plant, 1.5, 5)
    assert plant.state(LOW) == "B"
    approve(plant, "UNDERPRESS_LO", limit_of_set_pressure=0.7)
    changed = definitions.refresh()
    assert changed == {"UNDERPRESS_LO"}
    plant.pipeline.revise(changed)
    alarm = plant.alarm(LOW)
    assert alarm is not None
    assert (alarm.cond, alarm.occurrence_no, alarm.definition_rev) == (True, 1, 2)
    gas = plant.alarm("GAS_CONC_HI@REG-002")
    assert gas is not None
    assert gas.definition_rev == 1
    press(plant, 1.5, 6)
    assert plant.state(LOW) == "D", "1.5 kPa is well above 0.7 of 2 kPa"
    press(plant, 1.3, 6)
    alarm = plant.alarm(LOW)
    assert alarm is not None
    assert (alarm.state.value, alarm.occurrence_no) == ("B", 2)
    with plant.desk.state.read() as connection:
        events = [one.event for one in alarm_rows.journal(connection, LOW)]
    assert events.count("limit_changed") == 1


def test_a_delay_that_runs_for_another_definition_goes_on(tmp_path: Path) -> None:
    plant, definitions = master_plant(tmp_path)
    press(plant, 1.5, 3)
    approve(plant, "OVERPRESS_HI", on_delay_s=20)
    plant.pipeline.revise(definitions.refresh())
    press(plant, 1.5, 1)
    assert plant.state(LOW) == "B", "60 s since the first sample"
    assert definitions.refresh() == set()


def test_a_restart_finds_what_was_approved_and_a_new_version_overwrites_no_decision(tmp_path: Path) -> None:
    plant, _ = master_plant(tmp_path)
    approve(plant, "UNDERPRESS_LO", on_delay_s=90.0)
    again = MasterDefinitions(plant.desk.state, START)
    assert (again["UNDERPRESS_LO"].on_delay_s, again["UNDERPRESS_LO"].revision) == (90.0, 2)
    shipped = {name: row.model_dump(mode="json", exclude_defaults=True) for name, row in shipped_rows().items()}
    newer = {name: {**row, "title": f"{row['title']}!", "revision": 1} for name, row in shipped.items()}
    with plant.desk.state.write() as connection:
        definition_rows.seed(connection, newer, START)
        rows = definition_rows.in_force(connection)
    assert rows["UNDERPRESS_LO"].row["title"] == shipped["UNDERPRESS_LO"]["title"], "people decided about it"
    assert (rows["OVERPRESS_HI"].row["title"], rows["OVERPRESS_HI"].revision) == ("Outlet pressure high!", 2)


def test_a_row_may_name_instruction_owner_and_basis_and_only_a_web_address_counts() -> None:
    own = {"guidance_url": "https://docs.example.com/gas?id=7", "owner": "Wu Gang", "basis": "GB 50028"}
    row = next(iter(shipped_rows().values())).model_dump(mode="json", exclude_defaults=True)
    made = definition_of({**row, **own}, 2)
    assert (made.guidance_url, made.owner, made.basis) == tuple(own.values())
    assert guidance(made)["url"] == own["guidance_url"]
    assert "url" not in guidance(definition_of(row, 2))
    assert digest(made) != digest(definition_of(row, 2))
    for bad in ("javascript:alert(1)", "https://x/'onclick=", "https:// x", "ftp://x/y", "https://" + "x" * 300):
        with pytest.raises(ValidationError):
            definition_of({**row, "guidance_url": bad}, 2)
