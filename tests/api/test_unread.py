"""Meters long unread by class, and homes' meters past their life, of a hand-made city."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from api.deps import Parts
from api.services.unread import WaitingMeters
from gateway.errors import TransientError
from gateway.model.network import Network
from gateway.model.reading import ReadingBatch, point_id, to_us
from gateway.store import tables

AGES_D = {"M-000001": 10, "M-000002": 121, "M-000003": 122, "M-000004": 183, "M-000005": 400, "M-000006": None}
"""days since the last reading; None: its newest attempt failed"""


class Store:
    def __init__(self, names: list[str], now_us: int) -> None:
        self.names, self.now_us = names, now_us

    async def latest(self, points: Any) -> ReadingBatch:
        ages = [AGES_D[self.names[int(p)]] for p in points]
        times = np.array([self.now_us - (age or 0) * 86_400_000_000 for age in ages])
        values = np.array([np.nan if age is None else 1.0 for age in ages])
        quality = np.array([128 if age is None else 0 for age in ages], dtype=np.uint8)
        return ReadingBatch.build(points, times, times, values, quality)


@pytest.fixture
def city(parts: Parts) -> Parts:
    names = list(AGES_D)
    known = {name: meter for name, meter in parts.network.meters.items() if name <= "M-000008"}
    today = parts.site.gas_day.of(parts.clock.now())
    born = date(today.year - 10, today.month, today.day)
    known["M-000001"] = replace(known["M-000001"], installed_on=born)
    known["M-000002"] = replace(known["M-000002"], installed_on=born + timedelta(days=1))
    known["M-000008"] = replace(known["M-000008"], account="closed", installed_on=date(1999, 1, 1))
    network = Network(parts.network.zones, known, parts.network.stations, parts.network.points)
    with parts.state.write() as connection:
        connection.execute(tables.point.delete())
        rows = [{"index": n, "point_id": point_id(name, known[name].register)} for n, name in enumerate(names)]
        connection.execute(tables.point.insert(), rows)
    return replace(parts, network=network, store=Store(names, to_us(parts.clock.now())))  # type: ignore[arg-type]


async def test_each_meter_stands_in_its_class_and_what_is_not_known_in_none(city: Parts) -> None:
    found = await WaitingMeters(city).look()
    assert found.counts == {"over_12": 1, "6_12": 1, "4_6": 1, "never": 1, "failing": 1}
    assert {key: [one.meter for one in some] for key, some in found.unread.items()} == {
        "over_12": ["M-000005"],
        "6_12": ["M-000004"],
        "4_6": ["M-000003"],
        "never": ["M-000007"],
        "failing": ["M-000006"],
    }
    assert found.unread["over_12"][0].days == 400
    assert found.unread["failing"][0].last_read is None


async def test_a_meter_is_past_its_life_on_its_tenth_birthday_and_a_closed_account_does_not_count(city: Parts) -> None:
    found = await WaitingMeters(city).look()
    assert [one.meter for one in found.old] == ["M-000001"]
    assert found.old_count == 1


async def test_only_the_first_who_asks_waits_and_a_fault_leaves_what_was_found(
    city: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = WaitingMeters(city)
    first, other = await asyncio.gather(watch.look(), watch.look())
    assert first is other
    monkeypatch.setattr(watch, "_until", 0.0)
    store: Any = city.store
    monkeypatch.setattr(store, "latest", away := Away(store.latest))
    assert await watch.look() is first, "the store is asked behind whoever asks"
    await asyncio.wait_for(away.asked.wait(), 60)
    await asyncio.sleep(0.05)
    assert await watch.look() is first
    monkeypatch.setattr(watch, "_until", 0.0)
    away.here = True
    await watch.look()
    for _ in range(100):
        await asyncio.sleep(0.02)
        if (found := await watch.look()) is not first:
            break
    assert found is not first
    assert found.counts == first.counts


async def test_who_asks_first_is_told_that_the_store_is_away_and_may_ask_again(city: Parts) -> None:
    store: Any = city.store
    store.latest = away = Away(store.latest)
    watch = WaitingMeters(city)
    with pytest.raises(TransientError):
        await watch.look()
    away.here = True
    assert (await watch.look()).counts["over_12"] == 1


class Away:
    """A store that does not answer until it is `here`."""

    def __init__(self, latest: Any) -> None:
        self.latest, self.here, self.asked = latest, False, asyncio.Event()

    async def __call__(self, points: Any) -> ReadingBatch:
        self.asked.set()
        if not self.here:
            raise TransientError("away")
        found: ReadingBatch = await self.latest(points)
        return found
