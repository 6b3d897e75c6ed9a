"""What a month hid, and how its alarms were answered: counted on alarms, tickets and clicks that really were."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alarms.acts import AlarmDesk
from alarms.alarm_events import AlarmEvent, ConditionFalls, ConditionRises, ShelfOver, Shelve
from alarms.kpi_answers import TicketTimes, count_answers
from api.deps import Parts
from api.services import alarm_month
from api.services.alarm_month import Hidden, Silent
from api.services.alarm_report import reports
from gateway.model.reading import to_us
from gateway.runtime.clock import ManualClock
from gateway.store import ticket_rows, verdict_rows
from gateway.store.verdict_rows import Verdict
from tests.api.conftest import Api
from tests.api.sample_state import PASSWORD, POLICY

ZONE = ZoneInfo("Asia/Shanghai")
SILENT, LOW = "STATION_COMM_LOSS@REG-001", "UNDERPRESS_LO@REG-002"
MONTH = date(2025, 11, 1), date(2025, 11, 30)


def at(day: int, hour: float) -> datetime:
    return datetime(2025, 11, 1, tzinfo=ZONE) + timedelta(days=day - 1, hours=hour)


class Past:
    """Acts of the past on the real desk."""

    def __init__(self, parts: Parts) -> None:
        self.clock = ManualClock(0)
        self.desk = AlarmDesk(parts.state, parts.desk.definitions, parts.network, self.clock, POLICY)

    def act(self, alarm_id: str, moment: datetime, event: AlarmEvent) -> None:
        self.clock.set(moment)
        self.desk.apply(alarm_id, event, "operator")

    def rise(self, alarm_id: str, moment: datetime) -> None:
        self.act(alarm_id, moment, ConditionRises(moment, None))


@pytest.fixture
def past(parts: Parts) -> Past:
    return Past(parts)


def test_hours_of_silence_and_hiding_are_those_of_the_month_alone(parts: Parts, past: Past) -> None:
    past.rise(SILENT, at(-2, 0))
    past.act(SILENT, at(1, 6), ConditionFalls())
    past.rise(SILENT, at(10, 0))
    past.act(SILENT, at(10, 1.5), ConditionFalls())
    past.rise(LOW, at(29, 0))
    past.act(LOW, at(29, 22), Shelve(at(30, 1), "works", "operator"))
    past.act(LOW, at(29, 23), ConditionFalls())
    past.act(LOW, at(30, 1), ShelfOver())
    past.rise(SILENT, at(30, 20))
    past.act(SILENT, at(33, 0), ConditionFalls())
    found = alarm_month.month_lists(parts, *MONTH, MONTH[1])
    assert found.silent == (Silent("REG-001", 3, 6 + 1.5 + 4),)
    assert found.hidden == (Hidden(LOW, "shelved", 1, 3.0),)
    assert found.meters_unread is None, "no gas day of that month was audited"


def test_what_was_hidden_all_month_is_seen_though_its_journal_is_silent_in_it(parts: Parts, past: Past) -> None:
    """Neither the month before nor the one after tells by itself; the first line after it does."""
    past.rise(LOW, at(-1, 0))
    past.act(LOW, at(0, 12), Shelve(at(0, 15), "works", "operator"))
    past.act(LOW, at(40, 0), ShelfOver())
    found = alarm_month.month_lists(parts, *MONTH, MONTH[1])
    assert found.hidden == (Hidden(LOW, "shelved", 1, 720.0),)
    (report,) = reports(parts, *MONTH).values()
    assert report.hidden_hours["shelved"] == 720.0
    assert [day.stale for day in report.days][-1] == 1, "and it stood all the time"


def test_a_false_occurrence_is_listed_with_who_said_so_until_somebody_says_otherwise(parts: Parts, past: Past) -> None:
    past.rise(LOW, at(5, 0))
    said = Verdict(LOW, 1, True, "li", "sensor drifts", at(5, 1))
    with parts.state.write() as connection:
        verdict_rows.add(connection, said, "v1")
    assert alarm_month.month_lists(parts, *MONTH, MONTH[1]).false == (said,)
    with parts.state.write() as connection:
        verdict_rows.add(connection, replace(said, false_alarm=False, at=at(6, 0)), "v2")
    assert alarm_month.month_lists(parts, *MONTH, MONTH[1]).false == ()


def test_meters_without_a_register_are_counted_where_gas_days_were_audited(parts: Parts) -> None:
    today = parts.clock.now().astimezone(ZONE).date()
    first = today.replace(day=1)
    last = parts.site.gas_day.of(parts.clock.now()) - timedelta(days=1)
    found = alarm_month.month_lists(parts, first, today, last)
    begin, end = to_us(parts.site.gas_day.begins(first)), to_us(parts.site.gas_day.ends(last))
    read = {name for names, _ in parts.intervals.read_meters(first, last, begin=begin, end=end) for name in names}
    customers = {one.meter_id for one in parts.network.meters.values() if one.account != "closed"}
    if read:
        assert set(found.unread) == customers - read
        assert found.meters_unread == len(found.unread)
    else:
        assert (found.meters_unread, found.unread) == (None, ())


def test_answers_are_timed_over_what_is_on_record() -> None:
    s = 1_000_000
    tickets = [TicketTimes("G@1", 0, 2 * s, 60 * s, None), TicketTimes("G@2", 10 * s, 14 * s, None, None)]
    linked = {("G@1", 1): 0, ("G@2", 1): 10 * s, ("G@3", 1): 20 * s}
    opened = [(("G@1", 1), 9 * s), (("G@1", 1), 5 * s), (("G@3", 1), 21 * s), (("H@1", 1), 0)]
    found = count_answers(tickets, linked, opened)
    assert found.tickets == 2
    assert [(name, one.count, one.median, one.worst) for name, one in found.steps.items()] == [
        ("confirmed", 2, 4.0, 4.0),
        ("departed", 1, 60.0, 60.0),
        ("arrived", 0, None, None),
    ]
    assert (found.linked, found.opened, found.raised_to_opened.worst) == (3, 2, 5.0)


def test_a_ticket_of_an_alarm_is_timed_from_its_own_raising_once(parts: Parts, past: Past) -> None:
    past.rise("GAS_CONC_HIHI@S-01", at(3, 0))
    past.rise("GAS_CONC_HI@S-01", at(3, 0.01))
    with parts.state.write() as connection:
        ticket = ticket_rows.ticket_of(connection, "GAS_CONC_HI@S-01", 1)
        assert ticket is not None
        ticket_rows.update_ticket(connection, replace(ticket, departed_at=at(3, 0.05), arrived_at=at(3, 0.5)))
    (found,) = alarm_month.answers(parts, *MONTH).values()
    assert found.tickets == 1
    assert (found.steps["departed"].worst, found.steps["arrived"].worst) == (180.0, 1800.0)
    assert found.steps["confirmed"].count == 0


def test_an_instruction_counts_as_opened_where_the_definition_leads_to_one(
    parts: Parts, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = parts.auth.of_session(parts.auth.login("viewer", PASSWORD, "").session)
    assert viewer is not None
    past.rise(LOW, at(7, 0))
    alarm_month.guidance_opened(parts, viewer, LOW)
    (none,) = alarm_month.answers(parts, *MONTH).values()
    assert (none.linked, none.opened) == (0, 0), "its definition leads nowhere"
    definition = parts.desk.definitions["UNDERPRESS_LO"]
    leads = {**parts.desk.definitions, "UNDERPRESS_LO": replace(definition, guidance_url="https://intra/low")}
    monkeypatch.setattr(parts.desk, "definitions", leads)
    alarm_month.guidance_opened(parts, viewer, LOW)
    (one,) = alarm_month.answers(parts, *MONTH).values()
    assert (one.linked, one.opened) == (1, 1)


async def test_the_lists_come_over_rest_and_as_a_table(rest: Api, parts: Parts, past: Past) -> None:
    past.rise(SILENT, at(2, 0))
    past.act(SILENT, at(2, 2), ConditionFalls())
    async with rest.as_user("viewer") as client:
        asked = {"first": "2025-11-01", "last": "2025-11-30"}
        answer = (await client.get("/api/v1/alarm-month", params=asked)).json()
        assert answer["silent"] == [{"asset": "REG-001", "times": 1, "hours": 2.0}]
        assert (answer["meters_unread"], answer["false"]) == (None, [])
        report = (await client.get("/api/v1/alarm-report", params=asked)).json()["answers"]["control_room"]
        assert report["steps"]["arrived"]["count"] == 0
        wrong = await client.get("/api/v1/alarm-month?first=2026-02-01&last=2026-01-01")
        assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_span")
