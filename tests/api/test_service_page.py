"""The service page in Chromium: a call becomes a ticket, a second caller joins it, the month is shown and printed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.api.conftest import SIZES, Served

pytestmark = [pytest.mark.browser]


def test_a_call_becomes_a_ticket_and_a_second_caller_joins_it(visit: Any, served: Served) -> None:
    page = visit("operator", "/service")
    page.locator("[name=number]").fill("13800000000")
    page.locator("[name=place]").fill("12 Liberation Road")
    page.locator("[name=asset]").fill("REG-001")
    page.locator("[name=asset]").blur()
    page.locator("form.gg-call button[type=submit]").first.click()
    said = page.get_by_text(re.compile(r"Ticket T-\d{8}-\d{6} is on its way."))
    expect(said).to_be_visible()
    ticket_no = re.search(r"T-\d{8}-\d{6}", said.inner_text())[0]  # type: ignore[index]
    page.locator("[name=number]").fill("110")
    page.locator("[name=place]").fill("14 Liberation Road")
    page.locator("[name=asset]").fill("REG-001")
    page.locator("[name=asset]").blur()
    join = page.locator(f"[data-join='{ticket_no}']")
    join.wait_for()
    join.click()
    expect(page.locator("[name=number]")).to_have_value("")
    answer = page.request.get(f"{served.url}/api/v1/calls").json()["calls"]
    assert [(one["ticket_no"], one["joined"]) for one in answer[:2]] == [(ticket_no, True), (ticket_no, False)]


def test_without_number_and_place_nothing_is_sent(visit: Any, served: Served) -> None:
    page = visit("operator", "/service")
    known = len(page.request.get(f"{served.url}/api/v1/calls").json()["calls"])
    page.locator("form.gg-call button[type=submit]").first.click()
    assert page.evaluate("document.querySelector('form.gg-call').checkValidity()") is False
    assert len(page.request.get(f"{served.url}/api/v1/calls").json()["calls"]) == known


@pytest.mark.parametrize(
    ("language", "size", "title"), [("zh", SIZES[0], "本月服务"), ("en", SIZES[1], "Service of the month")]
)
def test_the_page_fits_and_speaks_both_languages(visit: Any, language: str, size: tuple[int, int], title: str) -> None:
    page = visit("viewer", "/service", language=language, size=size)
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    assert page.locator("form.gg-call").count() == 0 or not page.locator("[name=number]").is_visible()
    page = visit("manager", "/service", language=language, size=size)
    expect(page.locator(".gg-month .gg-card")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.startswith("service-")
