"""A live city as its user runs it: processes, commands, a kill, and a gateway's clock beside it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient
from typer.testing import CliRunner

from gateway.config import load as load_gateway
from gateway.dataset import read_network
from gateway.errors import GatewayError
from gateway.runtime.clock import FollowedClock
from simulators.__main__ import app
from simulators.city import City, build_plan
from simulators.faults import HOUR_US
from simulators.live.by_habits import ByHabits
from simulators.live.config import load
from simulators.live.plan import build
from simulators.live.reports import Terminals
from simulators.live.serving import check_ports, make_live
from simulators.live.template import template


@dataclass
class Training:
    folder: Path
    modbus_port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "city.toml"

    def start(self) -> subprocess.Popen[bytes]:
        (self.folder / "ready").unlink(missing_ok=True)
        with (self.folder / "live.log").open("ab") as log:
            process = subprocess.Popen([*_LIVE, str(self.file)], stdout=log, stderr=log)
        self.processes.append(process)
        end = time.monotonic() + 60.0
        while not (self.folder / "ready").exists():
            assert time.monotonic() < end
            assert process.poll() is None, (self.folder / "live.log").read_text()
            time.sleep(0.05)
        return process

    def call(self, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, [*words, "--city", str(self.file)])
        assert done.exit_code == code, done.output
        return done.output

    def registers(self) -> list[int]:
        with ModbusTcpClient("127.0.0.1", port=self.modbus_port + 3, timeout=30) as client:
            supply = client.read_holding_registers(100, count=2, device_id=1).registers
        with ModbusTcpClient("127.0.0.1", port=self.modbus_port + 4, timeout=30) as client:
            card = client.read_holding_registers(1000, count=2, device_id=1).registers
        return [supply[1] << 16 | supply[0], card[0] << 16 | card[1]]


_LIVE = [sys.executable, "-m", "simulators", "live"]


@pytest.fixture
def training(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Training]:
    made = Training(tmp_path, _free_run(5))
    text = template(seed=3, zones=1, meters_per_zone=12).replace("history_days = 30", "history_days = 1")
    text = text.replace("15020", str(made.modbus_port)).replace("18830", str(free_port()))
    made.file.write_text(text.replace("8790", str(free_port())), encoding="utf-8")
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
            process.wait(60.0)


def _free_run(count: int) -> int:
    import socket

    def free(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    return next(first for first in range(21000, 32000, count) if all(free(first + n) for n in range(count)))


@pytest.mark.slow
def test_a_city_is_written_served_changed_killed_and_goes_on(training: Training) -> None:
    done = CliRunner().invoke(app, ["init", str(training.folder)])
    assert done.exit_code == 0, done.output
    assert f"gasgate simulate live {training.file}" in done.output
    assert load_gateway(training.folder / "gasgate.toml").site.id == "simulated"
    assert len(read_network(training.folder / "network").meters) == 13
    assert (training.folder / "history" / "readings.parquet").exists()
    assert (training.folder / "secrets" / "control.token").stat().st_mode & 0o777 == 0o600

    process = training.start()
    follower = FollowedClock(training.folder / "clock.json")
    assert "time x30; faults that act: 0" in training.call("status")
    made = training.call("inject", "gas_cloud", "REG-001", "--size", "30", "--id", "cloud")
    assert made.startswith("cloud        active  gas_cloud REG-001 30 from 2026-01-14T21:")
    second = subprocess.run([*_LIVE, training.file], capture_output=True, text=True, check=False)
    assert (second.returncode, second.stderr.count("is running already; end it")) == (1, 1)
    assert "no zone of this city" in training.call("inject", "leak", "nowhere", "--size", "1", code=1)
    assert "cloud        over" in training.call("clear", "all")
    before, believed = training.registers(), follower.now_us()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60.0)

    process = training.start()
    after = training.registers()
    assert follower.now_us() >= believed
    assert all(0 <= new - old < 5000 for old, new in zip(before, after, strict=True))
    assert "cloud        over" in training.call("faults")
    assert "time x120; " in training.call("speed", "120")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60.0) == 0
    acts = [json.loads(line) for line in (training.folder / "acts.jsonl").read_text().splitlines()]
    assert [act["act"] for act in acts] == ["inject", "clear", "speed"]
    saved = json.loads((training.folder / "city_now.json").read_text())
    time.sleep(1.2)
    assert abs(follower.now_us() - saved["city_us"]) < 1_000_000, "all clocks stand while the city is off"
    assert "no city answers at 127.0.0.1" in training.call("status", code=1)

    text = training.file.read_text(encoding="utf-8")
    training.file.write_text(text.replace("seed = 3", "seed = 4"), encoding="utf-8")
    other = subprocess.run([*_LIVE, training.file], capture_output=True, text=True, check=False)
    assert other.returncode == 2
    assert "another city lives here (seed 3, streets, 1 zones, 12 meters" in other.stderr


@pytest.mark.parametrize("key", ["modbus_port", "broker_port", "control_port"])
def test_a_port_that_is_taken_is_named(training: Training, key: str) -> None:
    import socket

    built = build(training.file, load(training.file))
    check_ports(built)
    port = getattr(built.config.serve, key)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(
            GatewayError, match=f"port {port} of 127.0.0.1: Address already in use; give another serve.{key}"
        ):
            check_ports(built)


def test_commands_without_a_city_say_what_to_do(tmp_path: Path) -> None:
    def call(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*words, "--city", str(tmp_path / "city.toml")])
        return done.exit_code, done.output

    code, told = call("status")
    assert code == 2
    assert told.endswith(
        "city.toml: cannot be read: No such file or directory; give the city's description with --city\n"
    )
    (tmp_path / "city.toml").write_text('folder = "."\n[serve]\ncontrol_port = "x"\n')
    assert "serve.control_port: 'x' is no port" in call("faults")[1]
    (tmp_path / "city.toml").write_text('folder = "."\n')
    assert "start the city with gasgate simulate live" in call("clear", "all")[1]
    (tmp_path / "city.toml").write_text("folder = ")
    assert "is no description of a city" in call("speed", "3")[1]
    kinds = CliRunner().invoke(app, ["kinds"]).output
    assert "gas_cloud         station        --size: % LEL\n" in kinds


def test_a_report_without_a_known_voltage_has_none() -> None:
    terminals = Terminals(City(build_plan(3, datetime(2026, 1, 1, tzinfo=UTC), (2,))))
    _, payload = terminals.message(0, 5_000_000, [], math.nan)
    assert "bat" not in json.loads(payload, parse_constant=pytest.fail)
    assert json.loads(terminals.message(0, 5_000_000, [], 3.456)[1])["bat"] == 3.46


def test_readings_of_the_past_are_what_meters_reported_by_their_habits(tmp_path: Path) -> None:
    text = template(seed=3, zones=2, meters_per_zone=40).replace("history_days = 30", "history_days = 4")
    file = tmp_path / "city.toml"
    file.write_text(text, encoding="utf-8")
    live = make_live(build(file, load(file)))
    city, since = live.city, live.clock.now_us()
    whole, pieces = ByHabits(city, since, "mixed"), ByHabits(city, since, "mixed")
    at_once = whole.due(since + 30 * HOUR_US)
    by_hour = [message for hour in range(1, 31) for message in pieces.due(since + hour * HOUR_US)]
    assert sorted(at_once) == sorted(by_hour)
    column = city.assets.meters
    lateness = []
    for topic, payload in at_once:
        report = json.loads(payload, parse_constant=pytest.fail)
        assert topic.split("/")[2] == report["id"]
        assert since < report["sent"] * 1000 <= since + 30 * HOUR_US
        for reading in report["readings"]:
            hour, off_ms = divmod(reading["t"] + 60_000, 3_600_000)
            if off_ms < 120_000 and not reading["f"]:  # a clock that is right to the minute
                shown = city.shown(city.registers(hour * HOUR_US))[column[report["id"]]]
                assert reading["v"] == round(shown * 1000)
                lateness.append((report["sent"] - reading["t"]) / 3_600_000)
    assert len(lateness) > 200
    assert min(lateness) > -0.02
    assert max(lateness) > 5.0, "some come late"
    assert max(len(json.loads(payload)["readings"]) for _, payload in at_once) >= 24, "some come once a day"
