"""A small real site in a folder: its network, its configuration, its running roles. Also used by the benchmarks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.runtime import child
from tests.services import pick_free_port

SECRET = "whsec_" + "c21hbGwtc2l0ZS10ZXN0LXNlY3JldC0zMi1ieXRlcyE="
ZONE = "R-001"


def meter(number: int) -> str:
    return f"M-{number:06d}"


@dataclass
class SmallSite:
    """Meters on MQTT, one zone, a ticket desk; clocks are real."""

    folder: Path
    broker_port: int
    meters: int = 50
    web_port: int = field(default_factory=pick_free_port)
    keep_port: int = field(default_factory=pick_free_port)
    desk_port: int = field(default_factory=pick_free_port)
    influx_url: str = ""
    mqtt_version: str = "5"
    extra: str = ""
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        network = self.folder / "network"
        network.mkdir(parents=True, exist_ok=True)
        (network / "zones.csv").write_text(
            "zone_id,parent_id,kind,name,pipe_volume_m3\nCITY,,city,City,\nD-1,CITY,district,District 1,\n"
            f"{ZONE},D-1,regulator,Zone 1,20\n",
            encoding="utf-8",
        )
        rows = [
            f"{meter(n)},{ZONE},customer,remote,residential,6,3,6,0,2020-01-01,open,{n % 50 * 20},{n // 50 * 20}"
            for n in range(self.meters)
        ]
        rows.append(f"V-001,{ZONE},supply,corrector,,9,1,500,1,2020-01-01,,0,0")
        (network / "meters.csv").write_text(
            "meter_id,zone_id,role,kind,customer_class,digits,decimals,max_flow_m3h,temperature_compensated,"
            "installed_on,account,x_m,y_m\n" + "\n".join(rows) + "\n",
            encoding="utf-8",
        )
        (network / "stations.csv").write_text(
            "station_id,kind,zone_id,name,address,x_m,y_m,set_pressure_gauge_kpa,remote\n"
            f"REG-001,regulator,{ZONE},Regulator 1,1 Main Street,10,10,3,0\n",
            encoding="utf-8",
        )
        (network / "points.csv").write_text("point_id,zone_id,quantity,low,high\n", encoding="utf-8")
        (self.folder / "desk.secret").write_text(SECRET, encoding="utf-8")
        (self.folder / "secrets").mkdir(exist_ok=True)
        (self.folder / "secrets" / "desk.secret").write_text(SECRET, encoding="utf-8")
        now_us = time.time_ns() // 1000
        clock = {"city_us": now_us, "wall_us": now_us, "factor": 1.0}
        (self.folder / "clock.json").write_text(json.dumps(clock), encoding="utf-8")
        self.write_config()

    @property
    def config(self) -> Path:
        return self.folder / "gasgate.toml"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def write_config(self) -> None:
        output = (
            f'[[output]]\nkind = "influx_v1"\nname = "influx"\nurl = "{self.influx_url}"\n'
            f'database = "{self.folder.name}"\n'
            if self.influx_url
            else ""
        )
        self.config.write_text(
            f"""
[site]
id = "small"
name = "Small site"
timezone = "Asia/Shanghai"
[data]
folder = "data"
state_reserve_mib = 1
[network]
folder = "network"
[keep]
listen = "127.0.0.1:{self.keep_port}"
[web]
listen = "127.0.0.1:{self.web_port}"
[[source]]
kind = "mqtt"
name = "meters"
url = "mqtt://127.0.0.1:{self.broker_port}"
version = {self.mqtt_version if self.mqtt_version == "5" else '"3.1.1"'}
client_id = "gasgate-{self.folder.name}"
[[source.topic]]
filter = "{self.folder.name}/{{meter}}/up"
identity = "$.id"
each = "$.readings[*]"
time = {{ path = "t", as = "epoch_ms" }}
values = {{ register_measured_m3 = {{ path = "v", scale = 0.001 }}, flags = "f" }}
[[ticket_sink]]
kind = "webhook"
name = "desk"
url = "http://127.0.0.1:{self.desk_port}/tickets"
secrets = [{{ file = "desk.secret" }}]
classes = ["EMERGENCY", "URGENT", "CHECK"]
{output}{self.extra}""",
            encoding="utf-8",
        )

    def start_desk(self) -> None:
        self.children["desk"] = child.start(
            ["simulators", "desk", "--folder", str(self.folder), "--port", str(self.desk_port),
             "--events-url", f"{self.web}/api/v1/ticket-events"],
            log=self.folder / "desk.log",
        )  # fmt: skip
        wait_until(lambda: _answers(f"http://127.0.0.1:{self.desk_port}/"), what="the ticket desk")

    def start(self, *roles: str) -> None:
        for role in roles:
            self.children[role] = child.start(
                ["gateway", "run", str(self.config), "--role", role], log=self.folder / f"{role}.log"
            )

    def kill(self, *roles: str) -> None:
        for role in roles:
            process = self.children.pop(role)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        child.stop(list(self.children.values()))
        self.children.clear()

    def wait_for_web(self) -> None:
        wait_until(lambda: _answers(f"{self.web}/healthz"), what="the pages")

    def topic(self, number: int) -> str:
        return f"{self.folder.name}/{meter(number)}/up"

    def log(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text(encoding="utf-8", errors="replace")


def message(number: int, readings: list[tuple[int, int, int]]) -> bytes:
    """Encode what meter `number` says: (time in ms, register in litres, flags) each."""
    rows = [{"t": t, "v": v, "f": f} for t, v, f in readings]
    return json.dumps({"id": meter(number), "readings": rows}).encode()


class Publisher:
    """Meters that publish at QoS 1 and know which messages the broker has taken."""

    def __init__(self, port: int, client_id: str) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        self._client.max_inflight_messages_set(200)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._waiting: list[paho.MQTTMessageInfo] = []
        self._lock = threading.Lock()

    def publish(self, topic: str, payload: bytes) -> None:
        info = self._client.publish(topic, payload, qos=1)
        with self._lock:
            self._waiting.append(info)

    def drain(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for info in waiting:
            info.wait_for_publish(30)
            assert info.is_published()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def wait_until(ready, *, what: str, limit_s: float = 40.0) -> None:
    """Ask until it is ready, at most half of the time: what is waited for needs the processor too."""
    end = time.monotonic() + limit_s
    began = time.monotonic()
    while not ready():
        now = time.monotonic()
        if now > end:
            raise TimeoutError(f"{what} was not there within {limit_s} s")
        time.sleep(max(0.05, now - began))
        began = time.monotonic()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False
