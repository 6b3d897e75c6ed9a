"""Gas in the pipes, from pressures at the ends of days."""

from __future__ import annotations

import numpy as np
import pytest

from alarms.analysis.city import SiteFigures
from alarms.analysis.linepack import UNKNOWN_SWING_KPA, gained
from gateway.model.network import Network, Point, Station, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, Window

FIGURES = SiteFigures()
V_M3 = 100.0
TO_BASE = 293.15 / 288.15 / 101.325
PIPES = {"R-1": ("R-1",)}


def network(zone_of_points: dict[str, str], stations: tuple[str, ...] = ()) -> Network:
    zones = {"R-1": Zone("R-1", "", ZoneKind.REGULATOR, "", V_M3)}
    points = {
        PointId(f"{asset}/pressure_gauge_kpa"): Point(
            PointId(f"{asset}/pressure_gauge_kpa"), asset, Quantity.PRESSURE_GAUGE_KPA, zone
        )
        for asset, zone in zone_of_points.items()
    }
    made = {name: Station(name, "regulator", "R-1", "", "", 0.0, 0.0, 3.0, remote=False) for name in stations}
    return Network(zones, {}, made, points)


def pressures(assets: tuple[str, ...], value: list[list[float]]) -> Window:
    array = np.array(value, dtype=np.float64)
    times = np.arange(len(array), dtype=np.int64) * 86_400_000_000
    return Window(Quantity.PRESSURE_GAUGE_KPA, times, assets, array, np.zeros_like(array))


def test_a_rise_of_one_kpa_packs_the_pipes_volume_at_base_conditions() -> None:
    gain, variance = gained(
        network({"P-1": "R-1"}), FIGURES, pressures(("P-1",), [[3.0], [4.0], [4.0], [3.5]]), PIPES, 3
    )
    assert gain[:, 0] == pytest.approx([V_M3 * TO_BASE, 0.0, -0.5 * V_M3 * TO_BASE])
    assert variance[1, 0] == 0.0


def test_points_of_a_zone_are_found_by_the_zone_of_their_row_and_by_their_station() -> None:
    both = network({"P-7": "R-1"}, stations=("REG-1",))
    gain, _ = gained(
        both, FIGURES, pressures(("P-7", "REG-1", "elsewhere"), [[3.0, 5.0, 1.0], [4.0, 7.0, 90.0]]), PIPES, 1
    )
    assert gain[0, 0] == pytest.approx(1.5 * V_M3 * TO_BASE)


def test_a_point_that_never_speaks_takes_nothing_from_those_that_do() -> None:
    nan = float("nan")
    window = pressures(("P-1", "P-1"), [[nan, 3.0], [nan, 4.0], [7.0, nan], [8.0, 5.0]])
    gain, variance = gained(network({"P-1": "R-1"}), FIGURES, window, PIPES, 3)
    assert gain[:, 0] == pytest.approx([V_M3 * TO_BASE, 0.0, V_M3 * TO_BASE])
    assert variance[1, 0] == pytest.approx((UNKNOWN_SWING_KPA * V_M3 * TO_BASE) ** 2)


def test_an_unknown_day_swings_as_the_zone_was_seen_to_swing() -> None:
    nan = float("nan")
    rows = [[3.0 + 0.1 * (day % 2)] for day in range(20)]
    rows[10] = [nan]
    gain, variance = gained(network({"P-1": "R-1"}), FIGURES, pressures(("P-1",), rows), PIPES, 19)
    assert gain[9, 0] == 0.0
    assert np.sqrt(variance[9, 0]) == pytest.approx(0.1 * V_M3 * TO_BASE)


def test_without_any_pressure_nothing_is_gained_and_an_ordinary_swing_is_possible() -> None:
    gain, variance = gained(network({}), FIGURES, None, PIPES, 2)
    assert (gain == 0.0).all()
    assert np.sqrt(variance[:, 0]) == pytest.approx([UNKNOWN_SWING_KPA * V_M3 * TO_BASE] * 2)
