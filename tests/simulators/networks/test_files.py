from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError
from simulators.city import build_plan
from simulators.dataset.history import write_network
from simulators.networks import NETWORKS, Wish
from simulators.networks.files import files
from tests.services import need_module
from tests.simulators.networks.folders import FEATURES, METERS, STATIONS, ZONES, feature, write_folder
from tests.simulators.networks.grounds import check_ground

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("network", ["streets", "schutterwald", "tiles"])
def test_what_was_written_comes_back(tmp_path: Path, network: str, seed: int) -> None:
    need_module("pandapipes")
    wish = Wish(seed=seed, zones=5, meters_per_zone=20 + 10 * seed, flats_share=seed / 3.0)
    plan = build_plan(seed, START, ground=NETWORKS[network](wish))
    write_network(plan, tmp_path, START + timedelta(days=1))
    notes: list[str] = []
    ground = files(tmp_path, notes)
    assert ground == replace(plan.ground, shapes=())
    assert [place.meter_id for place in ground.places] == [meter.meter_id for meter in plan.customers.meters]
    assert not notes


def test_a_pipe_is_cut_where_a_service_meets_one_of_its_points(tmp_path: Path) -> None:
    notes: list[str] = []
    ground = files(write_folder(tmp_path), notes)
    check_ground(ground)
    assert [(p.pipe_id, p.line) for p in ground.pipes if p.kind == "distribution"] == [
        ("P-1.1", ((1000.0, 500.0), (1100.0, 500.0))),
        ("P-1.2", ((1100.0, 500.0), (1200.0, 500.0))),
    ]
    assert [place.customer_class for place in ground.places] == ["residential", "commercial"]
    assert notes == [f"{tmp_path}: network.geojson: 1 pipes ended on or beside others without a node; joined"]


def test_ends_that_touch_within_a_hand_are_joined(tmp_path: Path) -> None:
    features = [
        feature("P-1", "R-1", [[1000, 500], [1150, 500], [1200, 500.2]]),
        feature("P-2", "R-1", [[1200, 500], [1300, 500]]),
        feature("L-1", "R-1", [[1100, 500.2], [1100, 520]], kind="service", dn_mm=32),
        feature("L-2", "R-1", [[1200, 499.8], [1200, 480]], kind="service", dn_mm=32),
    ]
    ground = files(write_folder(tmp_path, features=features))
    check_ground(ground)
    assert sum(pipe.length_m for pipe in ground.pipes) == pytest.approx(340.0, abs=1.5)


def test_meters_are_hung_where_the_file_leaves_them_in_the_air(tmp_path: Path) -> None:
    meters = METERS + (
        "A-9,R-1,customer,remote,residential,5,3,6,0,2022-06-01,open,1050,530\n"
        "A-10,R-1,customer,remote,residential,5,3,6,0,2022-06-01,open,1050,530\n"
        "B-1,R-1,customer,remote,residential,5,3,6,0,2022-06-01,open,,\n"
        "B-2,R-1,customer,remote,residential,5,3,6,0,2022-06-01,open,,\n"
        "C-1,CITY,customer,remote,industrial,5,3,60,0,2022-06-01,open,1190,540\n"
    )
    notes: list[str] = []
    ground = files(write_folder(tmp_path, meters=meters), notes)
    check_ground(ground)
    assert [(p.meter_id, p.zone, p.x_m, p.y_m) for p in ground.places] == [
        ("A-7", "R-1", 1100.0, 520.0), ("A-8", "R-1", 1200.0, 480.0), ("A-9", "R-1", 1050.0, 530.0),
        ("A-10", "R-1", 1050.0, 530.0), ("B-1", "R-1", 1050.0, 512.0), ("B-2", "R-1", 1150.0, 488.0),
        ("C-1", "R-1", 1190.0, 540.0),
    ]  # fmt: skip
    assert [note.split(": ", 1)[1] for note in notes] == [
        "network.geojson: 1 pipes ended on or beside others without a node; joined",
        "meters.csv: 1 meters hang above the regulators; each is fed by the nearest pipe",
        "meters.csv: 3 meters have no service pipe; each was joined to the nearest pipe",
        "meters.csv: 2 meters have no position; they were spread along their zone's pipes",
    ]


def test_a_regulator_beside_the_pipes_is_joined(tmp_path: Path) -> None:
    notes: list[str] = []
    ground = files(write_folder(tmp_path, stations=STATIONS.replace("1000,500,3", "1030,507,3")), notes)
    check_ground(ground)
    assert "REG-1 stands 7.0 m beside the pipes" in notes[0]


def test_the_volume_of_pipes_is_computed_where_it_is_not_stated(tmp_path: Path) -> None:
    computed = files(write_folder(tmp_path)).zones[2].pipe_volume_m3
    assert computed == pytest.approx(200 * 3.14159 * 0.055**2 + 40 * 3.14159 * 0.016**2, rel=1e-3)
    stated = files(write_folder(tmp_path, zones=ZONES.replace("Old town,", "Old town,9.5"))).zones[2]
    assert stated.pipe_volume_m3 == 9.5


LONE = feature("P-9", "R-1", [[1300, 600], [1400, 600]])
SPOILT: list[tuple[dict[str, Any], str]] = [
    ({"features": [*FEATURES, LONE]},
     "geojson: feature 'P-9' at (1300.0, 600.0), with what hangs on it 1 pipes of zone 'R-1', is not connected to"),
    ({"features": [*FEATURES, LONE]}, "a gap of 141.4 m; close it"),
    ({"features": [feature("P-1", "R-9", [[0, 0], [9, 9]])]}, "features[0]: key zone: 'R-9' is no zone; add it"),
    ({"features": [*FEATURES, LONE | {"properties": {"dn_mm": 50}}]},
     "feature 'P-4' at (1300.0, 600.0) and 0 more: key zone: is missing, and no regulator is connected with them;"),
    ({"features": [feature("P-1", "R-1", [[0, 0], [9, 9]], dn_mm=None)]}, "features[0]: key dn_mm: is missing; write"),
    ({"features": [feature("P-1", "R-1", [[0, 0], [9, 9]], dn_mm="wide")]}, "key dn_mm: 'wide' is no diameter"),
    ({"features": [feature("P-1", "R-1", [[0, 0], [9, 9]], dn_mm=True)]}, "key dn_mm: True is no diameter"),
    ({"features": [feature("P-1", "R-1", [[0, 0], [9, 9]], kind="hose")]}, "key kind: 'hose' is unknown; use one of"),
    ({"features": [feature("P-1", "R-1", [[0, 0], [9, 9]])] * 2}, "features[1]: key id: 'P-1' stands here twice"),
    ({"features": [feature("P-1", "R-1", [[500, 500], [500, 500.01]])]}, "key coordinates: is shorter than 0.1 m"),
    ({"features": [feature("P-1", "R-1", [[5, float("nan")], [5, 7]])]}, "key coordinates: holds something else"),
    ({"features": [feature("P-1", "R-1", [[1e999, 1], [5, 7]])]}, "key coordinates: holds something else"),
    ({"features": [feature("P-1", "R-1", [[118.01, 36.81], [118.02, 36.82]])]}, "key coordinates: looks like degrees"),
    ({"features": [feature("P-1", "R-1", [[0, 0], [2e8, 7]])]}, "key coordinates: holds something else than pairs"),
    ({"features": [feature("P-1", "R-1", [[0, 0], [2e5, 7]])]}, "key coordinates: is longer than 100000 m; correct"),
    ({"features": [feature("P-1", "R-1", [[0, 0], [5, 7]]) | {"geometry": {"type": ["LineString"]}}]}, "has no pipes"),
    ({"meters": METERS.replace("1200,480", "1e300,480")}, "meters.csv:4: columns x_m, y_m: 'A-8' is farther than"),
    ({"stations": STATIONS.replace(",0,0,350", ",-1e9,0,350")}, "stations.csv:2: columns x_m, y_m: 'S-1' is farther"),
    ({"features": []}, "zones.csv:4: zone 'R-1' has no pipes in network.geojson; add them"),
    ({"features": None}, "network.geojson: no pipes; export them as lines in metres"),
    ({"features": {"a": 1}}, "network.geojson: key features: is no list"),
    ({"stations": STATIONS.replace("1000,500,3", "1000,900,3")},
     "stations.csv:3: columns x_m, y_m: 'REG-1' stands 393 m from the next pipe of its zone 'R-1'; correct"),
    ({"stations": STATIONS + "REG-2,regulator,R-1,Other,,1000,500,3,0\n"},
     "stations.csv:4: column zone_id: 'R-1' has several regulators (REG-1, REG-2)"),
    ({"stations": STATIONS.replace("REG-1,regulator", "REG-1,station")},
     "zones.csv:4: column zone_id: 'R-1' is of kind regulator and has none; add its regulator to stations.csv"),
    ({"stations": STATIONS.replace("0,0,350", "118.01,36.81,350").replace("1000,500,3", "118.02,36.82,3")},
     "stations.csv: columns x_m, y_m: looks like degrees; project it"),
    ({"meters": METERS.replace("1200,480", "1200,4800")},
     "meters.csv:4: column x_m: 'A-8' lies 4281 m from the nearest pipe of zone 'R-1'; correct its position or its"),
    ({"meters": METERS.replace("A-8,R-1", "A-8,R-4")}, "meters.csv:4: column zone_id: 'R-4' is no zone"),
]  # fmt: skip


@pytest.mark.parametrize(("spoilt", "message"), SPOILT, ids=[message[:60] for _, message in SPOILT])
def test_a_defect_is_named(tmp_path: Path, spoilt: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        files(write_folder(tmp_path, **spoilt))
    assert message in str(caught.value)
    assert all(problem.startswith(str(tmp_path)) for problem in caught.value.problems)


TWO_ZONES = {
    "zones": ZONES + "R-2,D-1,regulator,New town,\n",
    "stations": STATIONS + "REG-2,regulator,R-2,Regulator,,1500,504,3,0\n",
    "meters": METERS + "A-9,R-2,customer,remote,residential,5,3,6,0,2022-06-01,open,1400,520\n",
}


def test_pipes_without_a_zone_go_to_the_nearest_regulator(tmp_path: Path) -> None:
    features = [
        feature("P-1", "", [[1000, 500], [1100, 500], [1240, 500], [1400, 500]]),
        feature("P-2", "", [[1400, 500], [1600, 500]]),
        *(feature(f"L-{n}", "", line, kind="service") for n, line in enumerate(
            ([[1100, 500], [1100, 520]], [[1200, 500], [1200, 480]], [[1400, 500], [1400, 520]])
        )),
        feature("M-1", "", [[0, 0], [1000, 500]], kind="main"),
    ]  # fmt: skip
    notes: list[str] = []
    ground = files(write_folder(tmp_path, features=features, **TWO_ZONES), notes)
    check_ground(ground)
    zones = {pipe.pipe_id: pipe.zone for pipe in ground.pipes}
    assert zones == {
        "P-1.1": "R-1", "P-1.2": "R-1", "P-1.3": "R-2", "P-2.1": "R-2", "P-2.2": "R-2", "J-R-2": "R-2",
        "L-0": "R-1", "L-1": "R-1", "L-2": "R-2", "M-1": "CITY",
    }  # fmt: skip
    assert f"{tmp_path}: network.geojson: 8 pipes have no key zone; each went to the nearest regulator" in notes


def test_a_pipe_hands_its_zone_on_to_what_hangs_on_it(tmp_path: Path) -> None:
    features = [
        feature("P-1", "R-1", [[1000, 500], [1400, 500]]),
        feature("P-2", "R-2", [[1500, 504], [1600, 504]]),
        *(feature(f"L-{n}", "", line, kind="service") for n, line in enumerate(
            ([[1100, 500], [1100, 520]], [[1200, 500], [1200, 480]])
        )),
        feature("P-3", "", [[1500, 504], [1400, 500.3]]),
        feature("L-3", "R-2", [[1400, 500.3], [1400, 520]]),
    ]  # fmt: skip
    ground = files(write_folder(tmp_path, features=features, **TWO_ZONES))
    check_ground(ground)
    zones = {pipe.pipe_id: pipe.zone for pipe in ground.pipes}
    assert (zones["L-0"], zones["L-1"], zones["P-3"]) == ("R-1", "R-1", "R-2")


def test_a_flood_of_defects_is_cut_short(tmp_path: Path) -> None:
    features = [feature(f"P-{n}", "R-9", [[0, n], [9, n]]) for n in range(500)]
    with pytest.raises(ConfigError, match="and 400 more"):
        files(write_folder(tmp_path, features=features))


def test_points_and_areas_of_the_map_are_left_out(tmp_path: Path) -> None:
    point = {"type": "Feature", "properties": None, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    notes: list[str] = []
    ground = files(write_folder(tmp_path, features=[point, None, 7, {"geometry": None}, *FEATURES]), notes)
    check_ground(ground)
    assert "network.geojson: 4 features are no lines and were left out" in notes[0]


def test_a_line_of_several_pieces_is_several_pipes(tmp_path: Path) -> None:
    pieces = feature("P-5", "R-1", [])
    pieces["geometry"] = {
        "type": "MultiLineString",
        "coordinates": [[[1200, 500], [1210, 500]], [[1210, 500], [1220, 500]]],
    }
    ground = files(write_folder(tmp_path, features=[*FEATURES, pieces]))
    check_ground(ground)
    assert {"P-5.1", "P-5.2"} <= {pipe.pipe_id for pipe in ground.pipes}
