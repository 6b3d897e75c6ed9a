"""What the desk says about false alarms: over REST, in the control room, in the report and at the definition."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from alarms.acts import AlarmDesk
from alarms.alarm_events import ConditionFalls, ConditionRises
from alarms.definitions import load_definitions
from api.deps import Parts
from gateway.runtime.clock import ManualClock
from gateway.store import verdict_rows
from gateway.store.state import State
from tests.api.conftest import Api, Served
from tests.api.sample_network import sample_network
from tests.api.sample_state import POLICY, START

GAS = "GAS_CONC_HIHI@REG-002"
BODY = {"occurrence_no": 1, "false_alarm": True, "reason": "a tired sensor", "request_id": "v-1"}


async def counted(client: Any) -> tuple[int, int, int]:
    report = (await client.get("/api/v1/alarm-report")).json()
    (own,) = [one for one in report["false_alarms"] if one["definition"] == "GAS_CONC_HIHI"]
    assert own["asset_kind"] == "regulator"
    return own["raised"], own["judged"], own["false"]


async def test_the_newest_word_counts_and_the_alarm_stays_as_it_is(rest: Api, parts: Parts) -> None:
    async with rest.as_user("operator") as client:
        before = (await client.get(f"/api/v1/alarms/{GAS}")).json()
        path = f"/api/v1/alarms/{GAS}/verdict"
        assert await counted(client) == (1, 0, 0)
        first = await client.post(path, json=BODY)
        assert first.status_code == 201
        assert (await client.post(path, json={**BODY, "false_alarm": False})).json() == first.json()
        assert await counted(client) == (1, 1, 1)
        other = {**BODY, "false_alarm": False, "request_id": "v-2"}
        assert (await client.post(path, json=other)).status_code == 201
        assert await counted(client) == (1, 1, 0)
        for number, code in ((0, 409), (2, 409), (-1, 422)):
            answer = await client.post(path, json={**BODY, "occurrence_no": number, "request_id": f"n{number}"})
            assert answer.status_code == code, number
        unknown = await client.post("/api/v1/alarms/GAS_CONC_HIHI@REG-999/verdict", json=BODY)
        assert unknown.status_code == 404
        after = (await client.get(f"/api/v1/alarms/{GAS}")).json()
        assert {name: after[name] for name in ("state", "version", "occurrence_no")} == {
            name: before[name] for name in ("state", "version", "occurrence_no")
        }
    async with rest.as_user("admin") as client:
        trail = (await client.get("/api/v1/audit?limit=50")).text
        assert trail.count('"alarm.judge"') == 2


@pytest.mark.browser
def test_an_operator_says_that_an_alarm_was_false_and_its_definition_shows_it(visit: Any, served: Served) -> None:
    page = visit("operator", f"/?alarm={GAS}", language="zh")
    page.locator("[data-act=judge]").click()
    page.locator(".gg-dialog [name=reason]").fill("传感器老化")
    page.locator(".gg-dialog button[type=submit]").click()
    expect(page.locator(".gg-dialog")).to_have_count(0)
    report = page.request.get(f"{served.url}/api/v1/alarm-report").json()["false_alarms"]
    assert [one["false"] for one in report if one["definition"] == "GAS_CONC_HIHI"] == [1]
    page.goto(f"{served.url}/definitions")
    page.locator("tr[data-pick=GAS_CONC_HIHI] button").click()
    expect(page.get_by_text("已判定 1 次，误报 1 次")).to_be_visible()
    page.goto(f"{served.url}/reports/alarms")
    expect(page.locator("body")).to_contain_text("误报数")


@pytest.mark.browser
def test_a_verdict_is_about_the_occurrence_that_the_person_was_asked_about(visit: Any, served: Served) -> None:
    page = visit("operator", f"/?alarm={GAS}")
    page.locator("[data-act=judge]").click()
    page.locator(".gg-dialog [name=reason]").fill("a test of the sensor")
    state = State.in_folder(served.folder)
    clock = ManualClock(int((START + timedelta(hours=1)).timestamp() * 1e6))
    desk = AlarmDesk(state, load_definitions(), sample_network(), clock, POLICY)
    desk.apply(GAS, ConditionFalls(), "gasgate")
    desk.apply(GAS, ConditionRises(clock.now(), 76.5), "gasgate")
    expect(page.locator(".gg-detail")).to_contain_text("76.5", timeout=15_000)
    page.locator(".gg-dialog button[type=submit]").click()
    expect(page.locator(".gg-dialog")).to_have_count(0)
    with state.read() as connection:
        said = list(verdict_rows.since(connection, 0))
    state.close()
    assert [one.occurrence_no for one in said if one.reason == "a test of the sensor"] == [1]
