"""Reads devices over Modbus: which units there are, on which links, and what one poll of a unit brings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from collectors.modbus_command import ModbusCommander
from collectors.modbus_config import LinkConfig, ModbusConfig, UnitConfig
from collectors.modbus_frames import WrongReplyError
from collectors.modbus_holes import holes_as_json, holes_from_json
from collectors.modbus_link import Link
from collectors.modbus_load import line_cost, load_warnings
from collectors.modbus_reply import RefusedByDeviceError, Reply
from collectors.modbus_unit import Unit
from collectors.plan import Request
from gateway.errors import ConfigError, TransientError
from gateway.model.network import Network
from gateway.model.reading import ReadingBatch
from gateway.ports import Change, Clock, Job, Memory, PointRegistry
from gateway.profiles import load_profile

_LOG = logging.getLogger(__name__)
_MOST_TOLD = 8
"""How many complaints about one device go to the log; the status shows the present one."""
_FAILURES = {TransientError: "timeouts", WrongReplyError: "wrong_replies", RefusedByDeviceError: "refused"}


class ModbusCollector:
    """Polls the devices of one source. Jobs of different links may run at once, those of one link take turns."""

    Config: ClassVar = ModbusConfig

    def __init__(self, config: ModbusConfig, registry: PointRegistry, network: Network, clock: Clock) -> None:
        """Lay out all units. Raises ConfigError for assets that the network does not know and for bad members."""
        self.name = config.name
        self._registry = registry
        self._clock = clock
        self._memory: Memory | None = None
        self._polls: dict[str, _Poll] = {}
        self._counts: Counter[str] = Counter(dict.fromkeys(("requests", *_FAILURES.values()), 0))
        self.commander = ModbusCommander(config.name, lambda: list(self._polls.values()))
        """gives commands to the devices"""
        problems: list[str] = []
        for link_config in config.links:
            links = _links(link_config, clock)
            for place, unit_config in enumerate(link_config.units):
                where = f"source {config.name}, link {link_config.name}, unit {unit_config.unit}"
                problems += [f"{where}: {problem}" for problem in _problems(unit_config, network)]
                if not problems:
                    poll = _make_poll(config.name, links[place % len(links)], unit_config, self._counts)
                    self._polls[poll.job.key] = poll
        problems += _doubled_points(self._polls.values())
        if problems:
            raise ConfigError(problems)

    def jobs(self) -> Sequence[Job]:
        """Return one job for each unit; its period divides all periods of the unit's points."""
        return [poll.job for poll in self._polls.values()]

    async def open(self) -> None:
        """Look up the index of every point; devices are connected when they are first asked."""
        await asyncio.to_thread(self._look_up, list(self._polls.values()))

    def _look_up(self, polls: Sequence[_Poll]) -> None:
        points = [point for poll in polls for point in poll.unit.points]
        indices = self._registry.indices(points)
        at = 0
        for poll in polls:
            poll.unit.indices = indices[at : at + len(poll.unit.points)]
            at += len(poll.unit.points)
        if self._memory is not None:
            facts = self._memory.recall(self.name)
            for poll in polls:
                poll.unit.plan.holes, poll.unit.plan.gaps = holes_from_json(poll.unit, facts.get(poll.job.key))

    def reconfigure(self, config: ModbusConfig, network: Network) -> Change:
        """Return how to take a new configuration: what stays as it is keeps connection, plan and place in time.

        Blocks; call it in a thread. Raises ConfigError or TransientError.
        """
        fresh = ModbusCollector(config, self._registry, network, self._clock)
        links_before = {poll.job.link: poll.link for poll in self._polls.values()}
        polls = {
            key: _carried_over(poll, self._polls.get(key), links_before, self._counts)
            for key, poll in fresh._polls.items()
        }
        self._look_up([poll for key, poll in polls.items() if poll.unit is fresh._polls[key].unit])
        before, after = _by_link(self._polls), _by_link(polls)
        links = {polls[key].link: fresh._polls[key].link.config for key in polls}
        gone = {poll.link for poll in self._polls.values()} - links.keys()

        async def apply() -> None:
            for link in gone:
                link.drop()
            for link, link_config in links.items():
                link.reconfigure(link_config)
            self._polls = polls

        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        return Change(frozenset(changed), apply)

    def remember_in(self, memory: Memory) -> None:
        """Use a memory for addresses that devices do not have, so that a restart does not search for them again."""
        self._memory = memory

    def link_of(self, key: str) -> Link | None:
        """Return the link of the unit `<source>/<link>/<unit>`, None if this source has no such unit."""
        poll = self._polls.get(key)
        return None if poll is None else poll.link

    def keys_of(self, asset: str) -> Sequence[str]:
        """Return the units that read an asset: its own, and the concentrator that it is a member of."""
        configs = ((key, poll.config) for key, poll in self._polls.items())
        return [key for key, config in configs if asset == config.asset or asset in config.members]

    def counts(self) -> Mapping[str, int]:
        """Return how many requests there were since the start, and what failed; bisects are blocks that were halved."""
        return {**self._counts, "bisects": sum(poll.unit.bisects for poll in self._polls.values())}

    def complaint_of(self, job: Job) -> str:
        """Return which points of a unit cannot be read although it answers, and why; empty if there are none."""
        return self._polls[job.key].unit.complaint

    def plan_of(self, job: Job) -> tuple[int, int]:
        """Return how many requests read all of a unit, and how many addresses they ask for."""
        return self._polls[job.key].unit.plan.size()

    async def collect(self, job: Job) -> ReadingBatch:
        """Read what is due in one unit. Raises TransientError if it does not answer."""
        poll = self._polls[job.key]
        plan = poll.unit.plan
        before = (plan.holes.copy(), plan.gaps.copy()) if self._memory is not None else None
        batch = await poll.unit.poll(poll.read, self._clock.now_us(), job.phase_s)
        _tell(job.key, poll)
        if self._memory is not None and before != (plan.holes, plan.gaps):
            with contextlib.suppress(TransientError):
                # without it the search is only done again after a restart
                await asyncio.to_thread(self._memory.remember, self.name, job.key, holes_as_json(poll.unit))
        return batch

    def silent(self, job: Job, now_us: int) -> ReadingBatch:
        """Return one BAD `no_reply` row for each point of the unit."""
        return self._polls[job.key].unit.silent(now_us)

    async def close(self) -> None:
        """Close all connections; may be called twice."""
        for poll in self._polls.values():
            poll.link.drop()


@dataclass(frozen=True, slots=True)
class _Poll:
    """A unit on its link."""

    job: Job
    link: Link
    unit: Unit
    config: UnitConfig
    counts: Counter[str]
    told: set[str] = field(default_factory=set)
    """complaints that are in the log"""

    async def read(self, request: Request) -> Reply:
        self.counts["requests"] += 1
        try:
            return await self.link.read(self.config.unit, request, self.unit.profile.pause_ms / 1000)
        except (TransientError, WrongReplyError, RefusedByDeviceError) as error:
            self.counts[next(name for kind, name in _FAILURES.items() if isinstance(error, kind))] += 1
            raise


def _tell(key: str, poll: _Poll) -> None:
    """Log once which points a device does not let read."""
    complaint = poll.unit.complaint
    if complaint and complaint not in poll.told and len(poll.told) < _MOST_TOLD:
        poll.told.add(complaint)
        _LOG.warning("%s: points that cannot be read: %s", key, complaint)


def _carried_over(poll: _Poll, old: _Poll | None, links_before: Mapping[str, Link], counts: Counter[str]) -> _Poll:
    """Return a new poll with the link and the unit that were there before, where they are set up alike."""
    link = links_before.get(poll.job.link, poll.link)
    if not link.is_set_up_like(poll.link.config):
        link = poll.link
    stays = old is not None and old.config == poll.config and old.unit.profile == poll.unit.profile
    unit = old.unit if old is not None and stays else poll.unit
    return replace(poll, link=link, unit=unit, counts=counts)


def _by_link(polls: Mapping[str, _Poll]) -> dict[str, set[tuple[str, int, int]]]:
    """Return what is read over each link, by the names of jobs."""
    found: dict[str, set[tuple[str, int, int]]] = {}
    for key, poll in polls.items():
        found.setdefault(poll.job.link, set()).add((key, id(poll.unit), id(poll.link)))
    return found


def _links(config: LinkConfig, clock: Clock) -> list[Link]:
    """Return the connections of a link; the second is called `name#2`, and so on."""
    count = min(config.connections, len(config.units))
    return [Link(config, clock, f"{config.name}#{number + 1}" if number else config.name) for number in range(count)]


def _make_poll(source: str, link: Link, config: UnitConfig, counts: Counter[str]) -> _Poll:
    unit = make_unit(config, link.config)
    key = f"{source}/{link.config.name}/{config.unit}"
    # the hash spreads the starts of many units evenly, and is the same after a restart
    phase_s = zlib.crc32(key.encode()) / 2**32 * unit.period_s
    return _Poll(Job(key, f"{source}/{link.name}", unit.period_s, phase_s), link, unit, config, counts)


def load_of(config: ModbusConfig) -> list[str]:
    """Return a warning for each link that has little time left; none for devices that cannot be laid out at all."""
    try:
        links = [(link, _units_to_weigh(link)) for link in config.links]
    except ConfigError:
        return []
    return list(load_warnings(config, links))


def _units_to_weigh(link: LinkConfig) -> list[Unit]:
    """Return the units of a link; those that are read alike are one and the same."""
    made: dict[tuple[str, bool, tuple[bool, ...]], Unit] = {}
    units = []
    for one in link.units:
        alike = one.profile, bool(one.asset), tuple(map(bool, one.members))
        if alike not in made:
            made[alike] = make_unit(one, link)
        units.append(made[alike])
    return units


def make_unit(config: UnitConfig, link: LinkConfig) -> Unit:
    """Lay out the points of one configured device. Raises ConfigError."""
    profile = load_profile(config.profile)
    asset = config.asset if profile.points else ""
    try:
        return Unit(profile, asset, config.members, config.identity, line_cost(link))
    except ValueError as error:
        raise ConfigError([f"profile {profile.name}: {error}"]) from error


def _problems(config: UnitConfig, network: Network) -> list[str]:
    profile = load_profile(config.profile)
    problems = []
    if profile.points and not config.asset:
        problems.append(f"profile {profile.name} has points of its own: name the asset that they belong to")
    slots = len(profile.slots())
    if len(config.members) > slots:
        problems.append(f"profile {profile.name} has {slots} slots, but {len(config.members)} members are given")
    if config.identity and profile.identity is None:
        problems.append(f"profile {profile.name} has no identity register: leave identity out")
    known = {point.asset for point in network.points.values()}
    strangers = [
        asset
        for asset in (config.asset, *config.members)
        if asset and not network.zone_of(asset) and asset not in known
    ]
    return problems + [f"{asset} is neither in meters.csv, stations.csv nor points.csv" for asset in strangers]


def _doubled_points(polls: Iterable[_Poll]) -> list[str]:
    owner: dict[str, str] = {}
    problems = []
    for poll in polls:
        for point in poll.unit.points:
            if point in owner:
                problems.append(f"{point} is read by {owner[point]} and by {poll.job.key}: one of them is wrong")
            owner[point] = poll.job.key
    return problems
