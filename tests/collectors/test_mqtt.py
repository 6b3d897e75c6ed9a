import asyncio
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from iotcore.broker import Broker
from paho.mqtt.enums import CallbackAPIVersion

from collectors.impostors import MOST, ImpostorWatch
from collectors.mqtt import MqttCollector
from collectors.mqtt_config import MqttConfig
from collectors.takeover import Stillness, TakeoverGuard
from collectors.tls_files import ExpiryWatch, tls_context
from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.reading import GOOD
from gateway.ports import Delivery
from gateway.runtime.clock import ManualClock
from gateway.runtime.runner import PushRunner
from tests.collectors.sites import MemoryRegistry, network
from tests.collectors.test_sparkplug import DBIRTH, DDATA, NBIRTH
from tests.services import Server

NOW_US = 1_768_435_200_000_000
T_MS = 1_768_435_100_000


class Publisher:
    """An independent peer: paho, QoS 1, each message confirmed by the broker before `send` returns."""

    def __init__(self, port: int) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.max_inflight_messages_set(1000)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def send(self, *messages: tuple[str, bytes], retain: bool = False) -> None:
        sent = [self.client.publish(topic, payload, qos=1, retain=retain) for topic, payload in messages]
        for one in sent:
            one.wait_for_publish(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def message(meter: str, number: int, **more: Any) -> tuple[str, bytes]:
    body = {"id": meter, "readings": [{"t": T_MS + number, "v": number}], **more}
    return f"{PREFIX}/{meter}/up", json.dumps(body).encode()


PREFIX = "collect"


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker_port(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param == "mosquitto":
        yield request.getfixturevalue("mosquitto").port
        return
    with Broker(port=request.getfixturevalue("free_port")(), listen="127.0.0.1") as broker:
        yield broker.port


@pytest.fixture
def source(request: pytest.FixtureRequest) -> Callable[..., MqttCollector]:
    def make(port: int, **changes: Any) -> MqttCollector:
        table = {
            "name": "meters",
            "url": f"mqtt://127.0.0.1:{port}",
            "version": "3.1.1",
            "client_id": f"gasgate-{request.node.name}"[:60].replace("[", "-").replace("]", ""),
            "timeout_s": 5.0,
            "topic": [
                {
                    "filter": f"{PREFIX}/{{meter}}/up",
                    "identity": "$.id",
                    "each": "$.readings[*]",
                    "time": {"path": "t", "as": "epoch_ms"},
                    "values": {"register_measured_m3": {"path": "v", "scale": 0.001}},
                }
            ],
            **changes,
        }
        return MqttCollector(MqttConfig.model_validate(table), MemoryRegistry(), network(), ManualClock(NOW_US))

    return make


@pytest.fixture
def publisher(broker_port: int) -> Iterator[Publisher]:
    peer = Publisher(broker_port)
    yield peer
    peer.close()


@asynccontextmanager
async def opened(collector: MqttCollector) -> AsyncIterator[AsyncIterator[Delivery]]:
    await collector.open()
    try:
        yield collector.deliveries()
    finally:
        await collector.close()


async def take(deliveries: AsyncIterator[Delivery], count: int, *, ack: bool = True) -> list[Delivery]:
    got: list[Delivery] = []
    taken = 0
    async with asyncio.timeout(40):
        # a delivery brings several messages where many wait; each message of these tests is one reading
        while taken < count:
            got.append(await anext(deliveries))
            taken += max(1, len(got[-1].batch))
            if ack and (acknowledge := got[-1].ack):
                await acknowledge()
    return got


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not condition():  # noqa: ASYNC110 - tests watch from outside
            await asyncio.sleep(0.02)


def registers(deliveries: list[Delivery]) -> list[float]:
    return [round(float(value) * 1000) for delivery in deliveries for value in delivery.batch.value]


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


VICTIM = """
import asyncio, sys, tests.collectors.test_mqtt as here
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
    assert await asyncio.wait_for(child.stdout.readline(), 8) == b"open\n"
    await asyncio.to_thread(peer.send, *(message("M-000001", number) for number in range(5)))
    for _ in range(4):
        assert await asyncio.wait_for(child.stdout.readline(), 5) == b"got\n"
    child.kill()
    await child.wait()
    async with opened(victim(mosquitto.port)) as deliveries:
        got = await take(deliveries, 4)
    peer.close()
    assert [float(delivery.batch.value[0]) for delivery in got] == [1, 2, 3, 4]


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
            await asyncio.wait_for(anext(deliveries), 5)
    server.close()


async def test_a_second_gateway_takes_over_all_that_is_unacked(mosquitto: Server, source: Any) -> None:
    peer = Publisher(mosquitto.port)
    async with opened(source(mosquitto.port, version=5)) as first:
        await asyncio.to_thread(peer.send, message("M-000001", 1), message("M-000001", 2))
        await take(first, 2, ack=False)
        async with opened(source(mosquitto.port, version=5)) as second:
            assert registers(await take(second, 2)) == [1, 2]
        with pytest.raises((TransientError, PermanentError)):
            await asyncio.wait_for(anext(first), 5)
    peer.close()


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


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": "http://x"}, "mqtt://host:port"),
        ({"version": 4}, "version"),
        ({"client_id": ""}, "client_id"),
        ({"topic": []}, "topic"),
        ({"password": {"env": "A", "file": "b"}}, "name one source"),
    ],
)
def test_a_wrong_configuration_is_refused(source: Any, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        source(1883, **changes)


def test_a_path_that_is_none_is_refused(source: Any) -> None:
    topic = {"filter": "x/{meter}", "values": {"flags": "a..b"}}
    with pytest.raises((ConfigError, ValueError), match="is no path"):
        source(1883, topic=[topic])


def certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, *subject, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


async def test_tls_checks_who_answers(tmp_path: Path, source: Any, free_port: Callable[[], int]) -> None:
    cert, key = certificate(tmp_path)
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\ncertfile {cert}\nkeyfile {key}\n")
    broker = await asyncio.create_subprocess_exec("mosquitto", "-c", str(config), stderr=subprocess.DEVNULL)
    try:
        await asyncio.sleep(0.5)
        trusting = source(1, url=f"mqtts://localhost:{port}", ca=cert)
        async with opened(trusting):
            pass
        for stranger in ({"url": f"mqtts://127.0.0.1:{port}", "ca": cert}, {"url": f"mqtts://localhost:{port}"}):
            with pytest.raises(TransientError, match=r"certificate verify failed|doesn't match|not valid"):
                await source(1, **stranger).open()
    finally:
        broker.terminate()
        await broker.wait()


def test_tls_is_1_2_or_newer_and_missing_files_are_named(tmp_path: Path, source: Any) -> None:
    table = {"name": "m", "url": "mqtts://x", "client_id": "c", "topic": source(1)._config.topics}
    assert tls_context(MqttConfig.model_validate(table)).minimum_version is ssl.TLSVersion.TLSv1_2
    with pytest.raises(ConfigError, match="certificate files"):
        tls_context(MqttConfig.model_validate({**table, "ca": tmp_path / "gone.pem"}))


def test_a_certificate_that_expires_is_told_a_month_and_a_week_before(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "100", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, stderr=subprocess.DEVNULL)
    topics = [{"filter": "{meter}", "time": {"as": "arrival"}, "values": {"register_measured_m3": "v"}}]
    table = {"name": "m", "url": "mqtts://x", "client_id": "c", "ca": cert, "topic": topics}
    watch, plain = ExpiryWatch(), ExpiryWatch()
    watch.read(MqttConfig.model_validate(table))
    plain.read(MqttConfig.model_validate({**table, "url": "mqtt://x"}))
    now = datetime.now(UTC)
    told = [bool(watch.look(now + timedelta(days=days))) for days in (0, 69, 71, 80, 94, 98, 101, 102)]
    assert told == [False, False, True, False, True, False, True, False]
    assert watch.complaint == f"certificate {cert} has expired on {now + timedelta(days=100):%Y-%m-%d}"
    assert not plain.look(now + timedelta(days=200))
    watch.read(MqttConfig.model_validate({**table, "ca": None}))
    assert (watch.look(now + timedelta(days=102)), watch.complaint) == ("", "")


async def test_the_password_is_read_when_connecting_and_never_shown(
    source: Any, mosquitto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = source(mosquitto.port, username="u", password={"env": "MQTT_TEST_SECRET"})
    with pytest.raises(ConfigError, match="MQTT_TEST_SECRET"):
        await collector.open()
    monkeypatch.setenv("MQTT_TEST_SECRET", "hush-hush")
    async with opened(collector):
        assert "hush" not in repr(collector._config)


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


async def test_silence_is_noticed_said_and_ended(mosquitto: Server, source: Any) -> None:
    collector = source(mosquitto.port, silence_s=0.4)
    peer = Publisher(mosquitto.port)

    async def put(delivery: Delivery) -> None:
        assert delivery.ack is not None
        await delivery.ack()

    runner = PushRunner(collector, put, ManualClock(NOW_US))
    task = asyncio.create_task(runner.run())
    await until(lambda: "subscribed again" in runner.link_states()[0].error)
    assert runner.link_states()[0].up is True
    await asyncio.to_thread(peer.send, message("M-000001", 1))
    await until(lambda: not runner.link_states()[0].error)
    await until(lambda: runner.link_states()[0].up is False)
    assert "connected again" in runner.link_states()[0].error
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    peer.close()


async def test_after_a_silence_everything_that_waited_comes(mosquitto: Server, source: Any) -> None:
    collector = source(mosquitto.port, silence_s=0.2)
    peer = Publisher(mosquitto.port)
    async with opened(collector) as deliveries:
        with pytest.raises(TransientError, match=r"no message for 0\.4 s"):
            await asyncio.wait_for(anext(deliveries), 5)
        await asyncio.to_thread(peer.send, message("M-000001", 7))
        await collector.open()
        assert registers(await take(collector.deliveries(), 1)) == [7]
    peer.close()


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


async def test_what_a_message_says_of_strangers_is_a_dead_letter_beside_the_readings(
    mosquitto: Server, source: Any
) -> None:
    topic = {"filter": f"{PREFIX}/many", "each": "$.m[*]", "meter": "id", "values": {"battery_v": "b"}}
    body = {"m": [{"id": "M-000001", "b": 3.6}, {"id": "stranger", "b": 1}, {"id": "M-000002", "b": 3.5}]}
    peer = Publisher(mosquitto.port)
    async with opened(source(mosquitto.port, topic=[topic])) as deliveries:
        await asyncio.to_thread(peer.send, (f"{PREFIX}/many", json.dumps(body).encode()))
        (delivery,) = await take(deliveries, 1)
    peer.close()
    assert list(delivery.batch.value) == [3.6, 3.5]
    assert [letter.reason for letter in delivery.dead] == ["unknown meter in the message: stranger"]
    assert json.loads(delivery.dead[0].payload) == body


async def test_many_messages_for_other_meters_are_complained_of_once_a_source(mosquitto: Server, source: Any) -> None:
    collector = source(mosquitto.port)
    peer = Publisher(mosquitto.port)
    async with opened(collector) as deliveries:
        wrong = (f"{PREFIX}/M-000001/up", message("M-000002", 1)[1])
        await asyncio.to_thread(peer.send, *[wrong] * (MOST - 1))
        await take(deliveries, MOST - 1)
        assert collector.complaint == ""
        await asyncio.to_thread(peer.send, wrong)
        await take(deliveries, 1)
        assert "speak for meters of other topics, the last one on collect/M-000001/up" in collector.complaint
    peer.close()


def test_faults_of_long_ago_are_forgiven() -> None:
    watch = ImpostorWatch()
    for second in range(MOST):
        watch.note("t", float(second * 100))
    assert not watch.complaint(900.1)
    for second in range(MOST):
        watch.note("t", 1000.0 + second)
    assert watch.complaint(1500.0)
    assert not watch.complaint(1700.0)
