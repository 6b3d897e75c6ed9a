"""The page of the alarm system and the service dialog, in Chromium against a server of its own."""

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
    other = visit("admin", "/alarms")
    waits = other.locator("tr", has_text="GAS_CONC_HIHI@REG-002")
    waits.locator("[data-decide^='removal:agree']").click()
    expect(other.locator(".gg-journal", has_text="WO-7")).to_contain_text("a watch every hour")
    with client(served, "admin") as api:
        oos = api.get("/api/v1/alarms/GAS_CONC_HIHI@REG-002").json()["oos"]
    assert (oos["by"], oos["second"], oos["until"]) == ("manager", "admin", "2026-01-15T12:00:00Z")


def test_a_proposal_is_shown_with_what_it_changes_and_approved_by_another(visit: Any, served: Served) -> None:
    with client(served, "engineer") as api:
        body = {"changes": {"on_delay_s": 90}, "reason": "the filter is new"}
        api.post("/api/v1/alarm-definitions/UNDERPRESS_LO/propose", json=body).raise_for_status()
    page = visit("manager", "/alarms", language="zh")
    row = page.locator("tr", has_text="UNDERPRESS_LO")
    expect(row).to_contain_text("on_delay_s: 60.0 → 90.0")
    row.get_by_role("button", name="同意").click()
    expect(row).to_have_count(0)


def test_a_viewer_reads_everything_and_changes_nothing(visit: Any) -> None:
    page = visit("viewer", "/alarms")
    expect(page.locator("table.tight")).to_contain_text("announced per 10 minutes")
    expect(page.locator(".gg-section", has_text="Shelved")).to_have_text(re.compile("1$"))
    expect(page.locator("form, [data-step], [data-decide]")).to_have_count(0)
