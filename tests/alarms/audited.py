"""Audits readings that stand in memory, as the analyse role does with those of the store."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alarms.city_data import city_from_batch
from alarms.reading_audit import Auditor, Loaded, Summary
from gateway.model.reading import split_point
from gateway.store.intervals import IntervalStore


@dataclass
class MemorySource:
    """All readings of a city; keeps count of what was asked for."""

    model: Any
    batch: Any
    names: Any
    more: Any
    most: int = 0

    @property
    def network(self) -> Any:
        return self.model.network

    @property
    def gas_day(self) -> Any:
        return self.model.gas_day

    def load(self, meters, since_us, until_us) -> Loaded:
        self.most = max(self.most, len(meters))
        wanted = set(meters)
        names = {index: name for index, name in self.names.items() if split_point(name)[0] in wanted}
        rows = np.isin(self.batch.point, list(names)) & (self.batch.source_time >= since_us)
        batch = self.batch.take(rows & (self.batch.source_time < until_us))
        part = replace(self.network, meters={name: self.network.meters[name] for name in meters})
        city = city_from_batch(part, self.gas_day, self.model.figures, batch, names, **self.more)
        return Loaded(city, batch, names)


def folder_of(state) -> Path:
    return Path(state.engine.url.database).parent


def audited(state, city, batch, names, until, *, days=35, size=2000, **more) -> Summary:
    """Audit into the intervals beside a state."""
    store = IntervalStore(folder_of(state) / "intervals")
    found = Auditor(state, store, days=days, batch=size).run(MemorySource(city.model, batch, names, more), until)
    store.close()
    return found


def days_of(state, meters, first, last) -> Any:
    """Return all revisions of the days of each meter."""
    store = IntervalStore(folder_of(state) / "intervals")
    found = {meter: store.of_meter(meter, first, last) for meter in meters}
    store.close()
    return found
