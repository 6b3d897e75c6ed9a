"""Clocks, telephone reports, call-backs and the brief over REST, each by whoever may."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx

from api.deps import Parts
from tests.api.conftest import Api


def call(parts: Parts, **more: Any) -> dict[str, Any]:
    at = parts.clock.now() - timedelta(seconds=20)
    said = {"called_at": at.isoformat(), "number": "+86 138-0000-0000", "place": "1 Main Street", "request_id": "c-1"}
    return said | more


async def taken(client: httpx.AsyncClient, parts: Parts, **more: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/calls", json=call(parts, **more))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_call_becomes_a_ticket_with_running_clocks(rest: Api, parts: Parts) -> None:
    async with rest.as_user("operator") as client:
        report = await taken(client, parts)
        while parts.service.sweep():
            pass
        answer = await client.get(f"/api/v1/tickets/{report['ticket_no']}/clocks")
        assert {row["clock"]: row["standing"] for row in answer.json()["clocks"]} == {
            "depart": "running", "arrive": "running", "fix": "waiting", "stay": "waiting",
        }  # fmt: skip
        assert answer.json()["clocks"][0]["promise"]["source"]
        more = await client.post(f"/api/v1/calls/{report['ticket_no']}", json={"indoors": True, "note": "cellar"})
        assert (more.json()["indoors"], more.json()["note"]) == (True, "cellar")
        listed = (await client.get("/api/v1/calls")).json()["calls"]
        assert [one["ticket_no"] for one in listed] == [report["ticket_no"]]


async def test_what_is_open_nearby_is_shown_before_a_call_is_joined(rest: Api, parts: Parts) -> None:
    regulator = next(one for one in parts.network.stations.values() if one.kind == "regulator")
    place = {"x_m": regulator.x_m + 5, "y_m": regulator.y_m}
    async with rest.as_user("operator") as client:
        first = await taken(client, parts, **place)
        near = (await client.get("/api/v1/calls/near", params=place)).json()
        assert first["ticket_no"] in [one["ticket_no"] for one in near["tickets"]]
        second = await taken(client, parts, join=first["ticket_no"], request_id="c-2", number="110")
        assert (second["ticket_no"], second["joined"]) == (first["ticket_no"], True)


async def test_what_makes_no_call_is_refused_and_opens_nothing(rest: Api, parts: Parts) -> None:
    bad: list[tuple[dict[str, Any], int]] = [
        ({"number": "'; drop table"}, 422),
        ({"number": ""}, 422),
        ({"place": ""}, 422),
        ({"called_at": "2001-01-01T00:00:00Z"}, 422),
        ({"called_at": "2026-11-20T10:00:00"}, 422),
        ({"asset": "nowhere"}, 404),
        ({"join": "T-20260101-000001"}, 404),
        ({"what": "rumour"}, 422),
        ({"x_m": 1e300}, 422),
        ({"unknown": 1}, 422),
    ]
    async with rest.as_user("operator") as client:
        for change, status in bad:
            answer = await client.post("/api/v1/calls", json=call(parts) | change)
            assert answer.status_code == status, (change, answer.text)
        assert (await client.get("/api/v1/calls")).json()["calls"] == []


async def test_only_a_supervisor_moves_clocks_and_only_the_desk_takes_calls(rest: Api, parts: Parts) -> None:
    async with rest.as_user("operator") as client:
        report = await taken(client, parts, what="no_gas")
        while parts.service.sweep():
            pass
        path = f"/api/v1/tickets/{report['ticket_no']}"
        refused = await client.post(f"{path}/pause", json={"reason": "customer_absent"})
        assert refused.status_code == 403
    async with rest.as_user("manager") as client:
        stands = await client.post(f"{path}/pause", json={"reason": "customer_absent"})
        assert {row["clock"]: row["standing"] for row in stands.json()["clocks"]}["done"] == "paused"
        goes_on = await client.post(f"{path}/resume", json={})
        assert {row["clock"]: row["standing"] for row in goes_on.json()["clocks"]}["done"] == "running"
        due = (parts.clock.now() + timedelta(days=30)).isoformat()
        agreed = await client.post(f"{path}/agree", json={"clock": "done", "due_at": due, "reason": "travels"})
        (done,) = [row for row in agreed.json()["clocks"] if row["clock"] == "done"]
        assert done["agreed_at"] == done["due_at"]
        assert (await client.get(f"{path}/clocks")).json()["changes"][-1]["actor"] == "manager"
    async with rest.as_user("viewer") as client:
        assert (await client.post("/api/v1/calls", json=call(parts))).status_code == 403
        assert (await client.get("/api/v1/calls")).status_code == 403
        assert (await client.get(f"{path}/clocks")).status_code == 200


FIGURES = ("kept", "late", "not_recorded", "open", "cancelled")


async def opens_to_its_tickets(client: httpx.AsyncClient, month: str, found: dict[str, Any]) -> None:
    """Each figure opens to as many tickets as it counts, and they are tickets indeed."""
    groups = [("all", {"": found["on_time"]}), ("emergencies", {"": found["emergencies"]})]
    groups += [(name, found[f"by_{name}"]) for name in ("clock", "district", "crew")]
    expected = {
        f"{group}:{name}:{figure}": figures[figure]
        for group, named in groups
        for name, figures in named.items()
        for figure in FIGURES
    }
    expected |= {f"class:{name}:tickets": count for name, count in found["by_class"].items()}
    expected |= {f"source:{name}:tickets": count for name, count in found["by_source"].items()}
    expected |= {f"took:{name}:tickets": took["count"] for name, took in found["took"].items()}
    expected |= {f"delivery:{name}:tickets": len(found["delivery"][name]) for name in ("confirmed", "unconfirmed")}
    assert sum(expected.values()) > 30
    for figure, count in expected.items():
        asked = {"month": month, "figure": figure}
        opened = (await client.get("/api/v1/service/brief/tickets", params=asked)).json()["tickets"]
        assert len(opened) == count, figure
    for number in opened[:3]:
        assert (await client.get(f"/api/v1/tickets/{number}")).status_code == 200


async def test_the_brief_counts_what_an_independent_count_does(rest: Api, parts: Parts) -> None:
    async with rest.as_user("operator") as client:
        for number, what in enumerate(("smell", "no_gas", "other", "smell")):
            await taken(client, parts, what=what, request_id=f"c-{number}")
        while parts.service.sweep():
            pass
        month = f"{parts.service.calendar.local(parts.clock.now()):%Y-%m}"
        found = (await client.get("/api/v1/service/brief", params={"month": month})).json()
        listed = (await client.get("/api/v1/tickets", params={"ended_hours": 8760, "limit": 500})).json()["tickets"]
        standings: Counter[str] = Counter()
        for ticket in listed:
            rows = (await client.get(f"/api/v1/tickets/{ticket['ticket_no']}/clocks")).json()["clocks"]
            standings.update(row["standing"] for row in rows)
        assert found["tickets"] == len(listed)
        assert found["by_source"]["telephone"] == 4
        assert found["on_time"] == {
            "kept": standings["met"],
            "late": standings["late"] + standings["breached"],
            "not_recorded": standings["not_recorded"],
            "open": standings["running"] + standings["waiting"] + standings["paused"],
            "cancelled": standings["cancelled"],
        }
        await opens_to_its_tickets(client, month, found)
        assert len(found["breaches"]) == found["on_time"]["late"] + found["on_time"]["not_recorded"]
        text = (await client.get("/api/v1/service/brief.csv", params={"month": month})).text
        rows = list(csv.reader(io.StringIO(text)))
        assert rows[1][:7] == [
            "all",
            "",
            *(str(found["on_time"][name]) for name in FIGURES),
        ]
        for wrong in ("2026-13", "2\u0660\u0662\u0666-11", "0000-01"):
            assert (await client.get("/api/v1/service/brief", params={"month": wrong})).status_code == 422


async def test_the_seed_of_a_month_is_shown_when_it_is_over(rest: Api, parts: Parts) -> None:
    parts.call_backs.evening()
    async with rest.as_user("viewer") as client:
        found = (await client.get("/api/v1/call-backs/seeds")).json()["seeds"]
        assert found
        assert all(len(one["sha256"]) == 64 for one in found)
        assert {one["seed"] for one in found} == {None}


async def test_an_order_names_a_kind_and_a_size_that_promises_know(rest: Api, parts: Parts) -> None:
    wanted = {"place": "x", "customer": "Wang", "phone": "110", "reported_at": parts.clock.now().isoformat()}
    cases = [
        ({"type": "survey"}, 422, "unknown_size"),
        ({"type": "survey", "size": "huge"}, 422, "unknown_size"),
        ({"type": "complaint", "size": "business"}, 422, "unknown_size"),
        ({"type": "leak"}, 422, "unknown_type"),
        ({"type": "survey", "size": "business", "asset": "M-999999"}, 404, "unknown_asset"),
    ]
    async with rest.as_user("operator") as client:
        for n, (more, status, code) in enumerate(cases):
            answer = await client.post("/api/v1/orders", json={**wanted, **more, "request_id": f"o-{n}"})
            assert (answer.status_code, answer.json()["code"]) == (status, code), more
        good = {**wanted, "type": "survey", "size": "business", "request_id": "o-good"}
        made = await client.post("/api/v1/orders", json=good)
        assert made.status_code == 201
        assert (await client.post("/api/v1/orders", json=good)).json() == made.json()
        while parts.service.sweep():
            pass
        clocks = (await client.get(f"/api/v1/tickets/{made.json()['ticket_no']}/clocks")).json()["clocks"]
        limits = {one["clock"]: (one["promise"]["limit"], one["promise"]["unit"]) for one in clocks}
        assert limits["survey"] == (3, "working_days")
