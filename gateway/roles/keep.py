"""The role that collects and keeps: collectors, spool, readings store, stream, store service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.applications import Starlette

from collectors.commands import CommandRunner
from gateway.config import Config
from gateway.model.network import Network
from gateway.ports import SpoolRecord
from gateway.roles.common import heartbeat, open_state, recently_restored, service_token, site_clock, site_network
from gateway.roles.replay import Replay
from gateway.roles.revision import Follower
from gateway.roles.sources import Sources, summary
from gateway.roles.streams import Streams
from gateway.runtime.accounting import Accounting
from gateway.runtime.delays import WaitingSince
from gateway.runtime.http import serve
from gateway.runtime.intake import Intake
from gateway.runtime.interpreter import answer_quickly
from gateway.runtime.loader import Loader
from gateway.runtime.reading_watch import ReadingWatch
from gateway.runtime.room import Room
from gateway.runtime.upkeep import Upkeep
from gateway.snapshot import Snapshot
from gateway.store.dead_rows import put_dead
from gateway.store.export_service import ExportService
from gateway.store.memory import StateMemory
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry, highest_cursor
from gateway.store.rewriter import Rewriter
from gateway.store.service import make_service
from gateway.store.spool import FileSpool
from gateway.store.state import State
from gateway.store.tail import TailRing
from gateway.store.upkeep import Retention

GIB = 1 << 30
_LAST_GROUPS_S = 2.0
"""how long the last readings may take to the disk when the role ends"""
_MOST_TOLD = 20


async def work(site: Snapshot) -> None:
    """Collect and keep until cancelled; then let what is on its way reach the disk."""
    keeper = Keeper(site.config)
    await keeper.open()
    keeper.follow(site)
    answer_quickly()
    try:
        await keeper.run()
    finally:
        await asyncio.shield(keeper.close())


class Keeper:
    """Owns the spool and the readings store of a site."""

    def __init__(self, config: Config) -> None:
        """Open everything that is on disk. Raises GatewayError."""
        self._config = config
        self._clock = site_clock(config)
        self._network: Network = site_network(config)
        self._state: State = open_state(config)
        self._registry = StateRegistry(self._state)
        self._restored = recently_restored(self._state)
        folder = config.data.folder
        self._spool = FileSpool(folder / "spool", cap_bytes=int(config.keep.spool_cap_gib * GIB))
        self._store = DuckReadings(
            folder / "readings",
            memory=f"{config.keep.store_memory_mib}MiB",
            names=self._registry.names,
            first_kept=self._spool.first_seq,
        )
        self._rewriter = Rewriter(self._store, _retention(config))
        self._upkeep = Upkeep(self._rewriter.step, self._clock)
        self._accounting = Accounting()
        self._tail = TailRing()
        self._waiting = WaitingSince()
        self._room = Room(folder, self._registry.names, reserved=self._state.reserve_missing)
        self.intake = Intake(self._spool, self._clock, self._on_record, accounting=self._accounting, room=self._room)
        self._streams = Streams(self._store, self._state, self._registry)
        self._sources = Sources(self._registry, self._clock, self.intake.put, StateMemory(self._state))
        self._follower: Follower | None = None
        self._loader = Loader(
            self._spool,
            self._store,
            partial(put_dead, self._state),
            accounting=self._accounting,
            checkpoint=self._store.checkpoint,
            on_loaded=self._streams.notify,
            check_room=self._room.check_loading,
        )
        self._watch = ReadingWatch(self._store.latest)
        self._replay = Replay(self._state, self._sources.collectors, self.intake.put)
        self._commands = CommandRunner(
            self._state,
            self._sources.commanders,
            self._watch,
            self._registry.indices,
            self.intake.put,
            clock=self._clock,
        )

    async def open(self) -> None:
        """Continue the spool behind everything that any reader has seen, and make the collectors."""
        behind = max(await self._store.highest_seq(), await asyncio.to_thread(highest_cursor, self._state))
        await asyncio.to_thread(self._spool.advance_to, behind)
        self._sources.open(self._config.source, self._network)
        self._streams.open(self._config.output, self._network)

    def follow(self, site: Snapshot) -> None:
        """Take the configurations that come after this one, while running."""
        self._follower = Follower(self._state, "keep", site, self._take)

    async def _take(self, site: Snapshot) -> str:
        """Change what is different; return what that was."""
        assert self._follower is not None
        before, network = self._follower.site, self._network
        if site.network != before.network:
            network = await asyncio.to_thread(site_network, site.config)
        same_profiles = site.profiles == before.profiles
        told = await self._sources.change(site.config.source, network, same_profiles=same_profiles)
        told += await self._streams.change(site.config.output, network)
        self._config, self._network = site.config, network
        self._rewriter.retention = _retention(site.config)
        return summary(told)

    async def run(self) -> None:
        """Run all parts until cancelled; then what the collectors have brought still reaches the disk."""
        intake = asyncio.create_task(self.intake.run(), name="intake")
        try:
            await self._run_around(intake)
        finally:
            await self.intake.close()
            await asyncio.wait([intake], timeout=_LAST_GROUPS_S)
            intake.cancel()
            await asyncio.gather(intake, return_exceptions=True)

    async def _run_around(self, intake: asyncio.Task[None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_end_with(intake), name="watch intake")
            group.create_task(self._loader.run(), name="loader")
            group.create_task(
                serve(self._service(), self._config.keep.listen, on_end=self._tail.end), name="store service"
            )
            group.create_task(self._commands.run(), name="commands")
            group.create_task(self._replay.run(), name="replay")
            group.create_task(self._upkeep.run(), name="upkeep")
            group.create_task(heartbeat(self._state, "keep", self._told), name="heartbeat")
            group.create_task(self._streams.run(), name="streams")
            group.create_task(self._sources.run(), name="sources")
            if self._follower is not None:
                group.create_task(self._follower.run(), name="configuration")

    async def close(self) -> None:
        """Close connections and files; may be called twice."""
        await self._streams.close()
        await self._store.close()
        await asyncio.to_thread(self._spool.close)
        self._state.close()

    def health(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether readings are being kept, and why not."""
        reasons = [part.reason for part in (self.intake, self._loader) if not part.healthy]
        streams = self._streams.problems()
        sources = self._sources.complaints()
        told = [*reasons, *self._warnings(), *streams, *sources]
        damaged = len(self._spool.damage) + len(self._store.damage) + bool(self._restored)
        return not reasons, {
            "problems": told,
            "loader_lag": self._loader.lag,
            "damaged_files": damaged,
            "faulty_streams": len(streams),
            "faulty_sources": len(sources),
        }

    def _told(self) -> tuple[bool, Mapping[str, Any]]:
        return self.health() if self._follower is None else self._follower.status(self.health)()

    def _figures(self) -> Mapping[str, Any]:
        """Return what monitoring reads besides: numbers by source or class, of a size that no meter adds to."""
        return {
            "commit": self.intake.commit_delays.snapshot(),
            "ack": self.intake.ack_delays.snapshot(),
            "acks_failed": self.intake.acks_failed,
            "spool_age_s": self._waiting.age_s(self._loader.loaded, self._spool.last_seq()),
            "refused": dict(self._room.refused_rows),
            "queues": {"intake": self.intake.queued, "tail": len(self._tail), **self._sources.queued()},
            "sources": self._sources.counts(),
        }

    def status(self) -> Mapping[str, Any]:
        """Return what the system page shows of this role."""
        ok, detail = self.health()
        return {
            "ok": ok,
            **detail,
            # the page shows the problem of an output or a source beside it
            "problems": [
                one for one in detail["problems"] if one not in {*self._streams.problems(), *self._sources.complaints()}
            ],
            "figures": self._figures(),
            "links": [asdict(state) for state in self._sources.link_states()],
            "outputs": self._streams.status(),
            "accounting": self._accounting.snapshot(),
            "spool": {
                "last_seq": self._spool.last_seq(),
                "first_seq": self._spool.first_seq(),
                "bytes": self._spool.bytes_kept(),
                "loaded": self._loader.loaded,
            },
            "readings": {
                "files": len(self._store.shelf.files),
                "damaged": self._store.damage[:_MOST_TOLD],
                "incomplete": self._store.incomplete()[-_MOST_TOLD:],
                **asdict(self._rewriter.counts),
            },
        }

    def _warnings(self) -> Iterator[str]:
        """Yield what people must know although readings are being kept."""
        yield from (str(one) for one in self._spool.damage[:_MOST_TOLD])
        for name in self._store.damage[:_MOST_TOLD]:
            yield f"{name} could not be read and was set aside; what the spool still holds is filled in again"
        if incomplete := self._store.incomplete():
            yield f"readings received on these days are missing after damage: {', '.join(incomplete[-_MOST_TOLD:])}"
        if self._upkeep.reason:
            yield self._upkeep.reason
        yield from self._restored
        if self._room.refused_classes:
            yield f"the disk is nearly full: readings of class {self._room.refused_classes} are refused"

    def _service(self) -> Starlette:
        token = service_token(self._config)
        exports = ExportService(self._store, self._store.folder)
        return make_service(
            self._store,
            self._spool,
            self._tail,
            token,
            self.status,
            offers=self._commands.offers,
            exports=exports,
            probe=self._sources.probe,
            links=self._links,
        )

    def _links(self, asset: str) -> Mapping[str, Any]:
        links, known = self._sources.links_of(asset)
        return {"links": [asdict(link) for link in links], "known": known}

    def _on_record(self, record: SpoolRecord) -> None:
        self._waiting.came(record.seq)
        self._tail.push(record)
        self._watch.on_record(record)
        self._loader.notify(record)


def _retention(config: Config) -> Retention:
    keep = config.keep
    return Retention(keep.meter_days, keep.network_raw_days, keep.network_days)


async def _end_with(task: asyncio.Task[None]) -> None:
    """Fail as the task does, without cancelling it."""
    await asyncio.wait([task])
    task.result()
