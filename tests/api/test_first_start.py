"""A new site in Chromium: a guide stands in the place of empty pages and goes with the first reading."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.api.conftest import Nursery, Served, serving
from tests.api.sample_empty import FIRST_READING

pytestmark = [pytest.mark.browser]


@pytest.fixture(scope="module")
def served(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(nursery, "tests.api.sample_empty", tmp_path_factory.mktemp("new")) as found:
        yield found


@pytest.mark.parametrize(
    ("language", "title", "known"),
    [("zh", "尚未收到读数", "已读入 300 块表、5 座场站和调压器、15 个测点。"),
     ("en", "No readings have come yet", "300 meters, 5 stations and 15 points are known.")],
)  # fmt: skip
def test_the_guide_says_what_is_there_and_what_comes_next(visit: Any, language: str, title: str, known: str) -> None:
    page = visit("admin", "/loss", language=language)
    guide = page.locator(".gg-first")
    expect(guide.get_by_role("heading", name=title)).to_be_visible()
    expect(guide.locator("li.done").first).to_contain_text(known)
    expect(guide.locator("li:not(.done)")).to_contain_text("gasgate probe")
    expect(guide).to_contain_text("gasgate user add")
    expect(page.locator("main.gg-loss")).to_be_hidden()


def test_who_may_not_add_people_is_not_told_how(visit: Any) -> None:
    page = visit("viewer", "/loss")
    expect(page.locator(".gg-first")).to_contain_text("gasgate check")
    expect(page.locator(".gg-first")).not_to_contain_text("gasgate user add")


def test_the_page_can_be_shown_and_the_system_page_has_no_guide(visit: Any) -> None:
    page = visit("operator", "/")
    page.get_by_role("button", name="Show the page").click()
    expect(page.locator(".gg-first")).to_have_count(0)
    expect(page.locator("main.gg-room")).to_be_visible()
    page = visit("operator", "/system")
    expect(page.locator(".gg-card").first).to_be_visible()
    expect(page.locator(".gg-first")).to_have_count(0)


def test_it_goes_by_itself_with_the_first_reading(visit: Any, served: Served) -> None:
    page = visit("manager", "/reports")
    expect(page.locator(".gg-first")).to_be_visible()
    (served.folder / FIRST_READING).touch()
    expect(page.locator(".gg-first")).to_have_count(0, timeout=10_000)
    expect(page.locator("main.gg-report")).to_be_visible()
    Path(served.folder / FIRST_READING).unlink()
