"""The board of tickets and one ticket in Chromium, in both languages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from alarms.service.calendar import official
from alarms.service.desk import ServiceDesk
from alarms.service.policy import shipped
from gateway.model.reading import to_us
from gateway.runtime.clock import CityClock
from gateway.store.state import State
from tests.api.conftest import SIZES, Served
from tests.api.sample_network import sample_network
from tests.api.sample_state import PASSWORD, START

pytestmark = [pytest.mark.browser]


def column(page: Page, title: str) -> Any:
    return page.locator(".gg-board-column", has=page.get_by_role("heading", name=title, exact=True))


@pytest.mark.parametrize(
    ("language", "size", "words"),
    [("en", SIZES[0], ("Waits for a crew", "On the way", "not kept")), ("zh", SIZES[1], ("待派", "途中", "项超时限"))],
)
def test_the_board_shows_state_clocks_and_delivery(
    visit: Any, language: str, size: tuple[int, int], words: tuple[str, str, str]
) -> None:
    waits, way, late = words
    page = visit("operator", "/tickets", language=language, size=size)
    expect(column(page, way).locator(".gg-row")).to_have_count(1)
    expect(column(page, way).locator(".gg-clock")).to_have_text(re.compile(r"^\+?\d+:\d\d"))
    expect(column(page, way).locator(".gg-row")).to_contain_text("REG-002")
    given_up = column(page, waits).locator(".gg-row", has_text="M-000012")
    expect(given_up).to_contain_text(late)
    page.locator("[data-only=undelivered]").click()
    expect(column(page, way).locator(".gg-row")).to_have_count(0)
    expect(given_up).to_be_visible()
    page.locator("[data-only='']").click()
    page.locator("[name=text]").fill("reg-002")
    expect(page.locator(".gg-board .gg-row")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0


def test_what_was_given_up_is_sent_again_and_differences_are_listed(visit: Any, served: Served) -> None:
    watching = visit("viewer", "/tickets")
    row = watching.locator(".gg-board-below tr", has_text="422 unknown meter")
    expect(row).to_be_visible()
    expect(watching.locator("[data-replay]")).to_have_count(0)
    page = visit("operator", "/tickets")
    page.locator(".gg-board-below tr", has_text="422 unknown meter").get_by_role("button").click()
    expect(page.get_by_text("1 are sent again.")).to_be_visible()
    assert page.request.get(f"{served.url}/api/v1/ticket-dead-letters").json()["total"] == 0
    page.locator("[data-tab=differences]").click()
    expect(page.locator(".gg-board-below tbody tr", has_text="home_gas → leak")).to_be_visible()


def test_from_a_card_by_keys_to_its_ticket_and_a_note_to_the_crew(visit: Any) -> None:
    page = visit("operator", "/tickets")
    expect(column(page, "On the way").locator(".gg-row")).to_have_count(1)
    page.locator(".gg-list[aria-label='On the way']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tickets/T-*")
    expect(page.locator(".gg-ticket-title h1")).to_contain_text("Gas concentration")
    expect(page.locator("tr", has_text="crew on site").locator(".gg-clock")).to_have_text(re.compile(r"^\+?\d+:\d\d"))
    expect(page.locator(".gg-history .step b").first).to_have_text("departed")
    page.get_by_role("button", name="Note to the crew…").click()
    page.locator(".gg-dialog [name=reason]").fill("the gate is <b>locked</b>")
    page.keyboard.press("Enter")
    expect(page.locator(".gg-history li", has_text="the gate is <b>locked</b>")).to_contain_text("operator")
    page.locator(".gg-joined a").first.click()
    expect(page.locator(".gg-detail h3")).to_have_text("Gas concentration very high")
    page.locator(".gg-detail a[href^='/tickets/']").click()
    expect(page.locator(".gg-ticket-title")).to_be_visible()


def test_a_viewer_acts_on_no_ticket_and_an_unknown_one_is_no_page(visit: Any, served: Served) -> None:
    page = visit("viewer", "/tickets", language="zh")
    column(page, "现场处置").locator(".gg-row").click()
    expect(page.locator(".gg-ticket-title")).to_contain_text("供气中断")
    expect(page.locator("[data-act], [data-split]")).to_have_count(0)
    page.goto(f"{served.url}/tickets/T-20000101-000001")
    expect(page.get_by_role("heading", name="没有这个页面。")).to_be_visible()


def test_a_supervisor_lets_clocks_stand_and_go_on(visit: Any) -> None:
    page = visit("manager", "/tickets")
    page.locator(".gg-board .gg-row", has_text="M-000060").click()
    page.get_by_role("button", name="Let the clocks stand…").click()
    page.locator(".gg-dialog button[type=submit]").click()
    expect(page.locator("tr", has_text="stands still").first).to_be_visible()
    page.get_by_role("button", name="Let the clocks go on").click()
    expect(page.locator("tr", has_text="stands still")).to_have_count(0)


def test_a_complaint_that_was_answered_is_written_down(visit: Any, served: Served) -> None:
    with httpx.Client(base_url=served.url, headers={"origin": served.url}) as client:
        client.post("/api/v1/login", json={"name": "operator", "password": PASSWORD})
        wanted = {"type": "complaint", "reported_at": START.isoformat(), "place": "x", "customer": "x", "phone": "110"}
        number = client.post("/api/v1/orders", json={**wanted, "request_id": "complaint-1"}).json()["ticket_no"]
    state = State.in_folder(served.folder)
    clock = CityClock(to_us(START), int(datetime.now(UTC).timestamp() * 1e6), 30.0)
    ServiceDesk(state, shipped(), official(), sample_network(), clock).sweep()
    state.close()
    for language, button, steps in (
        ("en", "Write down a step…", ["answered", "first answer given"]),
        ("zh", "登记环节…", ["已答复", "已首次答复"]),
    ):
        page = visit("operator", f"/tickets/{number}", language=language)
        page.get_by_role("button", name=button).click()
        expect(page.locator(".gg-dialog [name=step] option")).to_have_text(steps)
        page.locator(".gg-dialog [name=step]").select_option("responded")
        page.locator(".gg-dialog [name=at]").fill("2020-01-01T00:00:00")
        page.locator(".gg-dialog button[type=submit]").click()
        expect(page.locator(".q-notification")).to_be_visible()
        page.locator(".gg-dialog [name=at]").fill("")
        page.locator(".gg-dialog [name=reason]").fill(f"all well {language}")
        page.locator(".gg-dialog button[type=submit]").click()
        expect(page.locator(".gg-history li", has_text=f"all well {language}")).to_contain_text(steps[1])


def test_the_board_is_taken_along_as_a_table(visit: Any, served: Served) -> None:
    page = visit("viewer", "/tickets", language="zh")
    with page.expect_download() as download:
        page.locator(".gg-export a").first.click()
    assert download.value.suggested_filename.endswith(".csv")
    text = page.request.get(f"{served.url}/download/tickets.csv").text()
    assert text.startswith("\ufeff")
    assert "抢险" in text
    assert page.request.get(f"{served.url}/download/questioned.csv").status == 403


def test_a_tab_that_is_drawn_anew_while_the_button_is_down_is_picked_all_the_same(visit: Any) -> None:
    page = visit("operator", "/tickets")
    tab = page.locator("[data-tab=differences]")
    tab.hover()
    page.mouse.down()
    tab.evaluate("one => { const head = one.closest('header'); head.innerHTML = head.innerHTML + '' }")
    page.mouse.up()
    expect(page.locator(".gg-board-below tbody tr", has_text="home_gas → leak")).to_be_visible()
    page.locator("[data-tab=undelivered]").hover()
    page.mouse.down()
    page.locator(".gg-board-below tbody").hover()
    page.mouse.up()
    expect(page.locator(".gg-board-below tbody tr", has_text="home_gas → leak")).to_be_visible()
