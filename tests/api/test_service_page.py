"""The month of service in Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.api.conftest import SIZES

pytestmark = [pytest.mark.browser]


@pytest.mark.parametrize(
    ("language", "size", "title"), [("zh", SIZES[0], "本月服务"), ("en", SIZES[1], "Service of the month")]
)
def test_the_page_fits_and_speaks_both_languages(visit: Any, language: str, size: tuple[int, int], title: str) -> None:
    page = visit("viewer", "/service", language=language, size=size)
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    page = visit("manager", "/service", language=language, size=size)
    expect(page.locator(".gg-month .gg-card")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.startswith("service-")
