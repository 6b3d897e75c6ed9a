"""Through fault after fault the accounts that the status tells add up, and say what was really sent and stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from gateway.config import load
from gateway.roles.common import service_token
from gateway.roles.keep import Keeper
from tests.end_to_end.small_site import Publisher, SmallSite, wait_until
from tests.gateway.runtime.waiting import until
from tests.services import Server

MESSAGES = 100
GIB = 1 << 30
VALUES = '{ register_measured_m3 = "v", pressure_gauge_kpa = "p", battery_v = "b" }'
ROWS = 3
"""of a message: one each of class B, C and D"""
KEYS = ("received", "stored", "duplicate", "refused", "dead_lettered", "in_flight")


class City:
    """Meters that publish messages which were never there before, unless told otherwise."""

    def __init__(self, site: SmallSite) -> None:
        self._site = site
        self.sent = 0

    def publish(self, count: int, *, again: bool = False, garbage: bool = False) -> None:
        publisher = Publisher(self._site.broker_port, "city")
        first = self.sent - count if again else self.sent
        for number in range(first, first + count):
            at = 1_700_000_000_000 + number * 1000
            text = f'{{"id": "M-000001", "readings": [{{"t": {at}, "v": {number}, "p": 2.1, "b": 3.6}}]}}'
            publisher.publish(self._site.topic(1), b"what" if garbage else text.encode())
        if not garbage:
            self.sent = first + count
        publisher.drain()
        publisher.close()


@pytest.fixture
def site(tmp_path: Path, mosquitto: Server) -> Iterator[SmallSite]:
    site = SmallSite(tmp_path / "accounts", mosquitto.port, meters=3)
    text = site.config.read_text(encoding="utf-8")
    begin = text.index("values = ")
    end = text.index("\n", begin)
    site.config.write_text(f"{text[:begin]}values = {VALUES}{text[end:]}", encoding="utf-8")
    yield site
    site.stop()


class Kept:
    """A running role keep, asked over its store service."""

    def __init__(self, site: SmallSite, keeper: Keeper) -> None:
        config = load(site.config)
        self._headers = {"Authorization": f"Bearer {service_token(config)}"}
        self._url = f"http://{config.keep.listen}/status"
        self.keeper = keeper
        self._before = dict.fromkeys(KEYS, 0)

    async def account(self, source: str = "meters") -> Mapping[str, int]:
        async with httpx.AsyncClient(trust_env=False) as client:
            accounts = (await client.get(self._url, headers=self._headers)).json()["accounting"]
        found: Mapping[str, int] = accounts.get(source, dict.fromkeys(KEYS, 0))
        assert min(found.values()) >= 0
        assert found["received"] == sum(found[name] for name in KEYS[1:])
        return found

    async def settled(self, **expected: int) -> None:
        """Wait until so many more are told, of everything else none."""
        wanted = {name: self._before[name] + expected.get(name, 0) for name in KEYS}
        end = time.monotonic() + 60
        while (found := await self.account()) != wanted:
            assert time.monotonic() < end, f"told {found}, expected {wanted}"
            await asyncio.sleep(0.02)
        self._before = dict(found)

    async def stored_rows(self) -> int:
        return len(await self.keeper._store.history(np.arange(100, dtype=np.uint32), 0, 2**62))


@asynccontextmanager
async def running(site: SmallSite) -> AsyncIterator[Kept]:
    keeper = Keeper(load(site.config))
    keeper.intake._retry_s = 0.05
    await keeper.open()
    task = asyncio.create_task(keeper.run())
    try:
        await connected(keeper)
        yield Kept(site, keeper)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await keeper.close()


async def connected(keeper: Keeper) -> None:
    await until(lambda: any(one["up"] for one in keeper.status()["links"]), 10)


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_accounts_add_up_through_every_fault(
    site: SmallSite, mosquitto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    city, free = City(site), [50 * GIB]
    monkeypatch.setattr("gateway.runtime.room._usage", lambda _: (100 * GIB, free[0]))
    killed_while_it_takes_messages(site, city)
    async with running(site) as kept:
        await after_the_kill(kept, city)
        every = MESSAGES * ROWS

        await publish(city)
        await kept.settled(received=every, stored=every)

        await publish(city, again=True)
        await kept.settled(received=every, duplicate=every)

        await publish(city, garbage=True)
        await kept.settled(received=MESSAGES, dead_lettered=MESSAGES)

        mosquitto.stop()
        await until(lambda: not any(one["up"] for one in kept.keeper.status()["links"]), 5)
        mosquitto.start()
        await connected(kept.keeper)
        await publish(city)
        await kept.settled(received=every, stored=every)

        for left, refused in ((4 * GIB, 1), (2 * GIB, 2)):
            free[0] = left
            kept.keeper._room._looked_at = -np.inf
            await publish(city)
            await kept.settled(received=every, stored=every - refused * MESSAGES, refused=refused * MESSAGES)

        free[0] = 1 << 20
        await publish(city)
        await kept.settled(received=every, refused=2 * MESSAGES, in_flight=MESSAGES)
        assert kept.keeper.health()[0] is False
        free[0] = 50 * GIB
        await kept.settled(stored=MESSAGES, in_flight=-MESSAGES)
        assert await kept.stored_rows() == city.sent * ROWS - 5 * MESSAGES


async def publish(city: City, **how: bool) -> None:
    await asyncio.to_thread(city.publish, MESSAGES, **how)


def killed_while_it_takes_messages(site: SmallSite, city: City) -> None:
    site.start("keep")
    wait_until(lambda: "connected" in site.log("keep"), what="the connection to the broker")
    city.publish(5 * MESSAGES)
    site.kill("keep")


async def after_the_kill(kept: Kept, city: City) -> None:
    """What the spool still brings and what the broker sends again is all that was sent, once."""
    end = time.monotonic() + 60
    while await kept.stored_rows() < city.sent * ROWS or (await kept.account())["in_flight"]:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    spool, meters = await kept.account("spool"), await kept.account()
    assert await kept.stored_rows() == city.sent * ROWS
    assert 0 < spool["stored"] + meters["stored"] <= city.sent * ROWS
    assert (spool["in_flight"], meters["refused"], meters["dead_lettered"]) == (0, 0, 0)
    kept._before = dict(meters)
