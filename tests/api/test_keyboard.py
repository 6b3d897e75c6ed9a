"""An operator's shift without a mouse, in both languages: every act is reached and done by keys alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.api.conftest import Served
from tests.api.sample_state import PASSWORD

pytestmark = [pytest.mark.browser]
_MOST_TABS = 120


@dataclass(frozen=True)
class Words:
    """What the pages say."""

    acknowledged: str
    unacknowledged: str
    shelved: str
    handover: str
    reason: str


WORDS = {
    "zh": Words("已确认", "未确认", "已搁置", "交接班", "更换通信模块"),
    "en": Words("acknowledged", "unacknowledged", "shelved", "Hand-over", "modem exchanged"),
}


def go_to(page: Page, selector: str, key: str = "Tab") -> None:
    """Press Tab until the focus is on what a selector names; it must be seen there."""
    for _ in range(_MOST_TABS):
        if page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
            break
        page.keyboard.press(key)
    else:
        raise AssertionError(f"{selector} is not reached by {key}")
    focused = page.locator(":focus")
    expect(focused).to_be_in_viewport()
    shows = "e => [getComputedStyle(e).outlineStyle, getComputedStyle(e).boxShadow]"
    assert focused.evaluate(shows) != ["none", "none"], f"nobody sees that {selector} has the focus"


@pytest.fixture(params=["zh", "en"])
def words(request: pytest.FixtureRequest) -> tuple[str, Words]:
    return request.param, WORDS[request.param]


def choose(page: Page, place: str, alarm_id: str) -> None:
    """Find an alarm by its place and choose it."""
    page.keyboard.press("/")
    page.keyboard.type(place)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    chosen = page.locator(".gg-list").first.locator(".gg-row[aria-selected=true]")
    expect(chosen).to_have_attribute("data-id", alarm_id)
    expect(page.locator(".gg-detail .top + div, .gg-detail h3 + *").first).to_contain_text(place)


def test_an_alarm_is_acknowledged_muted_shelved_and_brought_back(visit: Any, words: tuple[str, Words]) -> None:
    language, says = words
    page = visit("operator", language=language)
    chip = page.locator(".gg-detail .gg-chip").first
    expect(chip).to_be_visible()
    choose(page, "S-02", "STATION_COMM_LOSS@S-02")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.closest('.gg-detail') !== null")
    if page.locator("[data-act=silence]").count():  # a muted horn comes back after two minutes only
        page.keyboard.press("m")
        expect(page.locator("[data-act=silence]")).to_have_count(0)
    page.keyboard.press("a")
    expect(chip).to_have_text(says.acknowledged)
    page.keyboard.press("b")
    expect(chip).to_have_text(says.unacknowledged)
    page.keyboard.press("s")
    expect(page.locator(".gg-dialog input")).to_be_focused()
    page.keyboard.type(says.reason)
    go_to(page, "[data-minutes='15']")
    page.keyboard.press("Enter")
    expect(chip).to_have_text(says.shelved)
    expect(page.locator(".gg-dialog")).to_be_hidden()
    page.keyboard.press("]")
    row = page.locator(".gg-list").first.locator("[data-id='STATION_COMM_LOSS@S-02']")
    expect(row).to_contain_text(says.shelved)
    page.keyboard.press("u")
    expect(chip).to_have_text(says.acknowledged)
    expect(row).to_have_count(0)
    page.keyboard.press("[")
    expect(row).to_contain_text(says.acknowledged)
    page.keyboard.press("b")
    expect(chip).to_have_text(says.unacknowledged)


def test_a_crew_gets_a_note_and_the_shift_is_handed_over(visit: Any, words: tuple[str, Words]) -> None:
    language, says = words
    page = visit("operator", language=language)
    expect(page.locator(".gg-detail .gg-chip").first).to_be_visible()
    choose(page, "REG-002", "GAS_CONC_HIHI@REG-002")
    page.keyboard.press("Enter")
    page.keyboard.press("t")
    page.wait_for_url("**/tickets/T-*")
    go_to(page, "[data-act=note]")
    page.keyboard.press("Enter")
    expect(page.locator(".gg-dialog")).to_be_visible()
    go_to(page, ".gg-dialog [name=reason]")
    page.keyboard.type(f"{says.reason} {language}")
    page.keyboard.press("Enter")
    expect(page.locator(".gg-history li", has_text=f"{says.reason} {language}")).to_contain_text("operator")
    expect(page.locator(".gg-dialog")).to_be_hidden()
    go_to(page, "a[href='/handover']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/handover")
    assert says.handover in page.title()
    go_to(page, ".gg-in-head button")
    go_to(page, ".gg-handover .gg-scroll")


def test_the_way_in_and_the_help_need_no_mouse(visit: Any, served: Served, words: tuple[str, Words]) -> None:
    language, _ = words
    page = visit("viewer", language=language)
    page.context.clear_cookies(name="gasgate_session")
    page.goto(served.url + "/login")
    go_to(page, "[name=name]")
    page.keyboard.type("operator")
    go_to(page, "[name=password]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator(".gg-detail .gg-chip").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator(".gg-help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".gg-help")).to_be_hidden()
    go_to(page, "a.gg-skip", "Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.matches('.gg main')")
