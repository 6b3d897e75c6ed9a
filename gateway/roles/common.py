"""What every role does alike: its log, its end, its heartbeat, the token of the store service."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

from alarms.extent import SizeRule
from alarms.route import TicketPolicy
from alarms.service.calendar import WorkCalendar, corrected, official
from alarms.service.desk import ServiceDesk
from alarms.service.policy import Promise, read_promises, read_sizes, shipped, shipped_sizes
from gateway.config import Config
from gateway.dataset import read_network
from gateway.errors import ConfigError, GatewayError, TransientError
from gateway.model.network import Network
from gateway.model.ticket import TicketClass
from gateway.ports import Clock
from gateway.roles.revision import Restart
from gateway.roles.status import Status
from gateway.runtime import child
from gateway.runtime.clock import make_clock
from gateway.runtime.interpreter import waste_little
from gateway.runtime.reload import start_reload
from gateway.snapshot import Snapshot
from gateway.store import health_rows
from gateway.store.durable import make_private
from gateway.store.remote import RemoteStore
from gateway.store.state import State

log = logging.getLogger(__name__)

BEAT_S = 1.0
REPEAT_S = 5.0
"""after which a role says again that it lives; each time wakes every process that watches the database"""
TOKEN_FILE = "store-service.token"  # noqa: S105
TOLD_S = 7 * 86_400.0
"""real seconds for which a restored state is told"""


def run_role(role: str, site: Snapshot) -> int:
    """Run one role in this process until a signal ends it. Returns the exit code.

    A role that must start anew does so in the same process: whoever watches it sees no end.
    Only this role's module is loaded: a role that serves no pages carries none of their weight.
    """
    work: Callable[[Snapshot], Awaitable[None]] = importlib.import_module(f"gateway.roles.{role}").work
    waste_little()
    child.die_with_parent()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s {role} %(levelname)s %(name)s: %(message)s"
    )
    for noisy in ("httpx", "httpcore", "pymodbus", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    code = 0
    anew = False
    try:
        asyncio.run(_until_signal(work(site), site))
    except* Restart:
        anew = True
    except* ConfigError as errors:
        code = _say(errors, 2)
    except* GatewayError as errors:
        code = _say(errors, 1)
    if anew and not code:
        _start_anew()
    return code


def _start_anew() -> None:
    """Become what this process was when it began."""
    logging.shutdown()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line


def _say(errors: BaseExceptionGroup[GatewayError], code: int) -> int:
    for error in _leaves(errors):
        log.error("%s", error)
    return code


def _leaves(errors: BaseExceptionGroup[GatewayError]) -> Iterator[GatewayError]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _until_signal(work: Awaitable[None], site: Snapshot) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, start_reload, site.path, site.config.data.folder, "SIGHUP")
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("told to stop")


def be_nice(niceness: int) -> None:
    """Give way to other processes; calling it again, as a role that starts anew does, changes nothing."""
    os.nice(max(0, niceness - os.nice(0)))


async def heartbeat(state: State, role: str, status: Status) -> None:
    """Record now and then that the role lives, and within a second what is new about it.

    A database that is away for a while is waited for.
    """
    lost = False
    told: object = None
    told_at = 0.0
    while True:
        ok, detail = status()
        try:
            if (ok, detail) != told or time.monotonic() - told_at >= REPEAT_S:
                await asyncio.to_thread(health_rows.beat, state, role, ok=ok, detail=detail)
                told, told_at = (ok, detail), time.monotonic()
            lost = False
        except TransientError as error:
            if not lost:
                log.warning("heartbeat not recorded: %s", error)
            lost = True
        await asyncio.sleep(BEAT_S)


def open_state(config: Config) -> State:
    """Open the site's state database; a damaged one is restored first."""
    return State.in_folder(config.data.folder, reserve_bytes=config.data.state_reserve_mib << 20)


def recently_restored(state: State) -> list[str]:
    """Return what to say of a restoration of the state within the last days, nothing if there was none."""
    found = state.restoration()
    return [] if found is None or time.time() - found.at / 1e6 > TOLD_S else [str(found)]


def site_clock(config: Config) -> Clock:
    """Return the site's clock: the system's, or a simulated city's."""
    return make_clock(None if config.clock is None else config.clock.file)


def site_network(config: Config, *, keep: bool = True) -> Network:
    """Read the site's network. Raises ConfigError. With `keep` a large one is kept in a form that roles share."""
    return read_network(config.network.folder, cache=config.data.folder / "meters.columns" if keep else None)


def promises_of(config: Config) -> tuple[Promise, ...]:
    """Return what the site promises. Raises ConfigError if its own file cannot be read."""
    return shipped() if config.service.promises is None else read_promises(config.service.promises)


def sizes_of(config: Config) -> tuple[SizeRule, ...]:
    """Return what makes a fault large or major. Raises ConfigError if the site's own file cannot be read."""
    return shipped_sizes() if config.service.promises is None else read_sizes(config.service.promises)


def calendar_of(config: Config) -> WorkCalendar:
    """Return the site's working days. Raises ConfigError if its own file cannot be read."""
    known = official(config.site.timezone)
    return known if config.service.calendar is None else corrected(known, config.service.calendar)


def service_desk(config: Config, state: State, network: Network, clock: Clock) -> ServiceDesk:
    """Return the site's clocks of tickets. Raises ConfigError as `promises_of` and `calendar_of` do."""
    return ServiceDesk(state, promises_of(config), calendar_of(config), network, clock)


def service_token(config: Config) -> str:
    """Return the token of the store service, made at the first start; readable by our own user alone."""
    path = config.data.folder / TOKEN_FILE
    make_private(path.parent)
    if not path.exists():
        # several roles may start at once: the first link wins, and nobody ever sees half a token
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as fresh:
            fresh.write(secrets.token_urlsafe(32))
            fresh.flush()
            os.fsync(fresh.fileno())
            with suppress(FileExistsError):
                os.link(fresh.name, path)
    return path.read_text(encoding="utf-8")


def ticket_policy(config: Config, state: State) -> TicketPolicy:
    """Return what the site fixed about its tickets: a class goes to the first sink that takes it.

    After a restoration numbers run again, so the epoch in the keys becomes its moment: no key of the lost span is
    used twice, whichever copy was taken.
    """
    restored = state.restoration()
    epoch = config.data.epoch + (0 if restored is None else restored.at // 1_000_000)
    sinks: dict[TicketClass, str] = {}
    for sink in config.ticket_sink:
        for name in sink.classes:
            sinks.setdefault(TicketClass(name), sink.name)
    return TicketPolicy(
        site=config.site.id,
        epoch=epoch,
        timezone=config.site.timezone,
        sinks=sinks,
        promises=promises_of(config),
        calendar=calendar_of(config),
        sizes=sizes_of(config),
        desk_name=config.site.desk,
        desk_phone=config.site.phone,
        public_url=config.web.public_url,
    )


def remote_store(config: Config) -> RemoteStore:
    """Return the client of the store service of the role keep."""
    return RemoteStore(f"http://{config.keep.listen}", service_token(config))
