"""The servers that other tests rely on: they serve, survive a restart with their data, and die with the test run."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests import services
from tests.services import Server, accepts


def test_mosquitto_stops_and_starts_on_its_port(mosquitto: Server) -> None:
    assert accepts(mosquitto.host, mosquitto.port)
    mosquitto.stop()
    assert not accepts(mosquitto.host, mosquitto.port)
    mosquitto.start()
    assert accepts(mosquitto.host, mosquitto.port)


def test_influxdb_keeps_what_it_took_over_a_restart(influxdb_v1: Server) -> None:
    def query(text: str) -> httpx.Response:
        return httpx.post(f"{influxdb_v1.url}/query", params={"db": "services", "q": text})

    assert query("CREATE DATABASE services").status_code == 200
    written = httpx.post(f"{influxdb_v1.url}/write", params={"db": "services"}, content=b"flow value=3.5 1000")
    assert written.status_code == 204
    influxdb_v1.stop()
    influxdb_v1.start()
    answer = query("SELECT value FROM flow").json()
    assert answer["results"][0]["series"][0]["values"][0][1] == 3.5


def test_victoria_metrics_takes_lines_over_the_v2_write_api(victoria_metrics: Server) -> None:
    now_ms = time.time_ns() // 1_000_000
    written = httpx.post(
        f"{victoria_metrics.url}/api/v2/write", params={"precision": "ms"}, content=f"services_flow value=3.5 {now_ms}"
    )
    assert written.status_code == 204
    assert exported(victoria_metrics, "services_flow_value") == [3.5]


def exported(server: Server, name: str) -> list[float]:
    """Return a series' values as soon as VictoriaMetrics shows it; a new one stays hidden for about a second."""
    until = time.monotonic() + 60
    text = ""
    while not text and time.monotonic() < until:
        httpx.get(f"{server.url}/internal/force_flush")
        text = httpx.get(f"{server.url}/api/v1/export", params={"match[]": name}).text
        time.sleep(0.05)
    values: list[float] = json.loads(text)["values"]
    return values


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path, free_port: Callable[[], int]) -> None:
    server = Server([sys.executable, "-c", "raise SystemExit('no disk')"], free_port(), tmp_path)
    with pytest.raises(RuntimeError, match="no disk"):
        server.start()
    assert not server.running


def test_a_missing_service_skips_on_a_laptop_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(services.PROGRAMS, "influxd", ("no-such-program",))
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="influxd is not installed"):
        services.need("influxd")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="influxd is not installed"):
        services.need("influxd")


def test_servers_die_with_a_killed_test_run(tmp_path: Path) -> None:
    starter = (
        "import sys, time; from pathlib import Path; from tests.services import spawn;"
        "print(spawn(['sleep', '600'], Path(sys.argv[1])).pid, flush=True); time.sleep(600)"
    )
    run = subprocess.Popen([sys.executable, "-c", starter, str(tmp_path / "log")], cwd=services.ROOT, stdout=-1)
    assert run.stdout is not None
    child = int(run.stdout.readline())
    name = Path(f"/proc/{child}/comm")
    until = time.monotonic() + 60
    while name.read_text().strip() != "sleep" and time.monotonic() < until:
        time.sleep(0.01)
    run.kill()
    run.wait()
    run.stdout.close()
    while name.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not name.exists()


def test_a_server_that_does_not_obey_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "END_WITHIN_S", 0.2)
    deaf = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w'); time.sleep(600)"
    server = Server([sys.executable, "-c", deaf], 1, tmp_path, ready=(tmp_path / "deaf").exists)
    server.start()
    assert server.running
    server.stop()
    assert not server.running
