"""SIGKILL of the gateway under load, at random moments: nothing that the broker took is lost, doubled or forgotten."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from datetime import timedelta

import httpx
import numpy as np
import pytest

from alarms.acts import AlarmDesk
from alarms.alarm_events import ConditionRises, Shelve
from alarms.definitions import load_definitions
from gateway.config import load
from gateway.dataset import read_network
from gateway.model.reading import split_point
from gateway.roles.common import remote_store, ticket_policy
from gateway.runtime.clock import SystemClock
from gateway.store import alarm_rows, ticket_rows
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from tests.end_to_end.small_site import Publisher, SmallSite, message, meter, wait_until

KILLS = 20
METERS = 50
LEAK = 64
SHELVED = "UNDERPRESS_LO@REG-001"


class Load(threading.Thread):
    """Meters that report three readings a message; every second one more of them smells gas."""

    def __init__(self, site: SmallSite) -> None:
        super().__init__(daemon=True)
        self._site = site
        self._publisher = Publisher(site.broker_port, f"{site.folder.name}-meters")
        self._stopping = threading.Event()
        self.sent: dict[tuple[str, int], int] = {}
        self.smelling: set[int] = set()

    def run(self) -> None:
        begin = time.time()
        rounds = 0
        while not self._stopping.wait(0.1):
            if time.time() - begin > len(self.smelling) + 1 and len(self.smelling) < 30:
                self.smelling.add(len(self.smelling))
            for number in range(0, METERS, 2):
                self._report(number + rounds % 2, int(time.time() * 1000), rounds)
            rounds += 1

    def _report(self, number: int, now_ms: int, rounds: int) -> None:
        flags = LEAK if number in self.smelling else 0
        readings = [(now_ms - 20 * back, rounds * 10 - back, flags) for back in (2, 1, 0)]
        for t, v, _ in readings:
            self.sent[meter(number), t * 1000] = v
        self._publisher.publish(self._site.topic(number), message(number, readings))

    def finish(self) -> None:
        self._stopping.set()
        self.join()
        self._publisher.drain()
        self._publisher.close()


def stored(site: SmallSite, state: State) -> list[tuple[str, int, float]]:
    names = {index: split_point(name) for index, name in StateRegistry(state).known().items()}
    wanted = np.array([i for i, (_, quantity) in names.items() if quantity == "register_measured_m3"], dtype=np.uint32)

    async def ask() -> list[tuple[str, int, float]]:
        store = remote_store(load(site.config))
        try:
            batch = await store.history(wanted, 0, 2**62)
        finally:
            await store.close()
        return [
            (names[int(p)][0], int(t), float(v))
            for p, t, v in zip(batch.point, batch.source_time, batch.value, strict=True)
        ]

    return asyncio.run(ask())


def complete(site: SmallSite, state: State, load: Load) -> bool:
    try:
        return len(stored(site, state)) >= len(load.sent)
    except Exception:  # noqa: BLE001  (not up yet)
        return False


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_kills_lose_double_and_forget_nothing(tmp_path, mosquitto):
    site = SmallSite(tmp_path / "kill", mosquitto.port, METERS)
    state = State.in_folder(site.folder / "data")
    config = load(site.config)
    desk = AlarmDesk(
        state, load_definitions(), read_network(config.network.folder), SystemClock(), ticket_policy(config, state)
    )
    desk.apply(SHELVED, ConditionRises(SystemClock().now(), 1.0), "test")
    until = SystemClock().now() + timedelta(hours=1)
    shelved = desk.apply(SHELVED, Shelve(until=until, one_shot=False, by="wang", reason="valve work"), "wang")
    rng = random.Random(20)
    meters = Load(site)
    try:
        site.start_desk()
        site.start("keep", "alarm")
        wait_until(lambda: "connected" in site.log("keep"), what="the connection to the broker")
        meters.start()
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.3, 2.5))
            site.kill("keep", "alarm")
            site.start("keep", "alarm")
        meters.finish()
        wait_until(lambda: complete(site, state, meters), what="the last reading", limit_s=60)

        rows = stored(site, state)
        assert len(rows) == len(meters.sent), "stored twice or never"
        assert {(name, t): round(v * 1000) for name, t, v in rows} == meters.sent
        wait_until(lambda: all_confirmed(state, len(meters.smelling)), what="the tickets", limit_s=40)
        check_alarms(state, site, meters.smelling)
        with state.read() as connection:
            assert alarm_rows.load(connection, SHELVED) == shelved
    finally:
        site.stop()
        state.close()


def all_confirmed(state: State, alarms: int) -> bool:
    with state.read() as connection:
        active = [one for one in alarm_rows.list_active(connection, limit=1000) if one.definition == "HOME_GAS_SENSOR"]
        tickets = ticket_rows.list_open(connection)
        return len(active) == alarms and all(one.delivery.value == "confirmed" for one in tickets)


def check_alarms(state: State, site: SmallSite, smelling: set[int]) -> None:
    with state.read() as connection:
        assert alarm_rows.verify_journal(connection) is None
        for number in smelling:
            alarm = alarm_rows.load(connection, f"HOME_GAS_SENSOR@{meter(number)}")
            assert alarm is not None
            assert (alarm.occurrence_no, alarm.announced_no, alarm.acked) == (1, 1, False)
            assert ticket_rows.ticket_of(connection, alarm.alarm_id, 1) is not None
            events = [entry.event for entry in alarm_rows.journal(connection, alarm.alarm_id)]
            assert (events.count("raised"), events.count("announced")) == (1, 1), "raised or announced twice or never"
        ours = {ticket.dedup_key for ticket in ticket_rows.list_open(connection)}
    theirs = [one["dedup_key"] for one in httpx.get(f"http://127.0.0.1:{site.desk_port}/tickets").json()["tickets"]]
    assert sorted(theirs) == sorted(ours), "the ticketing system has each ticket once"
