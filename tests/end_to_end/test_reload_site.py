"""A whole gateway that is told to reload: by signal, by command and over the API."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import app as site_app
from gateway.config import load
from gateway.errors import GatewayError
from gateway.reloading import reload
from gateway.runtime import child
from tests.end_to_end.small_site import SmallSite, wait_until
from tests.services import Server

ADMIN = ("admin", "demo-password-1")


@pytest.fixture
def site(tmp_path: Path, mosquitto: Server) -> Iterator[SmallSite]:
    made = SmallSite(tmp_path / f"whole-{os.getpid()}", mosquitto.port, meters=5)
    (made.folder / "desk.secret").chmod(0o600)
    site_app.add_person(load(made.config), *ADMIN, "administrator", "en")
    site_app.add_person(load(made.config), "operator", ADMIN[1], "operator", "en")
    made.children["run"] = child.start(
        ["gateway", "run", str(made.config), "--role", "keep", "--role", "web"], log=made.folder / "run.log"
    )
    try:
        wait_until(lambda: health(made), what="the pages", limit_s=90)
        yield made
    finally:
        made.stop()


def health(site: SmallSite) -> dict[str, Any]:
    try:
        return dict(httpx.get(f"{site.web}/healthz", timeout=2).json())
    except httpx.TransportError:
        return {}


@pytest.mark.timeout(180)
@pytest.mark.slow
def test_a_reload_by_signal_command_and_api_and_what_it_refuses(site: SmallSite) -> None:
    wait_until(lambda: health(site).get("revision") == 1, what="revision 1", limit_s=90)
    with httpx.Client(base_url=site.web, timeout=90) as browser:
        browser.post("/api/v1/login", json={"name": ADMIN[0], "password": ADMIN[1]}).raise_for_status()
        # a wrong file changes nothing and is named
        good = site.config.read_text()
        site.config.write_text(good.replace("classes =", "classy ="), encoding="utf-8")
        answer = browser.post("/api/v1/reload", json={})
        line = next(n for n, text in enumerate(good.splitlines(), 1) if text.startswith("classes"))
        assert answer.status_code == 422
        assert answer.json()["outcome"] == "refused"
        assert any(f"gasgate.toml:{line}" in one and "no known key" in one for one in answer.json()["problems"])
        assert health(site)["revision"] == 1

        # what a running gateway cannot change
        site.config.write_text(good.replace('id = "small"', 'id = "large"'), encoding="utf-8")
        said = reload(site.config, "somebody")
        assert said.outcome == "refused"
        assert "site.id: was 'small' when the gateway was started" in said.problems[0]
        assert "restart" in said.problems[0]
        site.config.write_text(good.replace('folder = "data"', 'folder = "elsewhere"'), encoding="utf-8")
        with pytest.raises(GatewayError, match="restart the gateway"):
            reload(site.config, "somebody")
        assert not (site.folder / "elsewhere").exists()
        site.config.write_text(good, encoding="utf-8")
        assert (reload(site.config, "somebody").outcome, health(site)["revision"]) == ("unchanged", 1)

        # by signal: the pages start anew in their own process, and nobody is logged out
        pids = _pids(site)
        site.config.write_text(
            good.replace('"EMERGENCY", ', '"EMERGENCY","CHECK",').replace(', "CHECK"]', "]"), encoding="utf-8"
        )
        os.kill(site.children["run"].pid, signal.SIGHUP)
        wait_until(lambda: health(site).get("revision") == 2, what="revision 2", limit_s=90)
        assert browser.get("/api/v1/me").status_code == 200
        assert _pids(site) == pids
        assert _connection(site), "the broker was never left"
        assert site.log("run").count("connected") == 1

        # over the API, answered although the pages start anew
        meters = site.folder / "network" / "meters.csv"
        meters.write_text(meters.read_text().replace("M-000003,", "M-000033,"), encoding="utf-8")
        answer = browser.post("/api/v1/reload", json={})
        assert (answer.status_code, answer.json()["revision"]) == (200, 3)
        assert set(answer.json()["roles"]) == {"keep"}
        wait_until(lambda: health(site).get("revision") == 3, what="revision 3 of the pages", limit_s=90)
        trail = browser.get("/api/v1/audit").json()
        acts = [(row["who"], row["act"], row["subject"]) for row in trail if row["act"].startswith("configuration.")]
        assert acts == [
            ("admin", "configuration.reloaded", "revision 3"),
            ("SIGHUP", "configuration.reloaded", "revision 2"),
            ("somebody", "configuration.refused", "revision 1 stays"),
            ("admin", "configuration.refused", "revision 1 stays"),
            ("start", "configuration.started", "revision 1"),
        ]
        status = browser.get("/api/v1/status").json()["configuration"]
        assert (status["number"], status["who"], status["outcome"]) == (3, "admin", "reloaded")
        assert re.fullmatch(r"[0-9a-f]{64}", status["digest"])
        browser.post("/api/v1/login", json={"name": "operator", "password": ADMIN[1]}).raise_for_status()
        assert browser.post("/api/v1/reload", json={}).status_code == 403


def _pids(site: SmallSite) -> set[int]:
    children = Path(f"/proc/{site.children['run'].pid}/task")
    return {int(pid) for task in children.iterdir() for pid in (task / "children").read_text().split()}


def _connection(site: SmallSite) -> bool:
    with socket.create_connection(("127.0.0.1", site.broker_port), timeout=1):
        return True
