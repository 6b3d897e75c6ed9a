"""What every page shows a role that may not see it, a new site, and people while its data cannot be read."""

from __future__ import annotations

import html
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as Late

from tests.api.conftest import Nursery, Served, serving
from tests.api.every_page import addresses
from tests.api.sample_state import PASSWORD

NOT_FOR_VIEWERS = {"/audit", "/audit-trail", "/users"}
REFUSED = {
    "zh": ("您的角色无权查看此页面。", "如有需要，请联系管理员。"),
    "en": ("Your role may not see this page.", "Ask an administrator if you need it."),
}
UNREAD = {
    "zh": ("报警和工单暂时读不到，所见内容可能已过时。", "请以电话和现场仪表为准"),
    "en": ("Alarms and tickets cannot be read now: what you see may be old.", "Go by telephone"),
}
NEVER = {"zh": "本页暂时读不出来。", "en": "This page cannot be read now."}
INSIDES = re.compile(r"Traceback|sqlite|malformed|state\.db|\.py\b", re.IGNORECASE)
WHO_IS_WHO = {"user", "session", "known_browser", "api_token", "login_failure", "audit", "role_health"}
"""tables that stay whole, so that sessions and signs of life go on"""
BLANK = """() => [...document.querySelectorAll('.gg-panel')].filter(e => {
    const box = e.getBoundingClientRect();
    const shown = [...e.children].filter(c => c.tagName !== 'HEADER' && !c.classList.contains('gg-in-head'));
    const drawn = e.querySelector('canvas, svg, form, .leaflet-container');
    return box.width * box.height > 20000 && !drawn && !shown.some(c => c.innerText.trim());
}).map(e => e.innerText || e.className)"""
"""large panels with nothing below their head"""


@contextmanager
def person(url: str, name: str, language: str = "zh") -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"accept": "text/html"}, timeout=60, trust_env=False) as client:
        client.post("/api/v1/login", json={"name": name, "password": PASSWORD}).raise_for_status()
        client.cookies.set("gasgate_language", language)
        yield client


def words_of(answer: httpx.Response) -> str:
    """Return a page's text, also that which stands in its script."""
    return html.unescape(answer.text)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_page_that_is_not_for_a_role_says_so_and_where_to_ask(served: Served, language: str) -> None:
    refused = set()
    with person(served.url, "viewer", language) as viewer:
        for path in addresses():
            answer = viewer.get(path)
            if answer.status_code == 403:
                refused.add(path)
                assert all(text in words_of(answer) for text in REFUSED[language]), path
            else:
                assert answer.status_code == 200, path
    assert refused == NOT_FOR_VIEWERS


def test_a_page_says_that_it_is_being_computed(served: Served) -> None:
    with person(served.url, "manager") as manager:
        assert "正在计算…" in words_of(manager.get("/reports/alarms"))


@pytest.fixture(scope="module")
def new_site(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(nursery, "tests.api.sample_empty", tmp_path_factory.mktemp("new")) as found:
        yield found


@pytest.mark.browser
def test_no_page_of_a_new_site_is_blank(browser: Browser, new_site: Served) -> None:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    with person(new_site.url, "admin") as admin:
        context.add_cookies([{"name": n, "value": v, "url": new_site.url} for n, v in admin.cookies.items()])
    page = context.new_page()
    for path in addresses():
        answer = page.goto(new_site.url + path)
        assert answer is not None
        assert answer.status in {200, 404}, path
        if page.locator(".gg-first").count():
            page.get_by_role("button", name="显示页面").click()
        page.wait_for_load_state("networkidle")
        expect(page.locator("main")).to_be_visible()
        # what comes over the open connection counts as no load, and on a busy machine it may come after it
        with suppress(Late):
            page.wait_for_function(f"({BLANK})().length === 0", timeout=15_000)
        assert page.evaluate(BLANK) == [], path
    context.close()


@pytest.fixture(scope="module")
def seen_before(browser: Browser, served: Served) -> Iterator[Page]:
    """Return a control room that was opened while all was well."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    with person(served.url, "operator") as operator:
        context.add_cookies([{"name": n, "value": v, "url": served.url} for n, v in operator.cookies.items()])
    page = context.new_page()
    page.goto(served.url)
    page.locator(".gg-row").first.wait_for()
    yield page
    context.close()


@contextmanager
def writers_held_back(file: Path) -> Iterator[sqlite3.Connection]:
    """Let nobody write from a moment on at which the database's file holds everything."""
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as connection:
        for _ in range(50):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("BEGIN IMMEDIATE")
            if file.with_name(f"{file.name}-wal").stat().st_size == 0:
                break
            connection.execute("ROLLBACK")
        else:
            raise AssertionError("somebody reads all the time")
        yield connection


@pytest.fixture(scope="module")
def damaged(served: Served, seen_before: Page) -> Iterator[Served]:
    """Spoil every table but those of people, as a bad disk does, until the tests are done."""
    file = served.folder / "state.db"
    expect(seen_before.locator(".gg-trouble .old")).to_have_count(0)
    whole = {}
    with writers_held_back(file) as connection, file.open("r+b") as pages:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        for name, root in connection.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"):
            if name not in WHO_IS_WHO and root > 1:
                pages.seek((root - 1) * size)
                whole[root] = pages.read(size)
                pages.seek((root - 1) * size)
                pages.write(b"\xff" * size)
    expect(seen_before.locator(".gg-trouble .old")).to_be_visible()
    yield served
    with file.open("r+b") as pages:
        for root, content in whole.items():
            pages.seek((root - 1) * size)
            pages.write(content)
    # whoever holds spoiled pages reads them anew once somebody has written, as at a log-in
    with person(served.url, "viewer"):
        expect(seen_before.locator(".gg-trouble .old")).to_have_count(0)


@pytest.mark.browser
def test_an_open_control_room_says_that_it_is_old(damaged: Served, seen_before: Page) -> None:
    line = seen_before.get_by_role("alert").filter(has_text=UNREAD["zh"][0])
    expect(line).to_contain_text(UNREAD["zh"][1])
    expect(seen_before.locator(".gg-row").first).to_be_visible()
    assert seen_before.locator("main").evaluate("e => getComputedStyle(e).filter") == "grayscale(1)"
    assert line.evaluate("e => e.getBoundingClientRect().bottom") <= seen_before.locator(".gg-head").evaluate(
        "e => e.getBoundingClientRect().top"
    ), "it covers nothing"


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
def test_each_page_says_that_it_cannot_be_read_and_what_to_do(damaged: Served, language: str) -> None:
    with person(damaged.url, "admin", language) as admin:
        for path in addresses():
            answer = admin.get(path)
            text = words_of(answer)
            assert answer.status_code in {200, 503}, path
            assert UNREAD[language][1] in text, path
            assert UNREAD[language][0] in text or NEVER[language] in text, path
            assert not INSIDES.search(re.sub(r"<(script|link)[^>]*>", "", text)), path
        for path in ("/findings/1", "/api/v1/tickets"):
            told = admin.get(path, headers={"accept": "application/json"})
            assert (told.status_code, told.json()["code"]) == (503, "unavailable")
            assert not INSIDES.search(told.text), path


@pytest.mark.browser
def test_a_page_that_was_never_read_has_a_word_in_its_place(visit: Any, damaged: Served) -> None:
    page = visit("engineer", "/loss", language="zh")
    cover = page.locator(".gg-trouble section")
    expect(cover.get_by_role("heading")).to_have_text(NEVER["zh"])
    expect(page.locator("main.gg-loss")).to_be_hidden()
    cover.get_by_role("button", name="重试").click()
    expect(cover).to_be_visible()
    cover.get_by_role("link", name="前往“系统”页").click()
    expect(page.locator(".gg-trouble section a")).to_have_count(0)
