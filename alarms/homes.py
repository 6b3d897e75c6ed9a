"""What many meters tell together: areas that fell silent, and homes without gas. Remembered over a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from alarms.acts import Edge
from alarms.alarm_events import ConditionFalls, ConditionRises
from alarms.detectors.meter_silence import MeterSilence
from alarms.detectors.no_gas import NoGas
from alarms.service.planned import stopped_zones
from gateway.errors import TransientError
from gateway.model.alarm import Alarm, Definition
from gateway.model.interruption import Interruption
from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch, to_us
from gateway.ports import PointRegistry
from gateway.store.memory import StateMemory

SILENT = "METERS_SILENT"
NO_GAS = "HOMES_NO_GAS"
_log = logging.getLogger(__name__)


class Homes:
    """Judges all meters together. Not safe for threads."""

    def __init__(self, network: Network, registry: PointRegistry, memory: StateMemory) -> None:
        """Watch the meters of a network."""
        self._network, self._memory = network, memory
        self._silence, self._no_gas = MeterSilence(network), NoGas(network, registry.names)

    def restore(self, alarms: Iterable[Alarm], now: datetime) -> None:
        """Go on with what was told before a restart. Raises TransientError."""
        told = [alarm for alarm in alarms if alarm.cond and alarm.definition in (SILENT, NO_GAS)]
        about = {name: self._memory.recall(name) for name in {alarm.definition for alarm in told}}
        for alarm in told:
            meters = _meters_in(about[alarm.definition].get(alarm.asset))
            if alarm.definition == SILENT:
                self._silence.restore(alarm.asset, to_us(now), meters)
            else:
                self._no_gas.restore(alarm.asset, to_us(alarm.condition_at or now), meters)

    def adopt(self, numbers: Sequence[int], names: Sequence[PointId]) -> None:
        """Learn the names of points."""
        self._silence.adopt(numbers, names)
        self._no_gas.adopt(numbers, names)

    def feed(self, batch: ReadingBatch) -> None:
        """Take a record in."""
        self._silence.feed(batch)
        self._no_gas.feed(batch)

    def edges(
        self, definitions: Mapping[str, Definition], now: datetime, plans: Iterable[Interruption] = ()
    ) -> list[Edge]:
        """Return what begins and ends, given interruptions that may hide now; what was returned is not again."""
        found = self._edges(SILENT, self._silence.edges(), self._silence.silent_in, now)
        definition = definitions.get(NO_GAS)
        if definition is not None:
            on_us, off_us = round(definition.on_delay_s * 1e6), round(definition.off_delay_s * 1e6)
            stopped = {name for plan in plans if plan.hides_at(now) for name in self._stopped_by(plan)}
            edges = self._no_gas.edges(to_us(now), on_us, off_us, stopped)
            found += self._edges(NO_GAS, edges, self._no_gas.without_gas, now)
        return found

    def _stopped_by(self, plan: Interruption) -> set[str]:
        return stopped_zones(self._network, plan.zones, plan.assets).union(plan.assets)

    def _edges(
        self,
        name: str,
        found: Sequence[tuple[str, bool, float]],
        meters_of: Callable[[str], list[str]],
        now: datetime,
    ) -> list[Edge]:
        for zone in (zone for zone, begins, _ in found if begins):
            try:
                self._memory.remember(name, zone, {"meters": meters_of(zone)})
            except TransientError as error:
                _log.warning("which meters %s@%s is about is not kept over a restart: %s", name, zone, error)
        return [
            Edge(f"{name}@{zone}", ConditionRises(now, count) if begins else ConditionFalls())
            for zone, begins, count in found
        ]


def _meters_in(fact: object) -> list[str]:
    return list(fact["meters"]) if isinstance(fact, dict) else []
