"""The control API of a live city: who may, what may be made, and what is refused with which words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from simulators.city import City
from simulators.faults import HOUR_US, KINDS, FaultKind
from simulators.live import config as live_config
from simulators.live.config import load
from simulators.live.control import BODY_LIMIT, make_app
from simulators.live.orders import Injection, Orders
from simulators.live.plan import BuiltCity, build
from simulators.live.running import Live
from simulators.live.serving import make_live
from simulators.live.template import template

TOKEN = "0123456789" * 4


@dataclass
class Controlled:
    live: Live
    acts: list[tuple[str, Any]]
    client: httpx.AsyncClient
    again: Callable[[], Live]

    async def post(self, path: str, wanted: dict[str, Any]) -> httpx.Response:
        return await self.client.post(path, json=wanted)

    async def inject(self, kind: str, asset: str, **words: Any) -> dict[str, Any]:
        answer = await self.post("/faults", {"kind": kind, "asset": asset, **words})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.live.clock.now_us() / 1e6, UTC)


@pytest.fixture(scope="module")
def built_city(tmp_path_factory: pytest.TempPathFactory) -> BuiltCity:
    text = template(seed=3, zones=2, meters_per_zone=12).replace("history_days = 30", "history_days = 2")
    file = tmp_path_factory.mktemp("built") / "city.toml"
    file.write_text(text.replace("speed = 30 ", "speed = 1 "), encoding="utf-8")
    return build(file, load(file))


@pytest.fixture
def own(built_city: BuiltCity, tmp_path: Path) -> BuiltCity:
    """Return the city with a folder of its own."""
    return replace(built_city, config=built_city.config.model_copy(update={"folder": tmp_path}))


@pytest.fixture
async def city(own: BuiltCity) -> AsyncIterator[Controlled]:
    live = make_live(own)
    live.clock.go()
    acts: list[tuple[str, Any]] = []
    orders = Orders(live, fastest=3000.0, on_act=lambda act, what: acts.append((act, what)))
    transport = httpx.ASGITransport(app=make_app(live, orders, TOKEN, own.sizes()))
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://city", headers=headers) as client:
        yield Controlled(live, acts, client, lambda: make_live(own))


@pytest.mark.parametrize(
    "given", [None, "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ü"]
)
async def test_nobody_without_the_token_gets_or_does_anything(city: Controlled, given: str | None) -> None:
    headers = {} if given is None else {b"authorization": given.encode("latin-1")}
    city.client.headers.pop("authorization")
    for method, path in [
        ("GET", "/status"), ("GET", "/kinds"), ("GET", "/assets?kind=leak"), ("GET", "/faults"), ("POST", "/faults"),
        ("DELETE", "/faults/x"), ("PUT", "/speed"), ("POST", "/forward"),
    ]:  # fmt: skip
        answer = await city.client.request(method, path, headers=headers, content=b"{}")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert not city.acts


async def test_what_is_shown_describes_itself(city: Controlled) -> None:
    schema = (await city.client.get("/openapi.json")).json()
    assert {"/status", "/kinds", "/assets", "/faults", "/faults/{fault_id}", "/speed", "/forward"} == set(
        schema["paths"]
    )
    assert all(
        route["summary"] and route["description"] for path in schema["paths"].values() for route in path.values()
    )
    kinds = {one["kind"]: one for one in (await city.client.get("/kinds")).json()}
    assert set(kinds) == set(KINDS)
    assert kinds["leak"]["whole_hours"]
    assert not kinds["gas_cloud"]["whole_hours"]
    assert kinds["gas_cloud"]["size"] == "% LEL"
    status = (await city.client.get("/status")).json()
    assert status["speed"] == 1.0
    assert status["city"].startswith("seed 3, streets, 2 zones, 24 meters")


async def test_every_kind_can_be_made_with_an_asset_that_is_listed(city: Controlled) -> None:
    for number, (kind, entry) in enumerate(KINDS.items()):
        listed = (await city.client.get("/assets", params={"kind": kind, "limit": 3})).json()
        assert listed
        size = {"size": min(max(entry.least, 0.5), entry.most)} if entry.size else {}
        made = await city.inject(kind, listed[-1], **size, minutes=90, id=f"k-{number}")
        assert made["state"] == ("coming" if made["start"].endswith(":00:00Z") else "active")
    shown = (await city.client.get("/faults")).json()
    assert len(shown) == len(KINDS)
    later_us = city.live.clock.now_us() + 3 * HOUR_US
    city.live.city.registers(later_us)
    assert city.live.city.station_values(later_us)
    assert len(city.acts) == len(KINDS)


async def test_a_fault_of_volume_begins_at_the_next_hour_and_one_of_an_instrument_now(city: Controlled) -> None:
    leak = await city.inject("leak", "R-001", size=4.0)
    next_hour = city.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    assert (leak["start"], leak["end"], leak["state"]) == (next_hour.isoformat().replace("+00:00", "Z"), None, "coming")
    gas = await city.inject("gas_cloud", "REG-001", size=30.0)
    assert gas["state"] == "active"
    now_us = city.live.clock.now_us()
    shown = city.live.city.station_values(now_us + 1_000_000)["REG-001"]
    assert max(value for quantity, value in shown.items() if quantity.value == "gas_lel_pct") > 25.0
    before = city.live.city.flows(now_us // HOUR_US + 1, 1).leak[0]
    assert before[0] > before[1] + 2.0


async def test_clearing_ends_it_and_doing_it_again_changes_nothing(city: Controlled) -> None:
    gas = await city.inject("gas_cloud", "REG-001", size=30.0)
    ended = (await city.client.delete(f"/faults/{gas['id']}")).json()
    assert ended["state"] == "over"
    again = (await city.client.delete(f"/faults/{gas['id']}")).json()
    assert again == ended
    assert [act for act, _ in city.acts] == ["inject", "clear"]
    coming = await city.inject("leak", "R-001", size=4.0)
    never = (await city.client.delete(f"/faults/{coming['id']}")).json()
    assert (never["start"], never["state"]) == (never["end"], "over")
    assert (await city.client.delete("/faults/nothing")).status_code == 404
    hour = city.live.clock.now_us() // HOUR_US + 1
    assert city.live.city.flows(hour, 1).leak[0, 0] < 2.0


async def test_a_zone_is_not_torn_open_but_leaks_that_are_over_do_not_count(city: Controlled) -> None:
    wanted = {"kind": "leak", "asset": "R-001", "size": 400.0}
    refused = await city.post("/faults", wanted)
    assert refused.status_code == 422
    most = float(refused.json()["text"].split("at most ")[1].split()[0])
    for _ in range(3):
        made = await city.inject("leak", "R-001", size=0.9 * most)
        assert (await city.post("/faults", {**wanted, "size": 0.9 * most})).status_code == 422
        await city.client.delete(f"/faults/{made['id']}")


async def test_what_was_made_and_ended_is_there_after_a_restart(city: Controlled) -> None:
    await city.inject("leak", "R-001", size=4.0, id="stays")
    await city.inject("gas_cloud", "REG-001", size=30.0, id="ends")
    await city.client.delete("/faults/ends")
    await city.client.put("/speed", json={"speed": 7})
    again = city.again()
    again.clock.go()
    assert again.city.faults == city.live.city.faults
    assert again.clock.speed == 7.0
    assert again.clock.now_us() >= city.live.clock.now_us() - 1_000_000


async def test_the_same_again_is_the_same_and_another_of_that_name_is_refused(city: Controlled) -> None:
    wanted = {"kind": "leak", "asset": "R-001", "size": 4.0, "id": "a"}
    first = await city.post("/faults", wanted)
    again = await city.post("/faults", wanted)
    other = await city.post("/faults", {**wanted, "size": 5.0})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json() == first.json()
    assert other.json()["code"] == "id_taken"
    assert len(city.live.saved.injected) == 1


async def test_two_people_at_once_lose_nothing(city: Controlled) -> None:
    meters = [meter.meter_id for meter in city.live.plan.customers.meters]
    answers = await asyncio.gather(
        *(city.post("/faults", {"kind": "stopped", "asset": meter}) for meter in meters),
        *(city.post("/faults", {"kind": "leak", "asset": "R-001", "size": 1.0, "id": "once"}) for _ in range(5)),
    )
    made = {answer.json()["id"] for answer in answers}
    assert len(made) == len(meters) + 1
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201] * (len(meters) + 1)
    cleared = await asyncio.gather(*(city.client.delete(f"/faults/{name}") for name in [*made, *made]))
    assert {answer.status_code for answer in cleared} == {200}
    assert {fault.fault_id for fault in city.live.saved.faults()} == made == set(city.live.saved.ended)


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ({"kind": "leek", "asset": "R-001", "size": 1.0}, 422, "kind: Input should be 'leak'"),
        ({"kind": "leak", "asset": "R-009", "size": 1.0}, 422, "'R-009' is no zone of this city; one is"),
        ({"kind": "leak", "asset": "R-001"}, 422, "size is missing; for leak it is base m3/h"),
        ({"kind": "leak", "asset": "R-001", "size": -1.0}, 422, "size -1 is not in"),
        ({"kind": "leak", "asset": "R-001", "size": 1e300}, 422, "size: Input should be less than"),
        ({"kind": "leak", "asset": "R-001", "size": "x"}, 422, "size: Input should be a valid number"),
        ({"kind": "leak", "asset": "R-001", "size": 1.0, "start": "2020-01-01T00:00:00Z"}, 422, "have no other past"),
        ({"kind": "leak", "asset": "R-001", "size": 1.0, "start": "2026-02-01T00:00:00"}, 422, "timezone"),
        ({"kind": "leak", "asset": "R-001", "size": 1.0, "start": "9999-12-31T23:59:59Z"}, 422, "before 2036"),
        ({"kind": "leak", "asset": "R-001", "size": 1.0, "minutes": 0}, 422, "minutes"),
        ({"kind": "leak", "asset": "R-001", "size": 1.0, "id": "../x"}, 422, "id: String should match"),
        ({"kind": "leak", "asset": "R-001", "size": 1.0, "sice": 2}, 422, "sice"),
        ({"kind": "sensor_stuck", "asset": "S-01", "detail": "smell"}, 422, "detail 'smell' is not known"),
        ({"kind": "gas_cloud", "asset": "x" * 65, "size": 1.0}, 422, "asset: String should have at most 64"),
        ([], 422, ""),
        (None, 422, ""),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_with_a_reason(city: Controlled, wanted: Any, status: int, words: str) -> None:
    answer = await city.client.post("/faults", json=wanted)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["text"]
    assert not city.live.saved.injected
    assert not city.acts


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"kind": NaN}', b"[" * 9000])
async def test_rubbish_is_refused(city: Controlled, body: bytes) -> None:
    answer = await city.client.post("/faults", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("invalid", "http")
    assert answer.json()["text"]


async def test_a_body_that_no_act_needs_is_refused(city: Controlled) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 1000

    for content in (b" " * (BODY_LIMIT + 1), endless()):
        answer = await city.client.post("/faults", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_the_number_of_faults_is_bounded(city: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.live.orders.MOST_FAULTS", 3)
    for number in range(3):
        await city.inject("gas_cloud", "REG-001", size=float(number + 1))
    answer = await city.post("/faults", {"kind": "gas_cloud", "asset": "REG-001", "size": 9.0})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many")
    assert live_config.MOST_FAULTS == 1000


@pytest.mark.parametrize(
    ("speed", "words"),
    [
        (0.05, "speed 0.05 is not in 0.1 to 3000 (0 lets"),
        (3100, "is not in 0.1 to 3000"),
        (-1, "greater"),
        (1e9, "less"),
    ],
)
async def test_a_pace_that_cannot_be_is_refused(city: Controlled, speed: float, words: str) -> None:
    answer = await city.client.put("/speed", json={"speed": speed})
    assert answer.status_code == 422
    assert words in answer.json()["text"]
    assert city.live.clock.speed == 1.0


async def test_the_city_can_stand_go_on_and_hurry(city: Controlled) -> None:
    await city.client.put("/speed", json={"speed": 0})
    stood = city.live.clock.now_us()
    await asyncio.sleep(0.1)
    assert city.live.clock.now_us() == stood
    await city.client.put("/speed", json={"speed": 2})
    target = city.now + timedelta(hours=2)
    for until, speed, words in [
        (target - timedelta(days=1), 3000, "take a moment after"),
        (target + timedelta(days=500), 3000, "take a moment after"),
        (target, 1.5, "the city runs at 2 already"),
        (target, 3500, "not in 0.1 to 3000"),
    ]:
        answer = await city.post("/forward", {"until": until.isoformat(), "speed": speed})
        assert answer.status_code == 422, answer.text
        assert words in answer.json()["text"]
    answer = await city.post("/forward", {"until": target.isoformat(), "speed": 3000})
    assert answer.status_code == 200
    assert (await city.client.get("/status")).json()["speed"] == 3000
    assert [act for act, _ in city.acts] == ["speed", "speed", "forward"]


def test_making_faults_never_lets_a_register_step_back(own: BuiltCity) -> None:
    live = make_live(own)
    now_us = [live.clock.now_us()]
    live.clock.now_us = lambda: now_us[0]  # type: ignore[method-assign]
    orders = Orders(live, on_act=lambda *_: None)
    seen = live.city.registers(now_us[0])
    rng = np.random.default_rng(1)
    kinds = [kind for kind in KINDS if kind is not FaultKind.THEFT_REVERSE]
    for step in range(60):
        kind = kinds[int(rng.integers(len(kinds)))]
        names = list(orders.assets(kind))
        entry = KINDS[kind]
        size = float(rng.uniform(entry.least, min(entry.most, 5.0))) if entry.size else None
        made, _ = orders.inject(Injection(kind=kind, asset=names[int(rng.integers(len(names)))], size=size))
        if step % 3 == 0:
            orders.clear(made.id)
        now_us[0] += int(rng.integers(1, 5_000_000_000))
        now = live.city.registers(now_us[0])
        assert (now.customer >= seen.customer - 1e-9).all(), made
        assert (now.supply >= seen.supply - 1e-9).all(), made
        seen = now
    fresh = City(live.plan, live.faults(), live.valves).registers(now_us[0])
    assert np.array_equal(fresh.customer, seen.customer), "a restart finds the same registers"
    assert np.array_equal(fresh.supply, seen.supply)
