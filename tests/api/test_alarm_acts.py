"""What operators and supervisors do to alarms over REST, and how what may not be is answered."""

from __future__ import annotations

from typing import Any

import httpx

from api.deps import Parts
from tests.api.conftest import Api

GAS = "GAS_CONC_HIHI@REG-002"
LOW = "UNDERPRESS_LO@REG-003"
OUT = {"work_order": "WO-7", "interim": "a watch every hour", "until": "2026-01-15T12:00:00Z"}


async def call(client: httpx.AsyncClient, path: str, **body: Any) -> tuple[int, Any]:
    answer = await client.post(f"/api/v1{path}", json=body)
    return answer.status_code, answer.json()


async def test_an_acknowledgement_is_taken_back_by_its_giver_or_a_supervisor(rest: Api) -> None:
    async with rest.as_user("operator") as client:
        assert (await call(client, f"/alarms/{GAS}/undo", request_id="u0"))[1]["code"] == "not_acknowledged"
        await call(client, f"/alarms/{GAS}/acknowledge", occurrence_no=1, request_id="a1")
        status, alarm = await call(client, f"/alarms/{GAS}/undo", request_id="u1")
        assert (status, alarm["state"]) == (200, "B")
        assert (await call(client, f"/alarms/{LOW}/undo", request_id="u2"))[1]["code"] == "forbidden", "40 minutes ago"
    async with rest.as_user("manager") as client:
        status, alarm = await call(client, f"/alarms/{LOW}/undo", request_id="u3")
        assert (status, alarm["state"]) == (200, "B")


async def test_the_horn_of_one_alarm_is_muted(rest: Api) -> None:
    async with rest.as_user("operator") as client:
        status, alarm = await call(client, f"/alarms/{GAS}/silence", request_id="s1")
        assert (status, alarm["state"]) == (200, "B")
        assert alarm["silenced_until"] is not None


async def test_a_call_about_facts_that_changed_is_a_conflict(rest: Api) -> None:
    async with rest.as_user("operator") as client:
        seen = (await client.get(f"/api/v1/alarms/{GAS}")).json()["version"]
        await call(client, f"/alarms/{GAS}/silence", request_id="s1")
        body = {"occurrence_no": 1, "request_id": "a1", "version": seen}
        status, answer = await call(client, f"/alarms/{GAS}/acknowledge", **body)
        assert (status, answer["code"]) == (409, "conflict")
        assert str(seen + 1) in answer["detail"]
        assert (await call(client, f"/alarms/{GAS}/acknowledge", **body))[0] == 409, "the same id, the same answer"
        fresh = {**body, "request_id": "a2", "version": seen + 1}
        assert (await call(client, f"/alarms/{GAS}/acknowledge", **fresh))[0] == 200


async def test_an_ordinary_alarm_leaves_service_by_one_supervisor_and_returns_with_its_test(rest: Api) -> None:
    async with rest.as_user("manager") as client:
        status, answer = await call(client, f"/alarms/{LOW}/remove", request_id="r1", **{**OUT, "work_order": " "})
        assert (status, answer["code"]) == (422, "field_required")
        status, alarm = await call(client, f"/alarms/{LOW}/remove", request_id="r2", **OUT)
        assert (status, alarm["state"], alarm["oos"]["work_order"]) == (200, "G", "WO-7")
        assert (await call(client, f"/alarms/{LOW}/remove", request_id="r3", **OUT))[1]["code"] == "already_out"
        assert (await call(client, f"/alarms/{LOW}/return", request_id="b1", test=""))[1]["code"] == "test_required"
        status, alarm = await call(client, f"/alarms/{LOW}/return", request_id="b2", test="stroked the valve")
        assert (status, alarm["state"]) == (200, "B"), "its condition still holds"
        assert (await call(client, f"/alarms/{LOW}/return", request_id="b3", test="x"))[1]["code"] == "in_service"


async def test_a_highly_managed_alarm_needs_a_second_person(rest: Api) -> None:
    async with rest.as_user("manager") as client:
        status, asked = await call(client, f"/alarms/{GAS}/remove", request_id="r1", **OUT)
        assert (status, asked["state"]) == (202, "asked")
        assert (await call(client, f"/alarms/{GAS}/remove", request_id="r1", **OUT))[1]["id"] == asked["id"]
        assert (await call(client, f"/alarms/{GAS}/remove", request_id="r2", **OUT))[1]["code"] == "already_asked"
        status, answer = await call(client, f"/removals/{asked['id']}/agree")
        assert (status, answer["code"]) == (403, "second_person")
        assert (await client.get(f"/api/v1/alarms/{GAS}")).json()["state"] == "B"
    async with rest.as_user("admin") as client:
        waiting = (await client.get("/api/v1/removals")).json()["removals"]
        assert [one["alarm_id"] for one in waiting] == [GAS]
        status, alarm = await call(client, f"/removals/{asked['id']}/agree")
        assert (status, alarm["state"]) == (200, "G")
        assert (alarm["oos"]["by"], alarm["oos"]["second"]) == ("manager", "admin")
        assert (await call(client, f"/removals/{asked['id']}/agree"))[1]["code"] == "not_waiting"
        assert (await client.get("/api/v1/removals")).json()["removals"] == []
        assert (await call(client, f"/alarms/{GAS}/remove", request_id="r9", **OUT))[1]["code"] == "already_out"


async def test_a_wish_that_is_refused_changes_nothing(rest: Api) -> None:
    async with rest.as_user("manager") as client:
        _, asked = await call(client, f"/alarms/{GAS}/remove", request_id="r1", **OUT)
        assert (await call(client, f"/removals/{asked['id']}/refuse"))[1]["state"] == "refused"
        assert (await client.get(f"/api/v1/alarms/{GAS}")).json()["state"] == "B"


async def test_what_cannot_be_an_alarm_is_not_taken_out(rest: Api) -> None:
    async with rest.as_user("manager") as client:
        for alarm in ("GAS_CONC_HIHI@M-000001", "NOTHING@REG-001", "GAS_CONC_HIHI@REG-999", "x"):
            status, answer = await call(client, f"/alarms/{alarm}/remove", request_id="r1", **OUT)
            assert (status, answer["code"]) == (404, "unknown_alarm"), alarm


async def test_an_alarm_that_never_rose_can_leave_service_before_the_work(rest: Api, parts: Parts) -> None:
    async with rest.as_user("manager") as client:
        status, alarm = await call(client, "/alarms/UNDERPRESS_LOLO@REG-002/remove", request_id="r1", **OUT)
        assert (status, alarm["state"], alarm["occurrence_no"]) == (200, "G", 0)
        acts = (await client.get("/api/v1/audit")).json()
    assert "alarm.remove" in str(acts)
    assert parts.desk.definitions["UNDERPRESS_LOLO"].highly_managed is False
