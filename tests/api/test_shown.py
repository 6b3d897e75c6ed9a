"""What the operator's list shows: one row for one trouble, groups in a flood, the worst first."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionRises, RuleOn
from api.deps import Parts
from api.services.live import Board
from api.services.shown import group_of, is_told, tab_of
from api.services.views import load_alarms
from gateway.model.reading import to_us
from gateway.runtime.clock import ManualClock
from gateway.store import alarm_rows
from tests.api.conftest import Api
from tests.api.sample_state import POLICY


def desk_at(parts: Parts) -> tuple[AlarmDesk, ManualClock]:
    clock = ManualClock(to_us(parts.clock.now()))
    return AlarmDesk(parts.state, parts.desk.definitions, parts.network, clock, POLICY), clock


def rows(parts: Parts) -> list[tuple[str, str]]:
    """Return id and tab of the list's rows."""
    views = {view.id: view for view in load_alarms(parts, parts.state)}
    return [(view.id, tab_of(view)) for view in views.values() if not is_told(view, views)]


async def test_both_gas_limits_of_a_point_are_one_row_and_one_acknowledgement(rest: Api, parts: Parts) -> None:
    desk, clock = desk_at(parts)
    before = rows(parts)
    desk.commit([Edge("GAS_CONC_HI@REG-002", ConditionRises(clock.now(), 25.0))])
    assert rows(parts) == before, "the row of the higher limit tells it"
    async with rest.as_user("viewer") as client:
        strip = (await client.get("/api/v1/status")).json()["summary"]
    assert strip["active"] == sum(tab == "active" for _, tab in before), "the strip counts rows"
    desk.commit([Edge("GAS_CONC_HI@REG-003", ConditionRises(clock.now(), 12.0))])
    assert ("GAS_CONC_HI@REG-003", "active") in rows(parts), "where it is alone it has its own"
    async with rest.as_user("operator") as client:
        path = "/api/v1/alarms/GAS_CONC_HIHI@REG-002"
        await client.post(f"{path}/acknowledge", json={"occurrence_no": 1, "request_id": "a"})
        assert (await client.get("/api/v1/alarms/GAS_CONC_HI@REG-002")).json()["state"] == "C"
        assert (await client.get("/api/v1/alarms/GAS_CONC_HI@REG-003")).json()["state"] == "B"


def test_what_a_rule_covers_stands_under_a_tab_of_its_own(parts: Parts) -> None:
    desk, _ = desk_at(parts)
    low = "UNDERPRESS_LO@REG-003"
    assert (low, "active") in rows(parts)
    desk.commit([Edge(low, RuleOn("area_supply"))])
    assert (low, "suppressed") in rows(parts)
    assert ("UNDERPRESS_LO@REG-001", "shelved") in rows(parts)


async def test_275_alarms_in_11_minutes_show_the_worst_first_and_lose_nothing(parts: Parts) -> None:
    board = Board(parts)
    board.apply(board._read(full=True))
    assert board.flood is None
    desk, clock = desk_at(parts)
    begun = clock.now()
    parts_then = replace(parts, clock=clock)
    board = Board(parts_then)
    board.apply(board._read(full=True))
    for n in range(275):
        clock.set(begun + timedelta(seconds=2.4 * n))
        name = f"UNDERPRESS_LO@Z-{n:03d}" if n != 200 else "HOME_GAS_SENSOR@M-000007"
        desk.commit([Edge(name, ConditionRises(clock.now(), 1.0))])
    board.apply(board._read(full=False))
    assert board.flood is not None
    assert board.flood.announced >= 275
    listed = sorted(board.alarms.values(), key=lambda view: view.order)
    assert "HOME_GAS_SENSOR@M-000007" in [view.id for view in listed[:5]]
    groups = Counter(group_of(view) or view.id for view in listed if tab_of(view) == "active")
    assert max(groups.values()) == 274, "of one kind in one zone"
    assert groups["HOME_GAS_SENSOR@M-000007"] == 1, "the highest priority stands alone"
    assert len(groups) < 12, "one screen"
    with parts.state.read() as connection:
        raised = alarm_rows.journal_since(connection, begun, ("raised",))
    assert len(raised) == 275
    clock.set(begun + timedelta(hours=1))
    assert board.flood is None
    assert len(board._flood.ended) == 1
