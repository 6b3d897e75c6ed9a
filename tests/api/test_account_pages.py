"""The pages of people, tokens, the audit trail and one's own account, in Chromium."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.api.conftest import Served
from tests.api.sample_state import PASSWORD

pytestmark = [pytest.mark.browser]
WORDS = {
    "en": {"add": "Add a person", "save": "Add", "new": "New token", "make": "Make the token", "revoke": "Revoke"},
    "zh": {"add": "添加人员", "save": "添加", "new": "新建令牌", "make": "创建令牌", "revoke": "吊销"},
}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_administrator_adds_somebody_who_then_takes_a_password_of_their_own(
    visit: Any, served: Served, browser: Any, language: str
) -> None:
    words = WORDS[language]
    page = visit("admin", "/users", language=language)
    page.get_by_role("button", name=words["add"]).click()
    form = page.locator("form[data-form=add]")
    form.locator("[name=name]").fill(f"new-{language}")
    expect(form.locator("[name=password]")).not_to_have_value("")
    first = form.locator("[name=password]").input_value()
    assert len(first) >= 20
    form.get_by_role("button", name=words["save"], exact=True).click()
    expect(page.locator(".gg-people tbody tr", has_text=f"new-{language}")).to_be_visible()

    context = browser.new_context()
    context.add_cookies([{"name": "gasgate_language", "value": language, "url": served.url}])
    own = context.new_page()
    own.goto(f"{served.url}/login?next=/loss")
    own.locator("[name=name]").fill(f"new-{language}")
    own.locator("[name=password]").fill(first)
    own.locator("button.primary").click()
    own.wait_for_url("**/account")
    expect(own.get_by_role("alert").first).to_be_visible()
    for name, text in (("before", first), ("after", "a password of my own"), ("again", "a password of my own")):
        own.locator(f"[name={name}]").fill(text)
    own.locator("form button.primary").click()
    own.wait_for_url(f"{served.url}/")
    context.close()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_token_is_made_with_a_scope_shown_once_and_revoked(visit: Any, served: Served, language: str) -> None:
    words = WORDS[language]
    page = visit("operator", "/tokens", language=language)
    page.get_by_role("button", name=words["new"]).click()
    page.locator("[name=name]").fill(f"night export {language}")
    page.locator("[name='act:read']").check()
    page.get_by_role("button", name=words["make"]).click()
    expect(page.locator(".gg-secret")).not_to_have_value("")
    text = page.locator(".gg-secret").input_value()
    headers = {"authorization": f"Bearer {text}"}
    assert httpx.get(f"{served.url}/api/v1/alarms", headers=headers).status_code == 200
    body = {"occurrence_no": 1, "request_id": "t"}
    refused = httpx.post(f"{served.url}/api/v1/alarms/x@y/acknowledge", headers=headers, json=body)
    assert refused.status_code == 403
    page.keyboard.press("Escape")
    expect(page.locator("body")).not_to_contain_text(text)
    page.get_by_role("button", name=words["revoke"]).first.click()
    expect(page.locator("tr.gg-over", has_text=f"night export {language}")).to_have_count(1)
    assert httpx.get(f"{served.url}/api/v1/alarms", headers=headers).status_code == 401


def test_a_token_opens_no_page(served: Served) -> None:
    with httpx.Client(base_url=served.url) as client:
        client.post("/api/v1/login", json={"name": "viewer", "password": PASSWORD})
        made = client.post("/api/v1/tokens", json={"name": "t", "role": "viewer", "acts": ["read"]}).json()
    answer = httpx.get(f"{served.url}/loss", headers={"authorization": f"Bearer {made['token']}"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/loss")


def test_the_trail_is_found_by_person_and_act_and_saved(visit: Any) -> None:
    page = visit("auditor", "/audit-trail")
    page.locator("[name=who]").fill("auditor")
    page.locator("[name=act]").select_option("login")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**/audit-trail?who=auditor&act=login**")
    rows = page.locator(".gg-trail tbody tr")
    expect(rows.first).to_contain_text("127.0.0.1")
    with page.expect_download() as download:
        page.locator(".gg-export a", has_text="CSV").click()
    assert "auditor" in download.value.path().read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["/users", "/audit-trail"])
def test_who_may_not_is_told_so(visit: Any, path: str) -> None:
    page = visit("viewer", path)
    expect(page.locator("h2")).to_have_text("Your role may not see this page.")


def test_an_open_page_goes_to_the_log_in_when_its_session_ends(visit: Any, served: Served) -> None:
    page = visit("engineer", "/loss")
    page.locator(".gg-table").first.wait_for()
    with httpx.Client(base_url=served.url) as admin:
        admin.post("/api/v1/login", json={"name": "admin", "password": PASSWORD})
        assert admin.post("/api/v1/users/engineer/end-sessions", json={}).status_code == 200
    page.wait_for_url("**/login?why=ended&next=**")
    expect(page.get_by_role("alert")).to_have_text("Your session has ended. Log in again.")
    page.locator("[name=name]").fill("engineer")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("button.primary").click()
    page.wait_for_url("**/loss")


def test_rows_of_lists_and_tables_are_roomy_or_dense_as_somebody_likes(visit: Any, served: Served) -> None:
    page = visit("engineer", "/loss")
    places = (".gg-list .gg-row", ".gg-table.tight tbody tr:not(.gg-between)")

    def heights() -> list[float]:
        return [page.locator(place).first.evaluate("e => e.offsetHeight") for place in places]

    for place in places:
        expect(page.locator(place).first).to_be_visible()
    roomy = heights()
    page.goto(f"{served.url}/account")
    expect(page.locator("[data-dense=roomy]")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Dense").click()
    expect(page.locator("[data-dense=dense]")).to_have_attribute("aria-pressed", "true")
    page.goto(f"{served.url}/loss")
    for place in places:
        expect(page.locator(place).first).to_be_visible()
    assert [before - now for before, now in zip(roomy, heights(), strict=True)] == [8, 8]
