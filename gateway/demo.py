"""`gasgate demo`: a small simulated city and the gateway beside it, in one folder, on loopback only."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import FrameType

import httpx
from rich.console import Console

from gateway import app
from gateway.config import load
from gateway.errors import ConfigError, GatewayError
from gateway.runtime import child
from gateway.runtime.supervisor import PATIENCE_S

PEOPLE = (("operator", "operator"), ("engineer", "engineer"), ("admin", "administrator"))
PASSWORD = "demo-only-city"  # noqa: S105  (printed on purpose: the demo listens on loopback only)
START_LIMIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything of the demo listens, all on 127.0.0.1."""

    web: int
    keep: int
    broker: int
    desk: int
    influx: int
    influx_rpc: int
    modbus: int
    """first of a run of `MODBUS_PORTS` ports"""


MODBUS_PORTS = 12


def run_demo(folder: Path, *, speed: float, port: int, console: Console) -> int:
    """Set up what is missing, start all, wait for a signal, end all. Returns the exit code."""
    child.die_with_parent()
    _need_simulators()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GatewayError(f"a demo is already running in {folder}; end it, or give --folder another one") from None
        return _Demo(folder, speed, port, console, stopping).run()


class _Demo:
    def __init__(self, folder: Path, speed: float, port: int, console: Console, stopping: threading.Event) -> None:
        self._folder = folder
        self._speed = speed
        self._console = console
        self._stopping = stopping
        self._ports = _choose_ports(folder / "ports.json", port)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = folder / "logs"
        self._logs.mkdir(exist_ok=True)

    def run(self) -> int:
        began = time.monotonic()
        try:
            self._prepare()
            self._start_all()
            self._wait_until_usable()
            self._greet(time.monotonic() - began)
            while not self._stopping.wait(0.5):
                self._watch()
        except _Stopped:
            pass
        finally:
            self._console.print("Ending the demo ...")
            child.stop(list(self._children.values()), patience_s=PATIENCE_S + 4)
        self._console.print("The demo has ended; start it again to go on from here.")
        return 0

    def _prepare(self) -> None:
        if not (self._folder / "city.json").exists():
            self._say("Building the city and its last 60 days")
            self._once("simulators", "prepare", "--folder", str(self._folder))
        self._write_config()
        if not (self._folder / "imported").exists():
            self._say("Loading the history into the readings store")
            asyncio.run(app.import_dataset(load(self._config), self._folder / "history", show=self._console))
            (self._folder / "imported").touch()

    @property
    def _config(self) -> Path:
        return self._folder / "gasgate.toml"

    def _write_config(self) -> None:
        from simulators.demo_config import DemoPorts, write_config

        influx = f"http://127.0.0.1:{self._ports.influx}" if shutil.which("influxd") else None
        write_config(
            self._folder,
            DemoPorts(
                web=self._ports.web,
                keep=self._ports.keep,
                broker=self._ports.broker,
                desk=self._ports.desk,
                modbus=self._ports.modbus,
            ),
            influx_url=influx,
        )

    def _start_all(self) -> None:
        self._say("Starting the city, the ticket desk and the gateway")
        (self._folder / "ready").unlink(missing_ok=True)
        if shutil.which("influxd"):
            self._start_influx()
        ports = ["--broker-port", str(self._ports.broker), "--modbus-port", str(self._ports.modbus)]
        self._start(
            "city", "simulators", "demo-city", "--folder", str(self._folder), "--speed", str(self._speed), *ports
        )
        self._await("the city", (self._folder / "ready").exists)
        # only now is there a city's time, which the audit trail carries
        app.ensure_people(load(self._config), [(name, PASSWORD, role) for name, role in PEOPLE])
        events = f"http://127.0.0.1:{self._ports.web}/api/v1/ticket-events"
        desk = ["--folder", str(self._folder), "--port", str(self._ports.desk), "--events-url", events]
        self._start("desk", "simulators", "desk", *desk)
        self._start("gateway", "gateway", "run", str(self._config), "--logs", str(self._logs))

    def _start_influx(self) -> None:
        data = self._folder / "influxdb"
        data.mkdir(exist_ok=True)
        configuration = data / "influxdb.conf"
        configuration.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{self._ports.influx_rpc}"\n'
            f'[meta]\n  dir = "{data}/meta"\n[data]\n  dir = "{data}/data"\n  wal-dir = "{data}/wal"\n'
            f'[http]\n  bind-address = "127.0.0.1:{self._ports.influx}"\n  log-enabled = false\n'
            "[monitor]\n  store-enabled = false\n",
            encoding="utf-8",
        )
        self._start("influxdb", "gateway.runtime.child", "influxd", "-config", str(configuration))

    def _start(self, name: str, *arguments: str) -> None:
        self._children[name] = child.start(arguments, log=self._logs / f"{name}.log")

    def _once(self, *arguments: str) -> None:
        process = child.start(arguments)
        while process.poll() is None:
            if self._stopping.wait(0.05):
                child.stop([process])
                raise _Stopped
        if process.returncode:
            raise GatewayError(f"{' '.join(arguments[:2])} ended with code {process.returncode}")

    def _await(self, what: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + START_LIMIT_S
        while not ready():
            self._watch()
            if time.monotonic() > end:
                raise GatewayError(f"{what} did not start within {START_LIMIT_S:.0f} s; see {self._logs}")
            if self._stopping.wait(0.05):
                raise _Stopped

    def _wait_until_usable(self) -> None:
        with httpx.Client(timeout=2.0) as client:

            def answers() -> bool:
                with suppress(httpx.TransportError):
                    return client.get(f"{self._address}/healthz").status_code == httpx.codes.OK
                return False

            self._await("the gateway", answers)

    @property
    def _address(self) -> str:
        return f"http://127.0.0.1:{self._ports.web}"

    def _watch(self) -> None:
        for name, process in self._children.items():
            if process.poll() is not None:
                raise GatewayError(
                    f"{name} ended with code {process.returncode}; its log is {self._logs / (name + '.log')}"
                )

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]·[/] {text} ...")

    def _greet(self, seconds: float) -> None:
        show = self._console.print
        show(f"\n[bold]gasgate demo[/] is ready after {seconds:.0f} s: [bold]{self._address}[/]")
        show("Sign in as " + ", ".join(f"[bold]{name}[/]" for name, _ in PEOPLE) + f"; password [bold]{PASSWORD}[/]")
        show(f"City time runs {self._speed:g} times faster than yours. Everything is in {self._folder}.")
        influx = (
            f"InfluxDB 1.x at http://127.0.0.1:{self._ports.influx}, database gasgate"
            if "influxdb" in self._children
            else "off (no influxd on this machine)"
        )
        show(f"Stream to InfluxDB: {influx}")
        show("Watch the control room for three minutes; the note there says what to look at. Ctrl-C ends it.\n")
        sys.stdout.flush()


class _Stopped(Exception):  # noqa: N818  (not an error)
    """Somebody asked the demo to end while it was starting."""


def _need_simulators() -> None:
    for module in ("iotcore", "paho.mqtt", "pyarrow"):
        try:
            __import__(module)
        except ModuleNotFoundError:
            raise ConfigError(
                [f"the demo needs {module}: install gasgate with its extra, gasgate[simulators]"]
            ) from None


def _choose_ports(file: Path, web: int) -> Ports:
    """Return the ports of the last start where they are still free, else new ones."""
    chosen: Ports | None = None
    with suppress(OSError, ValueError, TypeError):
        chosen = Ports(**json.loads(file.read_text(encoding="utf-8")))
    if chosen is None or (web and chosen.web != web) or not all(map(_free, _all_ports(chosen))):
        if web and not _free(web):
            raise ConfigError([f"port {web} is taken; give --port another one, or 0 for any"])
        chosen = _new_ports(web)
        file.write_text(json.dumps(asdict(chosen)), encoding="utf-8")
    return chosen


def _all_ports(ports: Ports) -> list[int]:
    single = [getattr(ports, field.name) for field in fields(ports) if field.name != "modbus"]
    return [*single, *range(ports.modbus, ports.modbus + MODBUS_PORTS)]


def _new_ports(web: int) -> Ports:
    singles: list[int] = []
    sockets = [socket.socket() for _ in range(6)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
        singles.append(one.getsockname()[1])
    first = next(
        start
        for start in range(15020, 32000, MODBUS_PORTS)
        if all(_free(port) and port not in singles for port in range(start, start + MODBUS_PORTS))
    )
    for one in sockets:
        one.close()
    keep, broker, desk, influx, influx_rpc = singles[1:]
    return Ports(
        web=web or singles[0],
        keep=keep,
        broker=broker,
        desk=desk,
        influx=influx,
        influx_rpc=influx_rpc,
        modbus=first,
    )


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
