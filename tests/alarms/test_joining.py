"""Which alarms share a ticket: the real rule against a plain reference, and two plain promises."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionRises
from gateway.store import ticket_rows
from tests.alarms.alarm_fixtures import START, make_desk
from tests.alarms.join_reference import BUILDING_OF, Comparison

THOROUGH = os.environ.get("GASGATE_THOROUGH") == "1"
CHECKS = 100_000 if THOROUGH else 150
STEPS = 2_000 if THOROUGH else 400
"""taken in one state database, then the next city begins"""


@pytest.mark.timeout(60 + CHECKS // 10)
def test_joining_is_what_the_reference_says(tmp_path: Path) -> None:
    checked = joined = differences = seed = 0
    while checked < CHECKS:
        comparison = Comparison(tmp_path / str(seed), seed=7 + seed)
        differences += comparison.go(STEPS)
        checked, joined, seed = checked + comparison.checked, joined + comparison.joined, seed + 1
        comparison.close()
    assert differences == 0
    assert joined > checked // 5


def test_the_reference_joins_no_two_buildings(tmp_path: Path) -> None:
    comparison = Comparison(tmp_path, seed=8)
    comparison.go(120)
    buildings = defaultdict(set)
    for (alarm_id, _), ticket in comparison.reference.of.items():
        name, asset = alarm_id.split("@")
        if name == "HOME_GAS_SENSOR":
            buildings[id(ticket)].add(BUILDING_OF[asset] or asset)
    assert len(buildings) > 3
    assert all(len(names) == 1 for names in buildings.values())
    comparison.close()


def rise(desk: AlarmDesk, alarm_id: str) -> str:
    desk.commit([Edge(alarm_id, ConditionRises(START, 50.0))])
    with desk.state.read() as connection:
        ticket = ticket_rows.ticket_of(connection, alarm_id, 1)
    assert ticket is not None
    return ticket.ticket_no


def test_a_zone_without_supply_belongs_to_its_areas_loss_but_gas_in_the_air_does_not(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    area = rise(desk, "AREA_SUPPLY_LOSS@D-1")
    assert rise(desk, "SUPPLY_LOSS@REG-001") == area
    assert rise(desk, "UNDERPRESS_LOLO@REG-002") == area
    assert rise(desk, "GAS_CONC_HIHI@REG-001") != area
    assert rise(desk, "HOME_GAS_SENSOR@M-000001") != area
