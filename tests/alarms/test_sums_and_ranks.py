"""Sums by group and quantiles of rows, held against sparse products and numpy's own."""

import numpy as np
import pytest
from scipy import sparse

from alarms.analysis.groups import Groups
from alarms.analysis.ranks import quantile


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_a_quantile_leaves_out_what_is_unknown(share) -> None:
    rng = np.random.default_rng(1)
    values = np.where(rng.uniform(size=(200, 11)) < 0.4, np.nan, rng.normal(size=(200, 11)))
    values[7] = np.nan
    values[8] = [0.3, *[np.nan] * 10]
    found = quantile(values, share)
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        expected = np.nanquantile(values, share, axis=1)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found[7])
    assert found[8] == 0.3


def test_a_quantile_of_nothing_is_unknown() -> None:
    assert np.isnan(quantile(np.empty((3, 0)), 0.5)).all()
    assert quantile(np.empty((0, 4)), 0.5).shape == (0,)


@pytest.mark.parametrize("in_order", [True, False])
def test_sums_by_group_are_products_with_a_matrix_of_ones(in_order) -> None:
    rng = np.random.default_rng(2)
    group = rng.integers(0 if in_order else -1, 7, 90)
    group[group == 3] = 2  # nobody is in group 3
    group = np.sort(group) if in_order else group
    at = np.flatnonzero(group >= 0)
    ones = sparse.csr_array((np.ones(len(at)), (group[at], at)), shape=(8, 90))
    values = rng.normal(size=(5, 90))
    np.testing.assert_allclose(Groups.of(group, 8).sums(values), values @ ones.T, atol=1e-12)
    known = values > 0
    np.testing.assert_array_equal(Groups.of(group, 8).sums(known), known.astype(float) @ ones.T)


def test_sums_where_nobody_is_in_a_group_are_zero() -> None:
    alone = Groups.of(np.full(4, -1), 2)
    np.testing.assert_array_equal(alone.sums(np.ones((3, 4))), np.zeros((3, 2)))
    assert Groups.of(np.empty(0, dtype=np.int64), 2).sums(np.empty((3, 0))).shape == (3, 2)
