"""What the reading audit reads from: the store service, a batch of meters at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alarms.analysis.city import CityModel
from alarms.audit_case import AUDIT_QUANTITIES
from alarms.city_data import PASS_QUANTITIES, Exchange, city_from_batch
from alarms.reading_audit import Loaded
from gateway.model.gasday import GasDay
from gateway.model.network import Network
from gateway.model.reading import PointId, point_id
from gateway.store.registry import StateRegistry
from gateway.store.remote import RemoteStore

LOOKED_AT = tuple(dict.fromkeys((*PASS_QUANTITIES, *AUDIT_QUANTITIES)))


@dataclass(frozen=True, slots=True)
class StoreSource:
    """A site's meters and the readings that role keep has of them. For a thread beside the loop that made it."""

    model: CityModel
    exchanges: tuple[Exchange, ...]
    store: RemoteStore
    registry: StateRegistry
    loop: asyncio.AbstractEventLoop

    @property
    def network(self) -> Network:
        """All meters."""
        return self.model.network

    @property
    def gas_day(self) -> GasDay:
        """The site's gas day."""
        return self.model.gas_day

    def load(self, meters: Sequence[str], since_us: int, until_us: int) -> Loaded:
        """Return these meters with their readings. Raises TransientError."""
        names = self._points(meters)
        wanted = np.array(sorted(names), dtype=np.uint32)
        asked = self.store.history(wanted, since_us, until_us)
        batch = asyncio.run_coroutine_threadsafe(asked, self.loop).result()
        network = self.model.network
        part = replace(network, meters={name: network.meters[name] for name in meters}, stations={}, points={})
        city = city_from_batch(
            part,
            self.model.gas_day,
            self.model.figures,
            batch,
            names,
            weather=self.model.weather,
            exchanges=self.exchanges,
            accounts=self.model.accounts,
        )
        return Loaded(city, batch, names)

    def _points(self, meters: Sequence[str]) -> dict[int, PointId]:
        """Return the points of these meters that were ever registered, by index."""
        wanted: list[PointId] = [point_id(meter, quantity) for meter in meters for quantity in LOOKED_AT]
        found = self.registry.find(wanted).tolist()
        return {index: name for index, name in zip(found, wanted, strict=True) if index >= 0}
