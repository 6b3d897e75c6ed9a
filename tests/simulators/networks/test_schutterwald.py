from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter

import pytest

from simulators.ground import Ground
from simulators.networks.schutterwald import schutterwald
from tests.services import need_module
from tests.simulators.networks.grounds import check_ground


@pytest.fixture(scope="module")
def town() -> Ground:
    need_module("pandapipes")
    return schutterwald()


def test_the_town_is_split_into_zones_of_about_equal_size(town: Ground) -> None:
    check_ground(town)
    sizes = Counter(place.zone for place in town.places)
    assert len(town.places) == 1506
    assert len(sizes) == 20
    assert 55 <= min(sizes.values()) <= max(sizes.values()) <= 100


def test_nothing_of_the_town_is_lost(town: Ground) -> None:
    own = [pipe for pipe in town.pipes if pipe.kind != "main"]
    assert len(own) == 2559
    assert sum(pipe.length_m for pipe in own) == pytest.approx(101_263, rel=1e-3)
    assert {pipe.dn_mm for pipe in own} == {50.0, 102.2, 110.2, 147.2}


def test_mains_lead_from_the_gate_to_every_regulator(town: Ground) -> None:
    lines = [pipe.line for pipe in town.pipes if pipe.kind == "main"]
    reached = {(town.stations[0].x_m, town.stations[0].y_m)}
    while more := {line[-1] for line in lines if line[0] in reached} - reached:
        reached |= more
    assert {(station.x_m, station.y_m) for station in town.stations} <= reached
    assert all(math.dist(line[0], line[-1]) > 0.0 for line in lines)


@pytest.mark.parametrize(("houses", "zones"), [(10_000, 1), (300, 5), (20, 75)])
def test_zones_of_other_sizes(town: Ground, houses: int, zones: int) -> None:
    other = schutterwald(houses)
    check_ground(other)
    assert len(other.regulator_zones) == zones
    assert len(other.places) == len(town.places)
    set_kpa = {station.set_pressure_gauge_kpa for station in other.stations if station.kind == "regulator"}
    assert set_kpa == {3.0 if houses == 20 else 100.0}


def test_a_zone_without_houses_is_refused() -> None:
    with pytest.raises(ValueError, match="a zone needs a house"):
        schutterwald(0)


def test_who_asks_for_another_network_loads_no_pandapipes() -> None:
    code = "import sys, simulators.networks.schutterwald, simulators.networks; sys.exit('pandapipes' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
