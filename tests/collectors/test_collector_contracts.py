import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from iotcore.broker import Broker

from collectors.modbus import ModbusCollector
from collectors.mqtt import MqttCollector
from collectors.mqtt_config import MqttConfig
from gateway.ports import PushedCollector
from gateway.runtime.clock import ManualClock
from tests.collectors.devices import Device, Question, running
from tests.collectors.mqtt_peers import Publisher
from tests.collectors.sites import MemoryRegistry, link, modbus, network, write_profile
from tests.contracts.collector_contract import PolledCollectorContract, PushedCollectorContract

NOW_US = 1_768_435_200_000_000


class Switched:
    """Devices that answer every register with 1 unless they are away."""

    def __init__(self) -> None:
        self.away = False
        self.device: Device | None = None
        self._asked = asyncio.Event()

    def answer(self, question: Question) -> bytes | None:
        self._asked.set()
        return None if self.away else question.registers([1] * question.count)

    async def was_asked(self) -> None:
        await self._asked.wait()


class TestModbusCollector(PolledCollectorContract):
    @pytest.fixture
    def now_us(self) -> int:
        return NOW_US

    @pytest.fixture
    async def devices(self) -> AsyncIterator[Switched]:
        switched = Switched()
        async with running(switched.answer) as device:
            switched.device = device
            yield switched

    @pytest.fixture
    def collector(self, devices: Switched, tmp_path: Path) -> ModbusCollector:
        assert devices.device is not None
        units = [
            {"unit": 1, "profile": write_profile(tmp_path), "asset": "M-000001"},
            {"unit": 2, "profile": "diaphragm_rs485", "asset": "M-000002"},
        ]
        return modbus(MemoryRegistry(), link(devices.device.port, *units, timeout_s=2.0), clock=ManualClock(NOW_US))


class MqttSenders:
    def __init__(self, port: int, topic: str) -> None:
        self.peer = Publisher(port)
        self.topic = topic

    def send(self, *numbers: int, junk: int = 0) -> None:
        unreadable = [(self.topic, b"?")] * junk
        self.peer.send(*unreadable, *((self.topic, b'{"v":%d}' % number) for number in numbers))


class MqttContract(PushedCollectorContract):
    @pytest.fixture
    def port(self) -> int:
        raise NotImplementedError

    @pytest.fixture
    def senders(self, port: int) -> Iterator[MqttSenders]:
        senders = MqttSenders(port, "contract/M-000001")
        yield senders
        senders.peer.close()

    @pytest.fixture
    def make_collector(self, port: int, request: pytest.FixtureRequest) -> Callable[[], PushedCollector]:
        return lambda: mqtt(port, f"contract-{request.node.name}")

    @pytest.fixture
    def unreachable(self, free_port: Callable[[], int]) -> PushedCollector:
        return mqtt(free_port(), "contract-nobody")


def mqtt(port: int, client_id: str) -> MqttCollector:
    table = {
        "name": "meters",
        "url": f"mqtt://127.0.0.1:{port}",
        "version": "3.1.1",
        "client_id": client_id,
        "topic": [{"filter": "contract/{meter}", "values": {"flags": "v"}}],
    }
    return MqttCollector(MqttConfig.model_validate(table), MemoryRegistry(), network(), ManualClock(NOW_US))


class TestMqttCollectorOnMosquitto(MqttContract):
    @pytest.fixture
    def port(self, request: pytest.FixtureRequest) -> int:
        return int(request.getfixturevalue("mosquitto").port)


class TestMqttCollectorOnIotcore(MqttContract):
    @pytest.fixture
    def port(self, free_port: Callable[[], int]) -> Iterator[int]:
        with Broker(port=free_port(), listen="127.0.0.1") as broker:
            yield broker.port
