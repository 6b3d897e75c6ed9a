"""The control room in Chromium: filters, groups, tabs and help by keys, the horn, a connection that is lost."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.api.conftest import Served

pytestmark = [pytest.mark.browser]


def rows(page: Page) -> Any:
    return page.locator(".gg-list").first.locator(".gg-row")


def whole(page: Page) -> None:
    """Wait until all rows are there, not only the first ones."""
    page.wait_for_function(
        "() => gasgate.room.state() && !document.documentElement.classList.contains('gg-room-partial')"
    )


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
    whole(page)
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
    page.evaluate(
        "() => addEventListener('offline', () => { window.said = document.documentElement.matches('.gg-lost') })"
    )
    page.context.set_offline(True)
    page.wait_for_function("() => window.said === true")
    expect(banner).to_be_visible()
    assert page.locator(".gg-room").evaluate("e => getComputedStyle(e).filter") == "grayscale(1)"
    page.context.set_offline(False)
    expect(banner).to_be_hidden()


def test_what_changed_while_the_room_was_away_is_there_when_it_comes_back(visit: Any) -> None:
    page = visit("viewer")
    expect(rows(page)).to_have_count(5)
    whole(page)
    known = page.evaluate("() => gasgate.room.state().alarms.size")
    page.evaluate("() => gasgate.room.state().alarms.clear()")
    page.evaluate("() => gasgate.room.again()")
    page.wait_for_function("(known) => gasgate.room.state().alarms.size === known", arg=known)
    expect(page.locator("html")).not_to_have_class(re.compile("gg-room-lost"))
    expect(rows(page)).to_have_count(5)


def test_rows_that_arrive_after_their_connection_ended_do_not_look_alive(visit: Any) -> None:
    page = visit("viewer", "/account")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/room/all?*", hold)
    with page.expect_request("**/room/all?*"):
        page.goto(page.url.replace("/account", "/"))
    expect(page.get_by_text("The rest of the list is on its way")).to_be_visible()
    page.evaluate("() => { window.setTimeout = () => 0; gasgate.room.again(); }")
    lost = re.compile("gg-room-lost")
    expect(page.locator("html")).to_have_class(lost)
    with page.expect_response("**/room/all?*") as answer:
        held[0].continue_()
    answer.value.finished()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(page.locator("html")).to_have_class(lost)


def test_rows_that_do_not_come_are_said_and_asked_for_again(visit: Any) -> None:
    page = visit("viewer", "/account")
    page.add_init_script(
        "const limit = AbortSignal.timeout.bind(AbortSignal); AbortSignal.timeout = (ms) => limit(ms / 20);"
    )
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/room/all?*", hold)
    page.goto(page.url.replace("/account", "/"))
    expect(page.get_by_text("The rest of the list is on its way")).to_be_visible()
    expect(page.locator("#gg-lost")).to_be_visible()
    page.unroute("**/room/all?*")
    expect(page.locator("#gg-lost")).to_be_hidden()
    expect(page.get_by_text("The rest of the list is on its way")).to_be_hidden()


def test_a_stopped_gateway_is_said_and_the_list_goes_on_afterwards(visit: Any, served: Served) -> None:
    page = visit("operator")
    expect(rows(page)).to_have_count(5)
    os.kill(served.pid, signal.SIGSTOP)
    try:
        expect(page.locator("#gg-lost")).to_be_visible()
    finally:
        os.kill(served.pid, signal.SIGCONT)
    expect(page.locator("#gg-lost")).to_be_hidden()
    rows(page).filter(has_text="Outlet pressure high").click()
    page.keyboard.press("a")
    expect(rows(page).filter(has_text="Outlet pressure high")).to_contain_text("latched, acknowledged")


def test_the_most_urgent_rows_are_there_while_all_others_are_on_their_way(visit: Any) -> None:
    page = visit("viewer", "/account")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/room/all?*", hold)
    page.goto(page.url.replace("/account", "/"))
    expect(rows(page)).to_have_count(5)
    expect(page.locator("[data-count=active]")).to_have_text("5")
    expect(page.locator("[data-count=shelved]")).to_have_text("1")
    expect(page.locator(".gg-strip")).to_contain_text("m³/h")
    missing = page.get_by_text("The rest of the list is on its way")
    expect(missing).to_be_visible()
    page.locator("[data-tab=shelved]").click()
    expect(rows(page)).to_have_count(0)
    held[0].continue_()
    expect(rows(page)).to_have_count(1)
    expect(missing).to_be_hidden()
