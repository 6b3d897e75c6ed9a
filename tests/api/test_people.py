"""Who may come in: adding, changing, keeping out; and that the gateway is never left without an administrator."""

from __future__ import annotations

import pytest

from api.deps import Parts
from api.passwords import problem_of, suggest
from gateway.store import user_rows
from tests.api.conftest import Api
from tests.api.sample_state import PASSWORD

NEW = "correct horse battery"


async def test_a_new_person_changes_the_first_password_before_anything_else(rest: Api) -> None:
    async with rest.as_user("admin") as admin:
        body = {"name": "王伟", "password": NEW, "role": "operator"}
        assert (await admin.post("/api/v1/users", json=body)).status_code == 201
        again = await admin.post("/api/v1/users", json=body)
        assert (again.status_code, again.json()["code"]) == (409, "exists")
    async with rest.nobody() as client:
        assert (await client.post("/api/v1/login", json={"name": "王伟", "password": NEW})).status_code == 200
        refused = await client.get("/api/v1/alarms")
        assert (refused.status_code, refused.json()["code"]) == (403, "password_change")
        assert (await client.get("/api/v1/me")).json()["may"] == ["account.own"]
        token = await client.post("/api/v1/tokens", json={"name": "t"})
        assert token.status_code == 403
        for before, after, code in (
            ("wrong one, sorry", "a password of my own", "wrong_password"),
            (NEW, "short", "weak_password"),
            (NEW, NEW, "same_password"),
        ):
            answer = await client.post("/api/v1/me/password", json={"before": before, "after": after})
            assert answer.json()["code"] == code
        mine = {"before": NEW, "after": "a password of my own"}
        assert (await client.post("/api/v1/me/password", json=mine)).status_code == 204
        assert (await client.get("/api/v1/alarms")).status_code == 200


async def test_a_stolen_session_cannot_try_passwords(rest: Api) -> None:
    async with rest.as_user("viewer") as client:
        codes = []
        for number in range(7):
            body = {"before": f"a guess of mine {number}", "after": "a password of my own"}
            codes.append((await client.post("/api/v1/me/password", json=body)).json()["code"])
    assert codes == ["wrong_password"] * 5 + ["locked"] * 2


async def test_a_role_or_a_word_of_the_administrator_ends_sessions(rest: Api, parts: Parts) -> None:
    async with rest.as_user("admin") as admin, rest.as_user("engineer") as one, rest.as_user("engineer") as two:
        listed = {person["name"]: person for person in (await admin.get("/api/v1/users")).json()}
        assert listed["engineer"]["sessions"] == 2
        assert "password" not in str(listed)
        assert (await admin.post("/api/v1/users/engineer/role", json={"role": "viewer"})).status_code == 204
        assert [(await client.get("/api/v1/me")).status_code for client in (one, two)] == [401, 401]
        assert parts.auth.login("engineer", PASSWORD, "").user.role == "viewer"
        assert (await admin.post("/api/v1/users/engineer/end-sessions", json={})).json() == {"ended": 1}
        assert (await admin.post("/api/v1/users/engineer/disable", json={})).status_code == 204
        async with rest.nobody() as client:
            out = await client.post("/api/v1/login", json={"name": "engineer", "password": PASSWORD})
            assert (out.status_code, out.json()["code"]) == (401, "wrong_login")
        assert (await admin.post("/api/v1/users/engineer/enable", json={})).status_code == 204
        assert parts.auth.login("engineer", PASSWORD, "").user.name == "engineer"


async def test_somebody_stays_administrator(rest: Api) -> None:
    async with rest.as_user("admin") as admin:
        for path, body in (("disable", {}), ("role", {"role": "viewer"})):
            refused = await admin.post(f"/api/v1/users/admin/{path}", json=body)
            assert (refused.status_code, refused.json()["code"]) == (409, "last_administrator")
        await admin.post("/api/v1/users/manager/role", json={"role": "administrator"})
        assert (await admin.post("/api/v1/users/admin/role", json={"role": "viewer"})).status_code == 204
        assert (await admin.get("/api/v1/users")).status_code == 401, "its own sessions end too"


@pytest.mark.parametrize("name", ["system", "Gasgate", "identity provider"])
async def test_nobody_is_called_as_the_gateway_itself_in_the_audit_trail(rest: Api, name: str) -> None:
    async with rest.as_user("admin") as admin:
        answer = await admin.post("/api/v1/users", json={"name": name, "password": NEW, "role": "viewer"})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_name")


async def test_a_locked_name_is_shown_and_unlocked(rest: Api, parts: Parts) -> None:
    async with rest.nobody() as client:
        for _ in range(5):
            await client.post("/api/v1/login", json={"name": "operator", "password": "wrong-password"})
        locked = await client.post("/api/v1/login", json={"name": "operator", "password": PASSWORD})
        assert locked.status_code == 429
        assert 0 < int(locked.headers["retry-after"]) <= 300
    async with rest.as_user("admin") as admin:
        listed = {person["name"]: person["locked_s"] for person in (await admin.get("/api/v1/users")).json()}
        assert listed["operator"] > 0
        assert listed["viewer"] is None
        assert (await admin.post("/api/v1/users/operator/unlock", json={})).json() == {"was_locked": True}
    assert parts.auth.login("operator", PASSWORD, "198.51.100.9").user.name == "operator"


async def test_a_browser_says_whose_page_asks(rest: Api, parts: Parts) -> None:
    async with rest.as_user("operator") as client:
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            answer = await client.post("/api/v1/me/sessions/end", json={}, headers={"sec-fetch-site": site})
            assert answer.status_code == status, site
    with parts.state.read() as connection:
        acts = [line.act for line in user_rows.list_audit(connection, None, 10)]
    assert acts.count("account.end_sessions") == 2


async def test_logging_in_from_another_sites_page_is_refused(rest: Api) -> None:
    async with rest.nobody() as client:
        body = {"name": "operator", "password": PASSWORD}
        answer = await client.post("/api/v1/login", json=body, headers={"sec-fetch-site": "cross-site"})
        assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)


@pytest.mark.parametrize(
    ("password", "name"),
    [
        ("short one", "wang"), ("aaaaaaaaaaaaaaa", "wang"), ("password123", "wang"), ("Passw0rd!!", "wang"),
        ("wangxiaoming1", "wangxiaoming"), ("1234567890", "wang"), ("woaini1314", "wang"), ("x" * 1001, "wang"),
    ],
)  # fmt: skip
def test_a_password_that_others_would_try_is_refused(password: str, name: str) -> None:
    assert problem_of(password, name) != ""


@pytest.mark.parametrize("password", ["correct horse battery", "燃气调度中心的门朝南开着", "demo-password"])
def test_a_long_password_will_do_whatever_it_is_made_of(password: str) -> None:
    assert problem_of(password, "wang") == ""


def test_a_suggested_password_will_do() -> None:
    assert problem_of(suggest(), "wang") == ""
