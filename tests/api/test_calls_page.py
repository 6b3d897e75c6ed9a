"""Telephone reports and call-backs in Chromium: a call becomes a ticket or joins one, a customer answers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.api.conftest import Served

pytestmark = [pytest.mark.browser]


def test_a_call_becomes_a_ticket_and_a_second_caller_joins_it(visit: Any, served: Served) -> None:
    page = visit("operator", "/calls")
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
    page = visit("operator", "/calls")
    known = len(page.request.get(f"{served.url}/api/v1/calls").json()["calls"])
    page.locator("form.gg-call button[type=submit]").first.click()
    assert page.evaluate("document.querySelector('form.gg-call').checkValidity()") is False
    assert len(page.request.get(f"{served.url}/api/v1/calls").json()["calls"]) == known


def test_who_takes_no_calls_sees_them_without_the_callers_number(visit: Any) -> None:
    page = visit("viewer", "/calls", language="zh")
    row = page.locator("tr", has_text="站前街 9 号")
    expect(row).to_contain_text("闻到燃气味 · 室内")
    expect(row).not_to_contain_text("13700002222")
    expect(page.locator("form.gg-call")).to_have_count(0)


def test_a_customer_is_called_back(visit: Any, served: Served) -> None:
    page = visit("operator", "/call-backs")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    page.locator("tr", has_text="Station").get_by_role("button", name="Reached", exact=True).click()
    page.locator(".gg-dialog [name=attitude]").select_option("4")
    page.locator(".gg-dialog button[type=submit]").click()
    expect(rows).to_have_count(1)
    page.locator("tr", has_text="Company").get_by_role("button", name="Not reached").click()
    expect(rows.locator("td.num")).to_have_text("1")
    (left,) = page.request.get(f"{served.url}/api/v1/call-backs").json()["call_backs"]
    assert (left["level"], len(left["tries"])) == ("company", 1)
