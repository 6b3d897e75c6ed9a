"""The hand-over and the dialog of leaving service, in Chromium against a server of its own."""

from __future__ import annotations

import re
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
