"""The reading audit over HTTP and in Chromium: questioned readings are accepted or rejected, waiting meters listed."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.api.conftest import SIZES, Served
from tests.api.sample_questioned import LONG, SPIKE, UNUSUAL

pytestmark = [pytest.mark.browser]


def cases(page: Any, served: Served) -> dict[str, int]:
    answer = page.request.get(f"{served.url}/api/v1/questioned-readings").json()
    return {one["meter"]: one["id"] for one in answer["cases"]}


@pytest.mark.parametrize(
    ("language", "size", "words"),
    [("zh", SIZES[0], ("用量异常", "原始读数", "采信")), ("en", SIZES[1], ("unusual use", "Raw readings", "Accept"))],
)
def test_raw_stands_beside_the_estimate(
    visit: Any, language: str, size: tuple[int, int], words: tuple[str, ...]
) -> None:
    page = visit("auditor", "/audit", language=language, size=size)
    page.locator("[data-case]", has_text=UNUSUAL).click()
    expect(page.get_by_role("heading", name=words[0])).to_be_visible()
    expect(page.locator(".gg-facts")).to_contain_text("9.60")
    expect(page.get_by_role("heading", name=words[1])).to_be_visible()
    expect(page.locator(".gg-raw tr.marked")).to_have_count(1)
    expect(page.locator(".gg-days tbody tr").first).to_be_visible()
    expect(page.get_by_role("button", name=words[2], exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    assert page.locator(".gg-head").evaluate("e => e.clientHeight") < 60, "one head line"


def test_a_reading_is_rejected_and_its_day_set_by_hand(visit: Any, served: Served) -> None:
    page = visit("auditor", "/audit")
    page.locator("[data-case]", has_text=SPIKE).click()
    page.locator("[name=volume]").fill("0.5")
    page.get_by_role("button", name="Reject").click()
    assert page.evaluate("document.querySelector('.gg-decide').checkValidity()") is False, "a reason is needed"
    page.locator("[name=reason]").fill("photo of the <index>")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("[data-case]", has_text=SPIKE)).to_have_count(0)
    page.locator("[data-tab=decided]").click()
    expect(page.locator("tr", has_text=SPIKE)).to_contain_text("rejected")
    expect(page.locator("tr", has_text=SPIKE)).to_contain_text("photo of the <index>")
    assert SPIKE not in cases(page, served)


def test_a_case_is_decided_once_and_by_an_auditor_only(visit: Any, served: Served) -> None:
    page = visit("engineer", "/audit")
    page.locator("[data-case]", has_text=LONG).click()
    expect(page.get_by_role("heading", name="estimated for long")).to_be_visible()
    expect(page.locator("form.gg-decide")).to_have_count(0)
    number = cases(page, served)[LONG]
    path = f"{served.url}/api/v1/questioned-readings/{number}/decision"
    assert page.request.post(path, data={"accept": True, "reason": "visited"}).status == 403
    auditor = visit("auditor", "/audit")
    assert auditor.request.post(path, data={"accept": False, "reason": "visited"}).json()["code"] == "volume_required"
    assert auditor.request.post(path, data={"accept": True, "reason": "visited"}).json()["accepted"] is True
    assert auditor.request.post(path, data={"accept": True, "reason": "again"}).json()["code"] == "unknown_case"
    expect(page.locator("[data-case]", has_text=LONG)).to_have_count(0, timeout=15_000)


def test_meters_that_wait_for_a_reading_are_listed_by_class(visit: Any) -> None:
    page = visit("auditor", "/audit")
    page.locator("[data-tab=unread]").click()
    page.locator("[data-class=never]").click()
    expect(page.locator("tbody tr").first).to_contain_text("—")
    page.locator("[data-tab=old]").click()
    expect(page.get_by_text("No home has a meter older than ten years.")).to_be_visible()


def test_who_may_not_audit_is_told_so(visit: Any) -> None:
    page = visit("viewer", "/audit", language="zh")
    expect(page.get_by_role("heading", name="您的角色无权查看此页面。")).to_be_visible()
