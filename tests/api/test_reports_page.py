"""The reports and the alarm definitions in Chromium: a month is chosen, read, taken along and printed."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.api.conftest import SIZES, Served
from tests.api.sample_state import PASSWORD

pytestmark = [pytest.mark.browser]


@pytest.mark.parametrize(
    ("language", "title", "homes", "state"),
    [("zh", "月度简报", "居民抄见率", "未达标"), ("en", "Month on one sheet", "Households read", "not met")],
)
def test_the_month_stands_on_one_sheet(visit: Any, language: str, title: str, homes: str, state: str) -> None:
    page = visit("manager", "/reports", language=language)
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    row = page.locator("tr", has_text=homes)
    expect(row).to_contain_text(state)
    assert re.search(r"7\d\.\d\d %", row.inner_text())
    assert page.locator(".gg-sheet tbody tr").count() == 12


def test_another_month_is_chosen_and_says_that_it_has_no_figures(visit: Any) -> None:
    page = visit("viewer", "/reports/readings")
    expect(page.locator(".gg-sheet tbody tr")).to_have_count(3)
    expect(page.locator(".gg-report-head")).to_contain_text("2026-01-01 – 2026-01-14")
    page.locator("#gg-month").fill("2025-12")
    expect(page.locator(".gg-report-head")).to_contain_text("2025-12-01 – 2025-12-31")
    expect(page.locator("main.gg-report")).to_contain_text("No gas day of this month was audited yet.")
    page.goto(page.url.replace("2025-12", "2031-01"))
    expect(page.locator("main.gg-report")).to_contain_text("There are no figures for this month yet.")
    page.goto(page.url.replace("2031-01", "nonsense"))
    expect(page.locator(".gg-sheet tbody tr")).to_have_count(3)


def test_each_report_is_taken_along(visit: Any, served: Served) -> None:
    page = visit("manager", "/reports/service")
    expect(page.locator(".gg-month .gg-card")).to_have_count(4)
    for path, table, wanted in (
        ("/reports/service", "promises", "Emergencies"),
        ("/reports/alarms", "alarm-measures", "announced per hour"),
        ("/reports/readings", "reading-rates", "Whole city,300,233"),
        ("/reports", "month", "Loss rate of the city"),
        ("/reports/loss", "loss", "D-2"),
    ):
        page.goto(served.url + path)
        link = page.locator(f'.gg-export a[href^="/download/{table}.csv"]')
        answer = page.request.get(served.url + link.get_attribute("href"))
        assert answer.ok
        assert wanted in answer.text(), path


def test_a_figure_opens_to_its_tickets(visit: Any) -> None:
    page = visit("manager", "/reports/service")
    row = page.locator("tr", has_text="Emergency · crew on site")
    number = row.locator("[data-open='clock:EMERGENCY/arrive:kept']")
    count = int(number.inner_text())
    number.click()
    dialog = page.locator(".gg-dialog")
    expect(dialog.locator("a[href^='/tickets/T-']")).to_have_count(count)
    expect(page.locator("tr", has_text="Interruptions, planned")).to_contain_text("0")


def test_on_paper_there_is_the_report_and_nothing_to_press(visit: Any) -> None:
    page = visit("manager", "/reports/loss", theme="dark", size=SIZES[0])
    expect(page.locator(".gg-sheet").first).to_be_visible()
    page.emulate_media(media="print")
    for gone in (".gg-nav", ".gg-places", ".gg-bar-tools", ".gg-export"):
        expect(page.locator(gone).first).to_be_hidden()
    expect(page.locator(".gg-report-head h1")).to_be_visible()
    colours = page.locator(".gg-sheet td").first.evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert page.pdf()[:4] == b"%PDF"


def test_a_definition_is_found_proposed_and_approved_by_another(visit: Any, served: Served) -> None:
    page = visit("engineer", "/definitions", language="en")
    page.locator("input[type=search]").fill("underpress_lo")
    page.get_by_role("button", name="pressure low").click()
    form = page.locator("form.gg-call")
    form.locator("[name=on_delay_s]").fill("ninety")
    form.locator("[name=reason]").fill("the filter is <b>new</b>")
    form.get_by_role("button", name="Propose").click()
    expect(page.locator(".q-notification").last).to_contain_text("A number is not one.")
    form.locator("[name=on_delay_s]").fill("90")
    form.get_by_role("button", name="Propose").click()
    waits = page.locator("tr", has_text="on_delay_s: 60.0 → 90.0")
    expect(waits).to_contain_text("the filter is <b>new</b>")
    expect(waits.locator("button")).to_have_count(0)
    other = visit("manager", "/definitions", language="zh")
    row = other.locator("tr", has_text="on_delay_s: 60.0 → 90.0")
    row.get_by_role("button", name="同意").click()
    expect(row).to_have_count(0)
    with httpx.Client(base_url=served.url) as api:
        api.post("/api/v1/login", json={"name": "viewer", "password": PASSWORD}).raise_for_status()
        assert "on_delay_s = 90" in api.get("/api/v1/alarm-definitions.toml").text


def test_a_viewer_reads_every_definition_and_changes_none(visit: Any) -> None:
    page = visit("viewer", "/definitions")
    row = page.locator("tr", has_text="GAS_CONC_HIHI")
    for text in ("Gas escapes nearby", "Explosion or poisoning", "keep people out", "3 min"):
        expect(row).to_contain_text(text)
    row.get_by_role("button").click()
    expect(page.locator(".gg-journal")).to_contain_text("approved")
    expect(page.locator("main form")).to_have_count(0)
