"""Pages as Chromium prints them: every row, no empty sheet, nothing to press."""

from __future__ import annotations

import io
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

pytestmark = [pytest.mark.browser]


def printed(page: Page) -> list[str]:
    """Return the text of each sheet, without white space: a PDF has it anywhere."""
    page.wait_for_load_state("networkidle")
    return ["".join(sheet.extract_text().split()) for sheet in PdfReader(io.BytesIO(page.pdf())).pages]


@pytest.mark.parametrize("path", ["/reports", "/reports/loss", "/account", "/users", "/call-backs"])
def test_what_fits_on_one_sheet_takes_one(visit: Any, path: str) -> None:
    page = visit("admin", path)
    expect(page.locator(".gg-head")).to_be_visible()
    expect(page.locator("tbody tr").first).to_be_visible()
    assert len(printed(page)) == 1


def test_lists_are_printed_whole_and_in_their_order(visit: Any) -> None:
    page = visit("operator", "/", size=(1366, 420))
    expect(page.locator(".gg-row").first).to_be_visible()
    rows = page.evaluate("[...gasgate.room.state().alarms.values()].filter(row => row.tab === 'active').length")
    assert page.locator(".gg-list[aria-label=Alarms] .gg-row").count() <= rows
    text = "".join(printed(page))
    begun = [text.index(title) for title in ("Gasconcentrationveryhigh", "Nocontactwithastation", "Outletpressurehigh")]
    assert begun == sorted(begun)
    assert "Switchthehornon" not in text


@pytest.mark.parametrize("path", ["/network", "/reports/service"])
def test_a_value_that_can_be_pressed_is_printed(visit: Any, path: str) -> None:
    page = visit("manager", path)
    value = page.locator("td button").first
    page.emulate_media(media="print")
    expect(value).to_be_visible()
    expect(page.locator(".gg-export, .gg-bar-tools, .gg-search").first).to_be_hidden()
    assert "".join(value.inner_text().split()) in "".join(printed(page))
