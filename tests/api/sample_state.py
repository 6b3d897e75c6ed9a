"""A small city in every state that the pages show: for tests, and for looking at the pages by hand."""

from __future__ import annotations

import json
import math
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import sleep
from time import time as real_time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from argon2 import PasswordHasher

from alarms.acts import AlarmDesk
from alarms.alarm_events import Acknowledge, ConditionFalls, ConditionRises, Shelve, TicketDue
from alarms.definitions import load_definitions
from alarms.master import MasterDefinitions
from alarms.route import TicketPolicy
from alarms.tickets.events import fold
from api.deps import Parts
from api.services.storage import Storage
from gateway.model.command import CommandOffer
from gateway.model.gasday import GasDay
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Point, Station, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, to_us
from gateway.model.ticket import DeliveryState, TicketClass
from gateway.runtime.clock import CityClock, ManualClock
from gateway.store import health_rows, outbox_rows, tables, ticket_event_rows, ticket_rows, user_rows
from gateway.store.intervals import IntervalStore
from gateway.store.state import State
from gateway.store.ticket_event_rows import TicketEvent
from tests.api import sample_devices, sample_intervals, sample_meters, sample_questioned, sample_tickets

START = datetime(2026, 1, 15, 6, 40, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)
LAST_DAY = date(2026, 1, 14)
PASSWORD = "demo-password"
CHEAP_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
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


def sample_network(meters_per_zone: int = 100) -> Network:
    dice = random.Random(7)
    zones = [
        Zone("CITY", "", ZoneKind.CITY, "滨江市"),
        Zone("D-1", "CITY", ZoneKind.DISTRICT, "城北区"),
        Zone("D-2", "CITY", ZoneKind.DISTRICT, "城南区"),
        Zone("R-001", "D-1", ZoneKind.REGULATOR, "柳园片区 Willow Garden"),
        Zone("R-002", "D-1", ZoneKind.REGULATOR, "北站片区 North Station"),
        Zone("R-003", "D-2", ZoneKind.REGULATOR, "河东片区 East Bank"),
    ]
    stations = [
        Station("S-01", "station", "CITY", "北门站", "环城北路 1 号", 300.0, 1900.0, 400.0, remote=False),
        Station("S-02", "station", "CITY", "南门站", "滨河南路 88 号", 1700.0, 60.0, 400.0, remote=False),
        Station("REG-001", "regulator", "R-001", "柳园调压站", "柳园路 12 号", 500.0, 1350.0, 3.0, remote=False),
        Station("REG-002", "regulator", "R-002", "北站调压站", "站前街 5 号", 1500.0, 1400.0, 3.0, remote=False),
        Station("REG-003", "regulator", "R-003", "河东调压站", "河东大道 40 号", 1000.0, 500.0, 3.0, remote=False),
    ]
    meters: dict[str, Meter] = {}
    features: list[dict[str, Any]] = []
    number = 0
    for regulator in stations[2:]:
        for street in range(-2, 3):
            y = regulator.y_m + street * 110
            features.append(_pipe([(regulator.x_m - 330, y), (regulator.x_m + 330, y)], "low"))
        features.append(_pipe([(regulator.x_m, regulator.y_m - 220), (regulator.x_m, regulator.y_m + 220)], "low"))
        for n in range(meters_per_zone):
            number += 1
            x = regulator.x_m - 320 + (n % 20) * 34
            y = regulator.y_m + (n // 20 % 5 - 2) * 110 + (14 if n % 2 else -14)
            kind = MeterKind.REMOTE if dice.random() < 0.6 else MeterKind.IC_CARD
            name = f"M-{number:06}"
            meters[name] = Meter(
                name,
                regulator.zone_id,
                MeterRole.CUSTOMER,
                kind,
                "residential",
                5,
                3,
                6.0,
                False,
                date(2020, 5, 1),
                "open",
                x,
                y,
            )
    ring = [(300, 1900), (500, 1350), (1000, 500), (1700, 60)]
    features += [_pipe(ring, "medium"), _pipe([(300, 1900), (1500, 1400), (1700, 60)], "medium")]
    points = {}
    for station in stations:
        for quantity in (Quantity.GAS_LEL_PCT, Quantity.PRESSURE_GAUGE_KPA, Quantity.FLOW_BASE_M3H):
            name = PointId(f"{station.station_id}/{quantity}")
            points[name] = Point(name, station.station_id, quantity, station.zone_id)
    geojson = json.dumps({"type": "FeatureCollection", "features": features})
    return Network({zone.zone_id: zone for zone in zones}, meters, {s.station_id: s for s in stations}, points, geojson)


def _pipe(line: Sequence[tuple[float, float]], pressure: str) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"id": f"P-{line[0][0]:.0f}-{line[0][1]:.0f}", "pressure": pressure},
        "geometry": {"type": "LineString", "coordinates": line},
    }


class SampleStore:
    """Stands for the store service: smooth made-up readings of every point."""

    def __init__(self, names: list[str], clock: CityClock, onset: datetime) -> None:
        self.names, self.clock, self.onset = names, clock, to_us(onset)
        self.down = False

    def _value(self, name: str, times: Any) -> Any:
        phase = times / 3.6e9
        if name.endswith("gas_lel_pct"):
            rise = np.clip((times - self.onset) / 60e6 + 20, 0, 28) if name.startswith("REG-002") else 0.0
            return 0.4 + 0.2 * np.sin(phase * 9) + rise
        if name.endswith("flow_base_m3h"):
            return 180 + 60 * np.sin(phase * math.tau / 24) + 6 * np.sin(phase * 40)
        return (400.0 if name.startswith("S-") else 3.0) + 0.06 * np.sin(phase * 3)

    async def history(self, points: Any, start_us: int, end_us: int) -> ReadingBatch:
        self._check()
        times = np.arange(start_us, min(end_us, self.clock.now_us()), 60_000_000, dtype=np.int64)
        return ReadingBatch.concat(
            ReadingBatch.build([int(p)] * len(times), times, times, self._value(self.names[int(p)], times))
            for p in points
        )

    async def latest(self, points: Any) -> ReadingBatch:
        self._check()
        now = np.array([self.clock.now_us() - 5_000_000])
        return ReadingBatch.concat(
            ReadingBatch.build([int(p)], now, now, self._value(self.names[int(p)], now)) for p in points
        )

    async def offers(self, asset: str) -> list[CommandOffer]:
        self._check()
        return sample_devices.offers(asset)

    async def status(self) -> dict[str, Any]:
        self._check()
        now = self.clock.now_us()
        return {
            "ok": True,
            "problems": [],
            "damage": [],
            "loader_lag": 0,
            "links": [
                _link("stations/S-01", "stations", True, now - 2_000_000, ""),
                _link("stations/S-02", "stations", False, now - 190_000_000, "no reply within 1 s"),
                _link("remote-meters", "remote-meters", True, now - 1_000_000, ""),
                _link("correctors/V-001", "correctors", None, None, ""),
            ],
            "accounting": {
                "remote-meters": {
                    "received": 41230,
                    "stored": 41190,
                    "duplicate": 36,
                    "refused": 0,
                    "dead_lettered": 4,
                    "in_flight": 0,
                },
                "stations": {
                    "received": 9120,
                    "stored": 9120,
                    "duplicate": 0,
                    "refused": 0,
                    "dead_lettered": 0,
                    "in_flight": 0,
                },
            },
            "spool": {"last_seq": 1204, "first_seq": 1, "loaded": 1204, "bytes": 8_400_000},
            "outputs": [
                {
                    "name": "influxdb",
                    "connected": True,
                    "cursor": 1204,
                    "lag": 0,
                    "written": 50310,
                    "rejected": 0,
                    "last_error": "",
                }
            ],
        }

    def _check(self) -> None:
        if self.down:
            from gateway.errors import TransientError

            raise TransientError("the store service is away")


def _link(key: str, source: str, up: bool | None, last: int | None, error: str) -> dict[str, Any]:
    return {
        "key": key,
        "source": source,
        "link": source,
        "up": up,
        "since_us": 0,
        "last_good_us": last,
        "failures": 0,
        "overruns": 0,
        "deliveries": 9,
        "error": error,
        **sample_devices.polled(up, last),
    }


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
    _loss(state, network)
    _findings(state, now)
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
    for role in ("keep", "alarm", "analyse", "web"):
        health_rows.beat(state, role, ok=True, detail={})


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


def _loss(state: State, network: Network) -> None:
    dice = random.Random(3)
    rows = []
    for back in range(60):
        day = LAST_DAY - timedelta(days=back)
        total = [0.0, 0.0]
        for n, zone in enumerate(("R-001", "R-002", "R-003")):
            supply = 900 + 120 * n + dice.gauss(0, 25) + 200 * math.cos(back / 30)
            rate = dice.gauss(0.011, 0.004) + (0.066 if zone == "R-003" and back < 3 else 0.0)
            unknown = zone == "R-002" and back == 8
            total[0] += supply
            total[1] += supply * rate
            rows.append(_loss_row(zone, day, None if unknown else supply, rate, 0.0055))
        rows.append(_loss_row("CITY", day, total[0], total[1] / total[0], 0.003))
        rows.append(_loss_row("D-2", day, rows[-2]["supply_m3"], rows[-2]["loss_rate"], 0.0055))
    with state.write() as connection:
        connection.execute(tables.loss.insert(), rows)


def _loss_row(zone: str, day: date, supply: float | None, rate: float, sigma: float) -> dict[str, Any]:
    known = supply is not None
    verdict = "not_assessable" if not known else "high" if rate > 0.04 else "normal"
    return {
        "zone": zone,
        "gas_day": day.isoformat(),
        "revision": 1,
        "supply_m3": supply,
        "metered_m3": supply * (1 - rate) if supply else None,
        "linepack_m3": 0.0 if known else None,
        "loss_m3": supply * rate if supply else None,
        "loss_rate": rate if known else None,
        "sigma": sigma if known else None,
        "coverage": 0.99 if known else 0.4,
        "verdict": verdict,
        "reason": "" if known else "supply meter was not read",
        "computed_at": to_us(START),
        "steady_sigma": 0.6 * sigma if known else None,
        "between_m3": supply * 0.004 if supply and zone == "CITY" else None,
        "between_sigma_m3": supply * 0.002 if supply and zone == "CITY" else None,
        "terms": _terms(supply, rate) if supply else None,
    }


def _terms(supply: float, rate: float) -> dict[str, tuple[float, float]]:
    unread = 0.003 * supply
    return {
        "meter_gain": (0.0, 0.003 * supply),
        "temperature": (0.012 * supply, 0.002 * supply),
        "skew": (0.0, 0.003 * supply),
        "unread": (unread, 0.5 * unread),
        "rest": (rate * supply, 0.005 * supply),
    }


def _findings(state: State, now: datetime) -> None:
    days = [(LAST_DAY - timedelta(days=20 - n)).isoformat() for n in range(21)]
    expected = [62 + 5 * math.sin(n / 2) for n in range(21)]
    meter = [value * (0.08 if n > 17 else 1.0) for n, value in enumerate(expected)]
    deficit = [a - b for a, b in zip(expected, meter, strict=True)]
    theft = {
        "days": days,
        "meter_m3": meter,
        "expected_m3": expected,
        "zone_loss_m3": [11 + d for d in deficit],
        "deficit_m3": deficit,
        "alternatives": {"theft": 0.96, "stuck": 0.02, "leak": 0.015, "vacant": 0.005},
    }
    still = {
        "days": days,
        "meter_m3": [8.0 if n < 15 else 0.0 for n in range(21)],
        "expected_m3": [8.2] * 21,
        "zone_loss_m3": [9.0 if n < 15 else 16.5 for n in range(21)],
        "deficit_m3": [0.0 if n < 15 else 8.2 for n in range(21)],
        "alternatives": {"non_moving": 0.91, "vacant": 0.09},
    }
    leak = {
        "days": days,
        "zone_loss_m3": [9.0 if n < 19 else 15.4 for n in range(21)],
        "deficit_m3": [0.0 if n < 19 else 6.0 for n in range(21)],
        "alternatives": {"leak": 0.41, "nothing": 0.35, "a meter": 0.24},
        "location": [
            {"pipe_id": "P-1170-1400", "probability": 0.46},
            {"pipe_id": "P-1170-1290", "probability": 0.22},
            {"pipe_id": "P-1500-1180", "probability": 0.09},
        ],
    }
    rows = [
        ("theft", "R-003", "M-000241", 0.96, 57.3, theft, 3),
        ("non_moving", "R-001", "M-000017", 0.91, 8.2, still, 6),
        ("leak", "R-002", None, 0.41, 6.0, leak, 1),
    ]
    with state.write() as connection:
        for kind, zone, name, score, size, evidence, ago in rows:
            connection.execute(
                tables.finding.insert().values(
                    kind=kind,
                    zone=zone,
                    meter=name,
                    subject=name or zone,
                    episode_no=1,
                    status="open",
                    detected_at=to_us(now) - 600_000_000,
                    updated_at=to_us(now),
                    onset=to_us(now - timedelta(days=ago)),
                    score=score,
                    estimate_m3_per_day=size,
                    evidence=evidence,
                )
            )


def sample_parts(folder: Path, *, factor: float = 30.0, meters_per_zone: int = 100) -> Parts:
    """Make the parts of a web role over a freshly filled state."""
    state = State.in_folder(folder)
    network = sample_network(meters_per_zone)
    clock = CityClock(to_us(START), int(datetime.now(UTC).timestamp() * 1e6), factor)
    definitions = MasterDefinitions(state, clock.now())
    desk = AlarmDesk(state, definitions, network, clock, POLICY)
    fill(state, network, clock.now())
    sample_intervals.fill(folder / "intervals", SampleSite().gas_day, sorted(network.meters), LAST_DAY)
    note = folder / "story.json"
    note.write_text(
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
        note_file=note,
        refresh=definitions.refresh,
        simulated=True,
        storage=Storage(folder),
    )


def serve(folder: Path, port: int) -> None:
    """Serve the sample city until the process ends."""
    import uvicorn

    from api.app import make_app

    parts = sample_parts(folder)
    sample_tickets.add(parts)
    parts = sample_meters.add(parts)
    sample_questioned.add(parts, LAST_DAY)

    def live() -> None:
        while True:
            for role in ("keep", "alarm", "analyse", "web"):
                health_rows.beat(parts.state, role, ok=True, detail={})
            sleep(2)

    def devices() -> None:
        while True:
            sample_devices.carry_out(parts.state, parts.clock, real_time())
            sleep(1)

    for work in (live, devices):
        threading.Thread(target=work, daemon=True).start()
    uvicorn.run(make_app(parts), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    import sys

    serve(Path(sys.argv[1]), int(sys.argv[2]))
