"""Meters on a broker, the gateway's own processes, and an auditor who asks: readings become gas days."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from gateway.config import load
from gateway.model.gasday import GasDay
from gateway.store import user_rows
from gateway.store.state import State
from tests.end_to_end.small_site import Publisher, SmallSite, message, meter, wait_until

DAYS = 10
EVERY_MS = 6 * 3_600_000
LITRES = 250
AWAY = 3
"""this meter's messages of four days do not come at first"""


@pytest.fixture
def site(tmp_path: Path, mosquitto: Any) -> Iterator[SmallSite]:
    made = SmallSite(tmp_path / "audit", mosquitto.port, meters=8)
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("auditor-password")
    state = State.in_folder(load(made.config).data.folder)
    with state.write() as connection:
        user_rows.save_user(connection, user_rows.UserRow("auditor", hashed, "auditor", "en", disabled=False), 0)
    state.close()
    yield made
    made.stop()


def register_at(ms: int, number: int) -> int:
    """Return litres: an even use, not the same for any two meters."""
    return 5_000_000 + ms // EVERY_MS % 1_000_000 * LITRES * (1 + number)


def readings(days: range, gas_day: GasDay, first: date, number: int) -> list[tuple[int, int, int]]:
    begin, end = (gas_day.begins_us(first + timedelta(days=at)) // 1000 for at in (days.start, days.stop))
    return [(ms, register_at(ms, number), 0) for ms in range(begin, end, EVERY_MS)]


def publish(site: SmallSite, sent: list[tuple[int, list[tuple[int, int, int]]]]) -> None:
    publisher = Publisher(site.broker_port, f"meters-{time.monotonic_ns()}")
    for number, rows in sent:
        publisher.publish(site.topic(number), message(number, rows))
    publisher.drain()
    publisher.close()


class Auditor:
    """Somebody who is logged in."""

    def __init__(self, site: SmallSite) -> None:
        self.client = httpx.Client(base_url=site.web)
        wait_until(self._logged_in, what="the API")

    def _logged_in(self) -> bool:
        who = {"name": "auditor", "password": "auditor-password"}
        try:
            return self.client.post("/api/v1/login", json=who).is_success
        except httpx.TransportError:
            return False

    def days(self, first: date, last: date) -> Any:
        span = {"first": str(first), "last": str(last)}
        answer = self.client.get(f"/api/v1/meters/{meter(AWAY)}/intervals", params=span)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stored(self) -> int:
        """Return how many readings of registers are in the store; each came with its flags."""
        store = self.client.get("/api/v1/status").json()["store"] or {}
        return int(store.get("accounting", {}).get("meters", {}).get("stored", 0)) // 2


def audit(site: SmallSite) -> None:
    """Let the analyse role start anew: it passes at once."""
    if "analyse" in site.children:
        site.kill("analyse")
        (site.folder / "analyse.log").unlink()
    site.start("analyse")
    wait_until(lambda: "audit until" in site.log("analyse"), what="the audit")


@pytest.fixture
def auditor(site: SmallSite) -> Iterator[Auditor]:
    site.start("keep", "web")
    made = Auditor(site)
    yield made
    made.client.close()


@pytest.mark.slow
def test_readings_become_gas_days_and_a_late_message_revises_them(site: SmallSite, auditor: Auditor) -> None:
    gas_day = load(site.config).site.gas_day
    today = gas_day.of(datetime.now(UTC))
    first = today - timedelta(days=DAYS)
    gap = range(3, 7)
    sent = [(number, readings(range(DAYS), gas_day, first, number)) for number in range(8) if number != AWAY]
    sent += [(AWAY, readings(part, gas_day, first, AWAY)) for part in (range(3), range(7, DAYS))]
    publish(site, [*reversed(sent), *sent])
    rows = sum(len(one) for _, one in sent)
    wait_until(lambda: auditor.stored() == rows, what="every reading")
    audit(site)
    before = auditor.days(first, today - timedelta(days=1))
    # the last reading of a day lies six hours before its end: the newest day waits for the next
    known = [day for day in before["days"] if day["status"] != "missing"]
    assert [day["status"] for day in known[:9]] == [*["measured"] * 2, *["estimated"] * 5, *["measured"] * 2]
    assert [day["rules"] for day in known[2:7]] == [["V01"]] * 5
    assert sum(day["volume_m3"] for day in known[2:7]) == pytest.approx(5 * 4 * LITRES * (1 + AWAY) / 1000)
    assert len(before["raw"]) == 4 * (DAYS - len(gap))

    publish(site, [(AWAY, readings(gap, gas_day, first, AWAY))])
    wait_until(lambda: auditor.stored() == rows + 4 * len(gap), what="the late message")
    audit(site)
    after = auditor.days(first, today - timedelta(days=1))
    assert [day["status"] for day in after["days"][:9]] == ["measured"] * 9
    assert [day["revision"] for day in after["days"][:9]] == [1, 1, 2, 2, 2, 2, 2, 1, 1]
    assert [reading for reading in after["raw"] if reading in before["raw"]] == before["raw"]
    assert [(v["rule"], v["holds"]) for v in after["verdicts"]] == [("V01", True), ("V01", False)]
    assert {day["volume_m3"] for day in after["days"][:9]} == {4 * LITRES * (1 + AWAY) / 1000}
