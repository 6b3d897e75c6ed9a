"""How often alarms were false: the newest word about each occurrence counts, and what nobody judged stays unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alarms.false_alarms import FalseAlarms, count_false, newest
from gateway.errors import RefusedError
from gateway.model.reading import to_us
from gateway.store import ticket_event_rows, ticket_rows, verdict_rows
from gateway.store.ticket_event_rows import TicketEvent
from gateway.store.verdict_rows import Verdict
from tests.alarms.alarm_fixtures import START
from tests.alarms.plant import Plant

GAS = "GAS_CONC_HIHI@REG-001"
SAID = Verdict(GAS, 1, True, "li", "a tired sensor", START)


def test_shares_are_of_what_was_judged() -> None:
    raised = {("G@R-1", 1), ("G@R-1", 2), ("G@R-2", 1), ("G@S-1", 1), ("H@R-1", 1)}
    kinds = {"R-1": "regulator", "R-2": "regulator", "S-1": "station"}
    found = count_false(raised, {("G@R-1", 1): True, ("G@R-2", 1): False, ("G@R-9", 1): True}, kinds.__getitem__)
    assert found == (
        FalseAlarms("G", "regulator", 3, 2, 1),
        FalseAlarms("G", "station", 1, 0, 0),
        FalseAlarms("H", "regulator", 1, 0, 0),
    )
    assert [one.share for one in found] == [0.5, None, None]


def test_the_newest_word_counts_in_whatever_order_it_is_read() -> None:
    said = [(3.0, ("G@R-1", 1), False), (1.0, ("G@R-1", 1), True), (2.0, ("G@R-1", 2), True)]
    assert newest(said) == newest(reversed(said)) == {("G@R-1", 1): False, ("G@R-1", 2): True}


@pytest.mark.parametrize(
    ("result", "verdict"), [("false alarm", [True]), ("误报", [True]), ("found", [False]), ("repaired", []), (7, [])]
)
def test_a_crew_judges_all_alarms_of_its_ticket(tmp_path: Path, result: object, verdict: list[bool]) -> None:
    plant = Plant(tmp_path)
    plant.feed(("REG-001/gas_lel_pct", 30.0))
    with plant.desk.state.write() as connection:
        ticket = ticket_rows.ticket_of(connection, GAS, 1)
        assert ticket is not None
        event = TicketEvent("desk", "e1", ticket.ticket_no, "completed", 1, START, START, "crew 5", {"result": result})
        ticket_event_rows.insert_event(connection, event)
    with plant.desk.state.read() as connection:
        joined = ticket_rows.alarms_of(connection, ticket.ticket_no)
        said = list(verdict_rows.since(connection, to_us(START)))
        assert [one.false_alarm for one in said] == verdict * len(joined)
        assert {(one.alarm_id, one.occurrence_no, one.who) for one in said} == {
            (*one, "crew 5") for one in (joined if verdict else [])
        }
        assert len(joined) == 2
        now = to_us(START)
        assert verdict_rows.raised_between(connection, now, now + 1, "GAS_CONC_HIHI") == {(GAS, 1)}
        assert verdict_rows.raised_between(connection, now, now + 1) == set(joined)
        assert verdict_rows.raised_between(connection, now + 1, now + 2) == set()
    plant.desk.state.close()


def test_the_same_request_again_says_nothing_new(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    later = replace(SAID, false_alarm=False, at=START + timedelta(hours=1))
    with plant.desk.state.write() as connection:
        assert verdict_rows.add(connection, SAID, "r1") == SAID
        assert verdict_rows.add(connection, later, "r1") == SAID
        for other in (replace(SAID, who="wu"), replace(SAID, alarm_id="GAS_CONC_HI@REG-001")):
            with pytest.raises(RefusedError, match="had this request id"):
                verdict_rows.add(connection, other, "r1")
        verdict_rows.add(connection, later, "r2")
        assert [one.false_alarm for one in verdict_rows.since(connection, 0)] == [True, False]
        assert list(verdict_rows.since(connection, to_us(START + timedelta(hours=2)))) == []
    plant.desk.state.close()
