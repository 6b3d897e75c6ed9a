import asyncio
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.mqtt_config import MqttConfig
from collectors.tls_files import ExpiryWatch, tls_context
from gateway.errors import ConfigError, TransientError
from tests.collectors.mqtt_peers import opened
from tests.services import Server


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
