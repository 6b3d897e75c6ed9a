import ast
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import alarms.detectors
from alarms.analysis.city import AccountChange
from alarms.city_data import Exchange, city_from_batch
from alarms.passes import daily_pass
from alarms.reading_audit import Auditor
from gateway.model.network import MeterKind
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, Reason, Severity, quality
from gateway.store import vee_rows
from gateway.store.intervals import IntervalStore
from gateway.store.state import State
from tests.alarms.audited import MemorySource, days_of, folder_of
from tests.alarms.audited import audited as audit_into
from tests.alarms.small_city import FIRST, GAS_DAY, a_city

HOUR = 3_600_000_000
DAY = 24 * HOUR
HOME = "M-1-03"


@pytest.fixture
def state(tmp_path) -> Any:
    made = State.in_folder(tmp_path)
    yield made
    made.close()


def city_of(city, batch, names, **more) -> Any:
    return city_from_batch(city.model.network, GAS_DAY, city.model.figures, batch, names, **more)


def audited(state, city, batch, names, until, *, days=35, **more) -> Any:
    found = audit_into(state, city, batch, names, until, days=days, **more)
    return found.intervals, found.verdicts


def rows_of(state, meter=HOME, first=FIRST, last=FIRST + timedelta(days=90)) -> Any:
    return days_of(state, [meter], first, last)[meter]


def verdicts_of(state, meter=HOME) -> Any:
    with state.read() as connection:
        return vee_rows.verdicts_of(connection, meter, 0, 2**60)


def index_of(names, meter=HOME) -> Any:
    return next(index for index, name in names.items() if name.startswith(f"{meter}/"))


def newest(state, meters) -> Any:
    """Return the newest revision of every day without what tells of its making."""
    found = {}
    for meter, rows in days_of(state, meters, FIRST, FIRST + timedelta(days=90)).items():
        for row in rows:
            found[meter, row.gas_day] = replace(row, revision=0, computed_at=0)
    return found


def until_of(city, hours=13) -> Any:
    return int(city.bounds[-1]) + hours * HOUR


def without(batch, meter_index, days, city) -> Any:
    gone = (batch.point == meter_index) & np.isin(batch.source_time, city.bounds[list(days)])
    return batch.take(~gone), batch.take(gone)


def test_each_day_of_each_meter_is_written_once(state):
    city = a_city(days=12, homes=8)
    batch, names = city.batch()
    meters = len(names)
    until = until_of(city)
    assert audited(state, city, batch, names, until) == (12 * meters, 0)
    assert audited(state, city, batch, names, until + HOUR) == (0, 0)
    rows = rows_of(state)
    registers, values = city.registers()
    steps = np.diff(values[:, registers.index(HOME)])
    assert [row.units / 1000 for row in rows] == pytest.approx(steps.tolist())
    assert {(row.status, row.method, row.rules, row.revision) for row in rows} == {("measured", "register", "", 1)}
    assert rows[0].gas_day == FIRST.isoformat()
    assert (rows[3].begins, rows[3].ends) == (city.bounds[3], city.bounds[4])
    assert verdicts_of(state) == []


def test_a_missing_reading_is_estimated_and_a_late_one_revises_it(state):
    city = a_city(days=12, homes=8)
    whole, names = city.batch()
    batch, gone = without(whole, index_of(names), (5, 6, 7, 8), city)
    audited(state, city, batch, names, until_of(city))
    before = rows_of(state)
    assert [row.method for row in before[4:9]] == ["like_days"] * 5
    assert [row.rules for row in before[4:9]] == ["V01"] * 5
    assert sum(row.units for row in before[4:9]) == before[4].step_units
    (verdict,) = verdicts_of(state)
    assert (verdict.rule, verdict.result, verdict.holds) == ("V01", "missing", True)
    assert (verdict.source_time, verdict.until) == (city.bounds[4], city.bounds[9])
    assert verdict.evidence == {"gap_h": 120.0, "allowed_h": 36.0}

    late = ReadingBatch.build(gone.point, gone.source_time, until_of(city) + HOUR, gone.value)
    both = ReadingBatch.concat([batch, late])
    added = audited(state, city, both, names, until_of(city) + 2 * HOUR)
    assert added == (5, 1)
    after = rows_of(state)
    revised = [row for row in after if row.revision == 2]
    assert [row.status for row in revised] == ["measured"] * 5
    assert sum(row.units for row in revised) == before[4].step_units
    assert [row for row in after if row.revision == 1] == before, "no revision goes away"
    assert [row.holds for row in verdicts_of(state)] == [True, False]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_and_delay_ends_in_the_same_newest_revisions(tmp_path, seed):
    city = a_city(days=14, homes=7)
    whole, names = city.batch()
    rng = np.random.default_rng(seed)
    lost = rng.random(len(whole)) < 0.1
    kept = whole.take(~lost)
    wrong = (kept.point == 2) & (kept.source_time == city.bounds[6])
    kept = replace(kept, value=np.where(wrong, 3.0, kept.value))
    meters = tuple(city.model.network.meters)
    end = int(city.bounds[-1]) + 31 * DAY

    results = []
    for name, delays in (("a", np.zeros(len(kept), np.int64)), ("b", rng.integers(0, 30 * DAY, len(kept)))):
        batch = replace(kept, received_time=kept.source_time + delays).take(rng.permutation(len(kept)))
        batch = ReadingBatch.concat([batch, batch.take(slice(0, 40))])
        state = State.in_folder(tmp_path / name)
        passes = [end] if name == "a" else [int(city.bounds[5]), int(city.bounds[12]), end - 9 * DAY, end]
        for until in passes:
            audited(state, city, batch, names, until, days=60)
        results.append(newest(state, meters))
        state.close()
    assert results[0] == results[1]
    assert {row.status for row in results[0].values()} >= {"measured", "estimated"}


def test_an_estimate_that_the_register_refutes_is_told_and_stays_told(state):
    city = a_city(days=20, homes=8).with_counted(HOME, 12, 3.0)
    whole, names = city.batch()
    batch, gone = without(whole, index_of(names), range(13, 21), city)
    audited(state, city, batch, names, until_of(city))
    assert [row.status for row in rows_of(state)[13:]] == ["estimated"] * 7
    late = ReadingBatch.build(gone.point, gone.source_time, until_of(city) + HOUR, gone.value)
    both = ReadingBatch.concat([batch, late])
    for hours in (15, 16):
        audited(state, city, both, names, until_of(city, hours))
    told = [row for row in verdicts_of(state) if row.rule == "V12"]
    assert [(row.holds, row.result) for row in told] == [(True, "adjusted")]
    assert told[0].evidence["register_m3"] > 1.5 * told[0].evidence["estimated_m3"]
    last = rows_of(state)[-1]
    assert (last.revision, last.status, last.rules) == (2, "measured", "")


def test_a_conflict_is_used_by_nobody_and_shown(state):
    city = a_city(days=12, homes=8)
    batch, names = city.batch()
    row = (batch.point == index_of(names)) & (batch.source_time == city.bounds[6])
    marked = np.where(row, quality(Severity.UNCERTAIN, Reason.CONFLICT), batch.quality).astype(np.uint8)
    batch = replace(batch, quality=marked)
    other = batch.take(row)
    both = ReadingBatch.concat([batch, replace(other, value=other.value + 1.0)])
    audited(state, city, both, names, until_of(city))
    assert [verdict.rule for verdict in verdicts_of(state)] == ["V01", "V02"]
    assert [row.method for row in rows_of(state)[4:8]] == ["register", "interpolation", "interpolation", "register"]


def test_exchanges_and_closed_accounts_are_known(state):
    city = a_city(days=12, homes=8)
    batch, names = city.batch()
    mine = batch.point == index_of(names)
    start, value = float(batch.value[mine][6]), batch.value.copy()
    after = mine & (batch.source_time >= city.bounds[6])
    value[after] += 5.0 - start
    exchange = Exchange(HOME, int(city.bounds[6]), start, 5.0)
    closed = {HOME: (AccountChange(int(city.bounds[9]), opened=False),)}
    audited(state, city, replace(batch, value=value), names, until_of(city), exchanges=(exchange,), accounts=closed)
    assert [row.status for row in rows_of(state)] == ["measured"] * 12
    found = [(verdict.rule, verdict.source_time) for verdict in verdicts_of(state)]
    assert found == [("V04", city.bounds[6]), *[("V15", city.bounds[day]) for day in (9, 10, 11)]]


def test_a_corrector_that_miscalculates_is_told(state):
    city = a_city(days=12, homes=8)
    network = city.model.network
    batch, names = city.batch()
    first = len(names)
    extra = {
        first: f"V-1/{Quantity.REGISTER_MEASURED_M3}",
        first + 1: f"V-1/{Quantity.PRESSURE_GAUGE_KPA}",
        first + 2: f"V-1/{Quantity.TEMPERATURE_C}",
    }
    assert network.meters["V-1"].kind is MeterKind.CORRECTOR
    base = batch.value[batch.point == index_of(names, "V-1")]
    # 101.325 kPa above the atmosphere at base temperature doubles the volume; from day 8 on the measured step is short
    steps = np.diff(base, prepend=base[0]) / 2.0
    steps[9:] *= 0.9
    columns = {first: np.cumsum(steps), first + 1: np.full(13, 101.325), first + 2: np.full(13, 20.0)}
    more = [
        ReadingBatch.build([point] * 13, city.bounds, city.bounds + HOUR, value) for point, value in columns.items()
    ]
    both = ReadingBatch.concat([batch, *more])
    audited(state, city, both, {**names, **extra}, until_of(city))
    found = [(verdict.rule, verdict.source_time) for verdict in verdicts_of(state, "V-1")]
    assert found == [("V17", city.bounds[day]) for day in (8, 9, 10, 11)]


def test_nothing_raw_changes_and_no_finding_either(state):
    city = a_city(days=20, homes=8)
    whole, names = city.batch()
    batch, _ = without(whole, index_of(names), range(8, 14), city)
    data = city_of(city, batch, names)
    before, bytes_before = daily_pass(data, until_of(city)), batch.to_bytes()
    assert audited(state, city, batch, names, until_of(city)) != (0, 0)
    assert batch.to_bytes() == bytes_before
    after = daily_pass(city_of(city, batch, names), until_of(city))
    assert before.loss == after.loss
    for one, other in zip(before.detections, after.detections, strict=True):
        np.testing.assert_array_equal(one.verdict, other.verdict)


def test_no_part_of_the_suspicions_knows_the_estimates():
    folder = Path(alarms.detectors.__file__).parent
    forbidden = ("vee_rows", "reading_audit", "audit_case", "audit_result", "edit_rows", "estimate", "intervals")
    files = [*folder.glob("*.py"), *(folder.parent / "analysis").glob("*.py"), folder.parent / "passes.py"]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert not {part for name in names for part in name.split(".")} & set(forbidden), file


def test_without_readings_nothing_is_written(state):
    city = a_city(days=12, homes=8)
    _, names = city.batch()
    empty = ReadingBatch.empty()
    assert audited(state, city, empty, names, until_of(city)) == (0, 0)


def test_a_meter_is_missing_from_its_installation_on_and_not_before(state):
    city = a_city(days=12, homes=8)
    network = city.model.network
    young = replace(network.meters[HOME], installed_on=FIRST + timedelta(days=7))
    meters = {**network.meters, HOME: young}
    city = replace(city, model=replace(city.model, network=replace(network, meters=meters)))
    batch, names = city.batch()
    batch = batch.take(batch.point != index_of(names))
    audited(state, city, batch, names, until_of(city))
    rows = rows_of(state)
    assert [row.gas_day for row in rows] == [date(2025, 11, day).isoformat() for day in range(8, 13)]
    assert {(row.status, row.units, row.method) for row in rows} == {("missing", None, "none")}


def test_batches_say_what_all_meters_at_once_say(tmp_path):
    city = a_city(days=25, homes=12).away("M-2-05", 12)
    whole, names = city.batch()
    batch, _ = without(whole, index_of(names), (5, 6, 7, 8), city)
    batch, _ = without(batch, index_of(names, "M-2-03"), range(15, 26), city)
    found = []
    for name, size in (("one", 2000), ("few", 7)):
        state = State.in_folder(tmp_path / name)
        audited(state, city, batch, names, until_of(city), size=size)
        assert audited(state, city, batch, names, until_of(city, 14), size=size) == (0, 0)
        rows = newest(state, city.model.network.meters)
        found.append((rows, {meter: verdicts_of(state, meter) for meter in city.model.network.meters}))
        state.close()
    assert found[0] == found[1]
    assert {row.method for row in found[1][0].values()} == {"register", "like_days"}
    assert {row.rule for rows in found[1][1].values() for row in rows} >= {"V01", "V10"}


def test_a_batch_is_all_that_is_loaded_at_once(state):
    city = a_city(days=9, homes=20)
    batch, names = city.batch()
    source = MemorySource(city.model, batch, names, {})
    store = IntervalStore(folder_of(state) / "intervals")
    Auditor(state, store, batch=6).run(source, until_of(city))
    store.close()
    assert source.most == 6
    assert len(rows_of(state)) == 9


def test_a_meter_that_the_gateway_does_not_read_has_no_rows(state):
    city = a_city(days=20, homes=8)
    batch, names = city.batch()
    mine = index_of(names)
    others = {index: name for index, name in names.items() if index != mine}
    audited(state, city, batch.take(batch.point != mine), others, until_of(city))
    assert rows_of(state) == []
    assert verdicts_of(state) == []
    silent = {**names}
    audited(state, city, batch.take(batch.point != mine), silent, until_of(city, 14))
    assert {row.status for row in rows_of(state)} == {"missing"}
    assert [verdict.rule for verdict in verdicts_of(state)] == ["V18"], "once, not daily"
