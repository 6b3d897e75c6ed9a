"""The control room in Chromium: filters, groups, tabs and help by keys, the horn, a connection that is lost."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.api.conftest import Served

pytestmark = [pytest.mark.browser]


def rows(page: Page) -> Any:
    return page.locator(".gg-list").first.locator(".gg-row")


def test_filters_tabs_and_help_by_keys(visit: Any) -> None:
    page = visit("operator")
    expect(rows(page)).to_have_count(5)
    page.keyboard.press("2")
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("2")
    page.keyboard.press("n")
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("n")
    page.keyboard.press("/")
    page.keyboard.type("east bank lost")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Supply lost")
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(5)
    page.keyboard.press("]")
    expect(rows(page)).to_contain_text("shelved")
    page.keyboard.press("[")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


@pytest.mark.parametrize(("language", "active"), [("zh", "活动"), ("en", "Active")])
def test_tabs_count_what_is_hidden(visit: Any, language: str, active: str) -> None:
    page = visit("viewer", language=language)
    expect(page.locator(".gg-alarm-tools [data-tab=active]")).to_have_text(re.compile(rf"^{active}\d+$"))
    expect(page.locator("[data-count=shelved]")).to_have_text("1")
    page.locator("[data-tab=shelved]").click()
    expect(rows(page)).to_have_count(1)


def test_a_group_opens_and_closes(visit: Any) -> None:
    page = visit("viewer")
    expect(rows(page)).to_have_count(5)
    extra = [
        {"id": f"UNDERPRESS_LO@Z-{n}", "key": f"~{n}", "html": f"<b>{n}</b> <span data-times></span>", "priority": 3,
         "tab": "active", "waits": n == 3, "group": "3|R-001|UNDERPRESS_LO", "find": ""}
        for n in range(4)
    ]  # fmt: skip
    page.evaluate("rows => getElement(document.querySelector('.gg-list').id.slice(1)).apply(rows, [])", extra)
    expect(rows(page)).to_have_count(9)
    page.keyboard.press("g")
    expect(rows(page)).to_have_count(6)
    line = rows(page).last
    expect(line).to_have_text("3 ×4")
    line.locator("[data-times]").click()
    expect(rows(page)).to_have_count(9)
    page.keyboard.press("g")
    expect(page.locator("[data-grouped]")).to_have_attribute("aria-pressed", "false")


def test_the_horn_is_muted_for_a_while_and_comes_back_by_itself(visit: Any) -> None:
    page = visit("operator")
    horn = page.locator(".gg-horn")
    expect(horn).to_have_text("Switch the horn on")
    horn.click()
    expect(horn).to_have_text("Horn: mute")
    page.keyboard.press("h")
    expect(horn).to_have_text(re.compile(r"^Horn muted [12]:\d\d$"))
    page.evaluate("() => { const now = Date.now; Date.now = () => now() + 121000 }")
    expect(horn).to_have_text("Horn: mute")


def test_t_and_v_lead_to_ticket_and_place(visit: Any) -> None:
    page = visit("operator", "/?alarm=GAS_CONC_HIHI@REG-002")
    expect(page.locator(".gg-detail h3")).to_have_text("Gas concentration very high")
    page.keyboard.press("t")
    page.wait_for_url("**/tickets/T-*")
    page.go_back()
    expect(page.locator(".gg-detail h3")).to_have_text("Gas concentration very high")
    page.keyboard.press("v")
    page.wait_for_url("**/network?asset=REG-002")


def test_offline_is_said_at_once_and_ends_by_itself(visit: Any) -> None:
    page = visit("viewer")
    expect(rows(page)).to_have_count(5)
    banner = page.get_by_role("alert").filter(has_text="Connection lost")
    page.context.set_offline(True)
    expect(banner).to_be_visible(timeout=1000)
    assert page.locator(".gg-room").evaluate("e => getComputedStyle(e).filter") == "grayscale(1)"
    page.context.set_offline(False)
    expect(banner).to_be_hidden(timeout=8000)


def test_what_changed_while_the_room_was_away_is_there_when_it_comes_back(visit: Any) -> None:
    page = visit("viewer")
    expect(rows(page)).to_have_count(5)
    page.evaluate("() => gasgate.room.state().alarms.clear()")
    page.evaluate("() => gasgate.room.again()")
    expect(page.locator("html")).not_to_have_class(re.compile("gg-room-lost"))
    expect(rows(page)).to_have_count(5)


def test_a_stopped_gateway_is_said_and_the_list_goes_on_afterwards(visit: Any, served: Served) -> None:
    page = visit("operator")
    expect(rows(page)).to_have_count(5)
    os.kill(served.pid, signal.SIGSTOP)
    try:
        expect(page.locator("#gg-lost")).to_be_visible(timeout=8000)
    finally:
        os.kill(served.pid, signal.SIGCONT)
    expect(page.locator("#gg-lost")).to_be_hidden(timeout=8000)
    rows(page).filter(has_text="Outlet pressure high").click()
    page.keyboard.press("a")
    expect(rows(page).filter(has_text="Outlet pressure high")).to_contain_text("latched, acknowledged")
