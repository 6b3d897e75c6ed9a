"""What the tests of detectors share: a city's windows, and readings of single meters as rows."""

from typing import Any

import numpy as np
import pytest

from alarms.detectors.meter_rows import rows_of
from gateway.meterdata.series import Series
from gateway.model.finding import Verdict
from gateway.model.quantity import Quantity
from gateway.model.reading import from_us
from tests.contracts.detector_contract import DetectorContract

HOUR = 3_600_000_000
DAY = 24 * HOUR
HOME = "M-1-07"


class OfCity(DetectorContract):
    @pytest.fixture
    def windows(self, city):
        return city.windows()

    @pytest.fixture
    def now(self, city):
        return city.now


def a_series(readings, delay=60_000_000) -> Any:
    """Make a series of `{meter: [(time, value) or (time, value, received), ...]}`."""
    names = list(readings)
    flat = [
        (n, *row, *([row[0] + delay] if len(row) == 2 else []))
        for n, name in enumerate(names)
        for row in readings[name]
    ]
    column, time, value, received = (np.array([row[i] for row in flat]) for i in range(4))
    return Series.build(names, column.astype(np.int32), time, received, value.astype(np.float64))


def a_row_set(model, heard=None, **quantities) -> Any:
    series = {Quantity[name.upper()]: a_series(readings) for name, readings in quantities.items()}
    kinds = (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3)
    registers: dict[Quantity, Series] = {q: part for q, part in series.items() if q in kinds}
    return rows_of(model, series, registers if heard is None else heard)


def judged(detector, rows, until) -> Any:
    """Return the names and scores of what a detector finds at a moment, from rows received by then."""
    found = detector.judge(rows.known(until, until - 64 * DAY), from_us(until))
    return {found.assets[i]: round(float(found.score[i]), 3) for i in np.flatnonzero(found.verdict == Verdict.ABNORMAL)}
