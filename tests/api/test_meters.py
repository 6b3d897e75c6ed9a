"""The reading audit over the API, from a real readings store."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest

from alarms.passes import city_from_batch
from alarms.reading_audit import run
from api.app import make_rest
from api.deps import Parts, Readings
from gateway.model.reading import PointId, ReadingBatch, from_us
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry
from tests.alarms.small_city import FIRST, GAS_DAY, SmallCity, a_city
from tests.api.conftest import Api
from tests.api.sample_state import sample_parts

HOUR = 3_600_000_000
HOME = "M-1-03"
PATH = f"/api/v1/meters/{HOME}/intervals"


@dataclass
class Audited:
    """A city whose readings are in a store and were audited; some came late."""

    api: Api
    parts: Parts
    store: DuckReadings
    city: SmallCity
    batch: ReadingBatch
    late: ReadingBatch
    names: dict[int, PointId]

    async def audit(self, hours: int) -> None:
        until = int(self.city.bounds[-1]) + hours * HOUR
        batch = await self.store.history(np.array(sorted(self.names), dtype=np.uint32), 0, until)
        model = self.city.model
        data = city_from_batch(model.network, GAS_DAY, model.figures, batch, self.names)
        await asyncio.to_thread(run, self.parts.state, data, batch, self.names, until)

    async def ask(self, user: str, first: date, last: date, path: str = PATH) -> httpx.Response:
        async with self.api.as_user(user) as client:
            return await client.get(path, params={"first": str(first), "last": str(last)})

    async def answer(self, first: date, last: date) -> Any:
        answer = await self.ask("auditor", first, last)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def audited(tmp_path: Path) -> AsyncIterator[Audited]:
    city = a_city(days=12, homes=8)
    sample = sample_parts(tmp_path, factor=1.0)
    whole, made = city.batch()
    index = StateRegistry(sample.state).indices([PointId(name) for name in made.values()])
    whole = replace(whole, point=index[whole.point])
    names = {int(number): PointId(made[at]) for at, number in enumerate(index)}
    home = next(number for number, name in names.items() if name.startswith(f"{HOME}/"))
    gone = (whole.point == home) & np.isin(whole.source_time, city.bounds[[5, 6, 7, 8]])
    batch, late = whole.take(~gone), whole.take(gone)
    store = DuckReadings(tmp_path / "readings")
    await store.load(1, batch)
    site = replace(sample.site, gas_day=GAS_DAY)  # type: ignore[type-var]
    parts = replace(sample, site=site, store=cast("Readings", store), network=city.model.network)
    app = make_rest(parts)
    transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 5555))
    audited = Audited(Api(transport), parts, store, city, batch, late, names)
    await audited.audit(13)
    yield audited
    await store.close()
    parts.state.close()


async def test_an_auditor_sees_reading_rule_estimate_and_reason(audited: Audited) -> None:
    told = await audited.answer(FIRST + timedelta(days=3), FIRST + timedelta(days=6))
    assert [day["gas_day"] for day in told["days"]] == ["2025-11-04", "2025-11-05", "2025-11-06", "2025-11-07"]
    read, *estimated = told["days"]
    assert (read["status"], read["method"], read["reason"], read["rules"]) == (
        "measured",
        "register",
        "read at both ends",
        [],
    )
    registers, values = audited.city.registers()
    home = values[:, registers.index(HOME)]
    assert read["volume_m3"] == pytest.approx(home[4] - home[3])
    assert {day["status"] for day in estimated} == {"estimated"}
    assert estimated[0]["reason"] == "as meters of its class used gas on these days; V01 gap"
    assert estimated[0]["step_m3"] == pytest.approx(home[9] - home[4])
    assert estimated[0]["left_at"] == from_us(int(audited.city.bounds[4])).isoformat().replace("+00:00", "Z")
    assert [(v["rule"], v["name"], v["result"], v["holds"]) for v in told["verdicts"]] == [
        ("V01", "gap", "missing", True)
    ]
    assert told["verdicts"][0]["evidence"] == {"gap_h": 120.0, "allowed_h": 36.0}
    # the days, and the reading behind them that they rest on
    assert [reading["value_m3"] for reading in told["raw"]] == pytest.approx([home[3], home[4], home[9]])
    assert told["raw"][0]["severity"] == "good"


async def test_a_late_reading_makes_a_revision_and_no_audit_changes_the_raw_readings(audited: Audited) -> None:
    days = FIRST + timedelta(days=4), FIRST + timedelta(days=8)
    before = await audited.answer(*days)
    index = np.unique(audited.late.point)
    raw_before = (await audited.store.history(index, 0, 2**60)).to_bytes()
    await audited.audit(14)
    assert (
        hashlib.sha256((await audited.store.history(index, 0, 2**60)).to_bytes()).digest()
        == hashlib.sha256(raw_before).digest()
    )
    again = await audited.answer(*days)
    assert again == before
    came = np.full(len(audited.late), int(audited.city.bounds[-1]) + 15 * HOUR)
    await audited.store.load(2, replace(audited.late, received_time=came))
    await audited.audit(16)
    after = await audited.answer(*days)
    assert [day["status"] for day in after["days"]] == ["measured"] * 5
    assert [day["revision"] for day in after["days"]] == [2] * 5
    assert [[old["status"] for old in day["earlier"]] for day in after["days"]] == [["estimated"]] * 5
    assert sum(day["volume_m3"] for day in after["days"]) == pytest.approx(before["days"][0]["step_m3"])
    assert [verdict["holds"] for verdict in after["verdicts"]] == [True, False]
    assert after["raw_sha256"] != before["raw_sha256"]
    assert [reading for reading in after["raw"] if reading in before["raw"]] == before["raw"]


@pytest.mark.parametrize(("user", "status"), [("engineer", 200), ("auditor", 200), ("admin", 200), ("viewer", 403)])
async def test_who_may_see_a_meters_readings(audited: Audited, user: str, status: int) -> None:
    assert (await audited.ask(user, FIRST, FIRST)).status_code == status


async def test_what_is_asked_is_bounded(audited: Audited) -> None:
    unknown = await audited.ask("auditor", FIRST, FIRST, "/api/v1/meters/M-none/intervals")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_meter")
    for first, last in ((FIRST, FIRST - timedelta(days=1)), (FIRST, FIRST + timedelta(days=62))):
        assert (await audited.ask("auditor", first, last)).json()["code"] == "bad_span"
    assert (await audited.ask("auditor", date(1, 1, 1), date(1, 1, 2))).json()["code"] == "bad_time"
    empty = await audited.answer(FIRST + timedelta(days=200), FIRST + timedelta(days=201))
    assert (empty["days"], empty["verdicts"], empty["raw"]) == ([], [], [])
