"""Meters are found and one is looked at, in Chromium."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser]
SHOWN = """() => { const c = document.querySelector('.gg-series-chart canvas').getContext('2d');
    const d = c.getImageData(0, 0, c.canvas.width, c.canvas.height).data;
    let n = 0; for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n }"""


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_meter_is_found_by_a_part_of_its_address_and_opened(visit: Any, language: str) -> None:
    page = visit("auditor", "/meters", language=language)
    rows = page.locator(".gg-meters tbody tr")
    expect(rows).to_have_count(50)
    page.locator("[data-page=next]").click()
    expect(rows.first).to_contain_text("M-000051")
    page.locator("[name=text]").fill("河东大道 61 号")
    expect(rows).to_have_count(4)
    page.locator("[name=kind]").select_option("remote")
    expect(rows.filter(has_text="M-000241")).to_have_count(1)
    expect(page).to_have_url(re.compile("kind=remote"))
    assert parse_qs(urlsplit(page.url).query) == {"text": ["河东大道 61 号"], "kind": ["remote"]}
    page.reload()
    expect(page.locator("[name=text]")).to_have_value("河东大道 61 号")
    with page.expect_download() as download:
        page.locator(".gg-export a", has_text="CSV").click()
    saved = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    expect(rows.locator("a")).to_have_text([row[0] for row in saved[1:]])
    rows.filter(has_text="M-000241").locator("a").click()
    expect(page.locator("h1")).to_have_text("M-000241")
    expect(page.locator(".gg-meter-head")).to_contain_text("4401000241")
    expect(page.locator(".gg-list-plain a[href='/findings/1']")).to_be_visible()
    expect(page.locator(".gg-days tbody tr").first).to_contain_text("0.450")
    expect(page.locator(".gg-newest")).to_contain_text("低" if language == "zh" else "low battery")
    page.locator(".gg-newest a", has_text="remote-meters").click()
    expect(page).to_have_url(re.compile(r"/system\?link=remote-meters"))
    expect(page.locator(".gg-links tbody tr").first).to_contain_text("remote-meters")
    expect(page.locator(".gg-links tr[aria-current=true]")).to_have_count(1)


def test_nothing_like_that_is_said(visit: Any) -> None:
    page = visit("viewer", "/meters?text=nothing+like+that")
    expect(page.locator(".gg-empty")).to_contain_text("No meter is like that.")
    assert page.goto(page.url.partition("/meters")[0] + "/meters/M-999999").status == 404


def test_who_may_not_see_customers_sees_meters_without_them(visit: Any) -> None:
    page = visit("viewer", "/meters?text=M-00024", language="zh")
    rows = page.locator(".gg-meters tbody tr")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("•••")
    assert "4401000" not in page.content()  # how account numbers begin; chance ids may well hold "4401"
    assert "河东大道" not in page.content()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    saved = Path(download.value.path()).read_text("utf-8-sig")
    assert "M-000241,•••,•••," in saved
    assert "4401000" not in saved
    page.get_by_role("searchbox").fill("4401000017")
    expect(page.locator(".gg-empty")).to_be_visible()
    page.goto(page.url.partition("/meters")[0] + "/meters/M-000241")
    expect(page.locator(".gg-meter-head")).to_contain_text("•••")
    assert "4401000241" not in page.content()


def asked(page: Page, act: Any, meant: Callable[[dict[str, list[str]]], bool]) -> dict[str, list[str]]:
    """Return the question that is meant among those the chart asks the server because of an act.

    Several keys in a row may ask several times, on a slow machine even once more when the next act has begun.
    """
    with page.expect_response(lambda answer: "/api/v1/series" in answer.url and meant(query(answer.url))) as found:
        act()
    return query(found.value.url)


def query(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query)


def hours(asked_for: dict[str, list[str]]) -> float:
    begin, end = (datetime.fromisoformat(asked_for[name][0]) for name in ("from", "to"))
    return (end - begin).total_seconds() / 3600


def press(page: Page, key: str, times: int) -> None:
    for _ in range(times):
        page.keyboard.press(key)


def test_a_year_of_readings_zooms_to_hours_and_can_be_saved(visit: Any, tmp_path: Path) -> None:
    page = visit("engineer", "/meters/M-000241")
    page.wait_for_load_state("networkidle")  # the first month has been asked for
    page.locator(".gg-series-said").wait_for(state="hidden")
    click_year = page.locator("[data-days='365']").click
    year = asked(page, click_year, lambda span: hours(span) == pytest.approx(365 * 24))
    assert year["point"] == ["M-000241/register_measured_m3"]
    chart = page.locator(".gg-series-chart")
    chart.focus()
    # What is in sight, with some room at both sides, is asked for anew.
    finer = asked(page, lambda: press(page, "+", 4), lambda span: hours(span) < 24 * 60)
    asked(page, lambda: press(page, "ArrowLeft", 8), lambda span: span["from"] < finer["from"])
    expect(page.locator(".gg-series-said")).to_be_hidden()
    page.wait_for_function(f"({SHOWN})() > 2000")
    asked(page, page.locator("[data-shown=use]").click, lambda span: span.get("use") == ["true"])
    page.locator(".gg-series-said").wait_for(state="hidden")
    box = chart.bounding_box()
    with page.expect_download() as download:
        page.mouse.click(box["x"] + box["width"] - 24, box["y"] + 18)
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    assert "M-000241" in download.value.suggested_filename


def test_a_chart_says_so_while_readings_cannot_be_had(visit: Any) -> None:
    page = visit("viewer", "/meters/M-000020")
    expect(page.locator(".gg-series-said")).to_contain_text("No readings in this span.")
    expect(page.locator(".gg-newest")).to_contain_text("never heard")
    expect(page.locator(".gg-days")).to_have_count(0)
    page.route("**/api/v1/series*", lambda route: route.fulfill(status=503, body=json.dumps({"code": "unavailable"})))
    page.locator("[data-days='7']").click()
    expect(page.locator(".gg-series-said")).to_contain_text("Try again")
