"""A ticketing system that hangs, dies and comes back under alarms: one ticket each, and people are told in time."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.services.people import save_person
from gateway.runtime.clock import CityClock
from gateway.store import ticket_rows
from gateway.store.state import State
from tests.end_to_end.small_site import SECRET, Publisher, SmallSite, message, meter, wait_until

FACTOR = 60.0
PASSWORD = "a long password"
LEAK = 64
TOLD_WITHIN_S = 18.0
"""real seconds after which an operator knows of an emergency ticket that nobody confirmed"""
SLACK_S = 3.0


class City:
    """The site, its meters that smell gas, and what its pages say."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        self.site = SmallSite(folder, broker_port, 30, extra='[clock]\nfile = "clock.json"\n')
        clock = {"city_us": time.time_ns() // 1000, "wall_us": time.time_ns() // 1000, "factor": FACTOR}
        (folder / "clock.json").write_text(json.dumps(clock), encoding="utf-8")
        self.state = State.in_folder(folder / "data")
        save_person(self.state, "wang", PASSWORD, "operator", "en", now_us=1)
        self._clock = CityClock.from_file(folder / "clock.json")
        self._meters: Publisher | None = None
        self._web: httpx.Client | None = None
        self.smelling: list[int] = []

    def start(self) -> None:
        self.site.start_desk()
        self.site.start("keep", "alarm", "web")
        self._web = httpx.Client(base_url=self.site.web, timeout=10)
        wait_until(self._logged_in, what="the API")
        wait_until(lambda: "connected" in self.site.log("keep"), what="the connection to the broker")
        self._meters = Publisher(self.site.broker_port, f"{self.site.folder.name}-meters")

    def _logged_in(self) -> bool:
        assert self._web is not None
        try:
            answer = self._web.post("/api/v1/login", json={"name": "wang", "password": PASSWORD})
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    @property
    def session(self) -> str:
        assert self._web is not None
        return self._web.cookies["gasgate_session"].split("_", 2)[2]

    def smell(self, count: int) -> list[str]:
        """Let `count` more homes smell gas and return their alarms."""
        assert self._meters is not None
        fresh = list(range(len(self.smelling), len(self.smelling) + count))
        for number in fresh:
            now_ms = self._clock.now_us() // 1000
            self._meters.publish(self.site.topic(number), message(number, [(now_ms, 1000, LEAK)]))
        self._meters.drain()
        self.smelling += fresh
        names = [f"HOME_GAS_SENSOR@{meter(number)}" for number in fresh]
        wait_until(lambda: set(names) <= set(self.shown()), what="the alarms")
        return names

    def shown(self) -> dict[str, dict[str, Any]]:
        """Return the alarms that the API lists, by id."""
        assert self._web is not None
        answer = self._web.get("/api/v1/alarms?limit=500")
        answer.raise_for_status()
        return {one["id"]: one for one in answer.json()["alarms"]}

    def ticket_of(self, alarm_id: str) -> str:
        return str(self.shown()[alarm_id]["ticket_no"])

    def confirmed(self) -> bool:
        with self.state.read() as connection:
            tickets = ticket_rows.list_tickets(connection, limit=500)
        return len(tickets) == len(self.smelling) and all(one.delivery.value == "confirmed" for one in tickets)

    def lit(self, name: str) -> set[str]:
        """Return the tickets about which alarm `name` says that it holds now."""
        return {one["asset"] for one in self.shown().values() if one["definition"] == name and one["cond"]}

    def close(self) -> None:
        if self._web is not None:
            self._web.close()
        if self._meters is not None:
            self._meters.close()
        self.site.stop()
        self.state.close()


def pause(city: City, number: signal.Signals) -> None:
    os.kill(city.site.children["desk"].pid, number)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_desk_that_hangs_dies_and_returns_has_each_ticket_once(tmp_path, mosquitto):
    city = City(tmp_path / "desk", mosquitto.port)
    try:
        city.start()
        city.smell(3)
        wait_until(city.confirmed, what="the first tickets", limit_s=10)

        pause(city, signal.SIGSTOP)  # takes connections, answers nothing
        city.smell(6)
        time.sleep(6.5)
        pause(city, signal.SIGCONT)  # now it answers what was given up
        city.smell(3)
        city.site.kill("desk", "alarm")  # commands are being sent
        city.site.start_desk()
        city.site.start("alarm")
        city.smell(3)
        wait_until(city.confirmed, what="the tickets of the desk that hung", limit_s=40)

        city.site.kill("desk")
        begun = time.monotonic()
        late = {city.ticket_of(name) for name in city.smell(4)}
        wait_until(lambda: late <= city.lit("DEPART_OVERDUE"), what="no crew left", limit_s=3 * 60 / FACTOR + SLACK_S)
        assert not city.lit("TICKET_UNCONFIRMED") & late
        wait_until(lambda: late <= city.lit("TICKET_UNCONFIRMED"), what="TICKET_UNCONFIRMED", limit_s=TOLD_WITHIN_S)
        assert TOLD_WITHIN_S - 1 < time.monotonic() - begun < TOLD_WITHIN_S + SLACK_S
        city.site.start_desk()
        wait_until(city.confirmed, what="the tickets after the desk came back", limit_s=30)
        wait_until(lambda: not city.lit("TICKET_UNCONFIRMED"), what="the end of TICKET_UNCONFIRMED", limit_s=5)
        wait_until(lambda: not city.lit("DEPART_OVERDUE") & late, what="the crews' leaving", limit_s=15)
        once_each(city)
        logs = "".join(city.site.log(role) for role in ("keep", "alarm", "web", "desk"))
        assert "DESK-000001" in logs
        for secret in (SECRET.removeprefix("whsec_"), PASSWORD, city.session):
            assert secret not in logs
    finally:
        city.close()


def once_each(city: City) -> None:
    with city.state.read() as connection:
        ours = {one.dedup_key: one.external_id for one in ticket_rows.list_tickets(connection, limit=500)}
    listed = httpx.get(f"http://127.0.0.1:{city.site.desk_port}/tickets").json()["tickets"]
    theirs = {one["dedup_key"]: one["external_ticket_id"] for one in listed}
    assert len(listed) == len(theirs) == len(city.smelling)
    assert ours == theirs
