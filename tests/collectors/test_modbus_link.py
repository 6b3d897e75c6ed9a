import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from collectors.modbus_config import LinkConfig, ModbusConfig
from collectors.modbus_frames import WrongReplyError
from collectors.modbus_link import Link, unusable_certificates
from collectors.plan import Request
from gateway.errors import TransientError
from gateway.model.profile import RegisterTable
from gateway.runtime.clock import SystemClock
from tests.collectors.peers import (
    Asked,
    Peer,
    Send,
    cable,
    honestly,
    on_line,
    on_socket,
    pymodbus_server,
    silently,
    truth,
)
from tests.collectors.sites import MemoryRegistry, modbus, write_profile

FRAMERS = {"tcp": FramerType.SOCKET, "rtu+tcp": FramerType.RTU, "ascii+tcp": FramerType.ASCII}
PLACES = ("tcp", "rtu+tcp", "ascii+tcp", "rtu", "ascii")


def make_link(url: str, *, units: int = 1, **changes: Any) -> Link:
    table: dict[str, Any] = {
        "name": "a",
        "url": url,
        "timeout_s": 0.3,
        "unit": [{"unit": number + 1, "profile": "station_rtu", "asset": "S-01"} for number in range(units)],
        **changes,
    }
    return Link(LinkConfig.model_validate(table), SystemClock())


@asynccontextmanager
async def at_peer(place: str, answer: Callable[[Asked, Send], None] = honestly) -> AsyncIterator[tuple[Peer, str]]:
    framing = place.split("+", maxsplit=1)[0]
    if place in ("rtu", "ascii"):
        async with on_line(framing, answer) as peer:
            yield peer, f"{place}://{peer.path}"
    else:
        async with on_socket(framing, answer) as peer:
            yield peer, f"{place}://127.0.0.1:{peer.port}"


async def read(link: Link, start: int, count: int = 2, unit: int = 1) -> list[int]:
    reply = await link.read(unit, Request(RegisterTable.HOLDING, start, count, ()))
    return list(reply.cells)


def right(start: int, count: int = 2, unit: int = 1) -> list[int]:
    return [truth(unit, start + place) for place in range(count)]


@pytest.mark.parametrize("place", FRAMERS)
async def test_a_pymodbus_server_is_read_over_each_socket_framing(place: str, free_port: Callable[[], int]) -> None:
    port = free_port()
    async with pymodbus_server(port, FRAMERS[place], (1, 9)):
        link = make_link(f"{place}://127.0.0.1:{port}", units=9)
        for unit, start, count in ((1, 0, 125), (9, 17, 1), (1, 100, 100)):
            assert await read(link, start, count, unit) == right(start, count, unit)
        link.drop()


@pytest.mark.parametrize("place", ["rtu", "ascii"])
async def test_a_pymodbus_server_is_read_over_a_serial_line(place: str, free_port: Callable[[], int]) -> None:
    port = free_port()
    async with pymodbus_server(port, FRAMERS[f"{place}+tcp"]), cable(port) as path:
        link = make_link(f"{place}://{path}", serial={"baud": 115200})
        for start, count in ((0, 125), (17, 1), (100, 100)):
            assert await read(link, start, count) == right(start, count)
        link.drop()


@pytest.mark.parametrize("place", PLACES)
async def test_bits_are_read(place: str) -> None:
    async with at_peer(place, lambda asked, send: send(asked.reply(bytes([asked.function, 2, 0b10000101, 0b1])))) as (
        _,
        url,
    ):
        link = make_link(url)
        reply = await link.read(1, Request(RegisterTable.COIL, 5, 10, ()))
        assert list(reply.cells) == [1, 0, 1, 0, 0, 0, 0, 1, 1, 0]
        link.drop()


@pytest.mark.parametrize("place", PLACES)
async def test_a_late_reply_answers_nothing(place: str) -> None:
    async def later(frame: bytes) -> None:
        await asyncio.sleep(0.8)
        # the converter sends it to whoever is connected then
        peer.send(frame)

    tasks = []

    def answer(asked: Asked, send: Send) -> None:
        if asked.start == 10:
            tasks.append(asyncio.create_task(later(asked.honest())))
        else:
            send(asked.honest())

    async with at_peer(place, answer) as (peer, url):
        link = make_link(url, timeout_s=0.6)
        with pytest.raises(TransientError, match="unit 1 does not answer"):
            await read(link, 10)
        assert await read(link, 20) == right(20)
        await asyncio.gather(*tasks)
        assert await read(link, 30) == right(30)
        link.drop()


@pytest.mark.parametrize("place", PLACES)
async def test_the_reply_to_a_cancelled_question_answers_nothing(place: str) -> None:
    came = asyncio.Event()

    def answer(asked: Asked, send: Send) -> None:
        if asked.start == 10:
            came.set()
            asyncio.get_running_loop().call_later(0.05, lambda: peer.send(asked.honest()))
        else:
            send(asked.honest())

    async with at_peer(place, answer) as (peer, url):
        link = make_link(url, timeout_s=1.5)
        task = asyncio.create_task(read(link, 10))
        await came.wait()
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 1
        assert await read(link, 20) == right(20)
        link.drop()


@pytest.mark.parametrize("place", PLACES)
async def test_a_doubled_reply_answers_once(place: str) -> None:
    def twice(asked: Asked, send: Send) -> None:
        send(asked.honest())
        send(asked.honest())

    async with at_peer(place, twice) as (_, url):
        link = make_link(url)
        for start in range(10, 30, 2):
            assert await read(link, start) == right(start)
        link.drop()


@pytest.mark.parametrize("place", PLACES)
async def test_a_foreign_reply_is_refused_and_the_next_is_right(place: str) -> None:
    wrong = iter([True, False] * 4)

    def answer(asked: Asked, send: Send) -> None:
        stranger = Asked(asked.framing, asked.transaction, 9, asked.function, 0, asked.count)
        send(stranger.honest() if next(wrong) else asked.honest())

    async with at_peer(place, answer) as (_, url):
        link = make_link(url)
        for _ in range(4):
            with pytest.raises(WrongReplyError, match="unit 9 instead of 1"):
                await read(link, 10)
            assert await read(link, 20) == right(20)
        link.drop()


async def test_a_converter_that_never_falls_silent_is_given_up() -> None:
    async def babble(peer: Peer) -> None:
        while True:
            await asyncio.sleep(0.01)
            peer.send(b"\x55")

    async with at_peer("rtu", silently) as (peer, url):
        link = make_link(url, timeout_s=0.1)
        task = asyncio.create_task(babble(peer))
        with pytest.raises((TransientError, WrongReplyError)):
            await read(link, 10)
        began = time.monotonic()
        with pytest.raises(TransientError, match="without end"):
            await read(link, 10)
        assert time.monotonic() - began < 30
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        peer.answer = honestly
        assert await read(link, 10) == right(10)
        link.drop()


async def test_a_silent_unit_does_not_cost_its_neighbours_the_connection() -> None:
    def answer(asked: Asked, send: Send) -> None:
        if asked.unit != 2:
            honestly(asked, send)

    async with at_peer("tcp", answer) as (peer, url):
        link = make_link(url, units=2, timeout_s=0.1)
        for _ in range(3):
            assert await read(link, 10) == right(10)
            with pytest.raises(TransientError):
                await read(link, 10, unit=2)
        assert peer.connections == 1
        peer.answer = silently
        for _ in range(2):
            with pytest.raises(TransientError):
                await read(link, 10)
        peer.answer = honestly
        assert await read(link, 10) == right(10)
        # one silence after a reply is forgiven, the next two are not
        assert peer.connections == 3
        link.drop()


async def test_a_dead_unit_is_waited_for_less_and_less_often_in_full() -> None:
    async with at_peer("tcp") as (peer, url):
        link = make_link(url, timeout_s=1.2)
        for start in range(20):
            await read(link, start)
        peer.answer = silently
        waits = []
        for _ in range(8):
            began = time.monotonic()
            with pytest.raises(TransientError):
                await read(link, 1)
            waits.append(time.monotonic() - began)
        assert ["full" if wait >= 1.2 else "short" for wait in waits] == ["full"] * 3 + ["short"] * 4 + ["full"]
        assert min(waits) >= 0.2
        peer.answer = honestly
        await read(link, 1)
        peer.answer = silently
        began = time.monotonic()
        with pytest.raises(TransientError):
            await read(link, 1)
        assert time.monotonic() - began > 1.05
        link.drop()


async def test_a_unit_may_have_more_time_than_its_link() -> None:
    def slowly(asked: Asked, send: Send) -> None:
        asyncio.get_running_loop().call_later(0.25, lambda: send(asked.honest()))

    async with at_peer("tcp", slowly) as (_, url):
        unit = {"unit": 1, "profile": "station_rtu", "asset": "S-01", "timeout_s": 1.0}
        link = make_link(url, timeout_s=0.1, unit=[unit])
        assert await read(link, 10) == right(10)
        link.drop()


async def test_pauses_are_kept() -> None:
    times: list[float] = []

    def note(asked: Asked, send: Send) -> None:
        times.append(time.monotonic())
        honestly(asked, send)

    async with at_peer("tcp", note) as (_, url):
        link = make_link(url, connect_pause_s=0.2, pause_s=0.1)
        began = time.monotonic()
        for start in range(3):
            await read(link, start)
        assert times[0] - began >= 0.2
        assert all(later - sooner >= 0.1 for sooner, later in pairwise(times))
        assert times[-1] - began < 3
        link.drop()


async def test_a_line_that_is_plugged_in_again_is_opened_again(tmp_path: Path) -> None:
    name = tmp_path / "ttyUSB0"
    link = make_link(f"rtu://{name}")
    with pytest.raises(TransientError, match=f"no connection to {name}"):
        await read(link, 10)
    for _ in range(2):
        async with at_peer("rtu") as (peer, _):
            name.symlink_to(peer.path)
            assert await read(link, 10) == right(10)
        name.unlink()
        with pytest.raises(TransientError):
            await read(link, 10)
    link.drop()


async def test_what_is_no_serial_line_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    link = make_link(f"rtu://{tmp_path}/file")
    with pytest.raises(TransientError, match="no connection"):
        await read(link, 10)


def make_certificate(folder: Path, name: str, *more: str) -> tuple[str, str]:
    cert, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", *more]
    subprocess.run([*command, "-out", cert, "-keyout", key], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    folder = tmp_path_factory.mktemp("certificates")
    return {name: make_certificate(folder, name) for name in ("device", "gateway", "stranger")}


@asynccontextmanager
async def tls_server(port: int, certificates: dict[str, tuple[str, str]]) -> AsyncIterator[None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates["device"])
    context.load_verify_locations(certificates["gateway"][0])
    context.verify_mode = ssl.CERT_REQUIRED
    data = SimData(0, values=[truth(1, at) for at in range(200)], datatype=DataType.REGISTERS)
    # the standard packs Modbus TCP frames into TLS; pymodbus calls something else its TLS framing
    server = ModbusTlsServer(
        SimDevice(1, simdata=[data]), framer=FramerType.SOCKET, address=("127.0.0.1", port), sslctx=context
    )
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


async def test_tls_with_a_client_certificate(
    free_port: Callable[[], int], certificates: dict[str, tuple[str, str]]
) -> None:
    port = free_port()
    files: dict[str, Any] = {
        "ca": certificates["device"][0],
        "certificate": certificates["gateway"][0],
        "key": certificates["gateway"][1],
    }
    async with tls_server(port, certificates):
        link = make_link(f"tls://127.0.0.1:{port}", timeout_s=2.0, server_name="device", **files)
        assert await read(link, 10) == right(10)
        link.drop()


@pytest.mark.parametrize(
    "change",
    [
        {"server_name": ""},
        {"ca": "stranger"},
        {"certificate": "stranger", "key": "stranger"},
        {"certificate": None, "key": None},
    ],
)
async def test_a_tls_device_that_cannot_be_trusted_is_not_read(
    free_port: Callable[[], int], certificates: dict[str, tuple[str, str]], change: dict[str, str | None]
) -> None:
    names: dict[str, str | None] = {"ca": "device", "certificate": "gateway", "key": "gateway", **change}
    files: dict[str, Any] = {
        key: certificates[name][key == "key"]
        for key, name in names.items()
        if key != "server_name" and name is not None
    }
    port = free_port()
    async with tls_server(port, certificates):
        link = make_link(
            f"tls://127.0.0.1:{port}", timeout_s=2.0, server_name=change.get("server_name", "device"), **files
        )
        with pytest.raises(TransientError):
            await read(link, 10)
        link.drop()


def test_certificate_files_that_cannot_be_used_are_named_without_a_connection(
    certificates: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "empty.pem").write_text("")
    unit = {"unit": 1, "profile": "station_rtu", "asset": "S-01"}
    links = [
        {"name": name, "url": "tls://192.0.2.1", "ca": ca, "unit": [unit]}
        for name, ca in (("a", certificates["device"][0]), ("b", tmp_path / "gone.pem"), ("c", tmp_path / "empty.pem"))
    ]
    problems = unusable_certificates(ModbusConfig.model_validate({"name": "s", "link": links}))
    assert [problem.split(":")[0] for problem in problems] == ["source s, link b", "source s, link c"]


@pytest.mark.parametrize("place", PLACES)
async def test_the_collector_reads_a_unit_over_every_way(place: str, tmp_path: Path) -> None:
    registry = MemoryRegistry()
    async with at_peer(place) as (peer, url):
        unit = {"unit": 1, "profile": write_profile(tmp_path), "asset": "M-000001"}
        collector = modbus(registry, {"name": "a", "url": url, "unit": [unit]})
        await collector.open()
        table = registry.table(await collector.collect(collector.jobs()[0]))
        await collector.close()
    assert table == {
        "M-000001/register_measured_m3": ((truth(1, 10) << 16) + truth(1, 11)) / 1000,
        "M-000001/balance_m3": ((truth(1, 12) << 16) + truth(1, 13)) / 100,
        "M-000001/flow_measured_m3h": truth(1, 20) / 10,
        "M-000001/valve": truth(1, 21) & 1,
    }
    assert [(one.start, one.count) for one in peer.asked] == [(10, 12)]
