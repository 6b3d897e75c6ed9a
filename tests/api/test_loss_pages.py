"""From the city's loss to one meter's evidence and to what an inspection found, in Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.api.conftest import Served

pytestmark = [pytest.mark.browser]


def test_from_the_control_room_to_one_meter_s_evidence_in_four_clicks(visit: Any) -> None:
    page = visit("engineer", "/")
    page.locator(".gg-nav a", has_text="Loss").click()
    page.locator("tr[data-pick='D-2']").click()
    page.locator(".gg-list[aria-label=Suspects] .gg-row", has_text="M-000241").click()
    page.locator("[data-open]").click()
    expect(page.locator("h1")).to_have_text("Theft suspicion · M-000241")
    expect(page.locator(".gg-evidence canvas")).to_be_visible()
    expect(page.locator(".gg-alternatives .first")).to_be_visible()
    expect(page.locator(".gg-case-map .gg-spot")).to_be_in_viewport()
    expect(page.locator(".gg-meter-facts")).to_contain_text("2020-05-01")
    page.locator(".gg-case-title a").click()
    expect(page.locator("tr[data-pick='R-003']")).to_be_visible()


def test_the_tree_shows_levels_periods_months_and_terms(visit: Any) -> None:
    page = visit("viewer", "/loss")
    rows = page.locator(".gg-table.tight tbody tr")
    expect(rows).to_have_count(7)
    expect(page.locator(".gg-between")).to_contain_text("between here and the supply meters below")
    expect(page.locator("tr[data-pick='R-003']")).to_contain_text("high")
    expect(page.locator("tr[data-pick='D-1'] td").nth(1)).to_have_text("—")
    page.locator("tr[data-pick='R-001']").click()
    expect(page.locator(".gg-course-title")).to_contain_text("R-001")
    page.locator("[data-fold='D-1']").click()
    expect(rows).to_have_count(5)
    page.locator("[data-period='week']").click()
    expect(page.locator("tr[data-pick='R-003']")).to_contain_text("7/7")
    expect(page.locator("tr[data-pick='R-003']")).to_contain_text("▲")
    page.locator("[data-course='months']").click()
    expect(page.locator(".gg-course-title")).to_contain_text("3 months, 0 with a high loss")
    page.locator("[data-course='terms']").click()
    expect(page.locator(".gg-course-title")).to_contain_text("m³ supplied")


def test_each_zone_shows_its_last_thirty_days_with_gaps_where_nothing_is_known(visit: Any) -> None:
    page = visit("viewer", "/loss")
    course = "tr[data-pick='{}'] .gg-spark path >> nth=1"
    whole = page.locator(course.format("R-001")).get_attribute("d")
    gap = page.locator(course.format("R-002")).get_attribute("d")
    assert (whole.count("M"), whole.count("L")) == (1, 29)
    assert (gap.count("M"), gap.count("L")) == (2, 27)
    expect(page.locator("tr[data-pick='D-1'] .gg-spark")).to_have_count(0)


def test_suspects_are_those_of_the_chosen_zone_until_all_are_asked_for(visit: Any) -> None:
    page = visit("viewer", "/loss", language="zh")
    rows = page.locator(".gg-list .gg-row")
    expect(rows).to_have_count(2)
    page.locator("[data-weak='too']").click()
    expect(rows).to_have_count(3)
    page.locator("tr[data-pick='R-001']").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("死表")
    page.locator("[data-only='all']").click()
    expect(rows).to_have_count(3)


def test_candidate_pipes_are_lit_and_named(visit: Any) -> None:
    page = visit("viewer", "/findings/3")
    expect(page.locator(".gg-pipes")).to_contain_text("P-1170-1400 46 %")
    expect(page.locator(".gg-case-map .leaflet-container")).to_be_visible()
    expect(page.locator("form")).to_have_count(0)


def test_what_an_inspection_found_is_recorded_and_counts(visit: Any) -> None:
    page = visit("engineer", "/findings/1")
    page.locator("input[value=not_reachable]").check()
    page.locator("form button").click()
    expect(page.locator(".gg-visits li")).to_have_count(1)
    expect(page.locator(".gg-inspection")).to_contain_text("Of this kind nobody has looked at any case yet.")
    page.locator("input[value=confirmed]").check()
    page.locator("[name=found_m3_per_day]").fill("31.5")
    page.locator("[name=note]").fill("bypass <b>pipe</b>")
    page.locator("form button").click()
    second = page.locator(".gg-visits li").nth(1)
    expect(second).to_contain_text("31.5 m³/day · bypass <b>pipe</b>")
    expect(second).to_contain_text("engineer")
    expect(page.locator(".gg-inspection")).to_contain_text("Theft suspicion: 1 of 1, too few to tell")
    expect(page.locator("input[name=result]")).to_have_count(1)
    page.locator("input[value=repaired]").check()
    page.locator("form button").click()
    expect(page.locator(".gg-facts").first).to_contain_text("ended: repaired")
    expect(page.locator("form")).to_have_count(0)
    other = visit("viewer", "/loss")
    expect(other.locator(".gg-row", has_text="M-000241")).to_contain_text("ended: repaired")
    expect(other.locator(".gg-record")).to_contain_text("1 of 1")


def test_somebody_is_sent_to_look_once(visit: Any) -> None:
    page = visit("engineer", "/findings/2")
    page.locator("[data-send]").click()
    expect(page.locator(".gg-sent")).to_contain_text("looks into it: open")
    expect(page.locator("[data-send]")).to_have_count(0)
    viewer = visit("viewer", "/findings/3")
    expect(viewer.locator(".gg-visits, .gg-inspection .gg-dim").first).to_be_visible()
    expect(viewer.locator("[data-send]")).to_have_count(0)


def test_a_case_that_does_not_exist_leads_to_the_loss_page(visit: Any, served: Served) -> None:
    page = visit("viewer", "/findings/99")
    expect(page).to_have_url(f"{served.url}/loss")
    for address in ("nonsense", "9" * 40):
        answer = page.request.get(f"{served.url}/findings/{address}")
        assert answer.url == f"{served.url}/loss"


@pytest.mark.parametrize(("language", "theme", "size"), [("en", "dark", (1366, 768)), ("zh", "light", (1920, 1080))])
def test_the_page_of_a_case_fits_and_cuts_no_word(visit: Any, language: str, theme: str, size: tuple[int, int]) -> None:
    page = visit("engineer", "/findings/2", language=language, theme=theme, size=size)
    expect(page.locator(".gg-evidence canvas")).to_be_visible()
    over = "[document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
    assert page.evaluate(over) == [0, 0]
    cells = page.locator(".gg-facts div")
    assert cells.count() >= 5
    for cell in cells.all():
        assert cell.evaluate("e => e.scrollWidth <= e.clientWidth"), cell.inner_text()
