"""The demo as a new user meets it: one command, a story that tells itself, and nothing left behind."""

from __future__ import annotations

import csv
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end import story_pages
from tests.end_to_end.demo_process import BUSINESS, HOME, Demo, alive, listening, program
from tests.end_to_end.small_site import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Return the one demo of these tests: its story takes a minute and a half, and is told once."""
    demo = Demo(tmp_path_factory.mktemp("demo") / "demo")
    try:
        demo.first_s = demo.start()
        yield demo
    finally:
        demo.kill()


@pytest.mark.browser
def test_people_live_through_the_story_in_their_browsers(demo: Demo, chromium: str) -> None:
    with story_pages.pages(chromium, demo.web) as (operator, engineer):
        story_pages.live_through(operator, engineer, demo.web)


def test_the_story_is_told_and_no_reading_is_missing(demo: Demo) -> None:
    assert set(listening(demo.pids()).values()) == {"0100007F"}, "only loopback"
    with closing(demo.client("engineer")) as client:
        _story(client)
        _no_reading_missing(client, demo.folder)


def test_it_goes_on_from_where_it_was_and_leaves_nothing_behind(demo: Demo) -> None:
    with closing(demo.client("operator")) as client:
        wait_until(lambda: _gas_tickets(client), what="the ticket", limit_s=60)
    pids = demo.pids()
    assert demo.end() == 0
    wait_until(lambda: not alive(pids), what="the end of every process", limit_s=10)

    assert demo.start() < 1.5 * demo.first_s, "the second start, which makes no city"
    pids = demo.pids()
    programs = {pid: program(pid) for pid in pids}
    with closing(demo.client("operator")) as client:
        assert _gas_tickets(client), "goes on from where it was"
    demo.end(signal.SIGKILL)
    with suppress(TimeoutError):
        wait_until(lambda: not alive(pids), what="the end of every process after a kill", limit_s=20)
    assert [programs[pid] for pid in alive(pids)] == []


def _gas_tickets(client: httpx.Client) -> list[dict[str, Any]]:
    return [ticket for ticket in _items(client, "/api/v1/tickets") if ticket["asset"] == "REG-002"]


def _items(client: httpx.Client, path: str, **params: str) -> list[dict[str, Any]]:
    answer = client.get(path, params=params)
    answer.raise_for_status()
    body = answer.json()
    return body if isinstance(body, list) else body[path.rpartition("/")[2].replace("-", "_")]


def _no_reading_missing(client: httpx.Client, folder: Path) -> None:
    """Every half-hour reading of every remote meter is there once, although the broker was away at 05:22."""
    with (folder / "network" / "meters.csv").open(encoding="utf-8") as file:
        remote = [row["meter_id"] for row in csv.DictReader(file) if row["kind"] == "remote"]
    assert len(remote) > 100
    wanted = ["2026-01-14T21:00:00", "2026-01-14T21:30:00", "2026-01-14T22:00:00"]
    for meter in remote[::7]:
        span = {"start": "2026-01-14T20:59:00Z", "end": "2026-01-14T22:01:00Z"}
        answer = client.get(f"/api/v1/points/{meter}/register_measured_m3/history", params=span).raise_for_status()
        assert [datetime.fromtimestamp(t / 1000, UTC).isoformat()[:19] for t in answer.json()["times_ms"]] == wanted, (
            meter
        )


def _story(client: httpx.Client) -> None:
    def ticket() -> dict[str, Any]:
        return next(iter(_gas_tickets(client)), {})

    def findings() -> set[tuple[str, str]]:
        return {(one["kind"], one["meter"] or one["zone"]) for one in _items(client, "/api/v1/findings")}

    def journal_of_silence() -> list[str]:
        return [one["id"] for one in _items(client, "/api/v1/alarms") if "COMM_LOSS" in one["id"]]

    wait_until(lambda: ticket().get("arrived_at"), what="the crew at REG-002", limit_s=60)
    assert ticket()["ticket_class"] == "EMERGENCY"
    wait_until(journal_of_silence, what="the alarm of the silent station", limit_s=40)
    assert journal_of_silence() == ["STATION_COMM_LOSS@S-02"], "one alarm, not a hundred"
    wait_until(lambda: _items(client, "/api/v1/dead-letters"), what="the dead letters", limit_s=40)
    wait_until(lambda: {("theft", BUSINESS), ("non_moving", HOME)} <= findings(), what="both meters", limit_s=90)
    assert len(findings()) == 2, "nobody else is suspected"
