"""The report as a person opens it: one file, nothing from outside, every section, and unknown never a zero."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from api.report.case import Case
from api.report.page import report_html
from api.report.svg import chart
from api.services.curves import Line, curves_of
from api.text import texts
from gateway.dataset import DatasetSettings
from gateway.model.finding import EndCause, Finding, FindingStatus, LossRow, LossVerdict
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Zone, ZoneKind

FIRST = date(2026, 1, 20)
DAYS = [FIRST + timedelta(days=n) for n in range(40)]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = DatasetSettings.model_validate(
    {
        "name": "small <b>",
        "timezone": "Asia/Shanghai",
        "gas_day_start": "06:00",
        "start": NOW - timedelta(days=40),
        "end": NOW,
    }
)
ZONES = [
    Zone("CITY", "", ZoneKind.CITY, "滨江市"),
    Zone("R-1", "CITY", ZoneKind.REGULATOR, "<script>alert(1)</script>"),
    Zone("B-1", "R-1", ZoneKind.BUILDING, "no meter"),
]
METER = Meter(
    "M-1", "R-1", MeterRole.CUSTOMER, MeterKind.REMOTE, "residential", 5, 3, 6.0, True, date(2020, 1, 1), "open"
)  # fmt: skip
NETWORK = Network({zone.zone_id: zone for zone in ZONES}, {"M-1": METER}, {}, {})
CURVES: dict[str, Any] = {
    "days": [day.isoformat() for day in DAYS[-5:]],
    "meter_m3": [8.0, None, 0.0, 0.0, 0.0],
    "expected_m3": [8.0, 8.1, 8.2, 8.3, 8.4],
    "zone_loss_m3": [1.0, 1.2, 9.0, 9.3, 9.1],
    "deficit_m3": [0.0, 0.0, 8.2, 8.3, 8.4],
    "alternatives": {"non_moving": 0.92, "nothing": 0.08},
    "location": [{"pipe_id": "P-7", "probability": 0.61}],
}
STOPPED = Finding("non_moving", "R-1", "M-1", NOW, NOW - timedelta(days=4), 0.92, 8.3, CURVES)
GONE = replace(STOPPED, kind="leak", meter=None, status=FindingStatus.ENDED, cause=EndCause.GONE, evidence={})


def row(zone: str, day: date, rate: float | None) -> LossRow:
    terms = {"rest": (100.0 * (rate or 0.0), 0.4), "meter_gain": (0.0, 0.3)}
    if rate is None:
        unknown = LossVerdict.NOT_ASSESSABLE
        return LossRow(zone, day, None, None, None, None, None, None, 0.4, unknown, "supply meter was not read")
    high = LossVerdict.HIGH if rate > 0.03 else LossVerdict.NORMAL
    between = 1.0 if zone == "CITY" else None
    return LossRow(
        zone, day, 100.0, 100 * (1 - rate), 0.0, 100 * rate, rate, 0.005, 1.0, high, "", 0.003, between, between, terms
    )


LOSS = [
    row(zone, day, None if n == 7 and zone == "R-1" else 0.06 if zone == "R-1" and n > 20 else 0.01)
    for n, day in enumerate(DAYS)
    for zone in ("CITY", "R-1")
]
CASE = Case(SETTINGS, NETWORK, NOW, [GONE, STOPPED], LOSS)


@pytest.mark.browser
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_report_opens_from_a_file_and_asks_for_nothing(browser: Browser, tmp_path: Path, language: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(report_html(CASE, texts(language)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.goto(file.as_uri())
    assert asked == [file.as_uri()]
    expect(page.locator("h1")).to_contain_text("small <b>")
    expect(page.locator("h2")).to_have_count(10)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#f1 svg.chart")).to_have_count(2)
    expect(page.locator("#f1 .odds .first")).to_have_count(1)
    page.locator("a", has_text="M-1").click()
    expect(page.locator("#f1")).to_be_in_viewport()
    page.emulate_media(media="print")
    for picture in page.locator("svg.chart").all():
        box = picture.bounding_box() or {"width": 0.0}
        texts_out = picture.evaluate(
            "s => [...s.querySelectorAll('text')].filter(t => { const a = t.getBoundingClientRect(),"
            "b = s.getBoundingClientRect(); return a.left < b.left - 1 || a.right > b.right + 1 }).length"
        )
        assert (box["width"] > 200, texts_out) == (True, 0)
    page.close()


def test_months_levels_terms_and_what_is_unknown_stand_in_it() -> None:
    page = report_html(CASE, texts("en"))
    assert "2026-01" in page and "2026-01/02" in page  # noqa: PT018 - one thought
    zone = re.search(r"<tr><td[^>]*>R-1 [^/]*/script&gt;</td>(.*?)</tr>", page)
    assert zone is not None
    assert "39/40" in zone[1]
    assert "of this between CITY 滨江市 and the supply meters below it" in page
    assert "Rest: leaks, theft, stopped meters" in page
    assert "supply meter was not read" in page
    assert "ended: no longer seen" in page
    assert "P-7 61 %" in page
    assert "customers count for the zone above: B-1" in page


def test_without_a_whole_gas_day_it_says_so() -> None:
    page = report_html(Case(SETTINGS, NETWORK, NOW, [], []), texts("en"))
    assert "The readings hold no whole gas day" in page
    assert "0.00" not in page


def test_a_gap_stays_a_gap_in_lines_and_band() -> None:
    values = [1.0, None, 2.0, 3.0, None]
    drawn = chart(["a", "b", "c", "d", "e"], [Line("x", values, "one")], unit="%", label="x", band=(values, values))
    line = re.search(r'class="one" d="([^"]*)"', drawn)
    assert line is not None
    assert line[1].count("M") == 2
    assert line[1].count("L") == 1
    assert drawn.count('class="band"') == 1


def test_curves_of_other_lengths_or_kinds_are_left_out() -> None:
    tr = texts("en")

    def drawn(facts: dict[str, Any], onset: str = "") -> Any:
        return curves_of(facts, onset, tr, "Asia/Shanghai")

    assert [len(curve.lines) for curve in drawn(CURVES)] == [2, 2]
    assert drawn(CURVES, DAYS[-3].isoformat())[0].mark == DAYS[-3].isoformat()
    assert drawn(CURVES, DAYS[0].isoformat())[0].mark == ""
    assert drawn({**CURVES, "meter_m3": [1.0]})[0].lines[0].name == "Expected"
    assert drawn({"days": [], "meter_m3": []}) == []
    hours = ["2026-01-01T00:00:00+00:00", "2026-01-01T06:00:00+00:00", "nonsense"]
    (curve,) = drawn({"hours": hours, "zone_loss_m3h": [0.1, 5.0, 5.1], "begun": "2026-01-01T03:00:00+00:00"})
    assert curve.at == ["2026-01-01 08:00", "2026-01-01 14:00", "nonsense"]
    assert (curve.unit, curve.mark) == ("m³/h", "2026-01-01 14:00")


def test_a_register_is_drawn_by_how_it_moves_from_the_reading_at_which_it_began() -> None:
    facts = {
        "read_at": [f"2026-01-0{n}T00:00:00+00:00" for n in range(1, 5)],
        "register_m3": [8412.0, 8412.6, 8411.9, 8411.1],
    }
    (curve,) = curves_of(facts, "2026-01-02", texts("en"), "Asia/Shanghai")
    assert (curve.lines[0].name, curve.unit, curve.level) == ("Register", "m³", True)
    assert curve.mark == "2026-01-02 08:00"
    drawn = chart(curve.at, curve.lines, unit="m³", label="Register", level=curve.level)
    assert ">8412<" in drawn.replace(".0<", "<")
    assert ">0<" not in drawn
    assert ">0<" in chart(curve.at, curve.lines, unit="m³", label="Register")
