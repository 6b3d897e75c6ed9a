"""The REST API over ASGI, on a state filled by the real alarm desk."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from api.app import LARGEST_BODY
from api.deps import Parts
from api.lock_out import FAILURES
from api.roles import ALLOWED, Act, Role
from gateway.store import ticket_rows
from tests.api.conftest import Api
from tests.api.sample_loss import LAST_DAY
from tests.api.sample_state import PASSWORD, SECRET, USERS
from tests.api.sample_store import SampleStore

GAS = "GAS_CONC_HIHI@REG-002"
COMM = "STATION_COMM_LOSS@S-02"


async def test_login_gives_a_strict_cookie_and_logout_ends_it(rest: Api) -> None:
    async with rest.nobody() as client:
        answer = await client.post("/api/v1/login", json={"name": "operator", "password": PASSWORD})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        me = (await client.get("/api/v1/me")).json()
        assert me["role"] == "operator"
        assert "alarm.acknowledge" in me["may"]
        stolen = client.cookies["gasgate_session"]
        assert (await client.post("/api/v1/logout", json={})).status_code == 204
    async with rest.nobody() as client:
        client.cookies["gasgate_session"] = stolen
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_too_many_failures_lock_a_name_even_for_the_right_password(rest: Api) -> None:
    async with rest.nobody() as client:
        for _ in range(FAILURES):
            wrong = await client.post("/api/v1/login", json={"name": "viewer", "password": "wrong-password"})
            assert wrong.status_code == 401
        locked = await client.post("/api/v1/login", json={"name": "viewer", "password": PASSWORD})
        assert (locked.status_code, locked.json()["code"]) == (429, "locked")
        other = await client.post("/api/v1/login", json={"name": "operator", "password": PASSWORD})
        assert other.status_code == 200


async def test_an_unknown_name_answers_as_a_wrong_password_does(rest: Api) -> None:
    async with rest.nobody() as client:
        answers = [
            await client.post("/api/v1/login", json={"name": name, "password": "wrong-password"})
            for name in ("operator", "nobody-here")
        ]
    assert answers[0].status_code == answers[1].status_code == 401
    assert answers[0].json() == answers[1].json()


CALLS: list[tuple[str, str, Act, Any]] = [
    ("GET", "/api/v1/me", Act.ACCOUNT_OWN, None),
    ("POST", "/api/v1/me/password", Act.ACCOUNT_OWN, {"before": "x", "after": "y"}),
    ("GET", "/api/v1/me/sessions", Act.ACCOUNT_OWN, None),
    ("POST", "/api/v1/me/sessions/end", Act.ACCOUNT_OWN, {}),
    ("GET", "/api/v1/users", Act.USER_MANAGE, None),
    ("POST", "/api/v1/users", Act.USER_MANAGE, {}),
    ("POST", "/api/v1/users/-/role", Act.USER_MANAGE, {}),
    ("POST", "/api/v1/users/-/disable", Act.USER_MANAGE, {}),
    ("POST", "/api/v1/users/-/enable", Act.USER_MANAGE, {}),
    ("POST", "/api/v1/users/-/password", Act.USER_MANAGE, {}),
    ("POST", "/api/v1/users/-/end-sessions", Act.USER_MANAGE, {}),
    ("POST", "/api/v1/users/-/unlock", Act.USER_MANAGE, {}),
    ("GET", "/api/v1/alarms", Act.READ, None),
    ("GET", f"/api/v1/alarms/{GAS}", Act.READ, None),
    ("POST", "/api/v1/alarms/none@none/acknowledge", Act.ALARM_ACKNOWLEDGE, {"occurrence_no": 1, "request_id": "r"}),
    ("POST", "/api/v1/alarms/none@none/shelve", Act.ALARM_SHELVE, {"minutes": 5, "reason": "x", "request_id": "r"}),
    ("POST", "/api/v1/alarms/none@none/unshelve", Act.ALARM_SHELVE, {"occurrence_no": 1, "request_id": "r"}),
    ("POST", "/api/v1/alarms/none@none/reset", Act.ALARM_RESET, {"request_id": "r"}),
    ("POST", "/api/v1/alarms/none@none/undo", Act.ALARM_ACKNOWLEDGE, {"request_id": "r"}),
    ("POST", "/api/v1/alarms/none@none/silence", Act.ALARM_ACKNOWLEDGE, {"request_id": "r"}),
    (
        "POST",
        "/api/v1/alarms/none@none/verdict",
        Act.ALARM_ACKNOWLEDGE,
        {"occurrence_no": 1, "false_alarm": True, "reason": "a test", "request_id": "r"},
    ),
    (
        "POST",
        "/api/v1/alarms/none@none/remove",
        Act.ALARM_SUPERVISE,
        {"request_id": "r", "work_order": "W", "interim": "x", "until": "2026-01-16T00:00:00Z"},
    ),
    ("POST", "/api/v1/alarms/none@none/return", Act.ALARM_SUPERVISE, {"request_id": "r", "test": "x"}),
    ("GET", "/api/v1/removals", Act.READ, None),
    ("POST", "/api/v1/removals/999/agree", Act.ALARM_SUPERVISE, {}),
    ("POST", "/api/v1/removals/999/refuse", Act.ALARM_SUPERVISE, {}),
    ("POST", "/api/v1/interruptions", Act.INTERRUPTION_PLAN, {}),
    ("GET", "/api/v1/interruptions", Act.READ, None),
    ("GET", "/api/v1/interruptions/I-000099", Act.READ, None),
    ("GET", "/api/v1/interruptions/I-000099/notices.csv", Act.INTERRUPTION_PLAN, None),
    ("POST", "/api/v1/interruptions/I-000099/notices", Act.INTERRUPTION_PLAN, {"channel": "call", "customers": 1}),
    ("POST", "/api/v1/interruptions/I-000099/closed", Act.INTERRUPTION_RUN, {}),
    ("POST", "/api/v1/interruptions/I-000099/restored", Act.INTERRUPTION_RUN, {}),
    ("POST", "/api/v1/interruptions/I-000099/cancelled", Act.INTERRUPTION_PLAN, {}),
    ("GET", "/api/v1/tickets/T-20260101-999999/clocks", Act.READ, None),
    ("POST", "/api/v1/tickets/T-20260101-999999/pause", Act.TICKET_TIMES, {"reason": "agreed_date"}),
    ("POST", "/api/v1/tickets/T-20260101-999999/resume", Act.TICKET_TIMES, {}),
    ("POST", "/api/v1/tickets/T-20260101-999999/agree", Act.TICKET_TIMES, {}),
    ("POST", "/api/v1/findings/999999/release", Act.FINDING_RELEASE, {}),
    ("GET", "/api/v1/service/told", Act.READ, None),
    ("POST", "/api/v1/calls", Act.CALL_TAKE, {}),
    ("POST", "/api/v1/calls/T-20260101-999999", Act.CALL_TAKE, {}),
    ("GET", "/api/v1/calls", Act.CALL_TAKE, None),
    ("GET", "/api/v1/calls/near", Act.CALL_TAKE, None),
    ("GET", "/api/v1/alarm-month", Act.READ, None),
    ("GET", "/api/v1/calls/places?text=REG", Act.CALL_TAKE, None),
    ("GET", "/api/v1/call-backs", Act.CALL_BACK, None),
    ("GET", "/api/v1/call-backs/seeds", Act.READ, None),
    ("POST", "/api/v1/call-backs/T-20260101-999999/station/tries", Act.CALL_BACK, {"reached": False}),
    ("GET", "/api/v1/service/brief?month=2026-01", Act.READ, None),
    ("GET", "/api/v1/service/brief.csv?month=2026-01", Act.READ, None),
    ("GET", "/api/v1/service/brief/tickets?month=2026-01&figure=all::late", Act.READ, None),
    ("GET", "/api/v1/month", Act.READ, None),
    ("GET", "/api/v1/reading-rates", Act.READ, None),
    ("GET", "/api/v1/questioned-readings", Act.READING_AUDIT, None),
    ("POST", "/api/v1/questioned-readings/0/decision", Act.READING_DECIDE, {}),
    ("GET", "/api/v1/waiting-meters", Act.READING_AUDIT, None),
    ("GET", "/api/v1/alarm-report", Act.READ, None),
    ("GET", "/api/v1/alarm-report.csv", Act.READ, None),
    ("GET", "/api/v1/alarm-lists", Act.READ, None),
    ("GET", "/api/v1/alarm-journal/check", Act.AUDIT_READ, None),
    ("GET", "/api/v1/work-items", Act.READ, None),
    ("GET", "/api/v1/work-items.csv", Act.READ, None),
    ("POST", "/api/v1/work-items/99/done", Act.WORK_ITEM_DO, {}),
    ("GET", "/api/v1/alarm-definitions", Act.READ, None),
    ("GET", "/api/v1/alarm-definitions.toml", Act.READ, None),
    ("GET", "/api/v1/alarm-definitions/GAS_CONC_HI", Act.READ, None),
    (
        "POST",
        "/api/v1/alarm-definitions/UNDERPRESS_LO/propose",
        Act.DEFINITION_PROPOSE,
        {"changes": {"unit": 5}, "reason": "why not"},
    ),
    ("POST", "/api/v1/alarm-definitions/import", Act.DEFINITION_PROPOSE, {"toml": "x", "reason": "why not"}),
    ("POST", "/api/v1/definition-proposals/9999/approve", Act.DEFINITION_APPROVE, {}),
    ("POST", "/api/v1/definition-proposals/9999/refuse", Act.DEFINITION_PROPOSE, {}),
    ("GET", "/api/v1/tickets", Act.READ, None),
    ("GET", "/api/v1/tickets/T-9", Act.READ, None),
    (
        "POST",
        "/api/v1/tickets/T-9/split",
        Act.TICKET_WORK,
        {"alarm_id": "a@b", "occurrence_no": 1, "reason": "why not", "request_id": "r"},
    ),
    ("POST", "/api/v1/tickets/T-9/link", Act.TICKET_WORK, {"ticket_no": "T-8", "reason": "why not", "request_id": "r"}),
    ("POST", "/api/v1/tickets/T-9/note", Act.TICKET_WORK, {"reason": "why not", "request_id": "r"}),
    ("POST", "/api/v1/tickets/T-9/cancel-request", Act.TICKET_WORK, {"reason": "why not", "request_id": "r"}),
    ("POST", "/api/v1/tickets/T-20260115-000009/steps", Act.CALL_BACK, {"step": "x", "at": "2026-01-15T05:00:00Z"}),
    (
        "POST",
        "/api/v1/orders",
        Act.CALL_TAKE,
        {
            "type": "nothing",
            "reported_at": "2026-01-15T05:00:00Z",
            "place": "x",
            "customer": "x",
            "phone": "110",
            "request_id": "r",
        },
    ),
    ("POST", "/api/v1/work-items/9/release", Act.FINDING_RELEASE, {}),
    ("GET", "/api/v1/ticket-endpoints", Act.READ, None),
    ("POST", "/api/v1/ticket-endpoints/desk/on", Act.DEAD_LETTER_REPLAY, {"request_id": "r"}),
    ("POST", "/api/v1/tickets/T-9/size", Act.TICKET_WORK, {"size": "large", "reason": "why not", "request_id": "r"}),
    ("POST", "/api/v1/tickets/T-9/handled-by-phone", Act.TICKET_WORK, {"reason": "why not", "request_id": "r"}),
    ("GET", "/api/v1/ticket-dead-letters", Act.READ, None),
    ("GET", "/api/v1/ticket-dead-letters.csv", Act.DEAD_LETTER_READ, None),
    ("POST", "/api/v1/ticket-dead-letters/replay", Act.TICKET_WORK, {"ids": [999], "request_id": "r"}),
    ("GET", "/api/v1/ticket-differences", Act.READ, None),
    ("GET", "/api/v1/loss", Act.READ, None),
    ("GET", "/api/v1/zones/R-003/loss?last=2026-01-14", Act.READ, None),
    ("GET", "/api/v1/zones/R-003/loss-months?last=2026-01-14", Act.READ, None),
    ("GET", "/api/v1/zones/R-003/loss-terms?day=2026-01-14", Act.READ, None),
    ("GET", "/api/v1/zones", Act.READ, None),
    ("GET", "/api/v1/map", Act.READ, None),
    ("GET", "/api/v1/findings", Act.READ, None),
    ("GET", "/api/v1/findings/precision", Act.READ, None),
    ("GET", "/api/v1/findings/1", Act.READ, None),
    ("POST", "/api/v1/findings/999/inspection", Act.FINDING_INSPECT, {"result": "honest"}),
    ("GET", "/api/v1/points/REG-002/gas_lel_pct/history?start=2026-01-14T20:00:00Z", Act.READ, None),
    (
        "GET",
        "/api/v1/series?point=REG-002/gas_lel_pct&from=2026-01-14T20:00:00Z&to=2026-01-14T21:00:00Z",
        Act.READ,
        None,
    ),
    ("GET", "/api/v1/meters?text=M-00&zone=D-1", Act.READ, None),
    ("GET", "/api/v1/sites?zone=D-1", Act.READ, None),
    ("GET", "/api/v1/meters/M-000001", Act.READ, None),
    ("GET", "/api/v1/meters/M-000001/intervals?first=2026-01-01&last=2026-01-14", Act.READING_AUDIT, None),
    ("POST", "/api/v1/meters/M-000001/choice", Act.READING_DECIDE, {}),
    ("POST", "/api/v1/meters/M-000001/intervals/2026-01-14", Act.READING_DECIDE, {}),
    ("POST", "/api/v1/reload", Act.CONFIGURATION_RELOAD, {}),
    ("GET", "/api/v1/configuration/check", Act.CONFIGURATION_RELOAD, None),
    ("GET", "/api/v1/assets/M-000001/commands", Act.READ, None),
    ("GET", "/api/v1/commands", Act.READ, None),
    ("GET", "/api/v1/commands/999", Act.READ, None),
    ("POST", "/api/v1/commands", Act.COMMAND_CLOSE, {"key": "k", "asset": "-", "command": "x", "reason": "r"}),
    ("POST", "/api/v1/commands/999/approve", Act.READ, {}),
    ("POST", "/api/v1/commands/999/reject", Act.READ, {}),
    ("GET", "/api/v1/dead-letters", Act.DEAD_LETTER_READ, None),
    ("POST", "/api/v1/dead-letters/replay", Act.DEAD_LETTER_REPLAY, {"source": "nobody"}),
    ("GET", "/api/v1/status", Act.READ, None),
    ("GET", "/api/v1/clock", Act.READ, None),
    ("GET", "/api/v1/audit", Act.AUDIT_READ, None),
    ("GET", "/api/v1/tokens", Act.TOKEN_OWN, None),
    ("POST", "/api/v1/tokens", Act.TOKEN_OWN, {"name": "t"}),
    ("DELETE", "/api/v1/tokens/abc", Act.TOKEN_OWN, {}),
    ("POST", "/api/v1/logout", Act.ACCOUNT_OWN, {}),
]
OPEN = {("POST", "/api/v1/login"), ("POST", "/api/v1/ticket-events"), ("GET", "/api/v1/live")}


@pytest.mark.parametrize("user", sorted(USERS))
async def test_every_route_follows_the_role_table(rest: Api, user: str) -> None:
    role = Role(USERS[user])
    async with rest.as_user(user) as client:
        for method, path, act, body in CALLS:
            answer = await client.request(method, path, json=body)
            expected = role in ALLOWED[act]
            assert (answer.status_code != 403) == expected, (method, path, answer.status_code, answer.text)


async def test_every_route_wants_a_login_and_is_in_the_table(rest: Api) -> None:
    async with rest.nobody() as client:
        for method, path, _act, body in CALLS:
            assert (await client.request(method, path, json=body)).status_code == 401, path
        paths = (await client.get("/api/v1/openapi.json")).json()["paths"]
    told = {(method.upper(), path) for path, methods in paths.items() for method in methods} - OPEN
    assert len(told) == len({(method, _shape(path)) for method, path, _act, _body in CALLS}), sorted(told)


def _shape(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    return "/".join(
        part if part.islower() and part.replace("-", "").replace(".csv", "").replace(".toml", "").isalpha() else "{}"
        for part in parts
    )


async def test_a_form_of_another_site_is_refused(rest: Api) -> None:
    async with rest.as_user("operator") as client:
        form = await client.post(f"/api/v1/alarms/{GAS}/acknowledge", data={"occurrence_no": "1", "request_id": "a"})
        assert form.status_code in {415, 422}
        text = await client.post(
            f"/api/v1/alarms/{GAS}/acknowledge",
            content=json.dumps({"occurrence_no": 1, "request_id": "a"}),
            headers={"content-type": "text/plain"},
        )
        assert text.status_code in {415, 422}
        assert (await client.get(f"/api/v1/alarms/{GAS}")).json()["state"] == "B"


async def test_tokens_work_until_they_are_revoked(rest: Api) -> None:
    async with rest.as_user("engineer") as client:
        made = (await client.post("/api/v1/tokens", json={"name": "historian", "role": "viewer", "days": 1})).json()
        above = await client.post("/api/v1/tokens", json={"name": "x", "role": "administrator"})
        assert above.status_code == 403
        async with rest.nobody() as machine:
            machine.headers["authorization"] = f"Bearer {made['token']}"
            assert (await machine.get("/api/v1/me")).json()["role"] == "viewer"
            machine.headers["authorization"] = f"Bearer {made['token'][:-1]}x"
            assert (await machine.get("/api/v1/me")).status_code == 401
            assert (await client.request("DELETE", f"/api/v1/tokens/{made['id']}", json={})).status_code == 204
            machine.headers["authorization"] = f"Bearer {made['token']}"
            assert (await machine.get("/api/v1/me")).status_code == 401
        assert made["token"] not in json.dumps((await client.get("/api/v1/tokens")).json())


async def test_alarms_are_listed_worst_first_and_hidden_last(rest: Api) -> None:
    async with rest.as_user("viewer") as client:
        listed = (await client.get("/api/v1/alarms")).json()
        second = (await client.get("/api/v1/alarms?limit=1&offset=1")).json()["alarms"]
    ids = [alarm["id"] for alarm in listed["alarms"]]
    assert ids[0] == GAS
    assert [alarm["state"] for alarm in listed["alarms"]][-1] == "E"
    assert second == listed["alarms"][1:2]
    assert listed["total"] == len(ids) == 6


async def test_an_alarm_tells_guidance_journal_and_ticket(rest: Api) -> None:
    async with rest.as_user("viewer") as client:
        alarm = (await client.get(f"/api/v1/alarms/{GAS}")).json()
    assert alarm["guidance"]["action"]
    assert {line["event"] for line in alarm["journal"]} >= {"raised", "announced"}
    ticket = alarm["tickets"][0]
    assert ticket["counting"]["clock"] == "arrive"
    assert 0 < ticket["counting"]["left_s"] < 30 * 60


async def test_acknowledging_changes_the_alarm_once_and_is_audited(rest: Api) -> None:
    body = {"occurrence_no": 1, "request_id": "one"}
    async with rest.as_user("operator") as client, rest.as_user("auditor") as auditor:
        first = await client.post(f"/api/v1/alarms/{GAS}/acknowledge", json=body)
        again = await client.post(f"/api/v1/alarms/{GAS}/acknowledge", json=body)
        other = await client.post(f"/api/v1/alarms/{GAS}/acknowledge", json={**body, "request_id": "two"})
        trail = (await auditor.get("/api/v1/audit")).json()
    assert (first.json()["state"], first.json()["acked_by"]) == ("C", "operator")
    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (409, "already_acknowledged")
    mine = [line for line in trail if line["subject"] == GAS]
    assert {line["who"] for line in mine} == {"operator"}
    assert any(line["detail"].get("refused") == "already_acknowledged" for line in mine)


async def test_shelving_obeys_the_machine(rest: Api) -> None:
    async with rest.as_user("operator") as client:

        async def shelve(alarm: str, minutes: int, reason: str) -> httpx.Response:
            body = {"minutes": minutes, "reason": reason, "request_id": f"{alarm[:9]}.{minutes}.{len(reason)}"}
            return await client.post(f"/api/v1/alarms/{alarm}/shelve", json=body)

        assert (await shelve(GAS, 10, "why not")).json()["code"] == "not_shelvable"
        assert (await shelve(COMM, 600, "too long")).json()["code"] == "shelve_time"
        assert (await shelve(COMM, 10, "")).json()["code"] == "reason_required"
        done = await shelve(COMM, 10, "modem exchanged")
        assert done.json()["state"] == "E"
        back = await client.post(f"/api/v1/alarms/{COMM}/unshelve", json={"occurrence_no": 1, "request_id": "u"})
        assert back.json()["state"] == "C"


async def test_tickets_come_with_the_clock_that_counts(rest: Api) -> None:
    async with rest.as_user("viewer") as client:
        tickets = (await client.get("/api/v1/tickets")).json()["tickets"]
    assert tickets[0]["ticket_class"] == "EMERGENCY"
    by_asset = {ticket["asset"]: ticket for ticket in tickets}
    assert by_asset["REG-003"]["counting"] is None, "on site: no clock runs"
    assert by_asset["S-02"]["delivery"] == "retry"


async def test_signed_events_move_a_ticket_and_unsigned_ones_do_not(rest: Api, parts: Parts) -> None:
    with parts.state.read() as connection:
        ticket = next(t for t in ticket_rows.list_open(connection) if t.asset == "REG-002")
    body = json.dumps(
        {
            "specversion": "1.0",
            "id": "evt-9",
            "source": "desk",
            "type": "gasgate.ticket.arrived.v1",
            "time": datetime.now(UTC).isoformat(),
            "data": {
                "type": "arrived",
                "dedup_key": ticket.dedup_key,
                "external_ticket_id": "W-1",
                "version": 9,
                "occurred_at": parts.clock.now().isoformat(),
                "actor": "crew 3",
            },
        }
    )
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "evt-9",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("evt-9", now, body),
        "content-type": "application/cloudevents+json; charset=utf-8",
    }
    async with rest.nobody() as client:
        bad = await client.post(
            "/api/v1/ticket-events", content=body, headers={**headers, "webhook-signature": "v1,AAAA"}
        )
        assert bad.status_code == 401
        good = await client.post("/api/v1/ticket-events", content=body, headers=headers)
        assert good.status_code == 204, good.text
    async with rest.as_user("viewer") as client:
        tickets = (await client.get("/api/v1/tickets")).json()["tickets"]
    assert next(t for t in tickets if t["asset"] == "REG-002")["state"] == "arrived"


async def test_the_loss_tree_says_what_is_unknown(rest: Api) -> None:
    async with rest.as_user("engineer") as client:
        day = (await client.get("/api/v1/loss")).json()
        week = (await client.get("/api/v1/loss?period=week")).json()
        gap = (await client.get(f"/api/v1/loss?day={LAST_DAY - timedelta(days=8)}")).json()
    zones = {line["zone"]: line for line in day["zones"]}
    assert [line["zone"] for line in day["zones"]] == ["CITY", "D-1", "R-001", "R-002", "D-2", "R-003"]
    assert zones["R-003"]["verdict"] == "high"
    assert zones["D-1"]["loss_rate"] is None
    assert week["first"] == (LAST_DAY - timedelta(days=6)).isoformat()
    whole = next(line for line in week["zones"] if line["zone"] == "R-003")
    assert whole["days"] == 7
    assert whole["days_high"] == 3
    assert whole["loss_rate"] == pytest.approx(whole["loss_m3"] / whole["supply_m3"])
    unknown = next(line for line in gap["zones"] if line["zone"] == "R-002")
    assert (unknown["loss_m3"], unknown["verdict"]) == (None, "not_assessable")


async def test_the_loss_tells_levels_terms_and_months(rest: Api) -> None:
    async with rest.as_user("viewer") as client:
        zones = {line["zone"]: line for line in (await client.get("/api/v1/loss")).json()["zones"]}
        months = (await client.get(f"/api/v1/zones/R-003/loss-months?last={LAST_DAY}")).json()
        week = (await client.get(f"/api/v1/zones/CITY/loss-terms?day={LAST_DAY}&period=week")).json()
        assert (await client.get(f"/api/v1/zones/R-009/loss-terms?day={LAST_DAY}")).status_code == 404
        assert (await client.get(f"/api/v1/zones/R-009/loss-months?last={LAST_DAY}")).status_code == 404
    city = zones["CITY"]
    assert city["between_m3"] == pytest.approx(0.004 * city["supply_m3"])
    assert zones["R-003"]["between_m3"] is None
    assert week["terms"]["rest"][0] == pytest.approx(week["loss_m3"])
    assert week["days"] == 7
    assert [(month["month"], month["days"]) for month in months] == [("2025-11", 15), ("2025-12", 31), ("2026-01", 14)]


async def test_an_inspection_is_recorded_by_those_who_may(rest: Api) -> None:
    async with rest.as_user("engineer") as client:
        found = (await client.get("/api/v1/findings?status=open")).json()
        assert found[0]["kind"] == "theft"
        assert len(found[0]["evidence"]["days"]) == len(found[0]["evidence"]["meter_m3"])
        path = f"/api/v1/findings/{found[0]['id']}"
        nobody = await client.post(f"{path}/inspection", json={"result": "not_reachable"})
        said = {"result": "confirmed", "found_kind": "slow", "found_m3_per_day": 31.5, "note": "worn gear"}
        done = await client.post(f"{path}/inspection", json=said)
        assert (nobody.json()["status"], done.json()["status"]) == ("open", "confirmed")
        assert (await client.post(f"{path}/inspection", json={"result": "ended"})).status_code == 422
        assert (await client.post(f"{path}/inspection", json={"result": "honest"})).status_code == 409
        view = (await client.get(path)).json()
        (theft,) = (await client.get("/api/v1/findings/precision")).json()
    assert [visit["result"] for visit in view["visits"]] == ["not_reachable", "confirmed"]
    assert view["visits"][1]["found_m3_per_day"] == 31.5
    assert view["inspected_at"] == view["visits"][1]["at"]
    assert (theft["kind"], theft["right"], theft["other"], theft["honest"], theft["share"]) == ("theft", 0, 1, 0, None)


async def test_findings_are_asked_for_by_zone_kind_and_subject(rest: Api) -> None:
    async with rest.as_user("viewer") as client:

        async def subjects(query: str) -> list[str]:
            found = (await client.get(f"/api/v1/findings?{query}")).json()
            return [one["meter"] or one["zone"] for one in found]

        assert await subjects("zone=D-1") == ["M-000017", "R-002"]
        assert await subjects("kind=leak") == ["R-002"]
        assert await subjects("subject=M-000241") == ["M-000241"]
        assert await subjects("zone=nowhere") == []
        assert (await client.get("/api/v1/findings?kind=magic")).status_code == 422
        assert (await client.get("/api/v1/findings/77")).status_code == 404


async def test_history_is_bounded_and_keeps_its_peak(rest: Api, parts: Parts) -> None:
    start = parts.clock.now() - timedelta(days=2)
    path = f"/api/v1/points/REG-002/gas_lel_pct/history?start={start.strftime('%Y-%m-%dT%H:%M:%SZ')}"
    end = f"&end={(start + timedelta(days=3)).strftime('%Y-%m-%dT%H:%M:%SZ')}"
    async with rest.as_user("viewer") as client:
        whole = (await client.get(f"{path}{end}&most=20000")).json()
        thin = (await client.get(f"{path}{end}&most=100")).json()
        assert (await client.get("/api/v1/points/REG-002/none/history?start=2026-01-01T00:00:00Z")).status_code == 404
        assert (await client.get(f"{path}&end=2025-01-01T00:00:00Z")).status_code == 422
        assert isinstance(parts.store, SampleStore)
        parts.store.down = True
        assert (await client.get(path)).status_code == 503
    assert len(whole["values"]) > 2000
    assert len(thin["values"]) <= 102
    assert thin["thinned"]
    assert max(thin["values"]) == max(whole["values"])


async def test_system_routes_tell_how_the_gateway_is(rest: Api) -> None:
    async with rest.as_user("admin") as client:
        letters = (await client.get("/api/v1/dead-letters?limit=2")).json()
        older = (await client.get(f"/api/v1/dead-letters?before={letters['dead_letters'][-1]['id']}")).json()
        status = (await client.get("/api/v1/status")).json()
        metrics = await client.get("/metrics")
    assert (letters["total"], letters["dropped"], letters["replays"]) == (4, 0, {})
    assert len(older["dead_letters"]) == 2
    assert base64.b64decode(letters["dead_letters"][0]["payload_base64"]).startswith(b"{")
    assert [link["name"] for link in status["links"] if link["up"] is False] == ["stations/S-02"]
    assert status["summary"]["supply"]["known"] == 3
    assert 'gasgate_dead_letters{reason="not_json",source="remote-meters"} 3.0' in metrics.text


async def test_health_needs_no_login_and_metrics_do_from_afar(rest: Api) -> None:
    async with rest.nobody() as client:
        health = await client.get("/healthz")
        assert health.json() == {"ok": True, "problems": [], "revision": 0}
        assert (await client.get("/metrics")).status_code == 401
        assert health.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in health.headers["content-security-policy"]


async def test_a_large_body_is_refused(rest: Api) -> None:
    async with rest.nobody() as client:
        answer = await client.post("/api/v1/login", content=b"x" * (LARGEST_BODY + 1))
    assert answer.status_code == 413
