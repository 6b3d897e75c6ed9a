"""Clocks of every kind against a count minute by minute, and the rows that the company fixed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms.service.calendar import official
from alarms.service.clocks import Pause, Standing, due, read_clock
from alarms.service.escalation import calls, next_moment
from alarms.service.policy import ClockKind, Promise, Unit, matching, read_promises, shipped
from gateway.errors import ConfigError
from gateway.model.ticket import TicketClass

CALENDAR = official()
ROWS = {row.id: row for row in shipped()}
RAISED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def after(minutes: float) -> datetime:
    return RAISED + timedelta(minutes=minutes)


def test_an_emergency_has_its_three_clocks_and_the_strictest_row_of_each() -> None:
    rows = matching(
        ROWS.values(), ticket_class=TicketClass.EMERGENCY, ticket_type="leak", place="remote", day=date(2026, 11, 20)
    )
    limits = {row.clock: row.limit for row in rows}
    assert limits == {"depart": 3, "arrive": 50, "fix": 30, "stay": 30}
    large = matching(
        ROWS.values(),
        ticket_class=TicketClass.EMERGENCY,
        ticket_type="leak",
        place="city",
        day=date(2026, 11, 20),
        size="large",
    )
    assert {row.clock: row.limit for row in large}["fix"] == 60


@pytest.mark.parametrize(
    ("arrived", "now", "ended", "standing"),
    [
        (29, 40, False, Standing.MET),
        (30, 40, False, Standing.MET),
        (31, 40, False, Standing.BREACHED),
        (None, 30, False, Standing.RUNNING),
        (None, 31, False, Standing.LATE),
        (None, 20, True, Standing.NOT_RECORDED),
        (35, 34, False, Standing.LATE),
    ],
)
def test_thirty_minutes_run_from_raised_to_arrived(
    arrived: float | None, now: float, ended: bool, standing: Standing
) -> None:
    steps = {"raised": [RAISED]} | ({} if arrived is None else {"arrived": [after(arrived)]})
    state = read_clock(ROWS["emergency_arrive_city"], steps, after(now), CALENDAR, ended=ended)
    assert (state.standing, state.due_at) == (standing, after(30))
    expected = {Standing.MET: True, Standing.RUNNING: None}.get(standing, False)
    assert state.kept is expected


def test_a_check_that_follows_the_work_goes_on_when_the_ticket_has_ended() -> None:
    row, left = ROWS["emergency_recheck"], {"left_site": [RAISED]}
    standings = [read_clock(row, left, after(at), CALENDAR, ended=True).standing for at in (60, 1441)]
    assert standings == [Standing.RUNNING, Standing.LATE]
    assert read_clock(row, {}, after(60), CALENDAR, ended=True).standing is Standing.NOT_RECORDED
    done = left | {"rechecked": [after(1000)]}
    assert read_clock(row, done, after(1441), CALENDAR, ended=True).standing is Standing.MET


def test_an_emergency_clock_never_stands() -> None:
    pause = Pause(after(1), after(20))
    steps = {"raised": [RAISED]}
    state = read_clock(ROWS["emergency_arrive_city"], steps, after(31), CALENDAR, pauses=[pause])
    assert state.standing is Standing.LATE
    with pytest.raises(ValueError, match="never stands"):
        ROWS["emergency_arrive_city"].model_validate({**ROWS["emergency_arrive_city"].model_dump(), "pausable": True})


@pytest.mark.parametrize(
    ("restored", "left", "now", "standing"),
    [
        ([60], [90], 100, Standing.MET),
        ([60], [89], 100, Standing.BREACHED),
        ([60], [], 100, Standing.RUNNING),
        ([60, 80], [100], 120, Standing.BREACHED),
        ([60, 80], [111], 120, Standing.MET),
        ([60, 150], [95, 160], 170, Standing.BREACHED),
        ([], [], 100, Standing.WAITING),
        ([], [90], 100, Standing.NOT_RECORDED),
    ],
)
def test_the_crew_stays_thirty_minutes_after_each_time_that_supply_is_back(
    restored: list[int], left: list[int], now: int, standing: Standing
) -> None:
    steps = {"supply_restored": [after(at) for at in restored], "left_site": [after(at) for at in left]}
    assert read_clock(ROWS["emergency_stay"], steps, after(now), CALENDAR).standing is standing


@pytest.mark.parametrize(
    ("announced", "standing"), [(-48 * 60, Standing.MET), (-48 * 60 + 1, Standing.BREACHED), (None, Standing.LATE)]
)
def test_an_interruption_is_announced_two_days_before(announced: int | None, standing: Standing) -> None:
    steps = {"planned_start": [RAISED]} | ({} if announced is None else {"announced": [after(announced)]})
    assert read_clock(ROWS["interruption_notice"], steps, after(-60), CALENDAR).standing is standing


pauses = st.lists(
    st.tuples(st.integers(-200, 900), st.integers(1, 400)).map(
        lambda pair: Pause(after(pair[0]), after(pair[0] + pair[1]))
    ),
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(limit=st.integers(1, 600), stands=pauses)
def test_minutes_in_which_a_clock_stands_do_not_count(limit: int, stands: list[Pause]) -> None:
    row = Promise(
        id="x",
        clock="x",
        ticket_class=TicketClass.SERVICE,
        start="reported",
        stop="done",
        limit=limit,
        unit=Unit.MINUTES,
        pausable=True,
        source="here",
    )
    at, left = RAISED, limit
    while left:
        left -= not any(pause.since <= at < (pause.until or at) for pause in stands)
        at += MINUTE
    found = due(row, RAISED, CALENDAR, stands)
    assert found is not None
    assert found.at == at


def test_a_working_day_at_whose_end_the_customer_is_awaited_does_not_count() -> None:
    row = ROWS["check_theft"]
    steps = {"released": [RAISED]}
    assert read_clock(row, steps, RAISED, CALENDAR).due_at == datetime(2026, 11, 25, 10, tzinfo=UTC)
    away = Pause(datetime(2026, 11, 23, 2, tzinfo=UTC), datetime(2026, 11, 24, 12, tzinfo=UTC))
    moved = read_clock(row, steps, RAISED + timedelta(days=9), CALENDAR, pauses=[away])
    assert moved.due_at == datetime(2026, 11, 27, 10, tzinfo=UTC)
    late = read_clock(
        row, steps, RAISED + timedelta(days=9), CALENDAR, pauses=[Pause(RAISED + timedelta(days=7), None)]
    )
    assert (late.standing, late.due_at) == (Standing.LATE, datetime(2026, 11, 25, 10, tzinfo=UTC))
    stands = read_clock(row, steps, RAISED, CALENDAR, pauses=[Pause(RAISED, None)])
    assert (stands.standing, stands.due_at) == (Standing.PAUSED, None)


def test_a_promise_for_the_same_day_moves_if_its_clock_stands_at_the_day_s_end() -> None:
    steps = {"reported": [RAISED]}
    night = Pause(RAISED + timedelta(hours=1), RAISED + timedelta(hours=16))
    state = read_clock(ROWS["special_need"], steps, RAISED + timedelta(hours=17), CALENDAR, pauses=[night])
    assert (state.standing, state.due_at) == (Standing.RUNNING, datetime(2026, 11, 21, 16, tzinfo=UTC))


def test_a_date_agreed_with_the_customer_takes_the_place_of_the_limit() -> None:
    agreed = RAISED + timedelta(days=20)
    done = {"released": [RAISED], "completed": [agreed - MINUTE]}
    state = read_clock(ROWS["check_theft"], done, agreed, CALENDAR, agreed=agreed)
    assert (state.standing, state.due_at) == (Standing.MET, agreed)


def test_the_ladder_is_climbed_once_and_repeats_after_the_limit() -> None:
    row, steps = ROWS["emergency_arrive_city"], {"raised": [RAISED]}
    told = {}
    for minute in range(60):
        state = read_clock(row, steps, after(minute), CALENDAR)
        told.update({(call.rung, call.repetition): (minute, call.tell) for call in calls(row, state, after(minute))
                     if (call.rung, call.repetition) not in told})  # fmt: skip
    assert told == {
        (0, 0): (15, "crew"),
        (1, 0): (24, "duty_manager"),
        (2, 0): (30, "head_of_emergency"),
        (2, 1): (40, "head_of_emergency"),
        (2, 2): (50, "head_of_emergency"),
    }


def test_leaving_early_is_told_at_once_and_staying_is_not() -> None:
    row, stays = ROWS["emergency_stay"], {"supply_restored": [after(60)]}
    open_state = read_clock(row, stays, after(120), CALENDAR)
    assert [call.tell for call in calls(row, open_state, after(120))] == ["crew"]
    early = read_clock(row, stays | {"left_site": [after(80)]}, after(81), CALENDAR)
    (call,) = calls(row, early, after(81))
    assert (call.tell, call.at, call.breach) == ("head_of_operations", after(80), True)
    kept = read_clock(row, stays | {"left_site": [after(90)]}, after(91), CALENDAR)
    assert calls(row, kept, after(91)) == []


def test_nobody_is_told_of_a_clock_that_was_stopped_or_stands() -> None:
    row = ROWS["emergency_arrive_city"]
    state = read_clock(row, {"raised": [RAISED], "arrived": [after(10)]}, after(100), CALENDAR)
    assert calls(row, state, after(100)) == []
    assert next_moment(row, state, after(100)) is None


@settings(max_examples=60, deadline=None)
@given(row=st.sampled_from([row for row in ROWS.values() if row.active]), start=st.integers(-400, 0))
def test_between_two_moments_that_are_named_nothing_changes(row: Promise, start: int) -> None:
    begun = RAISED + timedelta(days=start)
    steps = {row.start: [begun]} if row.kind is not ClockKind.LEAD_TIME else {row.stop: [begun]}
    now, seen = begun, 0
    while seen < 6:
        state = read_clock(row, steps, now, CALENDAR)
        following = next_moment(row, state, now)
        if following is None:
            break
        before = read_clock(row, steps, following - timedelta(seconds=1), CALENDAR)
        at = max(now, following - timedelta(seconds=1))
        assert calls(row, state, now) == calls(row, before, at)
        assert before.standing is read_clock(row, steps, now, CALENDAR).standing or now == state.due_at
        now, seen = following, seen + 1


@pytest.mark.parametrize("unit", [Unit.DAYS, Unit.WORKING_DAYS])
def test_a_limit_that_cannot_be_counted_is_refused(unit: Unit) -> None:
    row = {**ROWS["check_theft"].model_dump(), "unit": unit}
    assert Promise.model_validate({**row, "limit": 5000}).limit == 5000
    with pytest.raises(ValueError, match="can be counted"):
        Promise.model_validate({**row, "limit": 5001})


def test_rows_that_cover_the_same_tickets_are_refused(tmp_path: Path) -> None:
    row = (
        '[[promise]]\nid = "{id}"\nclock = "a"\nticket_class = "CHECK"\n'
        'start = "b"\nstop = "c"\nlimit = 1\nunit = "minutes"\nsource = "s"\n'
    )
    path = tmp_path / "promises.toml"
    path.write_text(row.format(id="one") + row.format(id="two"), encoding="utf-8")
    with pytest.raises(ConfigError, match="two and one cover the same tickets"):
        read_promises(path)
