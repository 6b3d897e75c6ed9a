"""Log-in by a real identity provider, Glewlwyd, on a socket of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from api.account_config import AccountRules, OidcConfig
from api.app import make_rest
from api.deps import Parts
from api.oidc import Provider
from api.pages import login_oidc
from api.roles import Role
from api.services import people
from gateway.errors import RefusedError
from gateway.store import user_rows
from tests.api import oidc_provider
from tests.api.oidc_provider import CLIENT_ID, CLIENT_SECRET

SITE = "http://gasgate.test"
CALLBACK = f"{SITE}/login/oidc/callback"
ROLES = {"gas-operators": Role.OPERATOR, "gas-engineers": Role.ENGINEER}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[oidc_provider.Provider]:
    started = oidc_provider.start(tmp_path_factory.mktemp("glewlwyd"))
    started.redirect_to(CALLBACK)
    yield started
    started.stop()


def configured(provider: oidc_provider.Provider, folder: Path, **changed: object) -> OidcConfig:
    secret = folder / "oidc.secret"
    secret.write_text(CLIENT_SECRET)
    known = {
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret": {"file": str(secret)},
        "roles": ROLES,
        "scopes": ["openid", "g_profile"],
    }
    return OidcConfig.model_validate({**known, **changed})


@pytest.fixture
def with_provider(parts: Parts, provider: oidc_provider.Provider, tmp_path: Path) -> Parts:
    return replace(parts, oidc=Provider(configured(provider, tmp_path), SITE))


@asynccontextmanager
async def browser(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    app = make_rest(parts)
    app.include_router(login_oidc.router)
    transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 5555))
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
        yield client


async def there_and_back(
    client: httpx.AsyncClient, provider: oidc_provider.Provider, who: str, after: str = "/loss"
) -> httpx.Response:
    begun = await client.get("/login/oidc", params={"next": after})
    assert begun.status_code == 303
    return await client.get(provider.approve(begun.headers["location"], who))


async def test_whom_the_provider_vouches_for_comes_in_with_the_role_of_the_group(
    with_provider: Parts, provider: oidc_provider.Provider
) -> None:
    async with browser(with_provider) as client:
        done = await there_and_back(client, provider, "wei")
        assert done.status_code == 200
        assert 'content="0;url=/loss"' in done.text
        me = (await client.get("/api/v1/me")).json()
        assert (me["name"], me["role"], me["must_change"]) == ("wei", "operator", False)
        assert (await client.post("/api/v1/me/password", json={"before": "x", "after": "y"})).status_code == 409
    with with_provider.state.read() as connection:
        row = user_rows.find_user(connection, "wei")
        told = [(line.who, line.act, line.origin) for line in user_rows.list_audit(connection, None, 2)]
    assert row is not None
    assert (row.issuer, row.password_hash) == (provider.issuer, "")
    assert told == [("wei", "login", "203.0.113.9"), ("identity provider", "user.add", "203.0.113.9")]
    for password in ("", " ", oidc_provider.PASSWORD):
        with pytest.raises(RefusedError, match="name or password is wrong"):
            with_provider.auth.login("wei", password, "")


async def test_who_has_no_role_or_somebody_elses_name_stays_out(
    with_provider: Parts, provider: oidc_provider.Provider
) -> None:
    people.save_person(with_provider.state, "mei", "a password of her own", "viewer", now_us=1)
    async with browser(with_provider) as client:
        for who, why in (("guest", "no_role"), ("mei", "name_taken")):
            refused = await there_and_back(client, provider, who)
            assert (refused.status_code, refused.headers["location"]) == (303, f"/login?why={why}")
            assert (await client.get("/api/v1/me")).status_code == 401
    with with_provider.state.read() as connection:
        lines = [(line.act, line.detail["why"]) for line in user_rows.list_audit(connection, None, 2)]
    assert lines == [("login.refused", "name_taken"), ("login.refused", "no_role")]


async def test_the_provider_changes_and_takes_roles_and_old_sessions_end(
    with_provider: Parts, provider: oidc_provider.Provider, tmp_path: Path
) -> None:
    async with browser(with_provider) as first:
        await there_and_back(first, provider, "wei")
        token = (await first.post("/api/v1/tokens", json={"name": "t", "role": "viewer"})).json()["token"]
        assert with_provider.auth.of_token(token) is not None
        wider = configured(provider, tmp_path, roles={"gas-operators": "manager"})
        async with browser(replace(with_provider, oidc=Provider(wider, SITE))) as second:
            await there_and_back(second, provider, "wei")
            assert (await second.get("/api/v1/me")).json()["role"] == "manager"
            assert (await first.get("/api/v1/me")).status_code == 401
            narrower = configured(provider, tmp_path, roles={"others": "manager"})
            async with browser(replace(with_provider, oidc=Provider(narrower, SITE))) as third:
                await there_and_back(third, provider, "wei")
            assert (await second.get("/api/v1/me")).status_code == 401
    assert with_provider.auth.of_token(token) is None


async def test_an_answer_serves_once_and_only_the_browser_that_asked(
    with_provider: Parts, provider: oidc_provider.Provider
) -> None:
    async with browser(with_provider) as mine, browser(with_provider) as other:
        begun = await mine.get("/login/oidc")
        cookie = mine.cookies["gasgate_oidc"]
        answer = provider.approve(begun.headers["location"], "wei")
        for client in (other, other):
            stolen = await client.get(answer)
            assert stolen.headers["location"] == "/login?why=oidc_state"
        await other.get("/login/oidc")
        crossed = await other.get(answer)
        assert crossed.headers["location"] == "/login?why=oidc_state", "another log-in's answer"
        assert (await mine.get(answer)).status_code == 200
        mine.cookies.set("gasgate_oidc", cookie, domain="gasgate.test", path="/login/oidc")
        assert (await mine.get(answer)).headers["location"] == "/login?why=oidc_state", "used"


async def test_the_request_is_bound_to_a_secret_of_this_log_in(
    with_provider: Parts, provider: oidc_provider.Provider
) -> None:
    async with browser(with_provider) as client:
        begun = await client.get("/login/oidc")
        asked = parse_qs(urlsplit(begun.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["redirect_uri"] == [CALLBACK]
        cookie = begun.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/login/oidc"))
        answer = provider.approve(begun.headers["location"], "wei")
        again = await client.get("/login/oidc")
        mixed = answer.replace(asked["state"][0], parse_qs(urlsplit(again.headers["location"]).query)["state"][0])
        refused = await client.get(mixed)
        assert refused.headers["location"] == "/login?why=oidc_failed", "the code belongs to another verifier"


async def test_a_provider_that_is_away_is_told_and_passwords_still_work(
    parts: Parts, provider: oidc_provider.Provider, tmp_path: Path
) -> None:
    gone = configured(provider, tmp_path, issuer="http://127.0.0.1:9/api/oidc")
    without = replace(parts, oidc=Provider(gone, SITE))
    async with browser(without) as client:
        assert (await client.get("/login/oidc")).headers["location"] == "/login?why=oidc_away"
        done = await client.post("/api/v1/login", json={"name": "operator", "password": "demo-password"})
        assert done.status_code == 200


async def test_where_passwords_are_off_only_the_provider_lets_in(
    with_provider: Parts, provider: oidc_provider.Provider
) -> None:
    async with browser(replace(with_provider, accounts=AccountRules(passwords=False))) as client:
        refused = await client.post("/api/v1/login", json={"name": "operator", "password": "demo-password"})
        assert (refused.status_code, refused.json()["code"]) == (403, "no_passwords")
        assert (await there_and_back(client, provider, "mei")).status_code == 200
        assert (await client.get("/api/v1/me")).json()["role"] == "engineer"
