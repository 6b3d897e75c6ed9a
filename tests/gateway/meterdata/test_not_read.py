"""What a device sends for a register that it could not read makes no volume and breaks nothing."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.meterdata.series import DAY_US, Exchanges, Registers, Series
from gateway.meterdata.steps import Step, classify, unroll

NOTHING = Exchanges.none()


def series(values: list[float]) -> Series:
    times = np.arange(len(values), dtype=np.int64) * DAY_US
    return Series.build(["M-1"], np.zeros(len(values), dtype=np.int32), times, times, np.array(values))


def registers(flow_m3h: float, modulus: float = 100_000.0) -> Registers:
    return Registers(np.array([modulus]), np.array([flow_m3h]), np.array([0.01]))


@pytest.mark.parametrize("flow_m3h", [6.0, 0.0])
@pytest.mark.parametrize("filler", [[0.0], [0.0, 0.0], [65535.0] * 3, [4294967295.0, 0.0], [0.0, 100.2, 0.0]])
def test_it_stands_apart_and_the_register_goes_on(filler: list[float], flow_m3h: float) -> None:
    read = [100.0, 100.1, *filler, 100.3, 100.4]
    known = [value for value in read if 1.0 < value < 60_000.0]
    found = unroll(series(read), registers(flow_m3h), NOTHING)
    assert np.allclose(found.value, known)
    assert found.breaks[-1] == 0
    apart = classify(series(read), registers(flow_m3h), NOTHING).spike_value
    assert apart.tolist() == [value for value in read if value not in known]


def test_a_register_that_rolls_over_passes_or_begins_at_such_a_value_is_read() -> None:
    for read, flow in (
        ([99_990.0, 0.0, 12.0], 6.0),
        ([65_500.0, 65_535.0, 65_600.0], 6.0),
        ([0.0, 0.0, 3.0, 4.0], 6.0),
        ([5.0, 0.0, 0.0], 6.0),
    ):
        assert len(classify(series(read), registers(flow), NOTHING).spike_value) == 0, read
    rolled = unroll(series([99_990.0, 0.0, 12.0]), registers(6.0), NOTHING)
    assert rolled.value.tolist() == [99_990.0, 100_000.0, 100_012.0]


def test_a_new_meter_that_begins_at_zero_is_no_such_value() -> None:
    for exchanges in (
        Exchanges(np.zeros(1, np.int32), np.array([DAY_US + 5]), np.array([50.0]), np.array([0.0])),
        Exchanges(np.zeros(1, np.int32), np.array([DAY_US + 5]), np.array([np.nan]), np.array([np.nan])),
    ):
        steps = classify(series([49.0, 50.0, 0.0, 60.0]), registers(6.0), exchanges)
        assert 0.0 in steps.value.tolist()
        assert Step.RESET not in steps.kind
