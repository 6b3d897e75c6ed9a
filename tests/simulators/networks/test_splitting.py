from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.networks.splitting import Tree, middle, paths, span, split


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    count = draw(st.integers(2, 60))
    parents = [draw(st.integers(0, node - 1)) for node in range(1, count)]
    weight = np.array(draw(st.lists(st.integers(0, 4), min_size=count, max_size=count)))
    pipes = np.array([[parent, node] for node, parent in enumerate(parents, start=1)])
    return span(pipes, weight, 0)


@settings(max_examples=100, deadline=None)
@given(trees(), st.integers(1, 12))
def test_zones_are_connected_and_each_has_its_share(tree: Tree, zones: int) -> None:
    zone_of = split(tree, zones)
    count = int(zone_of.max()) + 1
    assert count <= zones
    assert set(zone_of.tolist()) == set(range(count))
    tops = Counter(
        int(zone_of[node]) for node in tree.order if node == 0 or zone_of[tree.parent[node]] != zone_of[node]
    )
    assert set(tops.values()) == {1}
    if tree.weight.sum() > 0:
        assert all(tree.weight[zone_of == zone].sum() > 0 for zone in range(count))


@settings(max_examples=100, deadline=None)
@given(trees(), st.lists(st.integers(0, 59), min_size=1, max_size=6))
def test_ways_to_the_ends_meet_at_their_ends_only(tree: Tree, wanted: list[int]) -> None:
    ends = [end % len(tree.weight) for end in wanted]
    lines = paths(tree, ends)
    inner = [node for line in lines for node in line[1:-1]]
    assert len(set(inner)) == len(inner)
    reached = {0}
    while more := {line[-1] for line in lines if line[0] in reached} - reached:
        reached |= more
    assert set(ends) <= reached
    assert all(tree.parent[b] == a for line in lines for a, b in pairwise(line))


def test_a_line_is_fed_in_the_middle_of_its_customers() -> None:
    tree = span(np.array([[n, n + 1] for n in range(6)]), np.array([0, 1, 1, 1, 1, 1, 0]), 0)
    site = [(10.0 * n, 0.0) for n in range(7)]
    assert middle(tree, np.arange(7), site) == 3
    assert middle(tree, np.array([4, 5, 6]), site) in {4, 5}
    assert middle(tree, np.array([6]), site) == 6


def test_a_node_that_is_not_joined_is_named() -> None:
    with pytest.raises(ValueError, match="1 nodes are not joined"):
        span(np.array([[0, 1]]), np.array([0, 1, 1]), 0)
