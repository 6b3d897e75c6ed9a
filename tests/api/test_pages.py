"""The pages in Chromium against a server of its own; every act goes through the real alarm desk."""

from __future__ import annotations

import os
import re
import signal
from datetime import timedelta
from itertools import count, pairwise
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import ConditionRises
from alarms.definitions import load_definitions
from gateway.runtime.clock import ManualClock
from gateway.store.state import State
from tests.api.conftest import SIZES, Served
from tests.api.sample_devices import JAMMED
from tests.api.sample_network import sample_network
from tests.api.sample_state import PASSWORD, POLICY, START

pytestmark = [pytest.mark.browser]
_meter = count(1)


def rise(served: Served, alarm: str) -> None:
    """Let an alarm rise through the desk, as the alarm role does in another process.

    It is a day ahead, so that the clocks of its ticket run down, however long the city has been served.
    """
    state = State.in_folder(served.folder)
    clock = ManualClock(int((START + timedelta(days=1)).timestamp() * 1e6))
    desk = AlarmDesk(state, load_definitions(), sample_network(), clock, POLICY)
    desk.commit([Edge(alarm, ConditionRises(clock.now(), 64.0))])
    state.close()


def raise_alarm(served: Served) -> str:
    """Let a home's gas sensor rise."""
    asset = f"M-{next(_meter):06}"
    rise(served, f"HOME_GAS_SENSOR@{asset}")
    return asset


@pytest.mark.parametrize(
    ("language", "wrong", "room"),
    [("zh", "用户名或密码错误", "调度台"), ("en", "Name or password is wrong", "Control room")],
)
def test_login_in_both_languages(browser: Browser, served: Served, language: str, wrong: str, room: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{served.url}/loss")
    if language == "en":
        page.get_by_role("link", name="English").click()
    page.locator("[name=name]").fill("operator")
    page.locator("[name=password]").fill("not the password")
    page.locator("form button").click()
    expect(page.get_by_role("alert")).to_contain_text(wrong)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("form button").click()
    page.wait_for_url(f"{served.url}/loss")
    expect(page.get_by_role("link", name=room)).to_be_visible()
    context.close()


def test_a_new_alarm_appears_by_itself_and_is_acknowledged_by_key(visit: Any, served: Served) -> None:
    page = visit("operator")
    expect(page.locator(".gg-row").first).to_be_visible()
    asset = raise_alarm(served)
    row = page.locator(".gg-row", has_text=asset).first
    row.wait_for()
    row.click()
    expect(page.locator(".gg-detail h3")).to_have_text("Gas sensor of a home meter")
    expect(page.locator(".gg-guide li")).to_have_text(
        [
            "See that the ticket is confirmed",
            re.compile("^Phone the customer: windows open"),
            "Close the meter valve",
        ]
    )
    page.keyboard.press("a")
    expect(row).to_contain_text("acknowledged")
    expect(row).not_to_contain_text("unacknowledged")
    expect(page.locator("[data-act=acknowledge]")).to_have_count(0)
    expect(page.locator(".gg-journal")).to_contain_text("operator")


def test_a_key_means_the_row_chosen_last_even_before_its_details_are_read(visit: Any, served: Served) -> None:
    chosen, then = raise_alarm(served), raise_alarm(served)
    page = visit("operator", "/?alarm=GAS_CONC_HIHI@REG-002")
    expect(page.locator(".gg-detail h3")).to_have_text("Gas concentration very high")
    row = page.locator(".gg-list").first.locator(".gg-row")
    expect(row.filter(has_text=then)).to_be_visible()
    page.evaluate(
        """([chosen, then]) => {
          document.getElementById(chosen).click();
          for (const kind of ["keydown", "keyup"])
            document.body.dispatchEvent(new KeyboardEvent(kind, { key: "a", code: "KeyA", bubbles: true }));
          document.getElementById(then).click();
        }""",
        [f"row-HOME_GAS_SENSOR@{chosen}", f"row-HOME_GAS_SENSOR@{then}"],
    )
    expect(row.filter(has_text=chosen)).to_contain_text(re.compile("[^n]acknowledged"))
    for other in (then, "Gas concentration very high"):
        expect(row.filter(has_text=other)).to_contain_text("unacknowledged")


def test_the_ticket_clock_counts_down(visit: Any, served: Served) -> None:
    asset = raise_alarm(served)
    page = visit("viewer", language="zh")
    page.locator(".gg-row", has_text=asset).first.click()
    clock = page.locator(".gg-steps .gg-clock").first
    expect(clock).to_have_text(re.compile(r"^\d+:\d\d"))
    before = clock.inner_text()
    expect(clock).not_to_have_text(before)
    expect(page.locator(".gg-steps")).to_contain_text("到场")
    expect(page.locator("[data-act]")).to_have_count(0)


def test_an_alarm_about_a_ticket_shows_the_ticket_and_leads_to_it(visit: Any, served: Served) -> None:
    asset = raise_alarm(served)
    page = visit("operator", f"/?alarm=HOME_GAS_SENSOR@{asset}")
    expect(page.locator(".gg-steps")).to_be_visible()
    page.keyboard.press("t")
    page.wait_for_url("**/tickets/T-*")
    ticket_no = page.url.rpartition("/")[2]
    rise(served, f"DEPART_OVERDUE@{ticket_no}")
    page.goto(f"{served.url}/?alarm=DEPART_OVERDUE@{ticket_no}")
    expect(page.locator(".gg-detail h3")).to_have_text("No crew has left in time")
    expect(page.locator(".gg-steps")).to_be_visible()
    page.keyboard.press("t")
    page.wait_for_url(f"**/tickets/{ticket_no}")


def test_arrows_move_the_choice_and_enter_goes_to_its_acts(visit: Any) -> None:
    page = visit("operator")
    chosen = page.locator(".gg-list[aria-label=Alarms] .gg-row[aria-selected=true]")
    expect(chosen).to_have_count(1)
    first = chosen.get_attribute("data-id")
    page.keyboard.press("ArrowDown")
    expect(chosen).not_to_have_attribute("data-id", first)
    page.keyboard.press("ArrowUp")
    expect(chosen).to_have_attribute("data-id", first)
    page.locator(".gg-list").first.focus()
    assert page.locator(".gg-list").first.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    expect(page.locator(".gg-detail h3")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.closest('.gg-detail') !== null")


def test_the_value_now_stands_beside_the_one_that_raised_the_alarm(visit: Any) -> None:
    page = visit("viewer")
    page.locator(".gg-row", has_text="Gas concentration very high").first.click()
    now = page.locator(".gg-detail .value")
    expect(now).to_contain_text(re.compile(r"\d+:\d\d ago"))
    expect(page.locator(".gg-detail .top + div")).to_contain_text(re.compile(r"raised .* at [\d.]+ %LEL"))


def test_findings_and_the_story_are_told_quietly(visit: Any) -> None:
    page = visit("engineer")
    expect(page.locator(".gg-told header")).to_contain_text("a simulation")
    note = page.locator(".gg-story [aria-current]")
    expect(note).to_contain_text(re.compile("Gas rises at REG-002|The broker restarts"))
    expect(note).to_be_in_viewport()
    page.locator(".gg-findings", has_text="Findings to inspect").click()
    expect(page.locator(".gg-evidence")).to_be_visible()


def test_a_gateway_that_stops_answering_is_named_at_once(visit: Any, served: Served) -> None:
    page = visit("viewer")
    expect(page.locator(".gg-row").first).to_be_visible()
    banner = page.get_by_role("alert").filter(has_text="Connection lost")
    expect(banner).to_be_hidden()
    os.kill(served.pid, signal.SIGSTOP)
    try:
        expect(banner).to_be_visible(timeout=8000)
    finally:
        os.kill(served.pid, signal.SIGCONT)
    expect(banner).to_be_hidden()


@pytest.mark.parametrize(("language", "says"), [("en", "This page does not exist."), ("zh", "没有这个页面。")])
def test_a_page_that_does_not_exist(visit: Any, served: Served, language: str, says: str) -> None:
    page = visit("viewer", "/nowhere", language=language)
    expect(page.get_by_role("heading", name=says)).to_be_visible()
    answer = page.request.get(f"{served.url}/api/v1/nowhere")
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    page.get_by_role("link").click()
    expect(page.locator(".gg-room")).to_be_visible()


def test_names_on_the_map_cover_neither_each_other_nor_the_edge(visit: Any) -> None:
    for size in SIZES:
        page = visit("viewer", size=size)
        expect(page.locator(".gg-pin").first).to_be_visible()
        expect(page.locator(".gg-name")).not_to_have_count(0)
        # in one go: names are laid out anew when the rest of the rows comes
        boxes = page.locator(".gg-name").evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())")
        frame = page.locator(".gg-map").bounding_box()
        for n, a in enumerate(boxes):
            assert a["x"] >= frame["x"], size
            assert a["x"] + a["width"] <= frame["x"] + frame["width"], size
            for b in boxes[n + 1 :]:
                apart = (
                    a["x"] + a["width"] <= b["x"] + 1
                    or b["x"] + b["width"] <= a["x"] + 1
                    or a["y"] + a["height"] <= b["y"] + 1
                    or b["y"] + b["height"] <= a["y"] + 1
                )
                assert apart, (size, a, b)


def test_the_loss_page_on_paper(visit: Any) -> None:
    page = visit("engineer", "/loss")
    expect(page.locator("tr[data-pick='R-003']")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".gg-nav")).to_be_hidden()
    tops = [panel.bounding_box() for panel in page.locator(".gg-panel").all()]
    assert all(a["y"] + a["height"] <= b["y"] for a, b in pairwise(tops)), "one below the other"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_shelving_asks_for_a_reason(visit: Any) -> None:
    page = visit("operator")
    page.locator(".gg-row", has_text="No contact with a station").first.click()
    expect(page.locator(".gg-detail h3")).to_have_text("No contact with a station")
    page.keyboard.press("s")
    page.locator("[data-minutes='15']").click()
    expect(page.get_by_text("Say why.")).to_be_visible()
    page.locator(".gg-dialog input").fill("modem exchanged")
    page.locator("[data-minutes='15']").click()
    expect(page.locator(".gg-detail .gg-chip").first).to_have_text("shelved")


def test_the_system_page_names_what_is_down(visit: Any) -> None:
    page = visit("admin", "/system")
    expect(page.locator("tr", has_text="stations/S-02")).to_contain_text("does not answer")
    for told in ("37", "next try", "requests: 3, addresses: 118, every 60 s"):
        expect(page.locator("tr", has_text="stations/S-02")).to_contain_text(told)
    expect(page.locator("tr", has_text="State database")).to_contain_text("3")
    expect(page.locator("tr", has_text="not JSON").first).to_contain_text("3")
    expect(page.locator(".gg-card")).to_have_count(4)


@pytest.mark.parametrize(
    ("language", "theme", "size"), [("en", "dark", SIZES[0]), ("zh", "light", SIZES[1]), ("zh", "dark", SIZES[2])]
)
def test_no_page_scrolls_and_the_map_is_drawn(visit: Any, language: str, theme: str, size: tuple[int, int]) -> None:
    for path in ("/", "/loss", "/system"):
        page = visit("admin", path, language=language, theme=theme, size=size)
        expect(page.locator(".gg-head [data-clock=time]")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
        page.wait_for_timeout(300)
        over = (
            "[document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
        )
        assert page.evaluate(over) == [0, 0], path
        assert page.locator(".gg-head").evaluate("e => e.scrollWidth <= e.clientWidth"), path
        for box in page.locator(".gg-scroll, .gg-list").all():
            assert box.evaluate("e => e.scrollWidth <= e.clientWidth"), (path, box)
        if path == "/":
            expect(page.locator(".leaflet-canvas-pane, .leaflet-overlay-pane canvas").first).to_be_attached()
            expect(page.locator(".gg-pin").first).to_be_visible()


def test_live_changes_are_streamed(served: Served) -> None:
    with httpx.Client(base_url=served.url, timeout=60.0) as client:
        client.post("/api/v1/login", json={"name": "viewer", "password": PASSWORD}).raise_for_status()
        with client.stream("GET", "/api/v1/live") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith(":")
            asset = raise_alarm(served)
            data = next(line for line in lines if line.startswith("data:"))
    assert asset in data


def test_a_valve_is_closed_after_a_question_that_names_it(visit: Any) -> None:
    page = visit("operator", f"/commands?asset={JAMMED}")
    page.locator("[data-choose=valve_close]").click()
    dialog = page.locator(".gg-dialog")
    expect(dialog.locator("h2")).to_have_text(f"Close the valve: {JAMMED}")
    expect(dialog).to_contain_text("Gas to this customer stops at once.")
    dialog.locator("[data-go='1']").click()
    expect(page.get_by_text("Say why.")).to_be_visible()
    dialog.locator("input").fill("smell of <b>gas</b>")
    dialog.locator("[data-go='1']").click()
    row = page.locator(".gg-ordered tbody tr", has_text=JAMMED)
    expect(row).to_have_count(1)
    expect(row).to_contain_text("operator smell of <b>gas</b>")
    expect(row.locator(".gg-state.bad")).to_have_text("not done")
    expect(row).to_contain_text("valve open")


def test_a_second_person_agrees_in_chinese(visit: Any) -> None:
    first = visit("operator", "/commands")
    first.locator(".gg-find input").fill("REG-001")
    first.keyboard.press("Enter")
    first.locator("[data-choose=valve_close]").click()
    first.locator(".gg-dialog input").fill("fire brigade")
    first.locator("[data-go='1']").click()
    mine = first.locator(".gg-ordered tbody tr", has_text="REG-001")
    expect(mine).to_contain_text("waits for a second person")
    expect(mine.locator("[data-decide^=approve]")).to_have_count(0)
    second = visit("engineer", "/commands", language="zh")
    second.locator("tr", has_text="REG-001").locator("[data-decide^=approve]").click()
    expect(second.locator(".gg-dialog h2")).to_contain_text("关阀: REG-001")
    expect(second.locator(".gg-dialog")).to_contain_text("其下游全部用户立即停气")
    second.locator("[data-go='1']").click()
    expect(mine.locator(".gg-state")).to_have_text("done, read back")
    expect(mine).to_contain_text("operator, engineer")


def test_who_may_not_give_commands_sees_only_what_became_of_them(visit: Any) -> None:
    page = visit("viewer", "/commands?asset=REG-001")
    expect(page.locator("main.gg-commands")).to_contain_text("what was asked of devices, and what became of it")
    expect(page.locator("button[data-choose], button[data-find], button[data-decide]")).to_have_count(0)
    visit("operator", "/").locator(".gg-way a", has_text="Commands to").click()
