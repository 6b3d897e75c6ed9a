"""The reading audit over the API, from a real readings store."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest

from api.app import make_rest
from api.deps import Parts, Readings
from gateway.model.reading import PointId, ReadingBatch, from_us, to_us
from gateway.runtime.clock import SystemClock
from gateway.store import finding_rows, user_rows
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry
from tests.alarms.audited import audited as audit
from tests.alarms.small_city import FIRST, GAS_DAY, SmallCity, a_city
from tests.api.conftest import Api

HOUR = 3_600_000_000
HOME = "M-1-03"
PATH = f"/api/v1/meters/{HOME}/intervals"


class At(SystemClock):
    """A clock that stands at the end of the city's days."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment + timedelta(hours=13)

    def now(self) -> datetime:
        return self.moment

    def now_us(self) -> int:
        return to_us(self.moment)


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
        await asyncio.to_thread(audit, self.parts.state, self.city, batch, self.names, until)

    async def ask(self, user: str, first: date, last: date, path: str = PATH) -> httpx.Response:
        async with self.api.as_user(user) as client:
            return await client.get(path, params={"first": str(first), "last": str(last)})

    async def decide(self, path: str, body: dict[str, Any], user: str = "auditor") -> httpx.Response:
        async with self.api.as_user(user) as client:
            return await client.post(f"/api/v1/meters/{HOME}/{path}", json=body)

    async def answer(self, first: date, last: date) -> Any:
        answer = await self.ask("auditor", first, last)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def audited(parts: Parts, tmp_path: Path) -> AsyncIterator[Audited]:
    city = a_city(days=12, homes=8)
    whole, made = city.batch()
    index = StateRegistry(parts.state).indices([PointId(name) for name in made.values()])
    whole = replace(whole, point=index[whole.point])
    names = {int(number): PointId(made[at]) for at, number in enumerate(index)}
    home = next(number for number, name in names.items() if name.startswith(f"{HOME}/"))
    gone = (whole.point == home) & np.isin(whole.source_time, city.bounds[[5, 6, 7, 8]])
    batch, late = whole.take(~gone), whole.take(gone)
    store = DuckReadings(tmp_path / "readings")
    await store.load(1, batch)
    site = replace(parts.site, gas_day=GAS_DAY)  # type: ignore[type-var]
    parts = replace(parts, site=site, store=cast("Readings", store), network=city.model.network, clock=At(city.now))
    app = make_rest(parts)
    transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 5555))
    audited = Audited(Api(transport), parts, store, city, batch, late, names)
    await audited.audit(13)
    yield audited
    await store.close()


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


async def with_conflict(audited: Audited) -> tuple[str, float, float]:
    """Send another value of a moment, and return the moment and both values."""
    home = next(number for number, name in audited.names.items() if name.startswith(f"{HOME}/"))
    row = (audited.batch.point == home) & (audited.batch.source_time == audited.city.bounds[10])
    sent = audited.batch.take(row)
    value = float(sent.value[0])
    await audited.store.load(2, replace(sent, value=sent.value + 2.0))
    await audited.audit(14)
    return from_us(int(audited.city.bounds[10])).isoformat(), value, value + 2.0


async def test_an_auditor_chooses_between_two_values(audited: Audited) -> None:
    days = (FIRST + timedelta(days=9), FIRST + timedelta(days=10))
    moment, value, other = await with_conflict(audited)
    before = await audited.answer(*days)
    assert [day["method"] for day in before["days"]] == ["interpolation"] * 2
    assert [(v["rule"], v["holds"]) for v in before["verdicts"] if v["rule"] == "V02"] == [("V02", True)]
    assert [raw["reason"] for raw in before["raw"]].count("conflict") == 2

    async def choose(chosen: float | None, **more: Any) -> httpx.Response:
        body = {"source_time": moment, "value_m3": chosen, "reason": "photo of the index", **more}
        return await audited.decide("choice", body)

    assert (await choose(value)).status_code == 200
    await audited.audit(15)
    after = await audited.answer(*days)
    assert [day["method"] for day in after["days"]] == ["register"] * 2
    assert [day["revision"] for day in after["days"]] == [before["days"][0]["revision"] + 1] * 2
    assert [(v["rule"], v["holds"]) for v in after["verdicts"] if v["rule"] == "V02"] == [("V02", True), ("V02", False)]
    assert after["raw_sha256"] == before["raw_sha256"], "a choice changes no reading"
    assert [raw["judged"] for raw in after["raw"] if raw["reason"] == "conflict"] == ["chosen", "not_chosen"]

    assert (await choose(other)).status_code == 200
    await audited.audit(16)
    assert sum(day["volume_m3"] for day in (await audited.answer(*days))["days"]) == pytest.approx(
        sum(day["volume_m3"] for day in after["days"])
    )
    assert (await audited.answer(*days))["days"][0]["volume_m3"] == pytest.approx(after["days"][0]["volume_m3"] + 2.0)
    assert (await choose(None)).status_code == 200
    await audited.audit(17)
    again = await audited.answer(*days)
    assert [day["volume_m3"] for day in again["days"]] == [day["volume_m3"] for day in before["days"]]
    with audited.parts.state.read() as connection:
        told = [row for row in user_rows.list_audit(connection, None, 9) if row.act == "reading_chosen"]
    assert [(row.who, row.subject, row.detail["value"]) for row in told] == [
        ("auditor", HOME, chosen) for chosen in (None, other, value)
    ]


async def test_what_nobody_may_choose(audited: Audited) -> None:
    moment, value, _ = await with_conflict(audited)
    body = {"source_time": moment, "value_m3": value, "reason": "photo"}
    assert (await audited.decide("choice", body, user="engineer")).status_code == 403
    assert (await audited.decide("choice", {**body, "value_m3": value + 0.5})).json()["code"] == "not_a_value"
    alone = from_us(int(audited.city.bounds[9])).isoformat()
    assert (await audited.decide("choice", {**body, "source_time": alone})).json()["code"] == "no_conflict"
    assert (await audited.decide("choice", {**body, "reason": " "})).status_code == 422
    old = from_us(int(audited.city.bounds[0]) - 60 * 24 * HOUR).isoformat()
    assert (await audited.decide("choice", {**body, "source_time": old})).json()["code"] == "too_old"


async def test_a_day_set_by_hand_stands_until_it_is_taken_back(audited: Audited) -> None:
    day = FIRST + timedelta(days=5)
    before = await audited.answer(day, day)

    async def put(volume: float | None, when: date = day) -> httpx.Response:
        return await audited.decide(f"intervals/{when}", {"volume_m3": volume, "reason": "seen on site"})

    assert (await put(4.5)).json()["who"] == "auditor"
    await audited.audit(14)
    (set_by_hand,) = (await audited.answer(day, day))["days"]
    shown = ("volume_m3", "status", "method", "who")
    assert (set_by_hand["volume_m3"], set_by_hand["status"], set_by_hand["method"]) == (4.5, "estimated", "manual")
    assert (set_by_hand["who"], set_by_hand["note"]) == ("auditor", "seen on site")
    assert set_by_hand["earlier"][0]["volume_m3"] == before["days"][0]["volume_m3"]
    came = np.full(len(audited.late), int(audited.city.bounds[-1]) + 15 * HOUR)
    await audited.store.load(2, replace(audited.late, received_time=came))
    await audited.audit(16)
    (late,) = (await audited.answer(day, day))["days"]
    assert {name: late[name] for name in shown} == {name: set_by_hand[name] for name in shown}, "a person's word stands"
    assert late["rules"] == []
    assert (await put(None)).status_code == 200
    await audited.audit(17)
    (measured,) = (await audited.answer(day, day))["days"]
    assert (measured["status"], measured["who"], len(measured["earlier"])) == ("measured", "", 3)
    assert (await put(4.5001)).json()["code"] == "bad_volume"
    assert (await put(4.5, day + timedelta(days=90))).json()["code"] == "bad_day"
    assert (await put(4.5, day - timedelta(days=30))).json()["code"] == "unknown_day"


async def test_a_day_that_is_no_longer_audited_can_be_set_and_taken_back(audited: Audited) -> None:
    later = 50 * 24
    day = FIRST + timedelta(days=4)
    before = await audited.answer(day, day)
    body = {"volume_m3": 1.25, "reason": "agreed with the customer"}
    assert (await audited.decide(f"intervals/{day}", body)).status_code == 200
    await audited.audit(later)
    (told,) = (await audited.answer(day, day))["days"]
    assert (told["volume_m3"], told["method"], told["who"]) == (1.25, "manual", "auditor")
    assert (await audited.decide(f"intervals/{day}", {**body, "volume_m3": None})).status_code == 200
    await audited.audit(later + 1)
    await audited.audit(later + 2)
    (told,) = (await audited.answer(day, day))["days"]
    assert (told["volume_m3"], len(told["earlier"])) == (before["days"][0]["volume_m3"], 2)


async def test_a_clock_that_runs_ahead_shows_on_the_readings_and_changes_none(audited: Audited) -> None:
    ahead = replace(audited.batch, received_time=audited.batch.source_time - 400_000_000)
    home = ahead.point == next(number for number, name in audited.names.items() if name.startswith("M-1-04/"))
    await audited.store.load(2, replace(ahead.take(home), value=ahead.value[home] + 1e-9))
    await audited.audit(14)
    path = "/api/v1/meters/M-1-04/intervals"
    answer = (await audited.ask("auditor", FIRST + timedelta(days=9), FIRST + timedelta(days=11), path)).json()
    assert {verdict["rule"] for verdict in answer["verdicts"]} >= {"V14"}
    assert "clock_suspect" in {raw["judged"] for raw in answer["raw"]}
    with audited.parts.state.read() as connection:
        clocks = [row for row in finding_rows.open_findings(connection) if row.finding.kind == "clock"]
    assert [row.finding.meter for row in clocks] == ["M-1-04"]
    assert clocks[0].finding.evidence["offset_s"] == pytest.approx(400.0)


async def test_a_reading_that_came_too_late_to_count_is_shown_as_such(audited: Audited) -> None:
    came = np.full(len(audited.late), int(audited.city.bounds[-1]) + 60 * 24 * HOUR)
    await audited.store.load(2, replace(audited.late, received_time=came))
    answer = await audited.answer(FIRST + timedelta(days=4), FIRST + timedelta(days=7))
    assert [raw["judged"] for raw in answer["raw"]].count("late") == len(audited.late)
