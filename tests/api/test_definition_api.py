"""The master alarm database over REST: proposed by one, approved by another, and what runs is what was approved."""

from __future__ import annotations

import json
from typing import Any

from alarms.definitions import parse_definitions
from alarms.master import MasterDefinitions
from api.deps import Parts
from gateway.model.reading import from_us
from gateway.store import health_rows
from tests.api.conftest import Api

LOW = "/api/v1/alarm-definitions/UNDERPRESS_LO/propose"


def change(**changes: Any) -> dict[str, Any]:
    return {"changes": changes, "reason": "the filter is new"}


async def test_a_change_holds_once_somebody_else_approved_it(rest: Api, parts: Parts) -> None:
    async with rest.as_user("manager") as client:
        made = await client.post(LOW, json=change(on_delay_s=90))
        assert (made.status_code, made.json()["state"], made.json()["revision"]) == (201, "proposed", 2)
        path = f"/api/v1/definition-proposals/{made.json()['id']}"
        assert (await client.post(f"{path}/approve", json={})).json()["code"] == "same_person"
        assert (await client.post(LOW, json=change(on_delay_s=80))).json()["code"] == "proposal_waits"
        assert parts.desk.definitions["UNDERPRESS_LO"].on_delay_s == 60
    async with rest.as_user("admin") as client:
        done = (await client.post(f"{path}/approve", json={"next_review": "2027-01-15"})).json()
        assert (done["state"], done["decided_by"], done["next_review"]) == ("approved", "admin", "2027-01-15")
        assert (await client.post(f"{path}/approve", json={})).json()["code"] == "not_waiting"
        now = parts.desk.definitions["UNDERPRESS_LO"]
        assert (now.on_delay_s, now.revision) == (90, 2)
        told = (await client.get("/api/v1/alarm-definitions/UNDERPRESS_LO")).json()["revisions"]
        assert [(one["revision"], one["author"]) for one in told] == [(2, "manager"), (1, "gasgate")]
        shown = (await client.get("/api/v1/alarms/UNDERPRESS_LO@REG-003")).json()
        assert shown["state"] == "C", "facts are kept"


async def test_priority_follows_from_harm_and_time(rest: Api) -> None:
    async with rest.as_user("engineer") as client:
        wrong = await client.post(LOW, json=change(harm="people", time_available_s=120, priority=4))
        assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_row")
        assert (await client.post(LOW, json=change(harm="nobody"))).json()["code"] == "bad_row"
        made = await client.post(LOW, json=change(harm="many", time_available_s=120, time_needed_s=60, shelvable=False))
        assert (made.status_code, made.json()["row"]["priority"]) == (201, 1)


async def test_a_row_that_nobody_could_act_on_is_refused(rest: Api) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"cause": "  "}, "bad_row"),
        ({"consequence": ""}, "bad_row"),
        ({"action": None}, "bad_row"),
        ({"time_available_s": 0}, "bad_row"),
        ({"max_shelve_s": 1e6}, "bad_row"),
        ({"made_up": 1}, "bad_row"),
        ({"limit": float("inf")}, "bad_row"),
        ({"highly_managed": True, "latching": True, "shelvable": False, "max_shelve_s": 0}, "fixed_field"),
        ({"kind": "high_limit"}, "fixed_field"),
        ({"id": "OVERPRESS_HI"}, "fixed_field"),
    ]
    async with rest.as_user("engineer") as client:
        for changes, code in cases:
            text = json.dumps(change(**changes)).replace("Infinity", "1e999")
            answer = await client.post(LOW, content=text, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (422, code), changes


async def test_gas_alarms_may_be_given_neither_delay_nor_rule(rest: Api) -> None:
    async with rest.as_user("engineer") as client:
        for changes in ({"on_delay_s": 5}, {"rules": ["planned_interruption"]}):
            answer = await client.post("/api/v1/alarm-definitions/GAS_CONC_HI/propose", json=change(**changes))
            assert answer.json()["code"] == "bad_row"


async def test_a_new_limit_needs_everything_an_operator_needs(rest: Api, parts: Parts) -> None:
    path = "/api/v1/alarm-definitions/INLET_HOT/propose"
    row = {
        "title": "Gas too warm", "kind": "high_limit", "quantity": "temperature_c", "asset_kinds": ["station"],
        "limit": 45.0, "unit": "°C", "deadband": 2.0, "on_delay_s": 60, "priority": 3, "alarm_class": "supply",
        "cause": "The heater does not switch off", "consequence": "Seals age", "action": "Switch the heater off",
        "harm": "few", "time_available_s": 1200, "time_needed_s": 600,
    }  # fmt: skip
    async with rest.as_user("engineer") as client:
        without = {key: value for key, value in row.items() if key != "action"}
        assert (await client.post(path, json=change(**without))).json()["code"] == "bad_row"
        assert (await client.post(path, json=change(**{**row, "kind": "own"}))).json()["code"] == "new_kind"
        made = (await client.post(path, json=change(**row))).json()
    async with rest.as_user("manager") as client:
        await client.post(f"/api/v1/definition-proposals/{made['id']}/approve", json={})
    assert parts.desk.definitions["INLET_HOT"].limit == 45.0


async def test_one_file_out_and_one_file_in(rest: Api, parts: Parts) -> None:
    async with rest.as_user("engineer") as client:
        text = (await client.get("/api/v1/alarm-definitions.toml")).text
        assert dict(parse_definitions(text, "export")) == dict(parts.desk.definitions)
        same = await client.post("/api/v1/alarm-definitions/import", json={"toml": text, "reason": "as it is"})
        assert (same.status_code, same.json()["code"]) == (409, "no_change")
        other = text.replace("limit_of_set_pressure = 0.8\n", "limit_of_set_pressure = 0.75\n")
        made = await client.post("/api/v1/alarm-definitions/import", json={"toml": other, "reason": "lower limit"})
        assert [one["definition"] for one in made.json()["proposals"]] == ["UNDERPRESS_LO"]
        broken = await client.post("/api/v1/alarm-definitions/import", json={"toml": "[[alarm]]", "reason": "no row"})
        assert broken.json()["code"] == "bad_row"


async def test_what_runs_is_held_against_what_was_approved(rest: Api, parts: Parts) -> None:
    running = MasterDefinitions(parts.state, parts.clock.now())
    health_rows.beat(parts.state, "alarm", ok=True, detail={"definitions": running.digests()})
    async with rest.as_user("manager") as client:
        told = (await client.get("/api/v1/alarm-definitions")).json()
        assert (told["running"], told["differ"], len(told["in_force"])) == (True, [], len(running))
        made = (await client.post(LOW, json=change(on_delay_s=90))).json()
    async with rest.as_user("admin") as client:
        await client.post(f"/api/v1/definition-proposals/{made['id']}/approve", json={})
        assert (await client.get("/api/v1/alarm-definitions")).json()["differ"] == ["UNDERPRESS_LO"]
        assert running.refresh() == {"UNDERPRESS_LO"}
        health_rows.beat(parts.state, "alarm", ok=True, detail={"definitions": running.digests()})
        assert (await client.get("/api/v1/alarm-definitions")).json()["differ"] == []
    assert from_us(0) < parts.clock.now()
