"""A small city in every state that the pages show: for tests, and for looking at the pages by hand."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep
from time import time as real_time
from typing import Any
from zoneinfo import ZoneInfo

from argon2 import PasswordHasher

from alarms.acts import AlarmDesk
from alarms.alarm_events import Acknowledge, ConditionFalls, ConditionRises, Shelve, TicketDue
from alarms.definitions import load_definitions
from alarms.master import MasterDefinitions
from alarms.route import TicketPolicy
from alarms.tickets.events import fold
from api.deps import Parts
from api.services.city import Tiles
from api.services.storage import Storage
from gateway.errors import GatewayError
from gateway.model.gasday import GasDay
from gateway.model.network import Network
from gateway.model.reading import to_us
from gateway.model.ticket import DeliveryState, TicketClass
from gateway.runtime.check import Checker
from gateway.runtime.clock import CityClock, ManualClock
from gateway.store import health_rows, outbox_rows, tables, ticket_event_rows, ticket_rows, user_rows
from gateway.store.intervals import IntervalStore
from gateway.store.state import State
from gateway.store.ticket_event_rows import TicketEvent
from tests.api import sample_devices, sample_intervals, sample_meters, sample_questioned, sample_tickets
from tests.api.sample_loss import LAST_DAY, add_findings, add_loss
from tests.api.sample_network import sample_network
from tests.api.sample_store import SampleStore

START = datetime(2026, 1, 15, 6, 40, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)
PASSWORD = "demo-password"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
CHEAP_HASH = CHEAP.hash(PASSWORD)
SECRET = "whsec_c2FtcGxlLXNlY3JldC1zYW1wbGUtc2VjcmV0"
POLICY = TicketPolicy(site="sample", sinks=dict.fromkeys(TicketClass, "desk"))
SECONDS = {
    name: timedelta(seconds=s)
    for name, s in {"accepted": 20, "dispatched": 60, "departed": 130, "arrived": 1000}.items()
}
USERS = {
    "operator": "operator",
    "engineer": "engineer",
    "auditor": "auditor",
    "viewer": "viewer",
    "admin": "administrator",
    "manager": "manager",
}


@dataclass(frozen=True)
class SampleSite:
    id: str = "sample"
    name: str = "滨江燃气 Riverside Gas"
    gas_day: GasDay = field(default_factory=lambda: GasDay("Asia/Shanghai", time(6)))


def fill(state: State, network: Network, now: datetime) -> None:
    """Put users, alarms, tickets, findings, loss, dead letters and roles into a state."""
    with state.write() as connection:
        for name, role in USERS.items():
            language = "en" if name == "engineer" else "zh"
            user_rows.save_user(
                connection, user_rows.UserRow(name, CHEAP_HASH, role, language, disabled=False), to_us(now)
            )
    _alarms(state, network, now)
    _tickets(state)
    add_loss(state)
    add_findings(state, now)
    with state.write() as connection:
        points = list(network.points)
        connection.execute(tables.point.insert(), [{"index": n, "point_id": name} for n, name in enumerate(points)])
        connection.execute(
            tables.dead_letter.insert(),
            [
                {
                    "seq": n,
                    "ordinal": 0,
                    "source": "remote-meters",
                    "topic": f"gas/R-001/M-{n:06}/up",
                    "payload": b'{"id": "M-0',
                    "reason": reason,
                    "received_at": to_us(now) - n * 7_000_000,
                }
                for n, reason in enumerate(
                    ["not JSON", "not JSON", "the topic names M-000017, the payload M-000018", "not JSON"]
                )
            ],
        )


def _alarms(state: State, network: Network, now: datetime) -> None:
    clock = ManualClock(to_us(now))
    desk = AlarmDesk(state, load_definitions(), network, clock, POLICY)

    def act(alarm_id: str, minutes: float, event: Any, actor: str = "gasgate") -> None:
        clock.set(now - timedelta(minutes=minutes))
        desk.apply(alarm_id, event, actor)

    def rise(alarm_id: str, minutes: float, value: float | None) -> None:
        act(alarm_id, minutes, ConditionRises(now - timedelta(minutes=minutes), value))

    rise("UNDERPRESS_LO@REG-001", 55, 2.2)
    act("UNDERPRESS_LO@REG-001", 50, Shelve(now + timedelta(minutes=90), "调压器检修", "operator"), "operator")
    rise("SUPPLY_LOSS@REG-003", 46, 0.3)
    act("SUPPLY_LOSS@REG-003", 44, Acknowledge(1, "operator"), "operator")
    act("SUPPLY_LOSS@REG-003", 12, ConditionFalls(2.9))
    rise("UNDERPRESS_LO@REG-003", 42, 2.31)
    act("UNDERPRESS_LO@REG-003", 40, Acknowledge(1, "operator"), "operator")
    rise("OVERPRESS_HI@REG-001", 30, 3.71)
    act("OVERPRESS_HI@REG-001", 22, ConditionFalls(3.2))
    rise("GAS_CONC_HIHI@REG-002", 6, 23.4)
    rise("STATION_COMM_LOSS@S-02", 5.5, None)
    act("STATION_COMM_LOSS@S-02", 0.1, TicketDue())


def _tickets(state: State) -> None:
    """Let the ticketing system answer: confirmed, some steps reported, one delivery still failing."""
    with state.write() as connection:
        for ticket in ticket_rows.list_open(connection):
            steps = {
                "REG-002": ("accepted", "dispatched", "departed"),
                "REG-003": ("accepted", "dispatched", "departed", "arrived"),
            }.get(ticket.asset, ())
            events = [
                TicketEvent(
                    "desk",
                    f"{ticket.ticket_no}-{step}",
                    ticket.ticket_no,
                    step,
                    n,
                    ticket.raised_at + SECONDS[step],
                    ticket.raised_at + SECONDS[step],
                    "crew 3",
                    {},
                )
                for n, step in enumerate(steps, 1)
            ]
            for event in events:
                ticket_event_rows.insert_event(connection, event)
            ticket_rows.update_ticket(connection, fold(ticket, events))
            for row in outbox_rows.outbox_of(connection, ticket.ticket_no):
                if steps:
                    outbox_rows.set_confirmed(connection, row.id, attempts=1, at=ticket.raised_at, wall_now_s=0.0)
                else:
                    outbox_rows.set_delivery(
                        connection, row.id, DeliveryState.RETRY, attempts=3, next_at=9e12, error="503"
                    )


def sample_parts(folder: Path, *, factor: float = 30.0, meters_per_zone: int = 100) -> Parts:
    """Make the parts of a web role over a freshly filled state."""
    fill_folder(folder, meters_per_zone)
    return open_folder(folder, factor=factor, meters_per_zone=meters_per_zone)


def fill_folder(folder: Path, meters_per_zone: int = 100) -> None:
    """Write what the sample city has on disk."""
    state = State.in_folder(folder)
    network = sample_network(meters_per_zone)
    MasterDefinitions(state, START)
    fill(state, network, START)
    state.close()
    sample_intervals.fill(folder / "intervals", SampleSite().gas_day, sorted(network.meters), LAST_DAY)
    (folder / "story.json").write_text(
        json.dumps(
            [
                {
                    "at": (START - timedelta(minutes=6)).isoformat(),
                    "id": "gas",
                    "state": "now",
                    "title_en": "Gas rises at REG-002",
                    "title_zh": "REG-002 燃气浓度上升",
                    "look_en": "Watch the top alarm and its ticket's clock.",
                    "look_zh": "请看最上方的报警及其工单时钟。",
                },
                {
                    "at": (START + timedelta(minutes=6)).isoformat(),
                    "id": "broker",
                    "state": "now",
                    "title_en": "The broker restarts",
                    "title_zh": "消息服务器重启",
                    "look_en": "Nothing is lost: see the system page.",
                    "look_zh": "数据不丢失：请看系统页。",
                },
            ]
        ),
        encoding="utf-8",
    )


def open_folder(folder: Path, *, factor: float, meters_per_zone: int = 100) -> Parts:
    """Make the parts of a web role over a filled folder; every role has just given a sign of life."""
    state = State.in_folder(folder)
    beat(state)
    network = sample_network(meters_per_zone)
    clock = CityClock(to_us(START), int(datetime.now(UTC).timestamp() * 1e6), factor)
    definitions = MasterDefinitions(state, clock.now())
    desk = AlarmDesk(state, definitions, network, clock, POLICY)
    store = SampleStore(list(network.points), clock, START - timedelta(minutes=6))
    return Parts(
        site=SampleSite(),
        state=state,
        store=store,
        network=network,
        clock=clock,
        desk=desk,
        intervals=IntervalStore(folder / "intervals"),
        ticket_secrets=(SECRET,),
        note_file=folder / "story.json",
        refresh=definitions.refresh,
        simulated=True,
        storage=Storage(folder),
    )


def beat(state: State) -> None:
    """Let every role give a sign of life."""
    for role in ("keep", "alarm", "analyse", "web"):
        health_rows.beat(state, role, ok=True, detail={})


def live(state: State) -> None:
    """Let every role give signs of life until the process ends."""

    def go_on() -> None:
        while True:
            with suppress(GatewayError):
                beat(state)
            sleep(2)

    threading.Thread(target=go_on, daemon=True).start()


def serve(folder: Path, port: int, tiles: str = "") -> None:
    """Serve the sample city until the process ends; with `tiles` over tiles of that address."""
    import uvicorn

    from api.app import make_app

    parts = sample_parts(folder)
    sample_tickets.add(parts)
    parts = sample_meters.add(parts)
    sample_questioned.add(parts, LAST_DAY)
    config = folder / "gasgate.toml"
    config.write_text('[web]\nlisten = "0.0.0.0:8080"\ncolour = "grey"\n', encoding="utf-8")
    ground = Tiles(tiles, "© <b>Somebody</b>", 30.58, 114.27) if tiles else None
    parts = replace(parts, check=Checker(config), tiles=ground)

    def devices() -> None:
        while True:
            sample_devices.carry_out(parts.state, parts.clock, real_time())
            sleep(1)

    live(parts.state)
    threading.Thread(target=devices, daemon=True).start()
    uvicorn.run(make_app(parts), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    import sys

    serve(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
