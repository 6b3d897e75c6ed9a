"""What every detector of windows promises. Subclass, and give a city with one abnormal asset."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from gateway.model.finding import Verdict
from gateway.model.reading import Window


class DetectorContract:
    """`detector` and `windows` (a mapping with one abnormal asset, `abnormal`, judged at `now`) come from fixtures."""

    def test_names_what_it_judges_and_needs(self, detector):
        assert detector.condition
        assert detector.needs

    def test_finds_the_abnormal_asset_and_no_other(self, detector, windows, now, abnormal):
        found = detector.detect(windows, now)
        assert [found.assets[row] for row in np.flatnonzero(found.verdict == Verdict.ABNORMAL)] == [abnormal]
        row = found.assets.index(abnormal)
        assert 0.5 <= found.score[row] <= 1.0
        assert found.evidence[row]
        assert found.onset[row] <= found.at[row]
        assert {len(found.assets)} == {len(part) for part in (found.verdict, found.score, found.at, found.evidence)}

    def test_missing_data_is_unknown(self, detector, windows, now):
        lost = {q: _valued(window, np.full_like(window.value, np.nan)) for q, window in windows.items()}
        found = detector.detect(lost, now)
        assert len(found.assets) > 0
        assert (found.verdict == Verdict.UNKNOWN).all()

    def test_the_future_changes_nothing(self, detector, windows, now):
        later = {q: _longer(window) for q, window in windows.items()}
        _assert_same(detector.detect(windows, now), detector.detect(later, now))

    def test_the_order_of_assets_only_orders_the_answer(self, detector, windows, now):
        first = detector.detect(windows, now)
        second = detector.detect({q: _reversed(window) for q, window in windows.items()}, now)
        order = [second.assets.index(asset) for asset in first.assets]
        assert sorted(order) == list(range(len(first.assets)))
        _assert_same(first, _ordered(second, order))

    def test_inputs_stay_as_they_were(self, detector, windows, now):
        before = {q: window.value.copy() for q, window in windows.items()}
        for window in windows.values():
            window.value.setflags(write=False)
            window.variance.setflags(write=False)
        detector.detect(windows, now)
        for quantity, values in before.items():
            np.testing.assert_array_equal(windows[quantity].value, values)


def _valued(window, value) -> Any:
    return Window(window.quantity, window.times, window.assets, value, np.where(np.isnan(value), np.nan, 1e-6))


def _longer(window) -> Any:
    day = int(timedelta(days=1) / timedelta(microseconds=1))
    times = np.concatenate([window.times, window.times[-1] + day * np.array([1, 2])])
    value = np.concatenate([window.value, window.value[-1:] * 1.5, np.full_like(window.value[-1:], np.nan)])
    return Window(window.quantity, times, window.assets, value, np.full_like(value, 1e-6))


def _reversed(window) -> Any:
    return Window(
        window.quantity,
        window.times,
        window.assets[::-1],
        window.value[:, ::-1].copy(),
        window.variance[:, ::-1].copy(),
    )


def _ordered(found, order) -> Any:
    return replace(
        found,
        assets=tuple(found.assets[i] for i in order),
        verdict=found.verdict[order],
        score=found.score[order],
        at=found.at[order],
        value=found.value[order],
        onset=found.onset[order],
        estimate_m3_per_day=found.estimate_m3_per_day[order],
        evidence=tuple(found.evidence[i] for i in order),
    )


def _assert_same(one, other) -> Any:
    assert one.assets == other.assets
    np.testing.assert_array_equal(one.verdict, other.verdict)
    np.testing.assert_array_equal(one.onset, other.onset)
    np.testing.assert_array_equal(one.at, other.at)
    np.testing.assert_allclose(one.score, other.score, rtol=1e-9)
    np.testing.assert_allclose(one.estimate_m3_per_day, other.estimate_m3_per_day, rtol=1e-9)
