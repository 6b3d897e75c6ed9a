"""The alarm decision: how many point updates a second one core judges, and 20,000 devices that fall silent at once.

Both go through the whole pipeline with the state database on disk: limits, delays, bursts, silence, rules, facts,
journal, tickets. `decision_updates_per_s` counts processor time, so other processes do not spoil it.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alarms.acts import AlarmDesk
from alarms.definitions import load_definitions
from alarms.pipeline import AlarmPipeline
from alarms.route import TicketPolicy
from gateway.model.network import Network, Point, Station, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, Reason, Severity, from_us, point_id, quality
from gateway.model.ticket import TicketClass
from gateway.ports import SpoolRecord
from gateway.runtime.clock import ManualClock
from gateway.store import alarm_rows
from gateway.store.registry import StateRegistry
from gateway.store.state import State

BEGIN_US = 1_768_453_200_000_000
POLL_US = 10_000_000
QUANTITIES = (Quantity.GAS_LEL_PCT, Quantity.PRESSURE_GAUGE_KPA, Quantity.FLOW_BASE_M3H)
NORMAL = {Quantity.GAS_LEL_PCT: 0.5, Quantity.PRESSURE_GAUGE_KPA: 2.0, Quantity.FLOW_BASE_M3H: 50.0}
ROWS = 4000
SILENT = quality(Severity.BAD, Reason.NO_REPLY)


def run(*, quick: bool) -> dict[str, float]:
    """Measure with 20,000 devices (quick: 2,000)."""
    devices = 2_000 if quick else 20_000
    with tempfile.TemporaryDirectory(prefix="gasgate-alarms-") as folder:
        figures = _speed(Path(folder) / "speed", devices, rounds=6 if quick else 12)
        return {**figures, **_silence(Path(folder) / "silence", devices)}


class _City:
    """A city of regulators, each polled every ten seconds."""

    def __init__(self, folder: Path, devices: int) -> None:
        network = _network(devices)
        self.clock = ManualClock(BEGIN_US)
        policy = TicketPolicy(sinks=dict.fromkeys(TicketClass, "desk"))
        self.state = State.in_folder(folder)
        definitions = load_definitions()
        desk = AlarmDesk(self.state, definitions, network, self.clock, policy)
        registry = StateRegistry(self.state)
        self.names: list[PointId] = list(network.points)
        self.points = registry.indices(self.names)
        self.normal = np.array([NORMAL[one.quantity] for one in network.points.values()])
        self.pipeline = AlarmPipeline(desk, network, registry, definitions, self.clock)
        self.seq = 0

    def poll(self, values: NDArray[np.float64], mark: NDArray[np.uint8] | int = 0) -> int:
        """Feed one poll of everything in batches; return how many rows that were."""
        now = self.clock.now_us()
        marks = np.broadcast_to(np.asarray(mark, dtype=np.uint8), values.shape)
        for first in range(0, len(values), ROWS):
            rows = slice(first, first + ROWS)
            count = len(values[rows])
            batch = ReadingBatch.build(self.points[rows], np.full(count, now), now, values[rows], marks[rows])
            self.seq += 1
            self.pipeline.process(SpoolRecord(self.seq, batch))
        return len(values)

    def tick(self) -> None:
        """Do what time brings about."""
        self.pipeline.tick(self.clock.now())


def _speed(folder: Path, devices: int, rounds: int) -> dict[str, float]:
    city = _City(folder, devices)
    rng = np.random.default_rng(1)
    for _ in range(3):
        city.poll(city.normal)
        city.clock.advance(POLL_US / 1e6)
    begun, updates = time.process_time(), 0
    for _ in range(rounds):
        noisy = city.normal * (1 + 0.02 * rng.standard_normal(len(city.normal)))
        noisy[rng.integers(0, len(noisy), 3)] *= 60
        updates += city.poll(noisy)
        city.tick()
        city.clock.advance(POLL_US / 1e6)
    spent = time.process_time() - begun
    with city.state.read() as connection:
        raised = sum(entry.event == "raised" for entry in alarm_rows.journal_after(connection, 0, limit=100_000))
    city.state.close()
    return {
        "points": float(len(city.names)),
        "decision_updates_per_s": updates / spent,
        "alarms_raised_meanwhile": float(raised),
    }


def _silence(folder: Path, devices: int) -> dict[str, float]:
    """Let all devices of a district stop answering within 60 s; another district goes on."""
    city = _City(folder, devices)
    silent = np.repeat(np.arange(len(city.names) // len(QUANTITIES)) < devices, len(QUANTITIES))
    starts = np.random.default_rng(2).uniform(0, 60, len(silent) // len(QUANTITIES)).repeat(len(QUANTITIES))
    for _ in range(4):
        city.poll(city.normal)
        city.tick()
        city.clock.advance(POLL_US / 1e6)
    onset = city.clock.now_us()
    slowest, first_area_s, told_s = 0.0, float("nan"), float("nan")
    for _ in range(66):
        since = (city.clock.now_us() - onset) / 1e6
        gone = silent & (starts <= since)
        city.poll(np.where(gone, np.nan, city.normal), np.where(gone, SILENT, 0).astype(np.uint8))
        begun = time.perf_counter()
        city.tick()
        took = time.perf_counter() - begun
        with city.state.read() as connection:
            area = [one for one in alarm_rows.load_of(connection, ["AREA_COMM_LOSS"]) if one.cond]
        if area and first_area_s != first_area_s:  # noqa: PLR0124 - NaN until the first
            first_area_s, told_s = since, took
        slowest = max(slowest, took)
        city.clock.advance(POLL_US / 1e6)
    with city.state.read() as connection:
        entries = alarm_rows.journal_after(connection, 0, limit=1_000_000)
        events = Counter(entry.event for entry in entries if from_us(onset) <= entry.at)
        kept = sum(one.cond for one in alarm_rows.load_of(connection, ["STATION_COMM_LOSS"]))
    city.state.close()
    return {
        "silent_devices": float(devices),
        "silent_announced": float(events["announced"]),
        "silent_records_kept": float(kept),
        "silent_area_after_first_s": first_area_s,
        "silent_area_commit_s": told_s,
        "silent_slowest_tick_s": slowest,
    }


def _network(devices: int) -> Network:
    zones = [Zone("CITY", "", ZoneKind.CITY, "City")]
    zones += [Zone(f"D-{n}", "CITY", ZoneKind.DISTRICT, f"District {n}") for n in (1, 2)]
    stations: dict[str, Station] = {}
    for n in range(devices + devices // 2):
        district = 1 if n < devices else 2
        name = f"REG-{n:06d}"
        stations[name] = Station(name, "regulator", f"D-{district}", name, "", 0.0, 0.0, 2.0, remote=False)
    points = {
        point_id(name, quantity): Point(point_id(name, quantity), name, quantity, one.zone_id)
        for name, one in stations.items()
        for quantity in QUANTITIES
    }
    return Network({zone.zone_id: zone for zone in zones}, {}, stations, points)
