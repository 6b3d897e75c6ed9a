"""A large city on one machine: its network folder, its points, its running gateway, and what that takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from gateway.config import load as load_config
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, point_id
from gateway.roles.common import service_token
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from tests.end_to_end.small_site import meter
from tests.services import pick_free_port, spawn

METERS_A_ZONE = 800
DISTRICTS = 20
QUANTITIES = (Quantity.REGISTER_MEASURED_M3, Quantity.FLAGS)
STATION_QUANTITIES = (Quantity.PRESSURE_GAUGE_KPA, Quantity.FLOW_BASE_M3H, Quantity.GAS_LEL_PCT)
ROLES = ("keep", "alarm", "analyse", "web")
_TICKS = os.sysconf("SC_CLK_TCK")
_REGISTER_AT_ONCE = 50_000
_METERS = (
    "meter_id,zone_id,role,kind,customer_class,digits,decimals,max_flow_m3h,temperature_compensated,installed_on,"
    "account,x_m,y_m\n"
)


def write_network(folder: Path, meters: int) -> int:
    """Write a network of so many meters, 800 a regulator; return the number of regulators."""
    folder.mkdir(parents=True)
    zones = -(-meters // METERS_A_ZONE)
    with (folder / "zones.csv").open("w", encoding="utf-8") as file:
        file.write("zone_id,parent_id,kind,name,pipe_volume_m3\nCITY,,city,City,\n")
        file.writelines(f"D-{n},CITY,district,District {n},\n" for n in range(1, DISTRICTS + 1))
        file.writelines(f"R-{n:04d},D-{n % DISTRICTS + 1},regulator,Regulator {n},20\n" for n in range(zones))
    with (folder / "stations.csv").open("w", encoding="utf-8") as file:
        file.write("station_id,kind,zone_id,name,address,x_m,y_m,set_pressure_gauge_kpa,remote\n")
        file.writelines(
            f"REG-{n:04d},regulator,R-{n:04d},Regulator {n},{n} Main Street,{n % 60 * 500},{n // 60 * 500},3,0\n"
            for n in range(zones)
        )
    with (folder / "points.csv").open("w", encoding="utf-8") as file:
        file.write("point_id,zone_id,quantity,low,high\n")
        file.writelines(
            f"REG-{n:04d}/{quantity},R-{n:04d},{quantity},,\n" for n in range(zones) for quantity in STATION_QUANTITIES
        )
    with (folder / "meters.csv").open("w", encoding="utf-8") as file:
        file.write(_METERS)
        for n in range(meters):
            zone = n // METERS_A_ZONE
            kind = "ic_card" if n % 3 else "remote"
            installed = f"{2008 + n % 17}-{n % 12 + 1:02d}-{n % 28 + 1:02d}"
            x, y = zone % 60 * 500 + n % METERS_A_ZONE % 29 * 15.5, zone // 60 * 500 + n % METERS_A_ZONE // 29 * 15.5
            file.write(f"{meter(n)},R-{zone:04d},customer,{kind},residential,5,3,6,{n % 2},{installed},open,{x},{y}\n")
    return zones


def register(state: State, meters: int) -> float:
    """Give all points of the meters their indices, as their first readings would; return the seconds."""
    began = time.monotonic()
    registry = StateRegistry(state)
    for first in range(0, meters, _REGISTER_AT_ONCE):
        names = [meter(n) for n in range(first, min(first + _REGISTER_AT_ONCE, meters))]
        registry.indices([point_id(name, quantity) for name in names for quantity in QUANTITIES])
    zones = range(-(-meters // METERS_A_ZONE))
    registry.indices([PointId(f"REG-{zone:04d}/{quantity}") for zone in zones for quantity in STATION_QUANTITIES])
    return time.monotonic() - began


@dataclass
class Use:
    """What processes take: bytes, and seconds of processor time so far."""

    pss: int
    rss: Mapping[str, int]
    """by role"""
    anonymous: Mapping[str, int]
    """by role: what the process holds itself, without pages of files, which the kernel takes and gives as it likes"""
    cpu_s: float


@dataclass
class CitySite:
    """A site in a folder, run as `gasgate run` runs it."""

    folder: Path
    broker_port: int
    extra: str = ""
    keep: str = ""
    keep_port: int = field(default_factory=pick_free_port)
    web_port: int = field(default_factory=pick_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """The site's configuration file."""
        return self.folder / "gasgate.toml"

    def write_config(self) -> None:
        """Write it: one MQTT source, and what `extra` says."""
        self.config.write_text(
            f"""
[site]
id = "large"
name = "Large city"
timezone = "Asia/Shanghai"
[data]
folder = "data"
[network]
folder = "network"
[keep]
listen = "127.0.0.1:{self.keep_port}"
{self.keep}
[web]
listen = "127.0.0.1:{self.web_port}"
[[source]]
kind = "mqtt"
name = "meters"
url = "mqtt://127.0.0.1:{self.broker_port}"
client_id = "gasgate-large"
[[source.topic]]
filter = "city/{{meter}}/up"
identity = "$.id"
each = "$.readings[*]"
time = {{ path = "t", as = "epoch_ms" }}
values = {{ register_measured_m3 = {{ path = "v", scale = 0.001 }} }}
{self.extra}""",
            encoding="utf-8",
        )

    def start(self) -> float:
        """Start all roles; return the seconds until the collectors run and the pages answer."""
        began = time.monotonic()
        command = [sys.executable, "-m", "gateway", "run", str(self.config), "--logs", str(self.folder / "logs")]
        self.process = spawn(command, self.folder / "run.log")
        self.wait_until(self.is_up, 600.0)
        return time.monotonic() - began

    def stop(self) -> None:
        """End all roles."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def wait_until(self, holds: Callable[[], bool], limit_s: float) -> None:
        """Return when it holds. Raises SystemExit with the log if the gateway ended or the time is over."""
        end = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() > end or (self.process is not None and self.process.poll() is not None):
                logs = [self.folder / "run.log", *sorted((self.folder / "logs").glob("*.log"))]
                raise SystemExit("\n".join(log.read_text(encoding="utf-8", errors="replace")[-2000:] for log in logs))
            time.sleep(0.1)

    def is_up(self) -> bool:
        """Tell whether the source is connected and the pages answer."""
        try:
            links = self.status()["links"]
            return (
                all(link["up"] for link in links)
                and httpx.get(f"http://127.0.0.1:{self.web_port}/login", timeout=10).is_success
            )
        except (httpx.HTTPError, OSError, KeyError):
            return False

    def status(self) -> dict[str, Any]:
        """Return what role keep tells of itself."""
        headers = {"Authorization": f"Bearer {service_token(load_config(self.config))}"}
        answer = httpx.get(f"http://127.0.0.1:{self.keep_port}/status", headers=headers, timeout=30)
        answer.raise_for_status()
        return dict(answer.json())

    def stored(self, source: str) -> int:
        """Return how many readings of a source were stored since the start."""
        return int(self.status()["accounting"].get(source, {"stored": 0})["stored"])

    def use(self) -> Use:
        """Return what all processes of the gateway take now."""
        assert self.process is not None
        found = dict(_family(self.process.pid))
        memory = {pid: _memory(pid) for pid in found}
        rss, anonymous = Counter[str](), Counter[str]()
        for pid, name in found.items():
            rss[name] += memory[pid]["Rss"]
            anonymous[name] += memory[pid]["Anonymous"]
        return Use(sum(one["Pss"] for one in memory.values()), rss, anonymous, sum(map(_cpu_s, found)))

    def idle_share(self, seconds: float) -> float:
        """Return the share of a core that all processes take while nothing comes."""
        before, began = self.use().cpu_s, time.monotonic()
        time.sleep(seconds)
        return (self.use().cpu_s - before) / (time.monotonic() - began)


@contextmanager
def running(site: CitySite) -> Iterator[float]:
    """Run a site and give the seconds that it took to start."""
    try:
        yield site.start()
    finally:
        site.stop()


def _family(pid: int) -> Iterator[tuple[int, str]]:
    """Yield process id and role of a process and those below it."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        yield pid, words[words.index("--role") + 1] if "--role" in words else "supervisor"
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text(encoding="ascii").split():
                yield from _family(int(child))
    except (FileNotFoundError, ProcessLookupError):
        return


def _memory(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    return {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process and of its children that have ended."""
    parts = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, parts[11:15])) / _TICKS


def slope(times_s: list[float], values: list[float]) -> tuple[float, float]:
    """Return the slope of a least-squares line a second, and its standard error."""
    t, y = np.array(times_s), np.array(values)
    t -= t.mean()
    own = float(t @ y / (t @ t))
    rest = y - y.mean() - own * t
    return own, float(np.sqrt(rest @ rest / max(len(t) - 2, 1) / (t @ t)))
