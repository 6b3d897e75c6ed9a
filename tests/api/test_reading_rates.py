"""Reading rates: who was read at all, and how many gas days rest on registers."""

from __future__ import annotations

from datetime import date

from api.deps import Parts
from api.services.reading_rates import reading_rates
from tests.api.conftest import Api
from tests.api.sample_intervals import add_days

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 4)
DAYS = [date(2026, 1, 2), date(2026, 1, 3)]


def test_nothing_audited_is_unknown_and_not_zero(parts: Parts) -> None:
    assert reading_rates(parts, FIRST, LAST) is None


def test_meters_that_were_read_are_counted_by_district(parts: Parts) -> None:
    north, south = ["M-000001", "M-000002", "M-000101"], ["M-000201"]
    add_days(parts.intervals._folder, parts.site.gas_day, north, DAYS, "measured")  # type: ignore[attr-defined]
    add_days(parts.intervals._folder, parts.site.gas_day, south, DAYS, "estimated")  # type: ignore[attr-defined]
    add_days(parts.intervals._folder, parts.site.gas_day, south, [date(2026, 1, 5)], "measured")  # type: ignore[attr-defined]
    found = reading_rates(parts, FIRST, LAST)
    assert found is not None
    assert [(line.zone, line.homes.meters, line.homes.read, line.homes.days_measured) for line in found] == [
        ("", 300, 3, 6),
        ("D-1", 200, 3, 6),
        ("D-2", 100, 0, 0),
    ]
    assert found[0].homes.share == 0.01
    assert found[0].homes.share_of_days == 6 / 1200
    assert found[0].others.share is None
    assert reading_rates(parts, DAYS[0], DAYS[0])[1].homes.read == 3  # type: ignore[index]


async def test_the_month_and_its_rates_over_rest(rest: Api, parts: Parts) -> None:
    add_days(parts.intervals._folder, parts.site.gas_day, ["M-000001"], DAYS, "measured")  # type: ignore[attr-defined]
    async with rest.as_user("viewer") as client:
        rates = (await client.get("/api/v1/reading-rates?month=2026-01")).json()
        assert (rates["first"], rates["last"]) == ("2026-01-01", "2026-01-14")
        found = {line["zone"]: line["homes"] for line in rates["lines"]}
        # of 200 meters 19 are unknown to the audit, of the others 26 have no reading near: 155 with ten days, and this
        north = found["D-1"]
        assert (north["read"], north["meters"], north["days_measured"]) == (155 + 1, 200, 155 * 10 + 2)
        figures = {one["name"]: one for one in (await client.get("/api/v1/month?month=2026-01")).json()["figures"]}
        assert (figures["loss_rate"]["goal"], figures["loss_rate"]["met"]) == (0.04, True)
        assert figures["others_read"]["value"] is None
        assert figures["others_read"]["met"] is None
        for wrong in ("2026-13", "x", "0001-01", "9999-12"):
            assert (await client.get(f"/api/v1/month?month={wrong}")).status_code == 422, wrong
        assert (await client.get("/api/v1/reading-rates?month=1999-01")).json()["lines"] == []
