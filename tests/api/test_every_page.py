"""What holds for every page of the register: it fits, it can be read by everybody, and it can be worked by keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.api.conftest import SIZES
from tests.api.every_page import addresses

pytestmark = [pytest.mark.browser]
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}
OTHER_THEME = """() => {
    const light = document.documentElement.dataset.theme !== 'light';
    document.documentElement.dataset.theme = light ? 'light' : 'dark';
    document.body.classList.toggle('body--dark', !light);
    document.body.classList.toggle('body--light', light);
}"""
FOUND = """async (options) => (await axe.run(document, options)).violations.flatMap(
    one => one.nodes.map(node => `${one.id} ${node.target} ${node.html.slice(0, 160)} ${node.failureSummary}`))"""
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll('.gg-head, .gg-scroll, .gg-list')]
    .filter(e => e.scrollWidth > e.clientWidth)
    .map(e => `${e.tagName}.${e.className} ${e.scrollWidth} > ${e.clientWidth}`)"""


def opened(visit: Any, path: str, **options: Any) -> Page:
    page: Page = visit("admin", path, **options)
    page.locator(".gg-head").wait_for()
    page.wait_for_load_state("networkidle")
    return page


def violations(page: Page, options: dict[str, Any]) -> list[str]:
    """Return each violation that axe finds: its rule, the place and what is wrong."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(FOUND, options)
    return found


@pytest.mark.parametrize("path", addresses())
def test_everybody_can_read_it_and_it_fits(visit: Any, path: str) -> None:
    page = opened(visit, path)
    assert violations(page, WCAG) == []
    page.evaluate(OTHER_THEME)
    assert violations(page, CONTRAST) == []
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(TOO_WIDE) == [], (width, height)
