from datetime import timedelta

import pytest

from alarms.city_data import city_from_batch
from alarms.passes import daily_pass
from alarms.work_items import record
from gateway.model.finding import InspectionResult
from gateway.model.reading import to_us
from gateway.store import finding_rows, inspection_rows
from gateway.store.inspection_rows import Inspection
from gateway.store.state import State
from tests.alarms.small_city import BUSINESS, FIRST, GAS_DAY, a_city


@pytest.fixture
def state(tmp_path):
    state = State.in_folder(tmp_path)
    yield state
    state.close()


def test_passes_day_by_day_leave_one_finding_and_every_loss(state):
    city = a_city(days=24).with_counted(BUSINESS, 18, 0.15)
    batch, names = city.batch()
    data = city_from_batch(city.model.network, GAS_DAY, city.model.figures, batch, names)
    raised = []
    for day in range(16, 25):
        for _ in range(2):
            result = daily_pass(data, int(city.bounds[day]) + 3_600_000_000)
            raised += record(state, result, data.model.zone_for)
    assert [(new.finding.kind, new.finding.subject, new.finding.zone) for new in raised] == [("theft", BUSINESS, "R-1")]
    with state.read() as connection:
        (stored,) = finding_rows.open_findings(connection)
        losses = finding_rows.list_loss(connection, FIRST, FIRST + timedelta(days=30))
    assert stored.finding.score >= raised[0].finding.score
    assert to_us(stored.finding.detected_at) == to_us(raised[0].finding.detected_at)
    assert stored.updated_us == int(city.bounds[-1]) + 3_600_000_000
    assert len(losses) == 3 * 24


def test_a_meter_judged_honest_is_not_raised_again(state):
    city = a_city(days=24).with_counted(BUSINESS, 18, 0.15)
    batch, names = city.batch()
    data = city_from_batch(city.model.network, GAS_DAY, city.model.figures, batch, names)
    (new,) = record(state, daily_pass(data, int(city.bounds[22]) + 3_600_000_000), data.model.zone_for)
    with state.write() as connection:
        inspection_rows.record_inspection(
            connection,
            Inspection(new.finding_id, int(city.bounds[22]) + 7_200_000_000, "anna", InspectionResult.HONEST),
        )
    for day in (23, 24):
        assert record(state, daily_pass(data, int(city.bounds[day]) + 3_600_000_000), data.model.zone_for) == []
    with state.read() as connection:
        assert finding_rows.open_findings(connection) == []
