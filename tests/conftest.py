"""Fixtures that every test may use: real servers and free ports."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services import (
    Server,
    influxd_server,
    mosquitto_server,
    need,
    pick_free_port,
    victoria_metrics_server,
)

HEAVY_WITHIN = 0.7
"""the part of the run in which the files begin that are marked slow or drive a browser"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the heavy files among the others, which end the run: no worker is left alone with a long one."""
    files = dict[Path, list[pytest.Item]]()
    for item in items:
        files.setdefault(item.path, []).append(item)
    light = sorted((tests for tests in files.values() if not _heavy(tests)), key=len, reverse=True)
    heavy = [tests for tests in files.values() if _heavy(tests)]
    turns = [((at + 0.5) / len(light), tests) for at, tests in enumerate(light)]
    turns += [(HEAVY_WITHIN * at / len(heavy), tests) for at, tests in enumerate(heavy)]
    items[:] = [item for _, tests in sorted(turns, key=lambda turn: turn[0]) for item in tests]


def _heavy(tests: list[pytest.Item]) -> bool:
    return any(item.get_closest_marker(name) for item in tests for name in ("slow", "browser"))


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that picks a free TCP port of 127.0.0.1."""
    return pick_free_port


@pytest.fixture(scope="session")
def _mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = mosquitto_server(tmp_path_factory.mktemp("mosquitto"))
    yield server
    server.stop()


@pytest.fixture
def mosquitto(_mosquitto: Server) -> Server:
    """Return the session's Mosquitto, running: host, port, stop(), start(). Use client ids and topics of your own."""
    _mosquitto.start()
    return _mosquitto


@pytest.fixture(scope="session")
def _influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = influxd_server(tmp_path_factory.mktemp("influxd"))
    yield server
    server.stop()


@pytest.fixture
def influxdb_v1(_influxd: Server) -> Server:
    """Return the session's InfluxDB 1.x, running: url, stop(), start(). Use a database name of your own."""
    _influxd.start()
    return _influxd


@pytest.fixture(scope="session")
def _victoria_metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = victoria_metrics_server(tmp_path_factory.mktemp("victoria-metrics"))
    yield server
    server.stop()


@pytest.fixture
def victoria_metrics(_victoria_metrics: Server) -> Server:
    """Return the session's VictoriaMetrics, running: url, stop(), start(). Use measurement names of your own."""
    _victoria_metrics.start()
    return _victoria_metrics


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Chromium; see tests.services.chromium_arguments."""
    return need("chromium")
