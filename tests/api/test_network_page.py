"""The network page and planned interruptions, in Chromium."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from openpyxl import load_workbook
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_values_against_limits_go_into_one_trend(visit: Any, language: str) -> None:
    page = visit("operator", "/network", language=language)
    rows = page.locator(".gg-sites tbody tr")
    expect(rows).to_have_count(5)
    gas = page.locator("[data-point='REG-002/gas_lel_pct']")
    expect(gas).to_have_class("gg-value outside")
    expect(gas).to_contain_text("▲")
    expect(page.locator("[data-point='REG-001/gas_lel_pct']")).to_have_class("gg-value")
    assert "≥ 20.0" in gas.get_attribute("title")

    page.locator("[data-drop^='S-01']").click()
    expect(page.locator("[data-drop]")).to_have_count(0)
    expect(page.locator("[data-point^='S-01'][aria-pressed=true]")).to_have_count(0)
    with page.expect_response(lambda answer: answer.url.count("point=") == 3) as found:
        for number, point in enumerate(("REG-001", "REG-002", "REG-003"), 1):
            page.locator(f"[data-point='{point}/pressure_gauge_kpa']").click()
            expect(page.locator("[data-drop]")).to_have_count(number)
            expect(page.locator(".gg-value[aria-pressed=true]")).to_have_count(number)
    points = parse_qs(urlsplit(found.value.url).query)["point"]
    assert points == [f"REG-00{n}/pressure_gauge_kpa" for n in (1, 2, 3)]
    with page.expect_response(lambda answer: answer.url.count("point=") == 4):
        page.locator("[data-point='REG-001/flow_base_m3h']").click()
    expect(page.locator("[data-drop]")).to_have_count(4)
    page.locator("[data-point='REG-001/gas_lel_pct']").click()
    expect(page.locator("[data-drop]")).to_have_count(2)

    expect(page.locator(".gg-pressure")).to_have_count(5)
    page.locator("[name=zone]").select_option("R-003")
    expect(rows).to_have_count(1)
    expect(page.locator(".gg-pressure")).to_have_count(1)


def test_an_answer_about_points_that_were_dropped_meanwhile_is_not_drawn(visit: Any) -> None:
    page = visit("operator", "/network")
    expect(page.locator("[data-drop]")).to_have_count(1)
    said = page.locator(".gg-series-said")
    expect(said).to_be_hidden()
    page.evaluate(
        """() => {
          const whole = Response.prototype.json;
          window.held = [];
          Response.prototype.json = async function () {
            const found = await whole.call(this);
            if (this.url.includes("/api/v1/series")) await new Promise((done) => held.push(done));
            return found;
          };
        }"""
    )
    with page.expect_response(lambda answer: answer.url.count("point=") == 2):
        page.locator("[data-point='REG-002/pressure_gauge_kpa']").click()
    page.wait_for_function("() => held.length === 1")
    page.locator("[data-drop^='REG-002']").click()
    expect(page.locator("[data-drop]")).to_have_count(1)
    page.wait_for_function("() => held.length === 2")
    page.evaluate("() => held[0]()")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(said).to_be_visible()
    page.evaluate("() => held[1]()")
    expect(said).to_be_hidden()


def test_the_address_of_a_site_shows_it_with_its_limits(visit: Any) -> None:
    page = visit("viewer", "/network?asset=REG-003")
    expect(page.locator(".gg-sites tbody tr")).to_have_count(1)
    expect(page.locator("[data-drop='REG-003/pressure_gauge_kpa']")).to_be_visible()
    page.locator("[name=text]").fill("no such place")
    expect(page.locator(".gg-empty")).to_contain_text("No station and no regulator is like that.")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_interruption_is_announced_told_stopped_and_restored(visit: Any, language: str) -> None:
    zone = {"zh": "R-003", "en": "R-002"}[language]
    page = visit("manager", "/interruptions", language=language)
    form = page.locator("form.gg-call")
    form.locator("[name=zones]").fill(zone)
    form.locator("[name=start]").fill("2026-01-16T10:00")
    form.locator("[name=end]").fill("2026-01-17T12:00")
    form.locator("[name=reason]").fill("new valve")
    form.locator("button").click()
    expect(page.locator(".q-notification").last).to_contain_text("24")
    form.locator("[name=end]").fill("2026-01-16T16:00")
    form.locator("button").click()
    row = page.locator("tr[data-pick]", has_text=zone)
    expect(row).to_have_attribute("aria-selected", "true")
    expect(form.locator("[name=zones]")).to_have_value("")
    customers = page.locator(".gg-table.tight tbody tr")
    expect(customers).to_have_count(100)
    told = page.locator(".gg-notices form")
    told.locator("[name=channel]").select_option("poster")
    told.locator("[name=customers]").fill("97")
    told.locator("button").click()
    expect(page.locator(".gg-notices li")).to_contain_text("97")
    with page.expect_download() as download:
        page.locator(".gg-notices .gg-export a", has_text="XLSX").click()
    sheet = load_workbook(io.BytesIO(Path(download.value.path()).read_bytes())).active
    assert sheet.max_row == 101
    row.locator("[data-step^=closed]").click()
    expect(row.locator("[data-step^=restored]")).to_be_visible()
    row.locator("[data-step^=restored]").click()
    expect(row.locator("[data-step]")).to_have_count(0)


def test_who_may_not_plan_sees_the_plans_and_no_form(visit: Any) -> None:
    page = visit("viewer", "/interruptions")
    expect(page.locator(".gg-panel h2").first).to_have_text("Planned interruptions")
    expect(page.locator("form")).to_have_count(0)
    expect(page.locator("[data-step]")).to_have_count(0)
