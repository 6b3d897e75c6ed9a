"""Homes whose meters say that there is no gas: one alarm at the place that explains it; silence proves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model.network import Network
from gateway.store import interruption_rows, ticket_rows
from tests.alarms.alarm_fixtures import START, home, small_network
from tests.alarms.plant import Plant
from tests.alarms.test_interruption import PLAN

GAS, NO_GAS = 0.0, 128.0
B1, B2 = (tuple(f"M-{zone}-{number:02d}" for number in range(24)) for zone in ("B-1", "B-2"))
ALARM = "HOMES_NO_GAS@B-1"


def city() -> Network:
    meters = [home(meter, f"B-{meter[4]}") for meter in (*B1, *B2)]
    return replace(small_network(), meters={one.meter_id: one for one in meters})


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    plant = Plant(tmp_path)
    plant.desk.network = city()
    plant.restart()
    say(plant, (*B1, *B2), GAS)
    yield plant
    plant.desk.state.close()


def say(plant: Plant, meters: Sequence[str], flags: float, *, minutes: float = 1.0, ago_s: float = 0.0) -> None:
    plant.feed_at([(f"{meter}/flags", flags, ago_s) for meter in meters])
    wait(plant, minutes)


def wait(plant: Plant, minutes: float) -> None:
    step_s = 10.0 if minutes <= 5 else 600.0
    for _ in range(round(minutes * 60.0 / step_s)):
        plant.tick()
        plant.after(step_s)
    plant.tick()


def interrupt(plant: Plant, zones: tuple[str, ...] = (), assets: tuple[str, ...] = ()) -> None:
    with plant.desk.state.write() as connection:
        interruption_rows.add(connection, "r1", replace(PLAN, zones=zones, assets=assets, planned_start=START))
        interruption_rows.record(connection, "I-000001", "closed", plant.clock.now(), "li")


def test_half_of_a_building_is_an_emergency_less_is_not(plant: Plant) -> None:
    say(plant, B1[:11], NO_GAS, minutes=5)
    assert plant.state(ALARM) == "never"
    say(plant, B1[11:12], NO_GAS, minutes=0.3)
    assert plant.state(ALARM) == "never", "it must hold for 30 s"
    wait(plant, 1)
    assert plant.state(ALARM) == "B"
    with plant.desk.state.read() as connection:
        ticket = ticket_rows.ticket_of(connection, ALARM, 1)
    assert ticket is not None
    assert (ticket.ticket_class, ticket.scope, ticket.customers) == ("EMERGENCY", "R-001", 24)


def test_two_buildings_are_one_alarm_at_their_regulator(plant: Plant) -> None:
    say(plant, (*B1[:13], *B2[:12]), NO_GAS)
    assert plant.state("HOMES_NO_GAS@R-001") == "B"
    assert {plant.state(ALARM), plant.state("HOMES_NO_GAS@B-2")} == {"never"}


def test_silence_neither_begins_nor_ends_it_but_gas_that_is_back_does(plant: Plant) -> None:
    say(plant, B1[:12], NO_GAS)
    wait(plant, 60 * 3)
    alarm = plant.alarm(ALARM)
    assert alarm is not None
    assert alarm.cond, "three hours without a word"
    plant.restart()
    say(plant, B2, GAS, minutes=2)
    assert plant.alarm(ALARM).cond  # type: ignore[union-attr]
    say(plant, B1[:1], GAS, minutes=0.5)
    assert plant.alarm(ALARM).cond  # type: ignore[union-attr]
    wait(plant, 1)
    assert plant.state(ALARM) == "L1"


def test_what_meters_said_while_nobody_judged_counts_when_it_is_read_later(plant: Plant) -> None:
    say(plant, B1[:12], NO_GAS, minutes=2)
    plant.after(600.0)
    plant.restart()
    say(plant, B1[:12], NO_GAS, minutes=2, ago_s=900.0)
    say(plant, B1[:12], GAS, minutes=0.1, ago_s=800.0)
    assert plant.alarm(ALARM).cond  # type: ignore[union-attr]
    say(plant, B1[:12], GAS, minutes=2, ago_s=300.0)
    assert plant.state(ALARM) == "L1"


def test_a_bad_value_a_late_one_and_homes_that_always_said_so_prove_nothing(tmp_path: Path, plant: Plant) -> None:
    say(plant, B1[:12], float("nan"), minutes=2)
    say(plant, B1[:11], NO_GAS, minutes=2)
    say(plant, B1[11:12], NO_GAS, minutes=2, ago_s=7200.0)
    assert plant.state(ALARM) == "never"
    empty = Plant(tmp_path / "empty")
    empty.desk.network = city()
    empty.restart()
    for _ in range(3):
        say(empty, B1, NO_GAS, minutes=2)
    assert empty.state(ALARM) == "never"
    empty.desk.state.close()


def test_a_day_of_words_in_one_record_tells_that_there_was_gas_before(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.desk.network = city()
    plant.restart()
    plant.feed_at([(f"{meter}/flags", flags, ago_s) for meter in B1 for flags, ago_s in ((GAS, 600.0), (NO_GAS, 0.0))])
    wait(plant, 1)
    assert plant.state(ALARM) == "B"
    plant.desk.state.close()


def test_single_homes_over_days_are_no_common_loss(plant: Plant) -> None:
    for meter in B1[:16]:
        say(plant, [meter], NO_GAS)
        plant.after(1800.0)
    assert plant.state(ALARM) == "never"


def test_a_planned_interruption_of_the_zone_hides_it(plant: Plant) -> None:
    interrupt(plant, zones=("R-001",))
    say(plant, B1, NO_GAS, minutes=2)
    assert plant.state(ALARM) == "F"


def test_a_planned_stop_of_the_zones_only_regulator_hides_it(plant: Plant) -> None:
    interrupt(plant, assets=("REG-001",))
    say(plant, (*B1, *B2), NO_GAS, minutes=2)
    assert plant.state("HOMES_NO_GAS@R-001") == "F"


@pytest.mark.parametrize(("zones", "assets"), [(("B-1", "B-2"), ()), ((), (*B1, *B2))])
def test_what_is_stopped_by_plan_makes_no_emergency_of_the_places_above(
    plant: Plant, zones: tuple[str, ...], assets: tuple[str, ...]
) -> None:
    interrupt(plant, zones=zones, assets=assets)
    say(plant, (*B1, *B2), NO_GAS, minutes=2)
    assert plant.state("HOMES_NO_GAS@R-001") == "never"
    assert {plant.state(f"HOMES_NO_GAS@{zone}") for zone in ("B-1", "B-2")} == {"F" if zones else "never"}


def test_a_building_beside_one_that_is_stopped_by_plan_is_told(plant: Plant) -> None:
    interrupt(plant, zones=("B-2",))
    say(plant, (*B1, *B2), NO_GAS, minutes=2)
    assert {zone: plant.state(f"HOMES_NO_GAS@{zone}") for zone in ("B-1", "B-2")} == {"B-1": "B", "B-2": "F"}


def test_a_plan_that_begins_does_not_end_an_alarm(plant: Plant) -> None:
    say(plant, (*B1, *B2), NO_GAS, minutes=2)
    interrupt(plant, zones=("B-1", "B-2"))
    wait(plant, 5)
    alarm = plant.alarm("HOMES_NO_GAS@R-001")
    assert alarm is not None
    assert alarm.cond


def test_it_belongs_to_the_ticket_of_its_regulators_loss(plant: Plant) -> None:
    for _ in range(4):
        plant.feed(("REG-001/pressure_gauge_kpa", 0.1))
        plant.after(20.0)
        plant.tick()
    assert plant.state("SUPPLY_LOSS@REG-001") == "B"
    say(plant, B1, NO_GAS, minutes=2)
    with plant.desk.state.read() as connection:
        own = ticket_rows.ticket_of(connection, "SUPPLY_LOSS@REG-001", 1)
        joined = ticket_rows.ticket_of(connection, ALARM, 1)
    assert own is not None
    assert joined is not None
    assert own.ticket_no == joined.ticket_no


def test_a_few_homes_elsewhere_do_not_make_it_the_regulators(plant: Plant) -> None:
    say(plant, (*B1, *B2[:9]), NO_GAS)
    assert plant.state(ALARM) == "B"
    assert plant.state("HOMES_NO_GAS@R-001") == "never"
    say(plant, B2[9:10], NO_GAS)
    assert plant.state("HOMES_NO_GAS@R-001") == "B", "ten more behind the same regulator"


def test_points_whose_names_were_lost_hold_no_gas_alarm_up(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_points: object) -> list[str]:
        raise KeyError("no name")

    plant.feed(("REG-001/gas_lel_pct", 0.0))
    plant.after(10.0)
    monkeypatch.setattr(plant.pipeline._homes._no_gas, "_names_of", lost)
    plant.feed(*((f"{meter}/flags", NO_GAS) for meter in B1), ("REG-001/gas_lel_pct", 30.0))
    wait(plant, 1)
    assert plant.state("GAS_CONC_HIHI@REG-001") == "B"
    assert plant.state(ALARM) == "never"
