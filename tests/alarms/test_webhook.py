from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import datetime

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from alarms.tickets.http import LONGEST_BODY
from alarms.tickets.signature import is_authentic, signed_headers
from alarms.tickets.webhook import WebhookConfig, WebhookSink
from gateway.errors import ConfigError
from gateway.model.reading import to_us
from gateway.model.ticket import Command, Confirmed, Refused, TicketClass
from gateway.runtime.clock import ManualClock
from gateway.settings import Secret
from tests.alarms.alarm_fixtures import START
from tests.alarms.desk_server import OTHER, SECRET, DeskServer
from tests.contracts import sink_contract
from tests.contracts.sink_contract import ATTEMPT

COMMAND = Command(
    dedup_key="hq.1:REG-001:GAS_CONC_HIHI:1",
    ticket_no="T-20260115-000001",
    command="open",
    command_no=1,
    webhook_id="msg_1",
    ticket_class=TicketClass.EMERGENCY,
    created_at=START,
    body={
        "dedup_key": "hq.1:REG-001:GAS_CONC_HIHI:1",
        "ticket_no": "T-20260115-000001",
        "command": "open",
        "command_no": 1,
        "title": "燃气浓度 very high",
    },
)


@pytest.fixture
def desk(free_port: Callable[[], int]) -> Iterator[DeskServer]:
    server = DeskServer(free_port())
    server.start()
    yield server
    server.stop()


def config(url: str, *secrets: str) -> WebhookConfig:
    named = []
    for number, secret in enumerate(secrets or (SECRET,)):
        os.environ[f"GASGATE_TEST_SECRET_{number}"] = secret
        named.append(Secret(env=f"GASGATE_TEST_SECRET_{number}"))
    return WebhookConfig(kind="webhook", name="desk", url=url, secrets=tuple(named))


@pytest.fixture
async def sink(desk: DeskServer) -> AsyncIterator[WebhookSink]:
    made = WebhookSink(config(desk.url), ManualClock(to_us(START)))
    yield made
    await made.close()


async def test_delivers_once(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_delivers_once(sink, desk, COMMAND)


async def test_many_at_once_make_one_ticket(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_many_at_once(sink, desk, COMMAND)


async def test_unclear_answers_are_unknown(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_unclear_answers_are_unknown(sink, desk, COMMAND)


async def test_waits_as_asked(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_waits_as_asked(sink, desk, COMMAND)


async def test_faults_that_last(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_faults_that_last(sink, desk, COMMAND)


async def test_lookup(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_lookup(sink, desk, COMMAND)


async def test_unreachable(sink: WebhookSink, desk: DeskServer) -> None:
    desk.stop()
    await sink_contract.check_unreachable(sink, COMMAND)


async def test_an_address_that_is_gone(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_gone(sink, desk, COMMAND)


async def test_a_key_in_use(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_key_collision(sink, desk, COMMAND)


async def test_pull_after_a_gap(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_pull_after_a_gap(sink, desk, COMMAND)


async def test_steps_in_any_order(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_shuffled_steps(sink, desk, COMMAND)


async def test_probe_and_close(sink: WebhookSink, desk: DeskServer) -> None:
    await sink_contract.check_probe_and_close(sink, desk, COMMAND)


async def test_message_is_a_signed_cloud_event(sink: WebhookSink, desk: DeskServer) -> None:
    await sink.deliver(COMMAND, replace(ATTEMPT, number=3))
    ((headers, envelope),) = desk.posts
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert headers["webhook-id"] == envelope["id"] == "msg_1"
    assert headers["idempotency-key"] == '"hq.1:REG-001:GAS_CONC_HIHI:1:open:1"'
    assert headers["x-gasgate-attempt"] == "3"
    assert envelope["type"] == "gasgate.ticket.open.v1"
    assert envelope["subject"] == "ticket/T-20260115-000001"
    assert envelope["time"] == "2026-01-15T05:00:00.000Z"
    assert envelope["data"] == COMMAND.body


async def test_either_of_two_secrets_verifies(desk: DeskServer) -> None:
    sink = WebhookSink(config(desk.url, OTHER, SECRET), ManualClock(to_us(START)))
    assert isinstance(await sink.deliver(COMMAND, ATTEMPT), Confirmed)
    await sink.close()
    headers = desk.posts[0][0]
    assert len(headers["webhook-signature"].split(" ")) == 2


async def test_a_message_too_long_is_refused_without_sending(sink: WebhookSink, desk: DeskServer) -> None:
    long = replace(COMMAND, body={"text": "x" * LONGEST_BODY})
    assert isinstance(await sink.deliver(long, ATTEMPT), Refused)
    assert desk.posts == []


def test_bad_addresses_and_secrets_are_refused_at_once() -> None:
    for url in ("ftp://desk/tickets", "desk", "http://user:word@desk/tickets", "http://desk/?a=1", "http://"):
        with pytest.raises(ValidationError):
            config(url)
    for secret in ("whsec_!", "whsec_", "a"):
        with pytest.raises(ConfigError, match="whsec_ and base64"):
            WebhookSink(config("http://127.0.0.1:1/tickets", secret), ManualClock(0))


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC", "America/St_Johns"])
def test_signatures_verify_in_any_local_time_zone(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        headers = signed_headers("{}", "msg_1", datetime.now().astimezone(), [SECRET])
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5
        Webhook(SECRET).verify("{}", headers)
        assert is_authentic(b"{}", headers, [SECRET])
        assert not is_authentic(b"{ }", headers, [SECRET])
    time.tzset()
