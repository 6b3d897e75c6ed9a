"""Times on charts and in the heads of tables where clocks are set forward in spring and back in autumn."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from api.pages.parts import charts
from api.services.series import Series
from api.services.site_time import SiteTime, site_time, zone_of_year
from api.text import texts

BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)
FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)
HOUR_MS = 3_600_000


def berlin(middle: datetime, around: timedelta = timedelta(hours=36)) -> SiteTime:
    return site_time("Europe/Berlin", middle - around, middle + around)


def shown(clock: SiteTime, moment: datetime) -> str:
    return f"{datetime.fromtimestamp(clock.of(int(moment.timestamp() * 1000)) / 1000, UTC):%m-%d %H:%M}"


@pytest.mark.parametrize("seconds", [0, 1, 7_261, 86_399])
def test_the_clock_is_set_at_the_very_minute_wherever_the_span_begins(seconds: int) -> None:
    begin = BACK - timedelta(days=40, seconds=seconds)
    clock = site_time("Europe/Berlin", begin, BACK + timedelta(days=9))
    assert clock.since_ms[1:] == [int(BACK.timestamp() * 1000)]
    assert clock.ahead_ms == [2 * HOUR_MS, HOUR_MS]
    assert shown(clock, BACK - timedelta(minutes=1)) == "10-25 02:59"
    assert shown(clock, BACK) == "10-25 02:00"


def test_each_side_of_a_change_has_its_own_hour() -> None:
    clock = berlin(FORWARD)
    assert [shown(clock, FORWARD + timedelta(hours=n)) for n in (-2, -1, 0, 1)] == [
        "03-29 00:00", "03-29 01:00", "03-29 03:00", "03-29 04:00",
    ]  # fmt: skip
    assert clock.label == "UTC+1 / UTC+2"


def test_a_year_has_both_changes_and_a_zone_without_them_none() -> None:
    year = site_time("Europe/Berlin", BACK - timedelta(days=364), BACK)
    assert len(year.since_ms) == 3
    assert site_time("Asia/Shanghai", BACK - timedelta(days=364), BACK).since_ms[1:] == []
    assert site_time("Australia/Lord_Howe", BACK - timedelta(days=200), BACK).label == "UTC+10.5 / UTC+11"


def test_tables_of_any_season_name_the_zone_where_its_distance_changes() -> None:
    assert zone_of_year("Asia/Shanghai", BACK) == "UTC+8"
    assert zone_of_year("Europe/Berlin", BACK) == "Europe/Berlin"


def test_a_trend_breaks_where_its_line_would_run_backwards() -> None:
    times = [int(BACK.timestamp() * 1000) + quarter * HOUR_MS // 4 for quarter in range(-6, 7)]
    series = Series("S/p", "kPa", times, [float(n) for n in range(13)], [0] * 13, 13, thinned=False)
    clock = charts.clock_of(series, "Europe/Berlin")
    options = charts.trend(series, charts.PALETTES["dark"], texts("en"), clock=clock, onset=BACK, limit=None)
    data = options["series"][0]["data"]
    joined = [(one, other) for one, other in itertools.pairwise(data) if None not in {one[1], other[1]}]
    assert len(joined) == 11
    assert all(one[0] < other[0] for one, other in joined)
    assert [value for _, value in data if value is not None] == series.values
    assert options["series"][0]["markLine"]["data"][0]["xAxis"] == BACK.timestamp() * 1000 + HOUR_MS


@pytest.mark.browser
def test_a_chart_over_the_change_shows_each_hour_and_asks_for_what_is_in_sight(visit: Any) -> None:
    page = visit("engineer", "/meters/M-000241")
    expect(page.locator(".gg-series canvas")).to_be_visible()
    begin, end = ((BACK + timedelta(hours=n)).timestamp() * 1000 for n in (-30, 30))
    times = [int(begin) + n * HOUR_MS for n in range(60)]
    point = {"times_ms": times, "values": list(range(60)), "quality": [0] * 60, "unit": "m³"}
    page.route("**/api/v1/series*", lambda route: route.fulfill(body=json.dumps({"series": [point]})))
    clock = berlin(BACK, timedelta(hours=30))
    found = page.evaluate(
        """async ([from, to, clock, back]) => {
          const chart = getElement(document.querySelector(".gg-series").id.slice(1));
          const points = chart.asked.points.slice(0, 1);
          await chart.show({ ...chart.asked, points, from, to, clock, moments: [], levels: [] });
          const options = chart.chart.getOption();
          const told = (row) => chart.told([{ value: row, seriesIndex: 0, marker: "", seriesName: "" }]);
          const head = (row) => told(row).firstChild.textContent;
          const data = options.series[0].data;
          const at = (time) => data.filter((row) => row[3] === time && row[1] !== null).map(head)[0];
          return {
            name: options.xAxis[0].name,
            shown: [at(back - 3600000), at(back), at(back + 3600000)],
            broken: data.filter((row) => row[1] === null).map((row) => row[3]),
            ends: [options.xAxis[0].min, options.xAxis[0].max],
            there: [from, back - 7200000, back + 7200000, to].map((time) => chart.utc(chart.local(time)) - time),
            seen: chart.seen().map((time, n) => time - [from, to][n]),
          };
        }""",
        [begin, end, {**asdict(clock), "label": clock.label}, BACK.timestamp() * 1000],
    )
    assert found["name"] == "UTC+2 / UTC+1"
    assert found["shown"] == ["2026-10-25 02:00:00 UTC+2", "2026-10-25 02:00:00 UTC+1", "2026-10-25 03:00:00 UTC+1"]
    assert found["broken"] == [BACK.timestamp() * 1000]
    assert found["ends"] == [begin + 2 * HOUR_MS, end + HOUR_MS]
    assert found["there"] == [0, 0, 0, 0]
    assert found["seen"] == [0, 0]
