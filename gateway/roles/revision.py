"""How a running role learns that another configuration is to run, and takes it: in place, or by starting anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.config import Config
from gateway.errors import ConfigError, GatewayError, TransientError
from gateway.ports import Clock
from gateway.roles.status import Status
from gateway.runtime.clock import make_clock
from gateway.snapshot import Snapshot, fixed_values, take_snapshot
from gateway.store import revision_rows
from gateway.store.change_watch import ChangeWatch
from gateway.store.revision_rows import Revision
from gateway.store.state import State

LOOK_S = 0.5
_IGNORED: Mapping[str, frozenset[str]] = {
    "keep": frozenset({"site", "network", "source", "output", "ticket_sink", "web", "analyse"}),
    "alarm": frozenset({"source", "output", "keep", "analyse"}),
    "analyse": frozenset({"source", "keep", "web", "ticket_sink"}),
    "web": frozenset({"source", "output", "keep"}),
}
"""tables that a role does not use, or takes in place; with another value in any other table it starts anew"""
_IN_PLACE = frozenset({"keep"})
"""roles that take another network while they run"""

log = logging.getLogger(__name__)


class Restart(Exception):  # noqa: N818 - it is no error
    """The role must begin anew with the configuration as it is now."""


class Follower:
    """Looks for a newer revision and hands it to its role; `take` returns what was different, for people."""

    def __init__(
        self,
        state: State,
        role: str,
        site: Snapshot,
        take: Callable[[Snapshot], Awaitable[str]] | None = None,
        *,
        before_restart: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Remember what runs now; `before_restart` returns when the role may end."""
        self.site = site
        self.number = 0
        """the revision that runs; 0 while that is not known"""
        self.problem = ""
        """why a newer revision was not taken"""
        self._state, self._role, self._take, self._before_restart = state, role, take, before_restart
        self._seen = 0
        self._taken = ""

    def status(self, status: Status) -> Status:
        """Return a status that also tells the revision."""

        def told() -> tuple[bool, Mapping[str, Any]]:
            ok, detail = status()
            problems = [*detail.get("problems", []), *([self.problem] if self.problem else [])]
            return ok, {**detail, "problems": problems, "revision": self.number, "taken": [self._taken]}

        return told

    async def run(self) -> None:
        """Follow until cancelled. Raises Restart."""
        changes = ChangeWatch(self._state)
        while True:
            try:
                if changes.changed():
                    await self.look()
            except TransientError as error:
                log.debug("revision unknown: %s", error)
                changes.again()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Take the newest revision if it is not the one that runs. Raises Restart or TransientError."""
        newest = await asyncio.to_thread(self._newest)
        if newest.number == self._seen:
            return
        if newest.digest == self.site.digest:
            self.number, self.problem = newest.number, ""
        elif not self._seen:
            self.problem = f"runs files that were changed after revision {newest.number}; reload them"
        else:
            await self._change_to(newest)
        self._seen = newest.number

    def _newest(self) -> Revision:
        with self._state.read() as connection:
            found = revision_rows.current(connection)
        return found or begin_first(self._state, self.site, f"role {self._role}")

    async def _change_to(self, newest: Revision) -> None:
        try:
            site = await asyncio.to_thread(take_snapshot, self.site.path)
            if site.digest != newest.digest:
                raise ConfigError([f"its files were changed again after revision {newest.number} was checked"])
            if must_restart(self._role, self.site, site):
                log.info("starting anew with revision %d", newest.number)
                if self._before_restart is not None:
                    await self._before_restart()
                raise Restart
            taken = "nothing that it uses" if self._take is None else await self._take(site)
            if not site.still_holds():
                raise ConfigError([f"its files were changed again while revision {newest.number} was taken"])
        except TransientError:
            raise
        except GatewayError as error:
            self.problem = f"revision {newest.number} not taken, {self.number} runs: {error}; reload again"
            log.error("%s", self.problem)  # noqa: TRY400 - the text says all
            return
        self.site, self.number, self.problem, self._taken = site, newest.number, "", taken
        log.info("revision %d runs: %s", newest.number, taken)


def begin_first(state: State, site: Snapshot, who: str) -> Revision:
    """Make a configuration the one to run unless it is already, at the start of a gateway; return its revision."""
    with state.write() as connection:
        before = revision_rows.current(connection)
        if before is None or before.digest != site.digest:
            fixed, at_us = fixed_values(site.config), _clock(site.config).now_us()
            revision_rows.begin(connection, site.digest, fixed, who=who, outcome=revision_rows.STARTED, at_us=at_us)
        found = revision_rows.current(connection)
    assert found is not None
    return found


def _clock(config: Config) -> Clock:
    return make_clock(None if config.clock is None else config.clock.file)


def must_restart(role: str, before: Snapshot, after: Snapshot) -> bool:
    """Tell whether a role has to start anew to use another configuration."""
    if _used(role, before.config) != _used(role, after.config):
        return True
    if role in _IN_PLACE:
        return False
    if before.network != after.network:
        return True
    return before.secrets != after.secrets and "ticket_sink" not in _IGNORED[role]


def _used(role: str, config: Config) -> dict[str, Any]:
    ignored = _IGNORED[role]
    return {name: getattr(config, name) for name in Config.model_fields if name not in ignored}
