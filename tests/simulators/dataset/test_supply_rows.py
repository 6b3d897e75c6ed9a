from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from simulators.city import build_plan
from simulators.dataset.supply import supply_rows

START = datetime(2025, 1, 1, tzinfo=UTC)


def test_a_supply_meter_counts_nearly_what_passes() -> None:
    plan = build_plan(3, START, (4, 4, 4, 4))
    hours = plan.start_hour + np.arange(240)
    rows = supply_rows(plan, range(len(plan.supply_meters)), (plan.start_hour + 1000) * 3_600_000_000)
    table = rows.of_supply(hours, np.full((240, len(plan.supply_meters)), 100.0)).to_pydict()
    gains = []
    for meter in plan.supply_meters:
        shown = [value for name, value in zip(table["meter_id"], table["register_m3"], strict=True) if name == meter]
        gains.append((max(shown) - min(shown)) / 23_900.0)
    error = np.array(gains) - 1.0
    assert 0.0003 < np.abs(error).max() < 0.02
    assert len(set(error.round(5).tolist())) > len(error) / 2
