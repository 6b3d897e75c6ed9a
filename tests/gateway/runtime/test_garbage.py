"""Unreadable messages in a row, from a real broker to the disk: good ones between them arrive, the rest is bounded."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from collectors.mqtt import MqttCollector
from collectors.mqtt_config import MqttConfig
from gateway.ports import SpoolRecord
from gateway.runtime.accounting import Accounting
from gateway.runtime.clock import SystemClock
from gateway.runtime.intake import Intake
from gateway.runtime.loader import Loader
from gateway.runtime.runner import PushRunner
from gateway.store.dead_rows import Caps, Totals, dead_totals, put_dead
from gateway.store.readings import DuckReadings
from gateway.store.spool import FileSpool
from gateway.store.state import State
from tests.collectors.mqtt_peers import Publisher
from tests.collectors.sites import MemoryRegistry, network
from tests.gateway.runtime.waiting import until
from tests.services import Server

BAD, GOOD_EVERY, KEPT = 3000, 500, 1000
TOPIC = {
    "filter": "up/{meter}",
    "identity": "$.id",
    "each": "$.r[*]",
    "time": {"path": "t", "as": "epoch_s"},
    "values": {"register_measured_m3": "v"},
}


def good(number: int) -> tuple[str, bytes]:
    return "up/M-000001", b'{"id": "M-000001", "r": [{"t": %d, "v": %d}]}' % (1_768_435_200 + number, number)


@pytest.mark.slow
async def test_three_thousand_unreadable_messages_stop_nothing(tmp_path: Path, mosquitto: Server) -> None:
    table = {"name": "m", "url": f"mqtt://127.0.0.1:{mosquitto.port}", "client_id": "garbage", "topic": [TOPIC]}
    spool, store, state = FileSpool(tmp_path / "spool"), DuckReadings(tmp_path / "r"), State.in_folder(tmp_path)
    accounting, arrived = Accounting(), list[float]()
    loader = Loader(spool, store, partial(put_dead, state, caps=Caps(rows=KEPT)), accounting=accounting, period_s=0.05)

    def on_record(record: SpoolRecord) -> None:
        arrived.extend(record.batch.value.tolist())
        loader.notify()

    intake = Intake(spool, SystemClock(), on_record, accounting=accounting)
    collector = MqttCollector(MqttConfig.model_validate(table), MemoryRegistry(), network(), SystemClock())
    runner = PushRunner(collector, intake.put, SystemClock())
    tasks = [asyncio.create_task(one.run()) for one in (intake, loader, runner)]
    peer = Publisher(mosquitto.port)
    try:
        await until(lambda: runner.link_states()[0].up is True, 60)
        for first in range(0, BAD, GOOD_EVERY):
            bad = [("up/M-000001", b'{"id": %d' % number) for number in range(first, first + GOOD_EVERY)]
            await asyncio.to_thread(peer.send, *bad, good(first))
            await until(lambda: arrived[-1:] == [float(first)], 60)  # noqa: B023 - awaited in this round
        await until(lambda: accounting.snapshot()["m"]["in_flight"] == 0, 60)
    finally:
        peer.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        spool.close()
        await store.close()
    count = BAD // GOOD_EVERY
    account = accounting.snapshot()["m"]
    assert (account["stored"], account["dead_lettered"], account["received"]) == (count, BAD, BAD + count)
    assert arrived == [float(number) for number in range(0, BAD, GOOD_EVERY)]
    totals = dead_totals(state)
    state.close()
    assert totals == Totals(KEPT, totals.payload_bytes, BAD - KEPT)
