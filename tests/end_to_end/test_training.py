"""A live city that somebody makes faults in, and a gateway beside it that raises alarms and tickets for them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import ensure_people
from gateway.config import load
from gateway.runtime import child
from simulators.live.client import CityClient
from simulators.live.home import init
from simulators.live.template import template
from tests.end_to_end.small_site import wait_until

PASSWORD = "a long password"


@dataclass
class Training:
    """The city, the ticket desk and the gateway, as `gasgate simulate init` wrote them."""

    folder: Path
    web_port: int
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "city.toml"

    @property
    def config(self) -> Path:
        return self.folder / "gasgate.toml"

    def start(self, name: str, *words: str) -> None:
        self.children[name] = child.start(words, log=self.folder / f"{name}.log")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return CityClient(self.file).call(method, path, body)


def _free_run(count: int) -> int:
    def free(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    return next(first for first in range(23000, 32000, count) if all(free(first + n) for n in range(count)))


@pytest.fixture
def training(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Training]:
    made = Training(tmp_path, _free_run(12))
    text = template(seed=2, zones=1, meters_per_zone=12).replace("history_days = 30", "history_days = 0")
    text = text.replace("15020", str(made.web_port + 4)).replace("18830", str(free_port()))
    text = text.replace("8790", str(free_port())).replace("speed = 30", "speed = 20")
    init(tmp_path, text, web_port=made.web_port, history=False, say=lambda _: None)
    yield made
    child.stop(list(made.children.values()))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_a_trainer_makes_is_what_the_operator_sees(training: Training) -> None:
    training.start("city", "simulators", "live", str(training.file))
    wait_until((training.folder / "ready").exists, what="the city", limit_s=90)
    ensure_people(load(training.config), [("wang", PASSWORD, "operator")])
    web = f"http://127.0.0.1:{training.web_port}"
    desk = ["--port", str(training.web_port + 2), "--events-url", f"{web}/api/v1/ticket-events"]
    training.start("desk", "simulators", "desk", "--folder", str(training.folder), *desk)
    training.start("gateway", "gateway", "run", str(training.config))
    with httpx.Client(base_url=web, timeout=20) as client:
        wait_until(lambda: _signed_in(client), what="the pages", limit_s=90)

        def alarms() -> dict[str, dict[str, Any]]:
            answer = client.get("/api/v1/alarms?limit=500")
            answer.raise_for_status()
            return {one["id"]: one for one in answer.json()["alarms"]}

        def holds(name: str) -> bool:
            return name in alarms() and bool(alarms()[name]["cond"])

        wait_until(lambda: _readings(client, "REG-001"), what="the first readings", limit_s=60)
        assert not any(one["cond"] for one in alarms().values()), "nothing is wrong yet"

        training.ask("POST", "/faults", {"kind": "gas_cloud", "asset": "REG-001", "size": 45.0, "id": "gas"})
        training.ask("POST", "/faults", {"kind": "silent", "asset": "S-01", "id": "dumb"})
        wait_until(lambda: holds("GAS_CONC_HIHI@REG-001"), what="the gas alarm")
        number = alarms()["GAS_CONC_HIHI@REG-001"]["ticket_no"]
        wait_until(lambda: _confirmed(client, number), what="the emergency ticket at the desk")
        wait_until(lambda: holds("STATION_COMM_LOSS@S-01"), what="the alarm of the silent station", limit_s=90)

        training.ask("DELETE", "/faults/gas")
        training.ask("DELETE", "/faults/dumb")
        wait_until(lambda: not holds("GAS_CONC_HIHI@REG-001"), what="the end of the gas", limit_s=60)
        wait_until(lambda: not holds("STATION_COMM_LOSS@S-01"), what="the station's return", limit_s=60)

        training.ask("PUT", "/speed", {"speed": 100})
        wait_until(
            lambda: client.get("/api/v1/clock").json()["factor"] == pytest.approx(100.0),
            what="the same pace",
            limit_s=5,
        )


def _signed_in(client: httpx.Client) -> bool:
    try:
        return client.post("/api/v1/login", json={"name": "wang", "password": PASSWORD}).status_code == 200
    except httpx.TransportError:
        return False


def _readings(client: httpx.Client, asset: str) -> bool:
    start = {"start": "2026-01-14T21:00:00Z"}
    answer = client.get(f"/api/v1/points/{asset}/pressure_gauge_kpa/history", params=start)
    return answer.status_code == 200 and bool(answer.json()["times_ms"])


def _confirmed(client: httpx.Client, number: str) -> bool:
    tickets = {one["ticket_no"]: one for one in client.get("/api/v1/tickets").json()["tickets"]}
    ticket = tickets.get(number, {"ticket_class": "", "delivery": ""})
    return bool(ticket["ticket_class"] == "EMERGENCY" and ticket["delivery"] == "confirmed")
