"""The audit through the real readings store: orders, doubles, delays, clocks, what an older release left behind."""

import asyncio
import hashlib
import os
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, from_us
from gateway.store import finding_rows, tables, vee_rows
from gateway.store.interval_rows import IntervalRow
from gateway.store.readings import DuckReadings
from gateway.store.state import State
from tests.alarms.audited import audited, days_of
from tests.alarms.small_city import FIRST, a_city

EXAMPLES = 100 if os.environ.get("GASGATE_THOROUGH") == "1" else 3
HOUR = 3_600_000_000
DAY = 24 * HOUR
CITY = a_city(days=8, homes=6)
WHOLE, NAMES = CITY.batch()
END = int(CITY.bounds[-1]) + 31 * DAY
METERS = tuple(CITY.model.network.meters)


async def stored(folder, parts) -> ReadingBatch:
    store = DuckReadings(folder / "readings")
    for seq, part in enumerate(parts, start=1):
        await store.load(seq, part)
    found = await store.history(np.arange(len(NAMES), dtype=np.uint32), 0, END)
    await store.close()
    return found


def final(parts, *, passes=(END,)) -> Any:
    """Return the newest revision of every day, by way of the store, and a hash of all that is stored."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batch = asyncio.run(stored(folder, parts))
        before = hashlib.sha256(batch.to_bytes()).hexdigest()
        state = State.in_folder(folder)
        for until in passes:
            audited(state, CITY, batch, NAMES, until, days=45)
        assert hashlib.sha256(batch.to_bytes()).hexdigest() == before, "no rule changes what is raw"
        rows = days_of(state, METERS, FIRST, FIRST + timedelta(days=8))
        state.close()
    newest = {(row.meter, row.gas_day): row for found in rows.values() for row in found}
    return {key: replace(row, revision=0, computed_at=0) for key, row in newest.items()}


def odd(batch) -> ReadingBatch:
    """Return the readings with some missing, one spike and one conflict."""
    rng = np.random.default_rng(5)
    kept = batch.take(rng.random(len(batch)) > 0.08)
    wrong = (kept.point == 3) & (kept.source_time == CITY.bounds[4])
    kept = replace(kept, value=np.where(wrong, 3.0, kept.value))
    other = kept.take((kept.point == 4) & (kept.source_time == CITY.bounds[5]))
    return ReadingBatch.concat([kept, replace(other, value=other.value + 1.0)])


ODD = odd(WHOLE)
EXPECTED = final([ODD])


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_order_doubling_or_delay_gives_the_same_final_intervals(data):
    order = data.draw(st.permutations(range(len(ODD))))
    twice = data.draw(st.lists(st.integers(0, len(ODD) - 1), max_size=20))
    seed = data.draw(st.integers(0, 2**32))
    rows = np.array([*order, *twice])
    delays = np.random.default_rng(seed).integers(0, 30 * DAY, len(rows))
    came = ODD.take(rows)
    came = replace(came, received_time=came.source_time + delays)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    parts = [came.take(slice(*span)) for span in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    early = int(CITY.bounds[6]) + data.draw(st.integers(0, 20)) * DAY
    assert final([part for part in parts if len(part)], passes=(early, END)) == EXPECTED
    assert {row.status for row in EXPECTED.values()} >= {"measured", "estimated"}


def with_sent(offset_s, *, jump_s=0.0) -> tuple[ReadingBatch, dict[int, Any]]:
    """Return the city's readings with 24 messages of one meter that say when they were sent."""
    rng = np.random.default_rng(8)
    until = int(CITY.bounds[-1])
    true = until - np.arange(24)[::-1] * 3 * HOUR
    received = true + (rng.exponential(20.0, 24) * 1e6).astype(np.int64)
    off = np.where(np.arange(24) >= 12, offset_s + jump_s, offset_s) * 1e6
    index = len(NAMES)
    sent = ReadingBatch.build([index] * 24, (true + off).astype(np.int64), received, np.ones(24))
    return ReadingBatch.concat([WHOLE, sent]), {**NAMES, index: f"M-1-03/{Quantity.SENT}"}


@pytest.mark.parametrize(("offset_s", "jump_s", "told"), [(-900.0, 0, 1), (0.0, 900, 1), (20.0, 0, 0)])
def test_a_wrong_clock_is_a_work_item_with_its_offset_and_epoch(tmp_path, offset_s, jump_s, told):
    batch, names = with_sent(offset_s, jump_s=jump_s)
    state = State.in_folder(tmp_path)
    audited(state, CITY, batch, names, int(CITY.bounds[-1]) + 13 * HOUR)
    with state.read() as connection:
        clocks = finding_rows.findings_about(connection, ["clock"], METERS)
        verdicts = [row for row in vee_rows.verdicts_of(connection, "M-1-03", 0, 2**60) if row.rule == "V14"]
    state.close()
    assert [(one.finding.meter, one.finding.evidence["only_bound"]) for one in clocks] == [("M-1-03", False)] * told
    assert len(verdicts) == told
    if told:
        assert clocks[0].finding.evidence["offset_s"] == pytest.approx(offset_s + jump_s, abs=5.0)
    if jump_s:
        onset = clocks[0].finding.onset
        assert abs(onset - from_us(int(CITY.bounds[-1]) - 36 * HOUR)) < timedelta(hours=9)
        assert verdicts[0].source_time == verdicts[0].since


def test_readings_from_before_the_installation_are_kept_and_make_no_day(tmp_path):
    meters = {**CITY.model.network.meters}
    meters["M-1-03"] = replace(meters["M-1-03"], installed_on=FIRST + timedelta(days=3))
    city = replace(CITY, model=replace(CITY.model, network=replace(CITY.model.network, meters=meters)))
    index = next(number for number, name in NAMES.items() if name.startswith("M-1-03/"))
    state = State.in_folder(tmp_path)
    audited(state, city, WHOLE, NAMES, int(CITY.bounds[-1]) + 13 * HOUR)
    rows = days_of(state, ["M-1-03"], FIRST, FIRST + timedelta(days=9))["M-1-03"]
    assert [row.gas_day for row in rows] == [str(FIRST + timedelta(days=day)) for day in range(3, 8)]
    assert {row.status for row in rows} == {"measured"}
    with state.read() as connection:
        (told,) = [row for row in vee_rows.verdicts_of(connection, "M-1-03", 0, 2**60) if row.rule == "V14"]
    # the reading at the beginning of the day before the installation may be one of another time zone
    early = (WHOLE.point == index) & (WHOLE.source_time < CITY.bounds[2])
    assert told.evidence["before_installation"] == np.count_nonzero(early)
    state.close()


def test_gas_days_of_the_first_release_are_moved_and_revised(tmp_path):
    state = State.in_folder(tmp_path)
    old: dict[str, Any] = {
        "meter": "M-1-03", "gas_day": str(FIRST), "begins": int(CITY.bounds[0]), "ends": int(CITY.bounds[1]),
        "units": 1, "decimals": 3, "status": "estimated", "method": "like_days", "rules": "V01", "left_at": None,
        "right_at": None, "step_units": None, "computed_at": 7,
    }  # fmt: skip
    far = {**old, "gas_day": "2024-01-01"}
    with state.write() as connection:
        connection.execute(tables.interval.insert(), [{**old, "revision": 1}, {**old, "revision": 2, "units": 2}])
        connection.execute(tables.interval.insert(), [{**far, "revision": 1}])
    audited(state, CITY, WHOLE, NAMES, int(CITY.bounds[-1]) + 13 * HOUR)
    rows = days_of(state, ["M-1-03"], FIRST, FIRST)["M-1-03"]
    assert [(row.revision, row.status) for row in rows] == [(1, "estimated"), (2, "estimated"), (3, "measured")]
    assert rows[1] == IntervalRow(**{**old, "revision": 2, "units": 2}, who="", note="")
    assert len(days_of(state, ["M-1-03"], FIRST - timedelta(days=900), FIRST)["M-1-03"]) == 4
    with state.read() as connection:
        assert vee_rows.first_old_day(connection) is None
    state.close()
