"""The rule of joining once more, as plainly as it is told to people, to hold the real one against.

A reference of its own: it shares no code with `alarms.route` and keeps its tickets in a list.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import event

from alarms.acts import AlarmDesk, Edge
from alarms.alarm_events import Acknowledge, ConditionFalls, ConditionRises, Reset
from alarms.definitions import load_definitions
from alarms.route import TicketPolicy
from alarms.tickets.desk import TicketDesk
from gateway.errors import RefusedError
from gateway.model.network import Network, Station, Zone, ZoneKind
from gateway.model.reading import to_us
from gateway.model.ticket import Ticket, TicketClass, TicketState
from gateway.runtime.clock import ManualClock
from gateway.store import ticket_rows
from gateway.store.state import State
from tests.alarms.alarm_fixtures import START, home

AT_REGULATORS = (
    "GAS_CONC_HIHI",
    "GAS_CONC_HI",
    "OVERPRESS_HIHI",
    "OVERPRESS_HI",
    "UNDERPRESS_LOLO",
    "SUPPLY_LOSS",
    "LEAK_BURST",
)
AT_STATIONS = ("GAS_CONC_HIHI", "GAS_CONC_HI", "OVERPRESS_HIHI", "OVERPRESS_HI", "UNDERPRESS_LOLO")
URGENT = ("OVERPRESS_HI",)
DISTRICT_OF = {"R-1": "D-1", "R-2": "D-1", "R-3": "D-2", "R-4": "D-2"}
ZONE_OF = {"REG-1": "R-1", "REG-2": "R-2", "REG-3": "R-3", "REG-4": "R-4", "REG-5": "R-1"}
BUILDING_OF = {"M-1": "B-1", "M-2": "B-1", "M-3": "B-2", "M-4": "B-3", "M-5": ""}
REGULATOR_OF = {"B-1": "R-1", "B-2": "R-1", "B-3": "R-2"}
STATIONS = ("S-1", "S-2")


def network() -> Network:
    zones = [Zone("CITY", "", ZoneKind.CITY, "City")]
    zones += [Zone(name, "CITY", ZoneKind.DISTRICT, name) for name in ("D-1", "D-2")]
    zones += [Zone(zone, district, ZoneKind.REGULATOR, zone) for zone, district in DISTRICT_OF.items()]
    zones += [Zone(name, regulator, ZoneKind.BUILDING, name) for name, regulator in REGULATOR_OF.items()]
    stations = [Station(name, "station", "CITY", name, "", 0.0, 0.0, 200.0, remote=False) for name in STATIONS]
    stations += [
        Station(name, "regulator", zone, name, "", 0.0, 0.0, 2.0, remote=False) for name, zone in ZONE_OF.items()
    ]
    meters = [home(name, building or "R-1") for name, building in BUILDING_OF.items()]
    return Network(
        zones={zone.zone_id: zone for zone in zones},
        meters={meter.meter_id: meter for meter in meters},
        stations={station.station_id: station for station in stations},
        points={},
    )


ALARMS = (
    [f"{name}@{asset}" for name in AT_REGULATORS for asset in ZONE_OF]
    + [f"{name}@{asset}" for name in AT_STATIONS for asset in STATIONS]
    + [f"HOME_GAS_SENSOR@{asset}" for asset in BUILDING_OF]
    + [f"{name}@{zone}" for name in ("LEAK_ZONE", "LEAK_LARGE", "HOMES_NO_GAS") for zone in DISTRICT_OF]
    + [f"HOMES_NO_GAS@{building}" for building in REGULATOR_OF]
    + [f"AREA_SUPPLY_LOSS@{zone}" for zone in ("D-1", "D-2")]
)


@dataclass
class Plain:
    """A ticket as the reference knows it."""

    opened_by: tuple[str, int]
    place: tuple[str, str]
    emergency: bool
    takes_more: bool = True


def places(alarm_id: str) -> list[tuple[str, str]]:
    """Return what an alarm may join, in words: the incident's kind and its place; its own comes last."""
    name, asset = alarm_id.split("@")
    if name == "HOME_GAS_SENSOR":
        return [("home", BUILDING_OF[asset] or asset)]
    if name == "AREA_SUPPLY_LOSS":
        return [("area", asset)]
    if asset in STATIONS:
        # a station stands in the city; an area alarm of the whole city would take it in
        own = ("station", asset)
        return [("area", "CITY"), own] if name == "UNDERPRESS_LOLO" else [own]
    zone = ZONE_OF.get(asset, REGULATOR_OF.get(asset, asset))
    own = ("network", zone)
    if name in {"SUPPLY_LOSS", "UNDERPRESS_LOLO", "HOMES_NO_GAS"}:
        return [("area", DISTRICT_OF[zone]), own]
    return [own]


class Reference:
    """Says which ticket an occurrence belongs to."""

    def __init__(self) -> None:
        self.tickets: list[Plain] = []
        self.of: dict[tuple[str, int], Plain] = {}

    def rise(self, alarm_id: str, occurrence_no: int) -> Plain:
        emergency = alarm_id.split("@", maxsplit=1)[0] not in URGENT
        for place in places(alarm_id):
            for ticket in self.tickets:
                if ticket.takes_more and ticket.place == place and (ticket.emergency or not emergency):
                    self.of[alarm_id, occurrence_no] = ticket
                    return ticket
        own = Plain((alarm_id, occurrence_no), places(alarm_id)[-1], emergency)
        self.tickets.append(own)
        self.of[alarm_id, occurrence_no] = own
        return own


class Comparison:
    """Lets the real desk and the reference go the same random way."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._dice = random.Random(seed)
        state = State.in_folder(folder)
        event.listen(state.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        state.engine.dispose()
        policy = TicketPolicy(sinks=dict.fromkeys(TicketClass, "desk"))
        self._desk = AlarmDesk(state, load_definitions(), network(), ManualClock(to_us(START)), policy)
        parts = (state, self._desk.definitions, self._desk.network, self._desk.clock, policy)
        self._people = TicketDesk(*parts)
        self.reference = Reference()
        self.checked = self.joined = 0
        self._requests = 0

    def go(self, steps: int) -> int:
        """Take so many steps and return after how many the two disagreed."""
        return sum(self._step() for _ in range(steps))

    def close(self) -> None:
        self._desk.state.close()

    def _step(self) -> bool:
        chance = self._dice.random()
        if chance < 0.7:
            return self._rise(self._dice.choice(ALARMS))
        if chance < 0.93:
            self._crew()
        else:
            self._split()
        return False

    def _rise(self, alarm_id: str) -> bool:
        self._desk.clock.advance(1)  # type: ignore[attr-defined]
        self._calm(alarm_id)
        (alarm,) = self._desk.commit([Edge(alarm_id, ConditionRises(self._desk.clock.now(), 50.0))])
        if (alarm_id, alarm.occurrence_no) in self.reference.of:
            return False
        expected = self.reference.rise(alarm_id, alarm.occurrence_no)
        real = self._ticket(alarm_id, alarm.occurrence_no)
        self.checked += 1
        self.joined += expected.opened_by != (alarm_id, alarm.occurrence_no)
        return real is None or real.dedup_key.partition(":")[2] != _key(expected)

    def _calm(self, alarm_id: str) -> None:
        """End what the alarm was, so that it rises anew."""
        for ending in (ConditionFalls(), None, Reset("li")):
            try:
                self._desk.apply(alarm_id, ending or Acknowledge(self._number(alarm_id), "li"), "li")
            except RefusedError:
                continue

    def _number(self, alarm_id: str) -> int:
        return max((number for name, number in self.reference.of if name == alarm_id), default=0)

    def _ticket(self, alarm_id: str, number: int) -> Ticket | None:
        with self._desk.state.read() as connection:
            return ticket_rows.ticket_of(connection, alarm_id, number)

    def _crew(self) -> None:
        """Let a crew leave, or finish: from then on nothing joins."""
        alive = [one for one in self.reference.tickets if one.takes_more]
        if not alive:
            return
        chosen = self._dice.choice(alive)
        chosen.takes_more = False
        ticket = self._ticket(*chosen.opened_by)
        assert ticket is not None
        state = self._dice.choice([TicketState.DEPARTED, TicketState.COMPLETED, TicketState.CANCELLED])
        with self._desk.state.write() as connection:
            ticket_rows.update_ticket(connection, replace(ticket, state=state))

    def _split(self) -> None:
        joined = [
            (one, ticket) for one, ticket in self.reference.of.items() if ticket.takes_more and ticket.opened_by != one
        ]
        newest = [(one, ticket) for one, ticket in joined if one[1] == self._number(one[0])]
        if not newest:
            return
        (alarm_id, number), ticket = self._dice.choice(newest)
        real = self._ticket(alarm_id, number)
        assert real is not None
        self._requests += 1
        self._people.split(
            real.ticket_no, alarm_id, number, who="li", reason="another place", request_id=f"s-{self._requests}"
        )
        ticket.takes_more = False
        own = Plain((alarm_id, number), places(alarm_id)[-1], alarm_id.split("@")[0] not in URGENT, takes_more=False)
        self.reference.tickets.append(own)
        self.reference.of[alarm_id, number] = own


def _key(ticket: Plain) -> str:
    (alarm_id, number) = ticket.opened_by
    name, asset = alarm_id.split("@")
    return f"{asset}:{name}:{number}"
