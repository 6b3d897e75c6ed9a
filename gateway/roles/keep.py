"""The role that collects and keeps: collectors, spool, readings store, stream, store service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, cast

from starlette.applications import Starlette

from collectors import COLLECTORS
from collectors.modbus import ModbusCollector
from gateway.config import Config
from gateway.model.network import Network
from gateway.model.reading import ReadingBatch
from gateway.ports import Clock, Output, PolledCollector, PushedCollector, SpoolRecord
from gateway.roles.common import heartbeat, open_state, service_token, site_clock, site_network
from gateway.roles.http import serve
from gateway.runtime.accounting import Accounting
from gateway.runtime.forwarder import Forwarder
from gateway.runtime.intake import Intake
from gateway.runtime.loader import Loader
from gateway.runtime.room import Room
from gateway.runtime.runner import PollRunner, PushRunner
from gateway.store.dead_rows import put_dead, put_rejected
from gateway.store.memory import StateMemory
from gateway.store.outputs import OUTPUTS
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry, highest_cursor
from gateway.store.service import make_service
from gateway.store.spool import FileSpool
from gateway.store.state import State
from gateway.store.tail import TailRing

GIB = 1 << 30
_LAST_GROUPS_S = 2.0
"""how long the last readings may take to the disk when the role ends"""
_MOST_TOLD = 20
Runner = PollRunner | PushRunner


async def work(config: Config) -> None:
    """Collect and keep until cancelled; then let what is on its way reach the disk."""
    keeper = Keeper(config)
    await keeper.open()
    try:
        await keeper.run()
    finally:
        await asyncio.shield(keeper.close())


def make_runner(collector: PolledCollector | PushedCollector, intake: Intake, clock: Clock) -> Runner:
    """Return the runner that suits a collector: one that is asked, or one that is told."""
    if hasattr(collector, "jobs"):
        return PollRunner(cast("PolledCollector", collector), intake.put, clock)
    return PushRunner(collector, intake.put, clock)


class Keeper:
    """Owns the spool and the readings store of a site."""

    def __init__(self, config: Config) -> None:
        """Open everything that is on disk. Raises GatewayError."""
        self._config = config
        self._clock = site_clock(config)
        self._network: Network = site_network(config)
        self._state: State = open_state(config)
        self._registry = StateRegistry(self._state)
        folder = config.data.folder
        self._spool = FileSpool(folder / "spool", cap_bytes=int(config.keep.spool_cap_gib * GIB))
        self._store = DuckReadings(folder / "readings")
        self._accounting = Accounting()
        self._tail = TailRing()
        self._room = Room(folder, self._registry.names)
        self.intake = Intake(self._spool, self._clock, self._on_record, accounting=self._accounting, room=self._room)
        self._outputs = [OUTPUTS[one.kind](one, self._registry.names, self._network) for one in config.output]
        self._forwarders = [self._forwarder(output) for output in self._outputs]
        self._loader = Loader(
            self._spool,
            self._store,
            partial(put_dead, self._state),
            accounting=self._accounting,
            checkpoint=self._store.checkpoint,
            on_loaded=self._on_loaded,
        )
        self._runners: list[Runner] = []

    async def open(self) -> None:
        """Continue the spool behind everything that any reader has seen, and make the collectors."""
        behind = max(await self._store.highest_seq(), await asyncio.to_thread(highest_cursor, self._state))
        await asyncio.to_thread(self._spool.advance_to, behind)
        for source in self._config.source:
            collector = COLLECTORS[source.kind](source, self._registry, self._network, self._clock)
            if isinstance(collector, ModbusCollector):
                collector.remember_in(StateMemory(self._state))
            self._runners.append(make_runner(collector, self.intake, self._clock))

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
            group.create_task(serve(self._service(), self._config.keep.listen), name="store service")
            group.create_task(heartbeat(self._state, "keep", self.health), name="heartbeat")
            for forwarder in self._forwarders:
                group.create_task(forwarder.run(), name=forwarder.cursor_name)
            for runner in self._runners:
                group.create_task(runner.run(), name="runner")

    async def close(self) -> None:
        """Close connections and files; may be called twice."""
        for output in self._outputs:
            await output.close()
        await self._store.close()
        await asyncio.to_thread(self._spool.close)
        self._state.close()

    def health(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether readings are being kept, and why not."""
        reasons = [part.reason for part in (self.intake, self._loader) if not part.healthy]
        told = [*reasons, *self._warnings()]
        return not reasons, {"problems": told, "loader_lag": self._loader.lag}

    def status(self) -> Mapping[str, Any]:
        """Return what the system page shows of this role."""
        ok, detail = self.health()
        return {
            "ok": ok,
            **detail,
            "links": [asdict(state) for runner in self._runners for state in runner.link_states()],
            "outputs": [asdict(forwarder.status()) for forwarder in self._forwarders],
            "accounting": self._accounting.snapshot(),
            "spool": {
                "last_seq": self._spool.last_seq(),
                "first_seq": self._spool.first_seq(),
                "bytes": self._spool.bytes_kept(),
                "loaded": self._loader.loaded,
            },
        }

    def _warnings(self) -> Iterator[str]:
        """Yield what people must know although readings are being kept."""
        yield from (str(one) for one in self._spool.damage[:_MOST_TOLD])
        for name in self._store.damage[:_MOST_TOLD]:
            yield f"{name} could not be read and was set aside; what the spool still holds is filled in again"
        if self._room.refused_classes:
            yield f"the disk is nearly full: readings of class {self._room.refused_classes} are refused"

    def _service(self) -> Starlette:
        return make_service(self._store, self._spool, self._tail, service_token(self._config), self.status)

    def _on_record(self, record: SpoolRecord) -> None:
        self._tail.push(record)
        self._loader.notify(record)

    def _on_loaded(self, seq: int) -> None:
        for forwarder in self._forwarders:
            forwarder.notify(seq)

    def _forwarder(self, output: Output) -> Forwarder:
        return Forwarder(output, self._store, self._state, partial(put_rejected, self._state), names=self._names)

    def _names(self, batch: ReadingBatch) -> Sequence[str]:
        return self._registry.names(batch.point)


async def _end_with(task: asyncio.Task[None]) -> None:
    """Fail as the task does, without cancelling it."""
    await asyncio.wait([task])
    task.result()
