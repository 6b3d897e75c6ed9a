"""The sources of a running role keep: collectors with their runners, and how a new configuration reaches them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec

from collectors import COLLECTORS
from collectors.modbus import ModbusCollector
from collectors.mqtt import MqttCollector
from collectors.probe import probe_modbus
from gateway.model.network import Network
from gateway.ports import Change, Clock, Commander, Memory, PointRegistry, PolledCollector, PushedCollector
from gateway.runtime.polled_unit import LinkState
from gateway.runtime.runner import PollRunner, PushRunner, Put

log = logging.getLogger(__name__)

Runner = PollRunner | PushRunner


def make_runner(collector: PolledCollector | PushedCollector, put: Put, clock: Clock) -> Runner:
    """Return the runner that suits a collector: one that is asked, or one that is told."""
    if hasattr(collector, "jobs"):
        return PollRunner(cast("PolledCollector", collector), put, clock)
    return PushRunner(collector, put, clock)


@dataclass
class Source:
    """One source with what runs it; the task is None until it runs."""

    config: Any
    collector: Any
    runner: Runner
    task: asyncio.Task[None] | None = None


class Sources:
    """All sources of a site, by name."""

    def __init__(self, registry: PointRegistry, clock: Clock, put: Put, memory: Memory) -> None:
        """Remember what sources are made with; there is none yet."""
        self._registry, self._clock, self._put, self._memory = registry, clock, put, memory
        self._sources: dict[str, Source] = {}
        self._group: asyncio.TaskGroup | None = None
        self._network: Network | None = None

    def open(self, configs: Sequence[Any], network: Network) -> None:
        """Make the sources that the role begins with. Raises ConfigError."""
        self._network = network
        self._sources = {config.name: self._make(config, network) for config in configs}

    def collectors(self) -> Sequence[Any]:
        """Return every collector."""
        return [source.collector for source in self._sources.values()]

    def commanders(self) -> list[Commander]:
        """Return those that can also tell their devices something."""
        found = (getattr(source.collector, "commander", None) for source in self._sources.values())
        return [commander for commander in found if commander is not None]

    async def probe(self, key: str) -> bytes | None:
        """Read the unit `<source>/<link>/<unit>` over its link; return a `ModbusProbe` as msgpack, None if unknown."""
        for source in self._sources.values():
            link = source.collector.link_of(key) if isinstance(source.collector, ModbusCollector) else None
            if link is not None:
                _, name, unit = key.split("/")
                found = await probe_modbus(source.config, name, int(unit), self._clock, connection=link)
                return msgspec.msgpack.encode(replace(found, through_gateway=True))
        return None

    def counts(self) -> dict[str, Mapping[str, int]]:
        """Return what each source counts of its own work since it began."""
        return {
            name: {**_counts(source.collector), "overruns": sum(one.overruns for one in source.runner.link_states())}
            for name, source in self._sources.items()
        }

    def queued(self) -> dict[str, int]:
        """Return how many messages wait in each source that is told."""
        found = {name: getattr(source.collector, "queued", None) for name, source in self._sources.items()}
        return {f"source {name}": count for name, count in found.items() if count is not None}

    def complaints(self) -> list[str]:
        """Return what sources say is wrong although they are connected."""
        found = {name: getattr(source.collector, "complaint", "") for name, source in self._sources.items()}
        return [f"source {name}: {complaint}" for name, complaint in found.items() if complaint]

    def link_states(self) -> Iterator[LinkState]:
        """Yield the state of every unit and broker."""
        for source in self._sources.values():
            yield from source.runner.link_states()

    def links_of(self, asset: str) -> tuple[list[LinkState], bool]:
        """Return the units and brokers that read an asset, and whether that is known.

        A broker is known by what it brought since the start; an asset that no unit reads and that has not come yet may
        come over any of them.
        """
        known = [state for source in self._sources.values() for state in _states_of(source, asset)]
        if known:
            return known, True
        pushed = (source.runner for source in self._sources.values() if isinstance(source.runner, PushRunner))
        return [state for runner in pushed for state in runner.link_states()], False

    async def run(self) -> None:
        """Run all sources until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for source in self._sources.values():
                self._start(source)
            # sources come and go, the group stays
            await asyncio.get_running_loop().create_future()

    async def change(self, configs: Sequence[Any], network: Network, *, same_profiles: bool) -> list[str]:
        """Take another list of sources and another network; return what is different, for people.

        Everything that can fail comes first: an error has changed nothing. Raises ConfigError or TransientError.
        """
        wanted = {config.name: config for config in configs}
        changes: dict[str, Change] = {}
        fresh: dict[str, Source] = {}
        for name, config in wanted.items():
            change = await self._change_of(name, config, network, same_profiles=same_profiles)
            if change is None:
                fresh[name] = await asyncio.to_thread(self._make, config, network)
            else:
                changes[name] = change
        told = [f"source {name} removed" for name in self._sources if name not in wanted]
        for name in [one for one in self._sources if one not in changes]:
            await self._stop(self._sources.pop(name))
            told += [f"source {name} replaced"] if name in wanted else []
        for name, change in changes.items():
            told += await self._apply(self._sources[name], wanted[name], change)
        told += [f"source {name} added" for name in fresh if f"source {name} replaced" not in told]
        self._sources.update(fresh)
        self._sources = {name: self._sources[name] for name in wanted}
        self._network = network
        for source in fresh.values():
            self._start(source)
        return told

    async def _change_of(self, name: str, config: Any, network: Network, *, same_profiles: bool) -> Change | None:
        source = self._sources.get(name)
        if source is None or type(source.config) is not type(config):
            return None
        if source.task is None or source.task.done():
            # one that ended because another gateway has its session: only who changes it wants it to begin again
            return Change(frozenset(), _nothing) if source.config == config else None
        reconfigure = getattr(source.collector, "reconfigure", None)
        if reconfigure is not None:
            return await asyncio.to_thread(reconfigure, config, network)
        is_as_before = source.config == config and network is self._network and same_profiles
        return Change(frozenset(), _nothing) if is_as_before else None

    async def _apply(self, source: Source, config: Any, change: Change) -> list[str]:
        async with source.runner.paused(change.links):
            await change.apply()
        same = source.config == config
        source.config = config
        links = f", links {', '.join(sorted(change.links))}" if change.links else ""
        return [] if same and not change.links else [f"source {config.name} changed{links}"]

    def _make(self, config: Any, network: Network) -> Source:
        collector: Any = COLLECTORS[config.kind](config, self._registry, network, self._clock)
        if isinstance(collector, ModbusCollector | MqttCollector):
            collector.remember_in(self._memory)
        return Source(config, collector, make_runner(collector, self._put, self._clock))

    def _start(self, source: Source) -> None:
        if self._group is not None:
            source.task = self._group.create_task(source.runner.run(), name=f"source {source.config.name}")

    async def _stop(self, source: Source) -> None:
        if source.task is None:
            return
        await source.runner.finish()
        source.task.cancel()
        await asyncio.wait([source.task])


def _states_of(source: Source, asset: str) -> list[LinkState]:
    keys = source.collector.keys_of(asset)
    return [state for state in source.runner.link_states() if state.key in keys] if keys else []


def _counts(collector: Any) -> Mapping[str, int]:
    counts = getattr(collector, "counts", None)
    return {} if counts is None else counts()


async def _nothing() -> None:
    """Change nothing."""


def summary(told: Sequence[str], most: int = 10) -> str:
    """Return what is different as one line."""
    more = f" and {len(told) - most} more" if len(told) > most else ""
    return "; ".join(told[:most]) + more if told else "nothing that this role uses"
