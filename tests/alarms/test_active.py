from __future__ import annotations

import random
from pathlib import Path

import pytest

from alarms import active
from alarms.active import ActiveAlarms
from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import (
    Acknowledge,
    AlarmEvent,
    ConditionFalls,
    ConditionRises,
    QualityBad,
    QualityGood,
    Shelve,
    Unshelve,
)
from gateway.errors import RefusedError
from gateway.model.alarm import Alarm, AlarmState
from gateway.store import alarm_rows, tables
from tests.alarms.alarm_fixtures import START, make_desk, minutes

NAMES = [f"{name}@REG-{n:03d}" for name in ("UNDERPRESS_LO", "GAS_CONC_HI") for n in range(1, 6)]


def whole(desk: AlarmDesk) -> dict[str, Alarm]:
    with desk.state.read() as connection:
        found = alarm_rows.load_all(connection)
    return {
        one.alarm_id: one for one in found if one.state is not AlarmState.NORMAL or one.definition == "AREA_COMM_LOSS"
    }


def look(seen: ActiveAlarms, desk: AlarmDesk) -> dict[str, Alarm]:
    with desk.state.read() as connection:
        return seen.read(connection)


def test_what_is_seen_is_what_is_stored_whoever_acts(tmp_path: Path) -> None:
    desk, other = make_desk(tmp_path), make_desk(tmp_path)
    dice, seen = random.Random(4), ActiveAlarms(["AREA_COMM_LOSS"])
    for _ in range(150):
        name = dice.choice([*NAMES, "AREA_COMM_LOSS@R-001"])
        number = 1 if (known := whole(desk).get(name)) is None else known.occurrence_no
        events: list[AlarmEvent] = [
            ConditionRises(START, 1.0),
            ConditionFalls(),
            QualityBad(),
            QualityGood(),
            Acknowledge(number, "li"),
            Shelve(START + minutes(9), "work", "li"),
            Unshelve(number, "li"),
        ]
        try:
            dice.choice([desk, other]).apply(name, dice.choice(events), "li")
        except RefusedError:
            continue
        assert look(seen, desk) == whole(desk)
    assert len(whole(desk)) >= 5


def test_a_flood_between_two_looks_is_seen_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active, "TOUCHED_AT_ONCE", 5)
    desk, seen = make_desk(tmp_path), ActiveAlarms()
    desk.commit([Edge(NAMES[0], ConditionRises(START))])
    assert set(look(seen, desk)) == {NAMES[0]}
    desk.commit([Edge(name, ConditionRises(START)) for name in NAMES[1:]])
    assert set(look(seen, desk)) == set(NAMES)


def test_the_order_does_not_depend_on_how_it_was_learnt(tmp_path: Path) -> None:
    desk, seen = make_desk(tmp_path), ActiveAlarms()
    for name in reversed(NAMES):
        desk.commit([Edge(name, ConditionRises(START))])
        learnt = list(look(seen, desk))
    assert learnt == list(look(ActiveAlarms(), desk)) == sorted(NAMES)


def test_a_state_that_was_set_back_is_read_anew(tmp_path: Path) -> None:
    desk, seen = make_desk(tmp_path), ActiveAlarms()
    desk.commit([Edge(name, ConditionRises(START)) for name in NAMES])
    assert len(look(seen, desk)) == len(NAMES)
    with desk.state.write() as connection:
        connection.execute(tables.journal.delete().where(tables.journal.c.seq > 1))
        connection.execute(tables.alarm.delete().where(tables.alarm.c.alarm_id != NAMES[0]))
    assert set(look(seen, desk)) == {NAMES[0]}


def test_the_caller_may_change_what_it_got(tmp_path: Path) -> None:
    desk, seen = make_desk(tmp_path), ActiveAlarms()
    desk.commit([Edge(NAMES[0], ConditionRises(START))])
    look(seen, desk).clear()
    assert set(look(seen, desk)) == {NAMES[0]}
