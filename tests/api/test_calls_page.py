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
    page.locator(".gg-report [name=number]").fill("13800000000")
    page.locator(".gg-report [name=place]").fill("12 Liberation Road")
    page.locator(".gg-report [name=asset]").fill("REG-001")
    page.locator(".gg-report [name=asset]").blur()
    page.locator("form.gg-report button[type=submit]").first.click()
    said = page.get_by_text(re.compile(r"Ticket T-\d{8}-\d{6} is on its way."))
    expect(said).to_be_visible()
    ticket_no = re.search(r"T-\d{8}-\d{6}", said.inner_text())[0]  # type: ignore[index]
    page.locator(".gg-report [name=number]").fill("110")
    page.locator(".gg-report [name=place]").fill("14 Liberation Road")
    page.locator(".gg-report [name=asset]").fill("REG-001")
    page.locator(".gg-report [name=asset]").blur()
    join = page.locator(f"[data-join='{ticket_no}']")
    join.wait_for()
    join.click()
    expect(page.locator(".gg-report [name=number]")).to_have_value("")
    answer = page.request.get(f"{served.url}/api/v1/calls").json()["calls"]
    assert [(one["ticket_no"], one["joined"]) for one in answer[:2]] == [(ticket_no, True), (ticket_no, False)]


def test_the_place_is_found_by_typing_and_what_is_open_there_is_shown_before_sending(
    visit: Any, served: Served
) -> None:
    page = visit("operator", "/calls", language="zh")
    page.locator(".gg-report [name=place]").press_sequentially("柳园调压")
    page.locator("[data-place='REG-001']").click()
    expect(page.locator(".gg-report [name=place]")).to_have_value("柳园调压站")
    expect(page.locator(".gg-report [name=asset]")).to_have_value("REG-001")
    there = page.locator(".gg-open-there")
    expect(there).to_contain_text("出口压力低")
    expect(page.locator(".gg-place-map .gg-here")).to_be_visible()
    page.locator(".gg-report [name=place]").fill("柳园调压站东侧")
    page.wait_for_timeout(600)
    expect(page.locator(".gg-chosen")).to_contain_text("REG-001")
    page.locator(".gg-report [name=place]").fill("河东大道")
    expect(page.locator(".gg-chosen")).to_have_text("")
    expect(page.locator(".gg-report [name=asset]")).to_have_value("")
    expect(page.locator("[data-place='REG-003']")).to_be_visible()


def test_a_click_on_the_map_sets_the_place_that_the_ticket_gets(visit: Any, served: Served) -> None:
    page = visit("operator", "/calls")
    page.locator(".gg-report [name=number]").fill("13800000001")
    page.locator(".gg-report [name=place]").fill("beside the bridge")
    page.locator(".gg-place-map .leaflet-container").click(position={"x": 60, "y": 40})
    chip = page.locator(".gg-chosen .gg-chip")
    expect(chip).to_contain_text("Place on the map")
    page.locator("form.gg-report button[type=submit]").first.click()
    expect(chip).to_have_count(0)
    newest = page.request.get(f"{served.url}/api/v1/calls").json()["calls"][0]
    assert newest["place"] == "beside the bridge"
    assert {"x_m", "y_m"} <= set(newest)
    assert "asset" not in newest


def test_without_number_and_place_nothing_is_sent(visit: Any, served: Served) -> None:
    page = visit("operator", "/calls")
    known = len(page.request.get(f"{served.url}/api/v1/calls").json()["calls"])
    page.locator("form.gg-report button[type=submit]").first.click()
    assert page.evaluate("document.querySelector('form.gg-report').checkValidity()") is False
    assert len(page.request.get(f"{served.url}/api/v1/calls").json()["calls"]) == known


def test_who_takes_no_calls_sees_them_without_the_callers_number(visit: Any) -> None:
    page = visit("viewer", "/calls", language="zh")
    row = page.locator("tr", has_text="站前街 9 号")
    expect(row).to_contain_text("闻到燃气味 · 室内")
    expect(row).not_to_contain_text("13700002222")
    expect(page.locator("form.gg-report")).to_have_count(0)


@pytest.mark.parametrize(
    ("language", "kind", "wanted"),
    [("zh", "现场勘查 · 工商用户", "survey"), ("en", "Complaint", "complaint")],
)
def test_an_order_becomes_a_ticket_with_the_clocks_of_its_type(
    visit: Any, served: Served, language: str, kind: str, wanted: str
) -> None:
    page = visit("operator", "/calls", language=language)
    page.locator(".gg-report [name=note]").fill("half a call")
    page.get_by_role("tab").nth(1).click()
    form = page.locator("form.gg-order")
    expect(page.locator("form.gg-report")).to_be_hidden()
    form.locator("[name=what]").select_option(kind)
    for name, text in (("customer", "王芳"), ("phone", "letters"), ("place", "柳园路 7 号"), ("asset", "M-999999")):
        form.locator(f"[name={name}]").fill(text)
    form.locator("button[type=submit]").click()
    said = page.locator(".q-notification")
    expect(said).to_have_count(1)
    form.locator("[name=phone]").fill("13500004444")
    form.locator("button[type=submit]").click()
    expect(said).to_have_count(2)
    assert re.search(r"T-\d{8}-\d{6}", " ".join(said.all_inner_texts())) is None, "refused: nobody has such a meter"
    form.locator("[name=asset]").fill("M-000060")
    form.locator("button[type=submit]").click()
    expect(said.filter(has_text="T-")).to_have_count(1)
    number = re.search(r"T-\d{8}-\d{6}", said.filter(has_text="T-").inner_text())[0]  # type: ignore[index]
    expect(form.locator("[name=customer]")).to_have_value("")
    ticket = page.request.get(f"{served.url}/api/v1/tickets/{number}").json()
    assert (ticket["ticket_class"], ticket["type"], ticket["asset"]) == (
        "SERVICE",
        wanted,
        "M-000060",
    )
    page.get_by_role("tab").first.click()
    expect(page.locator(".gg-report [name=note]")).to_have_value("half a call")
    page.goto(f"{served.url}/tickets/{number}")
    expect(page.locator("h1").first).to_contain_text(kind.partition(" ·")[0])


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
