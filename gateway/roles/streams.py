"""The outputs of a running role keep: each with its forwarder, and how a new configuration reaches them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from gateway.model.network import Network
from gateway.model.reading import ReadingBatch
from gateway.model.stream import Limits
from gateway.ports import Output, ReadingStore
from gateway.runtime.forwarder import Forwarder
from gateway.runtime.point_class import PointClasses
from gateway.snapshot import Stamps, secret_stamps
from gateway.store.dead_rows import put_rejected
from gateway.store.outputs import OUTPUTS
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from gateway.store.stream_rows import StreamRows

_READING_BYTES = 29
_DAY_US = 86_400_000_000


@dataclass
class _Stream:
    config: Any
    secrets: Stamps
    network: Network
    output: Output
    forwarder: Forwarder
    task: asyncio.Task[None] | None = None


class Streams:
    """All outputs of a site, by name. A cursor belongs to the name: it outlives a change, a removal and a return."""

    def __init__(self, store: ReadingStore, state: State, registry: StateRegistry) -> None:
        """Remember what outputs are made with; there is none yet."""
        self._store, self._state, self._registry = store, state, registry
        self._streams: dict[str, _Stream] = {}
        self._group: asyncio.TaskGroup | None = None
        self._loaded = 0

    def open(self, configs: Sequence[Any], network: Network) -> None:
        """Make the outputs that the role begins with. Raises ConfigError."""
        self._streams = {config.name: self._make(config, network) for config in configs}

    def notify(self, loaded: int) -> None:
        """Say that the store was loaded up to a sequence."""
        self._loaded = loaded
        for stream in self._streams.values():
            stream.forwarder.notify(loaded)

    def status(self) -> list[dict[str, Any]]:
        """Return how each stream is doing."""
        return [asdict(stream.forwarder.status()) for stream in self._streams.values()]

    def problems(self) -> list[str]:
        """Return what a person must see to: outputs that refuse, are away for long, or gave up readings."""
        return [text for stream in self._streams.values() if (text := stream.forwarder.problem())]

    async def run(self) -> None:
        """Stream until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for stream in self._streams.values():
                self._start(stream)
            # outputs come and go, the group stays
            await asyncio.get_running_loop().create_future()

    async def change(self, configs: Sequence[Any], network: Network) -> list[str]:
        """Take another list of outputs and another network; return what is different, for people.

        Everything that can fail comes first: an error has changed nothing. Raises ConfigError.
        """
        before = self._streams
        fresh = {one.name: self._make(one, network) for one in configs if not self._is_as_before(one, network)}
        told = [f"output {name} removed" for name in before if name not in {config.name for config in configs}]
        told += [f"output {name} {'replaced' if name in before else 'added'}" for name in fresh]
        kept = {one.name: before[one.name] for one in configs if one.name not in fresh}
        for name in before.keys() - kept.keys():
            await self._stop(before[name])
        self._streams = {config.name: (kept | fresh)[config.name] for config in configs}
        for stream in fresh.values():
            self._start(stream)
        return told

    async def close(self) -> None:
        """Close all connections; may be called twice."""
        for stream in self._streams.values():
            await stream.output.close()

    def _is_as_before(self, config: Any, network: Network) -> bool:
        known = self._streams.get(config.name)
        if known is None or known.config != config:
            return False
        return known.network is network and known.secrets == secret_stamps(config)

    def _make(self, config: Any, network: Network) -> _Stream:
        output = OUTPUTS[config.kind](config, self._registry.names, network)
        rejected: Callable[..., object] = partial(put_rejected, self._state)
        forwarder = Forwarder(
            output,
            self._store,
            StreamRows(self._state),
            rejected,
            names=self._names,
            classes=PointClasses(self._registry.names),
            limits=limits_of(config),
        )
        return _Stream(config, secret_stamps(config), network, output, forwarder)

    def _names(self, batch: ReadingBatch) -> Sequence[str]:
        return self._registry.names(batch.point)

    def _start(self, stream: _Stream) -> None:
        if self._group is not None:
            stream.forwarder.notify(self._loaded)
            stream.task = self._group.create_task(stream.forwarder.run(), name=stream.forwarder.cursor_name)

    async def _stop(self, stream: _Stream) -> None:
        if stream.task is not None:
            stream.task.cancel()
            await asyncio.wait([stream.task])
        await stream.output.close()


def limits_of(config: Any) -> Limits:
    """Return where an output begins and how much may wait for it."""
    most_rows = int(config.gap_gib * (1 << 30) / _READING_BYTES)
    return Limits(config.start == "now", int(config.gap_days * _DAY_US), most_rows)
