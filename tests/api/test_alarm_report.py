"""Report, hand-over lists and work items over REST, on alarms that the real desk made."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from zoneinfo import ZoneInfo

from alarms.acts import AlarmDesk
from alarms.alarm_events import Chatters, ConditionFalls, ConditionRises
from api.deps import Parts
from gateway.model.reading import to_us
from gateway.runtime.clock import ManualClock
from tests.api.conftest import Api
from tests.api.sample_state import POLICY

GAS = "GAS_CONC_HIHI@REG-002"


async def test_the_report_counts_what_was_announced(rest: Api) -> None:
    async with rest.as_user("viewer") as client:
        found = (await client.get("/api/v1/alarm-report")).json()["positions"]["control_room"]
        assert (found["announced"], len(found["days"])) == (6, 30)
        assert found["by_priority"] == [2, 2, 2, 0]
        assert found["raised_to_acknowledged"]["count"] == 2
        assert found["raised_to_acknowledged"]["median"] == 120.0
        assert found["hidden_hours"]["shelved"] > 0.8
        assert {one["name"]: one["verdict"] for one in found["targets"]}["announced per day"] == "good"
        assert {one["name"]: one["verdict"] for one in found["targets"]}["share of priority 1"] == "few"
        rows = list(csv.DictReader(io.StringIO((await client.get("/api/v1/alarm-report.csv")).text)))
        assert sum(int(row["announced"]) for row in rows) == 6
        assert {int(row["buckets"]) for row in rows[:-1]} == {144}
        wrong = await client.get("/api/v1/alarm-report?first=2026-02-01&last=2026-01-01")
        assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_span")


async def test_the_lists_of_a_hand_over(rest: Api, parts: Parts) -> None:
    now = parts.clock.now()
    desk = AlarmDesk(parts.state, parts.desk.definitions, parts.network, ManualClock(to_us(now)), POLICY)
    for n in range(12):
        desk.apply(GAS, ConditionFalls(), "gasgate")
        desk.apply(GAS, ConditionRises(now + timedelta(seconds=n), 25.0), "gasgate")
    desk.apply(GAS, Chatters(repair=True), "gasgate")
    async with rest.as_user("operator") as client:
        lists = (await client.get("/api/v1/alarm-lists")).json()
        assert [one["id"] for one in lists["shelved"]] == ["UNDERPRESS_LO@REG-001"]
        assert lists["stale"] == []
        assert lists["chattering"] == {GAS: 13}
        assert lists["flood"]["announced"] >= 11
        assert (lists["too_many_shelved"], lists["review"], lists["removals"]) == (False, [], [])
        work = (await client.get("/api/v1/work-items")).json()["work"]
        (repair,) = [one for one in work if one["kind"] == "chatter"]
        assert (repair["subject"], repair["zone"], repair["open"]) == (GAS, "R-002", True)
        assert {one["id"][0] for one in work} == {"F", "W"}, "findings stand among them"
        today = now.astimezone(ZoneInfo("Asia/Shanghai")).date()
        assert repair["id"] in (await client.get("/api/v1/work-items.csv?day=" + str(today))).text
        number = repair["id"].removeprefix("W-")
        done = await client.post(f"/api/v1/work-items/{number}/done", json={"note": "new sensor"})
        assert (done.json()["done_by"], done.json()["note"]) == ("operator", "new sensor")
        again = await client.post(f"/api/v1/work-items/{number}/done", json={})
        assert (again.status_code, again.json()["code"]) == (409, "already_done")
        left = (await client.get("/api/v1/work-items")).json()["work"]
        assert repair["id"] not in {one["id"] for one in left}
