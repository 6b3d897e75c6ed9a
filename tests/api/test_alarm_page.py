"""The hand-over and the dialog of leaving service, in Chromium against a server of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.api.conftest import Served
from tests.api.sample_state import PASSWORD

pytestmark = [pytest.mark.browser]


@contextmanager
def client(served: Served, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url) as made:
        made.post("/api/v1/login", json={"name": name, "password": PASSWORD}).raise_for_status()
        yield made


def test_a_highly_managed_alarm_leaves_service_with_a_second_person(visit: Any, served: Served) -> None:
    page = visit("manager")
    page.locator(".gg-row", has_text="Gas concentration").first.click()
    page.locator("[data-act=service]").click()
    dialog = page.locator(".gg-dialog")
    expect(dialog).to_contain_text("A second person has to agree.")
    dialog.locator("[name=work_order]").fill("WO-7")
    dialog.locator("[name=interim]").fill("a watch every hour")
    dialog.locator("[name=until]").fill("2026-01-15T20:00")
    dialog.locator("button").click()
    expect(dialog).to_be_hidden()
    other = visit("admin", "/handover")
    waits = other.locator("tr", has_text="GAS_CONC_HIHI@REG-002")
    waits.locator("[data-decide^='agree']").click()
    expect(other.locator(".gg-hand tr", has_text="WO-7")).to_contain_text("a watch every hour")
    with client(served, "admin") as api:
        oos = api.get("/api/v1/alarms/GAS_CONC_HIHI@REG-002").json()["oos"]
    assert (oos["by"], oos["second"], oos["until"]) == ("manager", "admin", "2026-01-15T12:00:00Z")


@pytest.mark.parametrize(
    ("language", "shelved", "out"), [("zh", "已搁置", "在途工单一览"), ("en", "Shelved", "Tickets that are out")]
)
def test_a_viewer_reads_the_hand_over_and_decides_nothing(visit: Any, language: str, shelved: str, out: str) -> None:
    page = visit("viewer", "/alarms", language=language)
    assert page.url.endswith("/handover")
    expect(page.locator(".gg-section", has_text=shelved)).to_have_text(re.compile("1$"))
    expect(page.locator("tr", has_text="operator: 调压器检修")).to_contain_text("REG-001")
    tickets = page.locator("section", has_text=out)
    expect(tickets.locator("a[href^='/tickets/T-']").first).to_be_visible()
    expect(page.locator("main form, [data-decide]")).to_have_count(0)


def test_a_click_on_the_companys_instruction_stands_in_the_audit_trail(visit: Any, served: Served) -> None:
    body = {"changes": {"guidance_url": f"{served.url}/healthz"}, "reason": "the instruction is on the intranet"}
    with client(served, "manager") as api:
        made = api.post("/api/v1/alarm-definitions/SUPPLY_LOSS/propose", json=body)
    with client(served, "admin") as api:
        agreed = api.post(f"/api/v1/definition-proposals/{made.json()['id']}/approve", json={})
        assert (made.status_code, agreed.status_code) == (201, 200)
        page = visit("operator", "/?alarm=SUPPLY_LOSS@REG-003")
        way = page.get_by_role("link", name="The company's instruction")
        with page.context.expect_page() as opened:
            way.click()
        opened.value.wait_for_url("**/healthz")
        until = time.monotonic() + 60
        while not (lines := api.get("/api/v1/audit?act=alarm.guidance").json()):
            assert time.monotonic() < until
            time.sleep(0.1)
    told = [(one["who"], one["subject"], one["detail"]["occurrence_no"]) for one in lines]
    assert told == [("operator", "SUPPLY_LOSS@REG-003", 1)]
