"""The demo's pages as its people see them: the story comes to the page, nobody reloads anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.end_to_end.demo_process import BUSINESS, PASSWORD
from tests.services import chromium_arguments

CLOCK = re.compile(r"^\d+:\d\d(:\d\d)?$")
STORY_MS = 90_000
"""as long as any part of the story may take at the test's speed"""


def live_through(operator: Page, engineer: Page, address: str) -> None:
    """Follow the story as an operator and a meter engineer; each part may still be to come."""
    log_in(operator, address, "operator", "/")
    log_in(engineer, address, "engineer", "/loss")
    the_gas_alarm_is_acknowledged_by_key(operator)
    the_ticket_clock_counts_down(operator)
    the_crew_arrives_in_time(operator)
    one_alarm_tells_of_the_silent_station(operator)
    the_day_closes_with_a_high_loss(engineer)
    the_theft_has_its_evidence(engineer)
    expect(operator.locator(".gg-findings")).to_contain_text(f"疑似偷盗气 {BUSINESS}", timeout=STORY_MS)
    for page in (operator, engineer):
        assert page.evaluate("window.opened") is True, "nobody reloaded the page"
    the_main_labels_are_english(operator, engineer)


@contextmanager
def pages(chromium: str, address: str) -> Iterator[tuple[Page, Page]]:
    """Yield a page for each of two people; a script error on either fails the test."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=chromium_arguments())
        yield new_page(browser, errors), new_page(browser, errors)
        browser.close()
    assert errors == [], address


def new_page(browser: Browser, errors: list[str]) -> Page:
    page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    return page


def log_in(page: Page, address: str, name: str, path: str) -> None:
    """Log in by the form, in Chinese, which nobody had to choose."""
    page.goto(address + path)
    expect(page.get_by_role("button", name="登录")).to_be_visible()
    page.get_by_label("用户名").fill(name)
    page.get_by_label("密码").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(address + path)
    expect(page.locator(".gg-head [data-clock=time]")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    page.evaluate("window.opened = true")


def row(page: Page, *texts: str) -> Locator:
    found = page.locator(".gg-row")
    for text in texts:
        found = found.filter(has_text=text)
    return found


def the_gas_alarm_is_acknowledged_by_key(page: Page) -> None:
    alarm = row(page, "燃气浓度超高", "REG-002")
    expect(alarm).to_contain_text("未确认", timeout=STORY_MS)
    alarm.click()
    expect(page.locator(".gg-detail h3")).to_have_text("燃气浓度超高")
    expect(page.locator(".gg-detail .value")).to_contain_text("%LEL")
    expect(page.locator(".gg-guide li").first).to_have_text("确认工单已送达")
    page.keyboard.press("a")
    expect(alarm).not_to_contain_text("未确认")
    expect(page.locator(".gg-journal")).to_contain_text("operator")
    expect(page.locator("[data-act=acknowledge]")).to_have_count(0)


def the_ticket_clock_counts_down(page: Page) -> None:
    """The strip shows the clock that ends first: of the crew at the gas, or of the one for the silent station."""
    clock = page.locator(".gg-strip .gg-clock")
    expect(clock).to_have_text(CLOCK, timeout=STORY_MS)
    passed = []
    for _ in range(6):  # the strip may just have gone on to the next clock, when the crew left or arrived
        shown = seconds(clock.inner_text())
        page.wait_for_timeout(500)
        passed.append(shown - seconds(clock.inner_text()))
    assert sum(10 < city_s < 120 for city_s in passed) >= 3, f"half a second is half a minute of the city's: {passed}"


def seconds(text: str) -> int:
    total = 0
    for part in text.split(":"):
        total = 60 * total + int(part)
    return total


def the_crew_arrives_in_time(page: Page) -> None:
    arrival = page.locator(".gg-step").nth(2)
    expect(arrival).to_contain_text("到场")
    expect(arrival).to_have_class(re.compile(r"\bdone\b"), timeout=STORY_MS)
    expect(arrival.locator("b")).to_have_text(re.compile(r"^05:\d\d:\d\d$"))


def one_alarm_tells_of_the_silent_station(page: Page) -> None:
    expect(row(page, "站点失联", "S-02")).to_have_count(1, timeout=STORY_MS)
    expect(page.locator(".gg-story [aria-current]")).to_be_in_viewport()


def the_day_closes_with_a_high_loss(page: Page) -> None:
    zone = page.locator("tr[data-pick='R-003']")
    expect(zone).to_contain_text("偏高", timeout=STORY_MS)
    expect(page.locator("tr[data-pick='R-001']")).to_contain_text("正常")


def the_theft_has_its_evidence(page: Page) -> None:
    suspect = row(page, "疑似偷盗气", BUSINESS)
    suspect.click(timeout=STORY_MS)
    expect(page.locator(".gg-facts")).to_contain_text(BUSINESS)
    expect(page.locator("[data-open]")).to_be_visible()
    canvas = page.locator(".gg-evidence canvas").first
    expect(canvas).to_be_visible()
    page.wait_for_timeout(500)
    assert canvas.evaluate(_PAINTED) > 2000, "the charts are drawn"
    assert page.locator(".gg-evidence").evaluate("e => e.scrollHeight <= e.clientHeight + 1"), "and within their panel"


_PAINTED = """canvas => {
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let n = 3; n < all.length; n += 4) count += all[n] > 0;
  return count;
}"""


def the_main_labels_are_english(operator: Page, engineer: Page) -> None:
    for page, headings, of_engineers in (
        (operator, ["Alarms", "Tickets", "Selected alarm", "Map", "What happens here"], []),
        (engineer, ["Loss by zone", "Loss rate", "Suspects", "Evidence"], ["Reading audit"]),
    ):
        page.get_by_role("button", name="English").click()
        expect(page.locator(".gg-panel h2")).to_have_text(headings)
        expect(page.locator(".gg-nav a")).to_have_text(
            ["Control room", "Tickets", "Loss", "Meters", "Network", *of_engineers, "Reports", "System"]
        )
    expect(row(operator, "Gas concentration very high")).to_be_visible()
    expect(operator.locator(".gg-guide dt").first).to_have_text("Do first")
    expect(engineer.locator("tr[data-pick='R-003']")).to_contain_text("high")
    expect(row(engineer, "Theft suspicion")).to_be_visible()
