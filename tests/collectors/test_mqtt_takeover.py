import asyncio
import sys
from typing import Any

import pytest

from collectors.mqtt import MqttCollector
from collectors.mqtt_config import MqttConfig
from collectors.takeover import Stillness, TakeoverGuard
from gateway.errors import PermanentError, TransientError
from gateway.ports import Delivery
from gateway.runtime.clock import ManualClock
from gateway.runtime.runner import PushRunner
from tests.collectors.mqtt_peers import (
    NOW_US,
    PREFIX,
    Publisher,
    message,
    opened,
    registers,
    take,
    until,
)
from tests.collectors.sites import MemoryRegistry, network
from tests.services import Server

VICTIM = """
import asyncio, sys, tests.collectors.test_mqtt_takeover as here
async def main():
    collector = here.victim(int(sys.argv[1]))
    await collector.open()
    print("open", flush=True)
    async for delivery in collector.deliveries():
        await delivery.ack() if delivery.batch.value[0] < 0.01 else print("got", flush=True)
asyncio.run(main())
"""


def victim(port: int) -> MqttCollector:
    topic = {"filter": f"{PREFIX}/{{meter}}/up", "each": "$.readings[*]", "values": {"register_measured_m3": "v"}}
    table = {"name": "meters", "url": f"mqtt://127.0.0.1:{port}", "client_id": "gasgate-victim", "topic": [topic]}
    return MqttCollector(MqttConfig.model_validate(table), MemoryRegistry(), network(), ManualClock(NOW_US))


async def test_a_killed_gateway_gets_again_what_it_had_not_acked(mosquitto: Server) -> None:
    peer = Publisher(mosquitto.port)
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", VICTIM, str(mosquitto.port), stdout=pipe)
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), 60) == b"open\n"
    await asyncio.to_thread(peer.send, *(message("M-000001", number) for number in range(5)))
    for _ in range(4):
        assert await asyncio.wait_for(child.stdout.readline(), 60) == b"got\n"
    child.kill()
    await child.wait()
    async with opened(victim(mosquitto.port)) as deliveries:
        got = await take(deliveries, 4)
    peer.close()
    assert [float(delivery.batch.value[0]) for delivery in got] == [1, 2, 3, 4]


async def test_a_session_that_another_gateway_took_is_told_apart(source: Any) -> None:
    """A broker of twenty lines, because the Mosquitto of Debian 12 closes such a connection without a word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            kind, length = await reader.readexactly(2)
            body = await reader.readexactly(length)
            if kind >> 4 == 1:
                writer.write(b"\x20\x03\x00\x00\x00")
            else:
                writer.write(b"\x90\x04" + body[:2] + b"\x00\x01")
                writer.write(b"\xe0\x02\x8e\x00")
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with opened(source(server.sockets[0].getsockname()[1], version=5)) as deliveries:
        with pytest.raises(PermanentError, match="another client has taken over"):
            await asyncio.wait_for(anext(deliveries), 60)
    server.close()


async def test_a_second_gateway_takes_over_all_that_is_unacked(mosquitto: Server, source: Any) -> None:
    peer = Publisher(mosquitto.port)
    async with opened(source(mosquitto.port, version=5)) as first:
        await asyncio.to_thread(peer.send, message("M-000001", 1), message("M-000001", 2))
        await take(first, 2, ack=False)
        async with opened(source(mosquitto.port, version=5)) as second:
            assert registers(await take(second, 2)) == [1, 2]
        with pytest.raises((TransientError, PermanentError)):
            await asyncio.wait_for(anext(first), 60)
    peer.close()


async def test_of_two_gateways_that_fight_silently_the_first_stands_back(
    mosquitto: Server, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mosquitto closes the connection of a client whose id comes again without a word to it, on 3.1.1."""
    monkeypatch.setattr("gateway.runtime.runner.FIRST_RECONNECT_S", 0.1)
    got: list[float] = []

    async def put(delivery: Delivery) -> None:
        got.extend(registers([delivery]))
        assert delivery.ack is not None
        await delivery.ack()

    first = PushRunner(source(mosquitto.port), put, ManualClock(NOW_US))
    second = PushRunner(source(mosquitto.port), put, ManualClock(NOW_US))
    tasks = [asyncio.create_task(first.run())]
    await until(lambda: first.link_states()[0].up is True)
    tasks.append(asyncio.create_task(second.run()))
    await until(lambda: "another client has taken over gasgate-" in first.link_states()[0].error)
    await until(lambda: second.link_states()[0].up is True)
    await asyncio.sleep(0.5)
    assert second.link_states()[0].up is True
    peer = Publisher(mosquitto.port)
    await asyncio.to_thread(peer.send, *(message("M-000001", number) for number in range(100)))
    await until(lambda: len(got) == 100)
    peer.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert got == list(range(100))


def test_two_closed_connections_are_a_take_over_only_in_a_minute_and_right_after_connecting() -> None:
    assert [TakeoverGuard().closed(0, 5), TakeoverGuard().closed(0, 5000)] == [False, False]
    quick, slow, late = TakeoverGuard(), TakeoverGuard(), TakeoverGuard()
    assert [quick.closed(0, 5000), quick.closed(5002, 5003)] == [False, True]
    assert [slow.closed(0, 5000), slow.closed(5002, 5040)] == [False, False]
    assert [late.closed(0, 5000), late.closed(5060, 5061)] == [False, False]


def test_whoever_suspects_another_gateway_disturbs_it_once_and_not_twice() -> None:
    guard = TakeoverGuard()
    assert [guard.closed(0, 5000), guard.closed(5002, 5003)] == [False, True]
    assert guard.closed(5303, 5305), "after standing back one more is enough"
    assert not guard.closed(5605, 5700), "that one lasted"
    assert not guard.closed(6000, 6010), "so nobody is suspected any more"


def test_a_connection_that_ended_in_a_standstill_was_taken_over_unless_the_broker_may_have_given_up() -> None:
    assert TakeoverGuard().closed(0, 5000, frozen_s=10, keepalive_s=30)
    assert not TakeoverGuard().closed(0, 5000, frozen_s=1, keepalive_s=30)
    long = TakeoverGuard()
    assert not long.closed(0, 5000, frozen_s=50, keepalive_s=30)
    assert long.closed(5002, 5004), "it is suspected all the same"


def test_a_standstill_is_seen_before_and_for_a_while_after_the_next_tick() -> None:
    watch = Stillness(100.0)
    for second in range(101, 105):
        watch.tick(float(second))
    assert watch.just_now(104.5) == 0.0
    assert watch.just_now(125.5) == 20.0, "the tick has not come yet"
    watch.tick(126.0)
    assert watch.just_now(127.0) == 20.0
    for second in range(127, 140):
        watch.tick(float(second))
    assert watch.just_now(140.0) == 0.0
