"""What holds for every page of the register: it fits, it can be read by everybody, and it can be worked by keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

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
WIDE = ".gg-head, .gg-scroll, .gg-list, .gg-card-ticket .no"
TOO_WIDE = f"""() => [document.documentElement, ...document.querySelectorAll('{WIDE}')]
    .filter(e => e.scrollWidth > e.clientWidth)
    .map(e => `${{e.tagName}}.${{e.className}} ${{e.scrollWidth}} > ${{e.clientWidth}}`)"""

ONE_LINE = """() => {
    const [links, clock] = ['.gg-nav', '.gg-time'].map(one => document.querySelector(one).getBoundingClientRect());
    return clock.top < links.bottom && links.top < clock.bottom;
}"""
UNREACHABLE = """() => {
    const keys = ['pick', 'open', 'decide', 'step', 'choose', 'tab', 'act', 'go', 'fold', 'move', 'period'];
    const reached = e => e.matches('button, a[href], input, select, [tabindex]');
    return keys.flatMap(key => [...document.querySelectorAll(`.gg [data-${key}]`)]
        .filter(e => !reached(e) && ![...e.querySelectorAll(`[data-${key}]`)].some(reached))
        .map(e => e.outerHTML.slice(0, 160)));
}"""
"""what hears clicks, and no key leads to it"""


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
    expect(page.locator("main")).to_have_count(1)
    assert violations(page, WCAG) == []
    assert page.evaluate(UNREACHABLE) == [], "these can be clicked, but not be reached by keyboard"
    page.evaluate(OTHER_THEME)
    assert violations(page, CONTRAST) == []
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(TOO_WIDE) == [], (width, height)
        assert page.evaluate(ONE_LINE), f"the head line wraps at {width}"


@pytest.mark.parametrize(("language", "text"), [("zh", "跳到正文"), ("en", "To the content")])
def test_the_first_key_leads_past_the_head_line(visit: Any, language: str, text: str) -> None:
    page = opened(visit, "/loss", language=language)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name=text)
    expect(skip).to_be_focused()
    assert skip.evaluate("e => e.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    expect(page.locator("main.gg-loss")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main.gg-loss') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
