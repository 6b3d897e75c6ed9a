"""Large numbers: shelves that end together, readings on an alarm out of service, one changed byte in the journal."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import Acknowledge, ConditionFalls, ConditionRises, RemoveFromService, Shelve
from gateway.model.alarm import AlarmState
from gateway.store import alarm_rows
from tests.alarms.alarm_fixtures import START, make_desk, minutes
from tests.alarms.plant import Plant

THOROUGH = os.environ.get("GASGATE_THOROUGH") == "1"
SHELVES = 10_000 if THOROUGH else 600
READINGS = 100_000 if THOROUGH else 3_000
BYTES = 400 if THOROUGH else 25


def test_shelves_that_end_together_end_at_once_and_what_holds_is_announced_again(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    rises = [Edge(f"UNDERPRESS_LO@P-{n:05d}", ConditionRises(START)) for n in range(SHELVES)]
    plant.desk.commit(rises)
    until = START + minutes(30)
    plant.desk.commit([Edge(one.alarm_id, Shelve(until, "filter work", "li")) for one in rises])
    plant.desk.commit([Edge(one.alarm_id, ConditionFalls()) for one in rises[::2]])
    plant.after(30 * 60 - 1)
    plant.tick()
    with plant.desk.state.read() as connection:
        before = Counter(one.state for one in alarm_rows.list_active(connection, limit=None))
    assert before == {AlarmState.SHELVED: SHELVES}
    plant.after(1)
    for _ in range(SHELVES // 1000 + 2):
        plant.tick()
    with plant.desk.state.read() as connection:
        after = Counter(one.state for one in alarm_rows.list_active(connection, limit=None))
        again = alarm_rows.journal_since(connection, until, ("announced_again",))
    assert after == {AlarmState.UNACKNOWLEDGED: SHELVES // 2, AlarmState.RETURNED_UNACKNOWLEDGED: SHELVES // 2}
    assert len(again) == SHELVES // 2


def test_what_is_left_for_the_next_call_waits_once_and_gas_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alarms.pipeline.MOST_AT_ONCE", 20)
    monkeypatch.setattr("alarms.pipeline.MOST_IN_A_CALL", 40)
    plant = Plant(tmp_path)
    rises = [Edge(f"UNDERPRESS_LO@P-{n:05d}", ConditionRises(START)) for n in range(200)]
    plant.desk.commit(rises)
    plant.desk.commit([Edge(one.alarm_id, Shelve(START + minutes(30), "filter work", "li")) for one in rises])
    plant.after(1800)
    plant.tick()
    plant.feed(("REG-001/gas_lel_pct", 28.0))
    assert plant.state("GAS_CONC_HIHI@REG-001") == "B", "although 160 others wait"
    for _ in range(4):
        plant.tick()
    with plant.desk.state.read() as connection:
        ended = Counter(one.alarm_id for one in alarm_rows.journal_since(connection, START, ("shelf_over",)))
    assert len(ended) == 200
    assert set(ended.values()) == {1}
    assert plant.desk.state.cursor("alarm") == plant.pipeline.seq


def test_readings_never_lead_an_alarm_out_of_service_back(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    gas = "GAS_CONC_HIHI@REG-001"
    event = RemoveFromService("WO-1", "a watch", "li", START + timedelta(days=30), "wu")
    plant.desk.apply(gas, event, "li")
    dice = random.Random(3)
    for _ in range(READINGS // 100):
        level = dice.choice([0.0, 9.0, 28.0])
        rows = [("REG-001/gas_lel_pct", level, 100.0 - n) for n in range(100)]
        plant.feed_at(rows)
        plant.after(100)
        assert plant.state(gas) == "G"
    alarm = plant.alarm(gas)
    assert alarm is not None
    assert alarm.announced_no == 0
    assert alarm.occurrence_no >= 3, "it went on judging"


@pytest.mark.parametrize("seed", range(2))
def test_one_changed_byte_of_the_journal_is_found(tmp_path: Path, seed: int) -> None:
    desk = make_desk(tmp_path)
    for n in range(30):
        desk.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionRises(START + minutes(n), 20.0 + n))])
        desk.commit([Edge("GAS_CONC_HIHI@REG-001", ConditionFalls(1.0))])
    desk.apply("GAS_CONC_HIHI@REG-001", Acknowledge(30, "li"), "li")
    assert _first_wrong(desk) is None
    with desk.state.read() as connection:
        last = alarm_rows.last_journal_seq(connection)
    dice = random.Random(seed)
    columns = ("alarm_id", "event", "before", "after", "actor", "reason", "hash")
    for _ in range(BYTES):
        seq, column = dice.randint(1, last), dice.choice(columns)
        with sqlite3.connect(tmp_path / "state.db") as raw:
            (text,) = raw.execute(f"select {column} from journal where seq = ?", (seq,)).fetchone()
            at = dice.randrange(len(text)) if text else 0
            other = text[:at] + chr(33 + dice.randrange(90)) + text[at + 1 :]
            raw.execute(f"update journal set {column} = ? where seq = ?", (other, seq))
            raw.commit()
            assert other == text or _first_wrong(desk) == seq, (seq, column, text[at : at + 1], other[at])
            raw.execute(f"update journal set {column} = ? where seq = ?", (text, seq))
        raw.close()
    assert _first_wrong(desk) is None


def test_the_same_facts_written_otherwise_and_a_removed_line_are_found(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    for n in range(3):
        desk.commit([Edge(f"GAS_CONC_HIHI@REG-00{n + 1}", ConditionRises(START, 20.0))])
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute("update journal set after = replace(after, ', ', ',') where seq = 4")
    assert _first_wrong(desk) == 4
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute("delete from journal where seq = 2")
    raw.close()
    assert _first_wrong(desk) == 3


def _first_wrong(desk: AlarmDesk) -> int | None:
    with desk.state.read() as connection:
        return alarm_rows.verify_journal(connection)
