"""Planned interruptions over REST: notice, who is affected, what was recorded."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

from api.deps import Parts
from tests.api.conftest import Api


def body(parts: Parts, *, hours: float = 60.0, long: float = 6.0, **other: Any) -> dict[str, Any]:
    start = parts.clock.now() + timedelta(hours=hours)
    times = {"start": start.isoformat(), "end": (start + timedelta(hours=long)).isoformat()}
    return {"zones": ["R-001"], "reason": "new valve", "request_id": "r1", **times, **other}


async def test_entering_announces_it_and_lists_the_sensitive_first(rest: Api, parts: Parts) -> None:
    meters = parts.network.meters
    meters["M-000050"] = replace(meters["M-000050"], customer_class="public")  # type: ignore[index]
    async with rest.as_user("engineer") as client:
        made = await client.post("/api/v1/interruptions", json=body(parts))
        assert (made.status_code, made.json()["state"], made.json()["short_notice"]) == (201, "planned", False)
        again = await client.post("/api/v1/interruptions", json=body(parts))
        assert again.json()["id"] == made.json()["id"]
        number = made.json()["id"]
        one = (await client.get(f"/api/v1/interruptions/{number}")).json()
        assert one["customers"] == 100
        assert one["affected"][0] == {
            "meter": "M-000050",
            "zone": "R-001",
            "customer_class": "public",
            "sensitive": True,
            "tell_by": "poster or call",
        }
        file = await client.get(f"/api/v1/interruptions/{number}/notices.csv")
        rows = list(csv.DictReader(io.StringIO(file.text)))
        assert len(rows) == 100
        assert (rows[0]["meter_id"], rows[0]["tell_by"], rows[1]["tell_by"]) == (
            "M-000050",
            "poster or call",
            "message",
        )
        assert file.headers["content-type"].startswith("text/csv")
        told = await client.post(f"/api/v1/interruptions/{number}/notices", json={"channel": "call", "customers": 1})
        assert [(one["channel"], one["customers"]) for one in told.json()["notices"]] == [("call", 1)]


async def test_short_notice_needs_a_supervisor_and_is_a_breach(rest: Api, parts: Parts) -> None:
    async with rest.as_user("engineer") as client:
        answer = await client.post("/api/v1/interruptions", json=body(parts, hours=47))
        assert (answer.status_code, answer.json()["code"]) == (403, "short_notice")
        hurry = await client.post("/api/v1/interruptions", json=body(parts, hours=1, emergency=True))
        assert (hurry.status_code, hurry.json()["short_notice"]) == (201, False)
    async with rest.as_user("manager") as client:
        answer = await client.post("/api/v1/interruptions", json=body(parts, hours=47, request_id="r2"))
        assert (answer.status_code, answer.json()["short_notice"]) == (201, True)
        assert answer.json()["repeated"] == ["R-001"]
        assert answer.json()["notices_due"] is True


async def test_what_cannot_be_planned_is_refused(rest: Api, parts: Parts) -> None:
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"reason": "  "}, 422, "reason_required"),
        ({"zones": []}, 422, "nothing_listed"),
        ({"zones": ["R-999"]}, 404, "unknown_asset"),
        ({"assets": ["M-999999"]}, 404, "unknown_asset"),
        ({"long": 25.0}, 422, "too_long"),
        ({"long": -1.0}, 422, "bad_time"),
        ({"hours": -30.0, "emergency": True}, 422, "bad_time"),
    ]
    async with rest.as_user("manager") as client:
        for changed, status, code in cases:
            answer = await client.post("/api/v1/interruptions", json=body(parts, **changed))
            assert (answer.status_code, answer.json()["code"]) == (status, code), changed
        assert (await client.get("/api/v1/interruptions")).json()["interruptions"] == []


async def test_the_operator_records_what_happened(rest: Api, parts: Parts) -> None:
    async with rest.as_user("engineer") as client:
        number = (await client.post("/api/v1/interruptions", json=body(parts))).json()["id"]
    path = f"/api/v1/interruptions/{number}"
    async with rest.as_user("operator") as client:
        assert (await client.post(f"{path}/restored", json={})).json()["code"] == "wrong_step"
        future = (parts.clock.now() + timedelta(hours=1)).isoformat()
        assert (await client.post(f"{path}/closed", json={"at": future})).json()["code"] == "bad_time"
        assert (await client.post(f"{path}/closed", json={})).json()["state"] == "stopped"
        assert (await client.post(f"{path}/restored", json={})).json()["state"] == "restored"
        assert (await client.post(f"{path}/cancelled", json={})).status_code == 403
        listed = (await client.get("/api/v1/interruptions")).json()["interruptions"]
    assert [(one["id"], one["state"], one["closed_by"]) for one in listed] == [(number, "restored", "operator")]


async def test_a_plan_gets_one_ticket_and_an_emergency_none(rest: Api, parts: Parts) -> None:
    async with rest.as_user("engineer") as client:
        made, again = [(await client.post("/api/v1/interruptions", json=body(parts))).json() for _ in range(2)]
        assert again["ticket_no"] == made["ticket_no"]
        hurry = body(parts, hours=1, emergency=True, request_id="r2")
        assert (await client.post("/api/v1/interruptions", json=hurry)).json()["ticket_no"] is None
    async with rest.as_user("operator") as client:
        await client.post(f"/api/v1/interruptions/{made['id']}/closed", json={})
        while parts.service.sweep():
            pass
        ticket = (await client.get(f"/api/v1/tickets/{made['ticket_no']}")).json()
        assert (ticket["ticket_class"], ticket["asset"], ticket["customers"]) == ("PLANNED", "R-001", 100)
        assert [one["command"] for one in ticket["commands"]] == ["open", "note"]
        clocks = (await client.get(f"/api/v1/tickets/{made['ticket_no']}/clocks")).json()["clocks"]
        standing = {one["clock"]: one["standing"] for one in clocks}
        assert (standing["notice"], standing["restore"]) == ("met", "running")
        listed = (await client.get("/api/v1/tickets")).json()["tickets"]
        assert [one["ticket_class"] for one in listed].count("PLANNED") == 1
