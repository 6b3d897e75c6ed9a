"""Commands over the API: who may ask and agree, the same key twice, and a trace of every refusal."""

from __future__ import annotations

import time
from typing import Any

import httpx

from api.deps import Parts
from gateway.model.command import CommandState
from gateway.store import command_rows, user_rows
from tests.api import sample_devices
from tests.api.conftest import Api

WANTED = {"key": "k-1", "asset": "M-000003", "command": "valve_close", "reason": "smell of gas"}


async def ask(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await client.post("/api/v1/commands", json={**WANTED, **changes})


def audit(parts: Parts) -> list[tuple[str, str, dict[str, Any]]]:
    with parts.state.read() as connection:
        rows = user_rows.list_audit(connection, None, 50)[::-1]
    return [(row.who, row.act, dict(row.detail)) for row in rows if row.act.startswith("command.")]


def carry_out(parts: Parts) -> None:
    for _ in range(2):
        sample_devices.carry_out(parts.state, parts.clock, time.time())


async def test_an_operator_closes_a_valve_and_sees_what_became_of_it(rest: Api, parts: Parts) -> None:
    async with rest.as_user("operator") as client:
        (close, _open) = (await client.get("/api/v1/assets/M-000003/commands")).json()["commands"]
        assert (close["command"], close["confirm"], close["expect"], close["second_person"]) == (
            "valve_close", "valve", 0.0, False,
        )  # fmt: skip
        first, again = await ask(client), await ask(client)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        assert (first.json()["state"], first.json()["requested_by"]) == ("requested", "operator")
        carry_out(parts)
        seen = (await client.get(f"/api/v1/commands/{first.json()['id']}")).json()
        assert (seen["state"], seen["read_value"], seen["open"]) == ("confirmed", 0.0, False)
        assert (seen["request_frame"], seen["read_frames"]) == ("01050000FF00", "010400080001 0104020000")
        listed = (await client.get("/api/v1/commands", params={"asset": "M-000003"})).json()["commands"]
        assert listed == [seen]
    assert [act for _, act, _ in audit(parts)] == ["command.requested", "command.sent", "command.confirmed"]


async def test_a_regulator_closes_only_after_another_person_agreed(rest: Api, parts: Parts) -> None:
    async with rest.as_user("engineer") as asker, rest.as_user("operator") as operator, rest.as_user("admin") as other:
        wanted = (await ask(asker, asset="REG-001")).json()
        carry_out(parts)
        path = f"/api/v1/commands/{wanted['id']}"
        assert (await asker.get(path)).json()["waits_for_second_person"]
        refused = [await one.post(f"{path}/approve", json={}) for one in (asker, operator)]
        assert [(one.status_code, one.json()["code"]) for one in refused] == [(403, "same_person"), (403, "forbidden")]
        agreed = (await other.post(f"{path}/approve", json={"reason": "crew is there"})).json()
        assert (agreed["state"], agreed["decided_by"]) == ("approved", "admin")
        assert (await other.post(f"{path}/approve", json={})).json()["code"] == "not_waiting"
        carry_out(parts)
        assert (await asker.get(path)).json()["state"] == "confirmed"
    told = audit(parts)
    assert [(who, detail["refused"]) for who, act, detail in told if act == "command.approve"] == [
        ("engineer", "same_person"), ("operator", "forbidden"), ("admin", "not_waiting"),
    ]  # fmt: skip
    (sent,) = (detail for _, act, detail in told if act == "command.sent")
    assert (sent["requested_by"], sent["decided_by"], sent["reason"]) == ("engineer", "admin", "smell of gas")


async def test_a_command_can_be_taken_back_and_turned_down(rest: Api, parts: Parts) -> None:
    async with rest.as_user("operator") as operator, rest.as_user("engineer") as engineer:
        for one, who in ((operator, "operator"), (engineer, "engineer")):
            wanted = (await ask(operator, asset="REG-001", key=who)).json()
            answer = await one.post(f"/api/v1/commands/{wanted['id']}/reject", json={"reason": "mistake"})
            assert (answer.json()["state"], answer.json()["detail"]) == ("refused", "mistake")
        other = (await ask(engineer, asset="REG-002", key="other")).json()
        answer = await operator.post(f"/api/v1/commands/{other['id']}/reject", json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    carry_out(parts)
    with parts.state.read() as connection:
        states = [one.state for one in command_rows.list_commands(connection)]
    assert states == [CommandState.REQUESTED, CommandState.REFUSED, CommandState.REFUSED]


async def test_every_refusal_leaves_a_trace_and_no_command(rest: Api, parts: Parts) -> None:
    cases: list[tuple[str, dict[str, Any], int, str]] = [
        ("viewer", {}, 403, "forbidden"),
        ("manager", {}, 403, "forbidden"),
        ("operator", {"command": "valve_open"}, 403, "forbidden"),
        ("operator", {"command": "explode"}, 404, "no_such_command"),
        ("operator", {"asset": "S-01"}, 404, "no_such_command"),
        ("operator", {"asset": "M-999999"}, 404, "unknown_asset"),
        ("operator", {"reason": "  "}, 422, "reason_required"),
    ]
    for who, changes, status, code in cases:
        async with rest.as_user(who) as client:
            answer = await ask(client, **changes)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert [(who, detail["refused"]) for who, _, detail in audit(parts)] == [(who, code) for who, _, _, code in cases]
    with parts.state.read() as connection:
        assert command_rows.list_commands(connection) == []


async def test_nothing_is_asked_for_while_nobody_could_do_it(rest: Api, parts: Parts) -> None:
    parts.store.down = True  # type: ignore[attr-defined]
    async with rest.as_user("operator") as client:
        answer = await ask(client)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    with parts.state.read() as connection:
        assert command_rows.list_commands(connection) == []


async def test_a_token_is_the_person_who_owns_it(rest: Api, parts: Parts) -> None:
    async with rest.as_user("engineer") as client:
        text = (await client.post("/api/v1/tokens", json={"name": "script", "role": "engineer"})).json()["token"]
        wanted = (await ask(client, asset="REG-001")).json()
    async with rest.nobody() as program:
        headers = {"authorization": f"Bearer {text}"}
        answer = await program.post(f"/api/v1/commands/{wanted['id']}/approve", json={}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "same_person")
