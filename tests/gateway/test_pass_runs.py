import os
from typing import Any

import numpy as np
import pytest

from alarms.city_data import city_from_batch
from alarms.passes import Passes
from gateway import pass_runs
from gateway.errors import GatewayError
from tests.alarms.small_city import BUSINESS, GAS_DAY, a_city

HOUR = 3_600_000_000


def a_run(processes) -> Any:
    small = a_city(days=16).with_counted(BUSINESS, 12, 0.15)
    batch, names = small.batch()
    city = city_from_batch(small.model.network, GAS_DAY, small.model.figures, batch, names)
    moments = [int(bound) + HOUR for bound in small.bounds[3:]]
    return moments, pass_runs.results(city, moments, processes, loss_days=2)


def test_passes_dealt_out_to_processes_come_in_order_and_say_the_same():
    moments, alone = a_run(1)
    _, shared = a_run(3)
    for moment, one, other in zip(moments, alone, shared, strict=True):
        assert one.until_us == other.until_us == moment
        assert one.loss == other.loss
        assert len({row.gas_day for row in one.loss}) == 2
        for mine, theirs in zip(one.detections, other.detections, strict=True):
            assert mine.assets == theirs.assets
            assert mine.evidence == theirs.evidence
            for name in ("verdict", "score", "at", "value", "onset", "estimate_m3_per_day"):
                np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))


@pytest.mark.parametrize(
    ("failure", "kind", "says"),
    [
        (lambda: int("no number"), ValueError, "no number"),
        (lambda: os._exit(9), GatewayError, "a helper process was killed"),
    ],
)
def test_what_goes_wrong_in_a_process_is_told_where_the_results_are_read(monkeypatch, failure, kind, says):
    moments, shared = a_run(2)
    real = Passes.at
    monkeypatch.setattr(Passes, "at", lambda one, moment: failure() if moment > moments[4] else real(one, moment))
    made = iter(shared)
    assert [next(made).until_us for _ in range(5)] == moments[:5]
    with pytest.raises(kind, match=says):
        list(made)
