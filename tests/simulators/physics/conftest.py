"""Small zones and their tables, solved once."""

from __future__ import annotations

import numpy as np
import pytest

from simulators.ground import Ground
from simulators.networks.streets import build_ground
from simulators.physics.graph import ZoneGraph, zone_graphs
from simulators.physics.response import Response, Wanted, tabulate
from simulators.physics.zones import ZonePhysics


@pytest.fixture(scope="package")
def small_ground() -> Ground:
    return build_ground(3, [25, 12])


@pytest.fixture(scope="package")
def small_graph(small_ground: Ground) -> ZoneGraph:
    return zone_graphs(small_ground)[0]


@pytest.fixture(scope="package")
def small_wanted(small_graph: ZoneGraph) -> Wanted:
    return Wanted(small_graph, small_graph.load(), 3.9)


@pytest.fixture(scope="package")
def small_table(small_wanted: Wanted) -> Response:
    return tabulate([small_wanted])[0]


@pytest.fixture(scope="package")
def small_physics(small_ground: Ground) -> ZonePhysics:
    return ZonePhysics(11, small_ground, np.array([12.0, 6.0]))
