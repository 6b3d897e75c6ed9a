"""The main task of each page as its people do it in Chinese, where the other tests do it in English."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.api.sample_questioned import SPIKE

pytestmark = [pytest.mark.browser]
LATIN = re.compile(r"[a-z]{4,}", re.IGNORECASE)


def foreign(page: Page, places: str) -> list[str]:
    """Return what stands in a place of the page that has words, and none of them Chinese."""
    texts = [text.strip() for text in page.locator(places).all_inner_texts()]
    return [text for text in texts if LATIN.search(text) and not re.search(r"[\u4e00-\u9fff]", text)]


def test_an_alarm_is_acknowledged_and_another_shelved(visit: Any) -> None:
    page = visit("operator", language="zh")
    alarm = page.locator(".gg-row", has_text="燃气浓度超高").first
    alarm.click()
    expect(page.locator(".gg-detail h3")).to_have_text("燃气浓度超高")
    expect(page.locator(".gg-guide dt").first).to_have_text("首先处置")
    page.keyboard.press("a")
    expect(alarm).to_contain_text("已确认")
    page.locator(".gg-row", has_text="站点失联").first.click()
    expect(page.locator(".gg-detail h3")).to_have_text("站点失联")
    page.keyboard.press("s")
    page.locator("[data-minutes='15']").click()
    expect(page.get_by_text("请填写原因。")).to_be_visible()
    page.locator(".gg-dialog input").fill("更换通信模块")
    page.locator("[data-minutes='15']").click()
    expect(page.locator(".gg-detail .gg-chip").first).to_have_text("已搁置")
    assert foreign(page, ".gg-panel h2, .gg-detail dt, .gg-actions button, .gg-alarm-tools button") == []


def test_a_crew_gets_a_note(visit: Any) -> None:
    page = visit("operator", "/tickets", language="zh")
    page.locator(".gg-card-ticket", has_text="REG-002").first.click()
    page.wait_for_url("**/tickets/T-*")
    page.get_by_role("button", name="给抢修人员备注…").click()
    page.locator(".gg-dialog [name=reason]").fill("大门上锁，请联系物业")
    page.keyboard.press("Enter")
    expect(page.locator(".gg-history li", has_text="大门上锁，请联系物业")).to_contain_text("operator")
    expect(page.locator(".gg-history .step b").first).to_have_text("已出发")
    assert foreign(page, "h2, th, .gg-step small, .gg-choices button") == []


def test_a_call_becomes_a_ticket_and_a_customer_is_called_back(visit: Any) -> None:
    page = visit("operator", "/calls", language="zh")
    page.locator(".gg-report [name=number]").fill("13800000000")
    page.locator(".gg-report [name=place]").fill("解放路 12 号")
    page.locator("form.gg-report button[type=submit]").first.click()
    expect(page.get_by_text(re.compile(r"工单 T-\d{8}-\d{6} 已发出。"))).to_be_visible()
    expect(page.locator("tbody tr").first).to_contain_text("解放路 12 号")
    page.goto(page.url.replace("/calls", "/call-backs"))
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    rows.first.get_by_role("button", name="已接通", exact=True).click()
    page.locator(".gg-dialog [name=attitude]").select_option("4")
    page.locator(".gg-dialog button[type=submit]").click()
    expect(rows).to_have_count(1)
    rows.first.get_by_role("button", name="未接通").click()
    expect(rows.locator("td.num")).to_have_text("1")
    assert foreign(page, "h2, th, label > span") == []


def test_from_the_city_s_loss_to_what_an_inspection_found(visit: Any) -> None:
    page = visit("engineer", "/", language="zh")
    page.locator(".gg-nav a", has_text="输差").click()
    page.locator("tr[data-pick='D-2']").click()
    page.locator(".gg-list[aria-label=线索] .gg-row", has_text="M-000241").click()
    page.locator("[data-open]").click()
    expect(page.locator("h1")).to_have_text("疑似偷盗气 · M-000241")
    page.locator("input[value=confirmed]").check()
    page.locator("[name=found_m3_per_day]").fill("31.5")
    page.locator("[name=note]").fill("表后私接旁通管")
    page.locator("form button").click()
    expect(page.locator(".gg-visits li")).to_contain_text("表后私接旁通管")
    expect(page.locator(".gg-facts").first).to_contain_text("查实")
    assert foreign(page, "h2, .gg-facts small, .gg-inspection label, .gg-alternatives span") == []


def test_a_reading_is_rejected_and_found_in_the_audit_trail(visit: Any) -> None:
    page = visit("auditor", "/audit", language="zh")
    page.locator("[data-case]", has_text=SPIKE).click()
    page.locator("[name=volume]").fill("0.5")
    page.locator("[name=reason]").fill("现场照片核对")
    page.get_by_role("button", name="不采信").click()
    expect(page.locator("[data-case]", has_text=SPIKE)).to_have_count(0)
    page.goto(page.url.replace("/audit", "/audit-trail"))
    page.locator("[name=who]").fill("auditor")
    page.get_by_role("button", name="查找").click()
    page.wait_for_url("**/audit-trail?who=auditor**")
    expect(page.locator(".gg-trail tbody tr", has_text=SPIKE).first).to_contain_text("现场照片核对")
    assert foreign(page, "h2, th, .gg-trail td:nth-child(3)") == []


def test_the_system_page_names_what_is_down(visit: Any) -> None:
    page = visit("admin", "/system", language="zh")
    expect(page.locator("tr", has_text="stations/S-02")).to_contain_text("无应答")
    expect(page.locator("tr", has_text="stations/S-02")).to_contain_text("3 个请求，118 个地址")
    assert foreign(page, "h2, th, .gg-card h3, .gg-state") == []


def test_one_s_own_password_is_changed(visit: Any) -> None:
    page = visit("viewer", "/account", language="zh")
    for name, text in (
        ("before", "demo-password"),
        ("after", "一句容易记住的短话语"),
        ("again", "一句容易记住的短话语"),
    ):
        page.locator(f"[name={name}]").fill(text)
    page.get_by_role("button", name="修改密码").click()
    expect(page.get_by_text("密码已修改")).to_be_visible()
    assert foreign(page, "h2, th, label > span") == []
