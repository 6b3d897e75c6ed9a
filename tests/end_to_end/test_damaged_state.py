"""The state database is cut while nobody looks: `gasgate run` starts, pages answer, people are told what is missing."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.services.people import save_person
from gateway.runtime import child
from gateway.store.state import State
from gateway.store.state_copies import copied_at, copy_state
from tests.end_to_end.small_site import SmallSite, wait_until

WHO = {"name": "keeper", "password": "keeper-password"}


def damaged(folder: Path) -> Path:
    """Leave a state behind whose last hour is only in the database, then cut that in the middle; return the copy."""
    state = State.in_folder(folder)
    save_person(state, WHO["name"], WHO["password"], "administrator", "en", now_us=1)
    copy = copy_state(folder, 3, real=time.time() - 3600)
    save_person(state, "later", WHO["password"], "administrator", "en", now_us=1)
    state.close()
    assert not (folder / "state.db-wal").exists()
    os.truncate(folder / "state.db", (folder / "state.db").stat().st_size // 2)
    return copy


class Pages:
    """A session of the person whom the copy knows."""

    def __init__(self, site: SmallSite) -> None:
        self.client = httpx.Client(base_url=site.web, trust_env=False, timeout=10)

    def in_service(self) -> bool:
        try:
            return self.client.get("/healthz").is_success and self.login(WHO["name"])
        except httpx.TransportError:
            return False

    def login(self, name: str) -> bool:
        return self.client.post("/api/v1/login", json={**WHO, "name": name}).is_success

    def faults(self) -> list[Any]:
        alarms = self.client.get("/api/v1/alarms").json()["alarms"]
        return [one for one in alarms if one["id"].startswith("STORE_FAULT")]


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_cut_state_is_restored_and_its_missing_span_named(tmp_path: Path, free_port: Any) -> None:
    site = SmallSite(tmp_path / "site", free_port(), meters=2)
    copy = damaged(site.folder / "data")
    site.children["all"] = child.start(["gateway", "run", str(site.config)], log=site.folder / "all.log")
    pages = Pages(site)
    try:
        wait_until(pages.in_service, what="the pages")
        wait_until(lambda: len(pages.faults()) == 1, what="the alarm")
        (problem,) = [
            one for one in pages.client.get("/api/v1/status").json()["store"]["problems"] if "restored" in one
        ]
        begin = datetime.fromtimestamp(copied_at(copy) // 1_000_000, UTC)
        assert f"what was done between {begin:%Y-%m-%d %H:%M:%S} UTC and " in problem
        assert f"the old files are in quarantine{os.sep}state-" in problem
        assert pages.client.get("/system").is_success
        assert not pages.login("later"), "of the missing span nothing is there"
    finally:
        pages.client.close()
        site.stop()
