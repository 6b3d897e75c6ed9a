"""How the gateway itself is doing, and the city's supply now: looked up once for all pages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.deps import Parts
from gateway.errors import GatewayError
from gateway.model.quantity import Quantity
from gateway.model.reading import from_us
from gateway.store import revision_rows, view_rows
from gateway.store.revision_rows import Revision

EVERY_S = 2.0
LEARN_EVERY_S = 60.0
FRESH = timedelta(minutes=15)
"""a flow older than this is not "now" (clock time)"""
ROLE_SILENT_S = 15.0
ROLES = ("keep", "alarm", "analyse", "web")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Supply:
    """Gas that flows into the city now, m3/h at base conditions; None while no part of it is known."""

    flow_base_m3h: float | None
    known: int
    expected: int


@dataclass(frozen=True, slots=True)
class RoleHealth:
    """The last sign of life of one process."""

    role: str
    ok: bool
    age_s: float | None
    """real seconds; None if it never reported"""
    detail: Mapping[str, Any]


@dataclass
class Pulse:
    """What was last seen; refreshed by `run`."""

    parts: Parts
    supply: Supply = field(default_factory=lambda: Supply(None, 0, 0))
    store: Mapping[str, Any] | None = None
    """status of the keeping role, None while it does not answer"""
    store_problem: str = ""
    silent: frozenset[str] = frozenset()
    """roles that have given no sign of life for a while; of a state that cannot be read nothing new is known"""
    _since: float = field(default_factory=time.monotonic)
    _store_away_at: float | None = None
    _names: Sequence[str] = ()
    _points: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, dtype=np.uint32))
    _learn_at: float = 0.0

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(EVERY_S)

    async def refresh(self) -> None:
        """Ask the store service and the roles' signs of life once."""
        await self._listen()
        try:
            await asyncio.to_thread(self.parts.refresh)
            self.store = await self.parts.store.status()
            self.supply = await self._supply()
        except GatewayError as error:
            if not self.store_problem:
                log.warning("the store service does not answer: %s", error)
            self.store, self.store_problem = None, str(error)
            self.supply = Supply(None, 0, self.supply.expected)
            if self._store_away_at is None:
                self._store_away_at = time.monotonic()
            return
        self._store_away_at = None
        if self.store_problem:
            log.info("the store service answers again")
            self.store_problem = ""

    @property
    def store_away_s(self) -> float:
        """Real seconds since which the store service has not answered, 0 while it does."""
        return 0.0 if self._store_away_at is None else time.monotonic() - self._store_away_at

    async def _listen(self) -> None:
        """Learn which roles are silent; none is before it had the time to begin."""
        if time.monotonic() - self._since < ROLE_SILENT_S:
            return
        with contextlib.suppress(GatewayError):
            found = await asyncio.to_thread(role_health, self.parts)
            self.silent = frozenset(one.role for one in found if one.age_s is None or one.age_s >= ROLE_SILENT_S)

    async def _supply(self) -> Supply:
        if time.monotonic() >= self._learn_at:
            names = [f"{asset}/{Quantity.FLOW_BASE_M3H}" for asset in _supply_assets(self.parts)]
            indices = await asyncio.to_thread(self._indices, names)
            self._names, self._points = names, np.array(sorted(indices.values()), dtype=np.uint32)
            # an index never changes; only of points that never had a reading something new is to be learnt
            self._learn_at = time.monotonic() + (LEARN_EVERY_S if len(indices) == len(names) else EVERY_S)
        if not len(self._points):
            return Supply(None, 0, len(self._names))
        batch = await self.parts.store.latest(self._points)
        fresh = batch.source_time >= self.parts.clock.now_us() - int(FRESH.total_seconds() * 1e6)
        flows = batch.value[fresh & batch.good]
        return Supply(float(flows.sum()) if len(flows) else None, len(flows), len(self._names))

    def _indices(self, names: list[str]) -> dict[str, int]:
        with self.parts.state.read() as connection:
            return view_rows.point_indices(connection, names)


def _supply_assets(parts: Parts) -> list[str]:
    """Return the assets whose flows add up to the city's supply: its regulators, or its stations without any."""
    stations = parts.network.stations.values()
    for kind in ("regulator", "station"):
        found = [
            station.station_id
            for station in stations
            if station.kind == kind
            and (not parts.network.points or f"{station.station_id}/{Quantity.FLOW_BASE_M3H}" in parts.network.points)
        ]
        if found:
            return found
    return []


def role_health(parts: Parts) -> list[RoleHealth]:
    """Return every role's health; one that never reported, or not lately, is not well."""
    with parts.state.read() as connection:
        rows = {row["role"]: row for row in view_rows.role_rows(connection)}
    now = time.time()
    return [_role(role, rows.get(role), now) for role in dict.fromkeys((*ROLES, *rows))]


def _role(role: str, row: Any, now: float) -> RoleHealth:
    if row is None:
        return RoleHealth(role, ok=False, age_s=None, detail={})
    age = max(0.0, now - row["at"])
    return RoleHealth(role, ok=bool(row["ok"]) and age < ROLE_SILENT_S, age_s=age, detail=row["detail"] or {})


def configuration(parts: Parts) -> Revision | None:
    """Return the newest start or reload; one that was refused tells why, and which revision goes on."""
    with parts.state.read() as connection:
        return revision_rows.last_attempt(connection)


@dataclass(frozen=True, slots=True)
class Link:
    """One link to a device, a concentrator or a broker."""

    name: str
    source: str
    up: bool | None
    """None until it was tried"""
    last_good: datetime | None
    failures: int
    error: str
    recent: int = 0
    """polls that were counted lately; 0 where nothing is asked"""
    recent_failed: int = 0
    next_try: datetime | None = None
    """when the open breaker lets the next poll through; None while it is closed"""
    period_s: float = 0.0
    requests: int = 0
    addresses: int = 0


def links(status: Mapping[str, Any] | None) -> list[Link]:
    """Return the links in the keeping role's status, those that are down first; none if there is no status."""
    found = [_link(entry) for entry in (status or {}).get("links", []) if isinstance(entry, Mapping)]
    return sorted(found, key=lambda link: (link.up is not False, link.name))


def _link(entry: Mapping[str, Any]) -> Link:
    last, due = entry.get("last_good_us"), entry.get("next_us")
    return Link(
        name=str(entry.get("key", "")),
        source=str(entry.get("source", "")),
        up=entry.get("up"),
        last_good=None if last is None else from_us(last),
        failures=int(entry.get("failures", 0)),
        error=str(entry.get("error", "")),
        recent=int(entry.get("recent", 0)),
        recent_failed=int(entry.get("recent_failed", 0)),
        next_try=from_us(due) if due is not None and entry.get("up") is False else None,
        period_s=float(entry.get("period_s", 0.0)),
        requests=int(entry.get("requests", 0)),
        addresses=int(entry.get("addresses", 0)),
    )
