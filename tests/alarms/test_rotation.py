"""A secret is exchanged while tickets go out and steps come back: nobody is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from alarms.tickets.events import receive
from alarms.tickets.signature import signed_headers
from alarms.tickets.webhook import WebhookConfig, WebhookSink
from gateway.model.ticket import Confirmed, Misconfigured
from gateway.runtime.clock import ManualClock
from gateway.settings import Secret
from tests.alarms.alarm_fixtures import START, make_desk, minutes
from tests.alarms.desk_server import OTHER, SECRET, DeskServer
from tests.alarms.test_events import event
from tests.alarms.test_outbox import raise_gas
from tests.alarms.test_webhook import COMMAND
from tests.contracts.sink_contract import ATTEMPT, rekeyed

COUNT = 60


@pytest.fixture
def server(free_port: Callable[[], int]) -> Iterator[DeskServer]:
    made = DeskServer(free_port())
    made.start()
    yield made
    made.stop()


def sink_with(server: DeskServer, folder: Path, *secrets: str) -> WebhookSink:
    files = []
    for number, secret in enumerate(secrets):
        file = folder / f"secret-{number}"
        file.write_text(secret)
        files.append(Secret(file=file))
    config = WebhookConfig(kind="webhook", name="desk", url=server.url, secrets=tuple(files))
    return WebhookSink(config, ManualClock(0))


async def test_no_ticket_is_refused_while_the_receiver_changes_its_secret(tmp_path: Path, server: DeskServer) -> None:
    both = sink_with(server, tmp_path, OTHER, SECRET)

    async def deliver(number: int) -> object:
        await asyncio.sleep(number * 0.005)
        return await both.deliver(rekeyed(COMMAND, f"hq.1:X:Y:{number}"), replace(ATTEMPT, total_timeout_s=10.0))

    tasks = [asyncio.create_task(deliver(number)) for number in range(COUNT)]
    await asyncio.sleep(COUNT * 0.0025)
    server._webhook = Webhook(OTHER)
    outcomes = await asyncio.gather(*tasks)
    await both.close()
    assert all(isinstance(outcome, Confirmed) for outcome in outcomes)
    assert len(server.tickets) == COUNT


def test_no_step_is_refused_while_the_sender_changes_its_secret(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    raise_gas(desk, 1)
    desk.clock.set(START + minutes(20))  # type: ignore[attr-defined]
    answers = []
    for number in range(COUNT):
        told = event("in_progress", number + 1, START + minutes(5), dedup_key="hq.1:X-000001:HOME_GAS_SENSOR:1")
        body = json.dumps(told)
        secret = SECRET if number < COUNT / 2 else OTHER
        headers = signed_headers(body, told["id"], datetime.now(UTC), [secret])
        answers.append(receive(desk.state, body.encode(), headers, [OTHER, SECRET], desk.clock))
    assert answers == [204] * COUNT


async def test_a_secret_whose_file_changed_is_read_anew_when_the_receiver_refuses_it(
    tmp_path: Path, server: DeskServer
) -> None:
    sink = sink_with(server, tmp_path, OTHER)
    assert isinstance(await sink.deliver(COMMAND, ATTEMPT), Misconfigured)
    (tmp_path / "secret-0").write_text(SECRET)
    assert isinstance(await sink.deliver(COMMAND, ATTEMPT), Confirmed)
    found = await sink.lookup(COMMAND.dedup_key)
    assert found is not None
    await sink.close()
