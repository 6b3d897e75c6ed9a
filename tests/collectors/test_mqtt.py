import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from iotcore.broker import Broker

from gateway.errors import TransientError
from gateway.model.reading import GOOD
from gateway.ports import Delivery
from gateway.runtime.clock import ManualClock
from gateway.runtime.runner import PushRunner
from tests.collectors.mqtt_peers import (
    NOW_US,
    PREFIX,
    T_MS,
    Publisher,
    message,
    opened,
    registers,
    take,
    until,
)
from tests.collectors.test_sparkplug import DBIRTH, DDATA, NBIRTH
from tests.services import Server


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker_port(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param == "mosquitto":
        yield request.getfixturevalue("mosquitto").port
        return
    with Broker(port=request.getfixturevalue("free_port")(), listen="127.0.0.1") as broker:
        yield broker.port


@pytest.fixture
def publisher(broker_port: int) -> Iterator[Publisher]:
    peer = Publisher(broker_port)
    yield peer
    peer.close()


@pytest.mark.parametrize("version", ["3.1.1", 5])
async def test_messages_become_batches_in_order(
    broker_port: int, publisher: Publisher, source: Any, version: Any, request: pytest.FixtureRequest
) -> None:
    if version == 5 and "iotcore" in request.node.name:
        version = "3.1.1"
    collector = source(broker_port, version=version)
    async with opened(collector) as deliveries:
        await asyncio.to_thread(publisher.send, *(message("M-000001", number) for number in range(50)))
        got = await take(deliveries, 50)
    assert registers(got) == list(range(50))
    assert [int(at) for delivery in got for at in delivery.batch.source_time] == [
        (T_MS + number) * 1000 for number in range(50)
    ]
    assert {int(delivery.batch.quality[0]) for delivery in got} == {GOOD}
    assert {int(delivery.batch.received_time[0]) for delivery in got} == {NOW_US}
    assert {delivery.digest for delivery in got} == {b""}


async def test_what_was_not_acked_comes_again(broker_port: int, publisher: Publisher, source: Any) -> None:
    async with opened(source(broker_port)) as deliveries:
        await asyncio.to_thread(publisher.send, *(message("M-000001", number) for number in range(4)))
        first = await take(deliveries, 4)
        await asyncio.to_thread(publisher.send, *(message("M-000001", number) for number in range(4, 10)))
        lost = await take(deliveries, 6, ack=False)
        await asyncio.sleep(0.3)  # a disconnect may overtake acknowledgements: then the broker sends those again, too
    assert registers(first + lost) == list(range(10))
    async with opened(source(broker_port)) as deliveries:
        again = await take(deliveries, 6)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(deliveries), 0.3)
    assert sorted(registers(again)) == registers(lost)


async def test_an_ack_of_a_lost_connection_is_dropped_silently(
    broker_port: int, publisher: Publisher, source: Any
) -> None:
    collector = source(broker_port)
    async with opened(collector) as deliveries:
        await asyncio.to_thread(publisher.send, message("M-000001", 1))
        (old,) = await take(deliveries, 1, ack=False)
        await collector.open()
        assert old.ack is not None
        await old.ack()
        (again,) = await take(collector.deliveries(), 1)
    assert registers([again]) == [1]


async def test_messages_of_the_night_wait_in_the_session(mosquitto: Server, source: Any) -> None:
    async with opened(source(mosquitto.port)):
        pass
    peer = Publisher(mosquitto.port)
    await asyncio.to_thread(peer.send, *(message("M-000002", number) for number in range(5000)))
    peer.close()
    async with opened(source(mosquitto.port)) as deliveries:
        got = await take(deliveries, 5000)
    assert registers(got) == list(range(5000))
    assert max(len(delivery.batch) for delivery in got) > 1  # what waits is read in groups


async def test_bad_messages_in_a_backlog_keep_their_place_and_everything_is_acknowledged(
    mosquitto: Server, source: Any
) -> None:
    async with opened(source(mosquitto.port)):
        pass
    peer = Publisher(mosquitto.port)
    junk = (f"{PREFIX}/M-000001/up", b"?")
    sent = [junk if number % 7 == 3 else message(f"M-{number % 30 + 1:06d}", number) for number in range(2000)]
    await asyncio.to_thread(peer.send, *sent)
    collector = source(mosquitto.port)
    async with opened(collector) as deliveries:
        got = await take(deliveries, 2000)
        await asyncio.sleep(0.5)
    order = [value for one in got for value in ([-1.0] if one.dead else registers([one]))]
    assert order == [-1.0 if number % 7 == 3 else number for number in range(2000)]
    for delivery in got:
        wanted = [f"M-{value % 30 + 1:06d}/register_measured_m3" for value in registers([delivery])]
        assert collector._registry.names(delivery.batch.point) == wanted
    peer.close()
    async with opened(source(mosquitto.port)) as deliveries:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(deliveries), 0.3)


async def test_unreadable_messages_stop_nothing(broker_port: int, publisher: Publisher, source: Any) -> None:
    junk = [(f"{PREFIX}/M-000001/up", b"\x00not json") for _ in range(4998)]
    wrong = [message("M-999999", 1), (f"{PREFIX}/M-000001/up", message("M-000002", 1)[1])]
    async with opened(source(broker_port)) as deliveries:
        sending = asyncio.to_thread(publisher.send, *junk, *wrong, message("M-000003", 7))
        got, _ = await asyncio.gather(take(deliveries, 5001), sending)
    assert registers(got[-1:]) == [7]
    dead = [letter for delivery in got for letter in delivery.dead]
    assert len(dead) == 5000
    assert {letter.reason for letter in dead} == {
        "not JSON",
        "unknown meter in the topic",
        "identity: the message is of another meter than its topic",
    }
    assert (dead[0].source, dead[0].topic, dead[0].payload) == ("meters", f"{PREFIX}/M-000001/up", b"\x00not json")
    assert all(len(delivery.batch) == 0 for delivery in got[:-1])


async def test_a_huge_message_is_dead_and_the_next_one_lives(mosquitto: Server, source: Any) -> None:
    peer = Publisher(mosquitto.port)
    async with opened(source(mosquitto.port)) as deliveries:
        huge = (f"{PREFIX}/M-000001/up", b" " * 1_000_000)
        await asyncio.to_thread(peer.send, huge, message("M-000001", 5))
        got = await take(deliveries, 2)
    peer.close()
    assert got[0].dead[0].reason.startswith("too large")
    assert len(got[0].dead[0].payload) == 16 * 1024
    assert registers(got) == [5]


async def test_without_a_source_time_a_redelivery_has_the_same_digest(mosquitto: Server, source: Any) -> None:
    topic = {"filter": f"{PREFIX}/{{meter}}/now", "values": {"battery_v": "b"}}
    peer = Publisher(mosquitto.port)
    async with opened(source(mosquitto.port, topic=[topic])) as deliveries:
        await asyncio.to_thread(peer.send, (f"{PREFIX}/M-000001/now", b'{"b":3.6}'))
        (first,) = await take(deliveries, 1, ack=False)
    async with opened(source(mosquitto.port, topic=[topic])) as deliveries:
        (again,) = await take(deliveries, 1)
        await asyncio.to_thread(peer.send, (f"{PREFIX}/M-000002/now", b'{"b":3.6}'))
        (other,) = await take(deliveries, 1)
    peer.close()
    assert first.digest == again.digest != b""
    assert other.digest != first.digest


async def test_a_retained_message_without_time_is_no_reading(mosquitto: Server, source: Any) -> None:
    topic = {"filter": f"{PREFIX}/{{meter}}/kept", "values": {"battery_v": "b"}}
    peer = Publisher(mosquitto.port)
    await asyncio.to_thread(peer.send, (f"{PREFIX}/M-000001/kept", b'{"b":3.6}'), retain=True)
    async with opened(source(mosquitto.port, topic=[topic])) as deliveries:
        (delivery,) = await take(deliveries, 1)
    await asyncio.to_thread(peer.send, (f"{PREFIX}/M-000001/kept", b""), retain=True)
    peer.close()
    assert len(delivery.batch) == 0
    assert delivery.dead == ()


async def test_a_restarted_broker_is_found_again_and_nothing_is_lost(
    mosquitto: Server, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.runtime.runner.FIRST_RECONNECT_S", 0.1)
    got: list[Delivery] = []
    seen = threading.Event()

    async def put(delivery: Delivery) -> None:
        got.append(delivery)
        assert delivery.ack is not None
        await delivery.ack()
        if len(set(registers(got))) in (100, 200):
            seen.set()

    runner = PushRunner(source(mosquitto.port), put, ManualClock(NOW_US))
    task = asyncio.create_task(runner.run())
    for batch in range(2):
        await until(lambda: runner.link_states()[0].up is True)
        peer = Publisher(mosquitto.port)
        numbers = range(100 * batch, 100 * batch + 100)
        await asyncio.to_thread(peer.send, *(message("M-000001", number) for number in numbers))
        assert await asyncio.to_thread(seen.wait, 5)
        seen.clear()
        peer.close()
        await asyncio.to_thread(mosquitto.stop)
        await until(lambda: runner.link_states()[0].up is False)
        mosquitto.start()  # in the main thread: the broker dies with the thread that started it
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sorted(set(registers(got))) == list(range(200))
    assert runner.link_states()[0].deliveries == len(got)


async def test_no_broker_is_transient(free_port: Callable[[], int], source: Any) -> None:
    collector = source(free_port())
    with pytest.raises(TransientError, match="mqtt://127"):
        await collector.open()
    await collector.close()
    await collector.close()


async def test_a_broker_that_hangs_is_transient(source: Any) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    with pytest.raises(TransientError):
        await source(server.sockets[0].getsockname()[1], timeout_s=0.3).open()
    server.close()


async def test_a_sparkplug_node_is_asked_for_its_birth_once(mosquitto: Server, source: Any) -> None:
    topic = {"filter": "spBv1.0/Asked/#", "format": "sparkplug", "values": {"register_measured_m3": "Register"}}
    peer = Publisher(mosquitto.port)
    asked: list[tuple[str, bytes]] = []
    peer.client.on_message = lambda _client, _data, got: asked.append((got.topic, bytes(got.payload)))
    await until(peer.client.is_connected)
    peer.client.subscribe("spBv1.0/Asked/NCMD/edge")
    async with opened(source(mosquitto.port, topic=[topic])) as deliveries:
        for payload in (DDATA, DDATA, NBIRTH, DBIRTH, DDATA):
            kind = {NBIRTH: "NBIRTH", DBIRTH: "DBIRTH"}.get(payload, "DDATA")
            where = "edge" if payload == NBIRTH else "edge/M-000001"
            await asyncio.to_thread(peer.send, (f"spBv1.0/Asked/{kind}/{where}", payload))
        got = await take(deliveries, 5 + 1)
        await until(lambda: bool(asked))
    peer.close()
    assert [len(delivery.dead) for delivery in got if delivery.dead] == [1, 1]
    assert [round(float(value), 3) for one in got for value in one.batch.value[:1]] == [1234.567, 1235.0]
    ((where, request),) = asked
    assert where == "spBv1.0/Asked/NCMD/edge"
    assert b"Node Control/Rebirth" in request
