"""Runs the roles as processes of their own, starts a crashed one again, and ends all together."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from gateway.runtime import child
from gateway.runtime.reload import start_reload

log = logging.getLogger(__name__)

LOOK_S = 0.5
CALM_S = 60.0
"""a role that ran this long before it ended is started again at once"""
LONGEST_PAUSE_S = 30.0
PATIENCE_S = 8.0
"""how long a role may take to end before it is killed"""
CONFIG_ERROR = 2
"""exit code of a role that cannot use its configuration; at the first start nothing else is run then, later the others
go on while it is tried again"""


class Supervisor:
    """Keeps one process per role alive until told to stop."""

    def __init__(
        self, config: Path, roles: Sequence[str], logs: Path | None = None, *, data: Path | None = None
    ) -> None:
        """Remember what to run; a role's output goes to `logs/<role>.log`, or to ours if there is no folder.

        SIGHUP reloads the gateway that keeps its data in the folder `data`.
        """
        self._config = config
        self._data = data
        self._wanted = 0
        self._reload: subprocess.Popen[bytes] | None = None
        self._roles = tuple(roles)
        self._logs = logs
        self._stopping = threading.Event()
        self.exit_code = 0

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Make `run` end; usable as a signal handler."""
        self._stopping.set()

    def reload(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Reload the configuration soon; usable as a signal handler."""
        self._wanted += 1

    def run(self) -> int:
        """Run until stopped by a signal or `stop`. Returns the exit code."""
        signal.signal(signal.SIGHUP, self.reload)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        threads = [threading.Thread(target=self._keep_alive, args=(role,), name=role) for role in self._roles]
        for thread in threads:
            thread.start()
        while not self._stopping.wait(LOOK_S):
            self._reload_if_wanted()
        if self._reload is not None:
            child.stop([self._reload])
        for thread in threads:
            thread.join()
        return self.exit_code

    def _reload_if_wanted(self) -> None:
        """Start one reload after the other; several signals during one are one more."""
        if self._reload is not None and self._reload.poll() is None:
            return
        if self._wanted and self._data is not None:
            self._wanted = 0
            log.info("told to reload")
            self._reload = start_reload(self._config, self._data, "SIGHUP")

    def _keep_alive(self, role: str) -> None:
        pause_s = 0.5
        starts = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                process = self._start(role)
            except OSError as error:
                log.error("role %s cannot be started: %s", role, error)  # noqa: TRY400 - the text says all
                pause_s = self._rest(pause_s, began)
                continue
            while process.poll() is None and not self._stopping.wait(LOOK_S):
                pass
            if self._stopping.is_set():
                child.stop([process], patience_s=PATIENCE_S)
                return
            starts += 1
            if process.returncode == CONFIG_ERROR and starts == 1:
                log.error("role %s cannot use its configuration%s", role, self._see_log(role))
                self.exit_code = CONFIG_ERROR
                self._stopping.set()
                return
            log.error("role %s ended with code %s%s", role, process.returncode, self._see_log(role))
            pause_s = self._rest(pause_s, began)

    def _rest(self, last_s: float, began: float) -> float:
        """Wait before the next start, longer each time unless the role ran well; return how long."""
        pause_s = 0.5 if time.monotonic() - began > CALM_S else min(last_s * 2, LONGEST_PAUSE_S)
        log.info("starting it again in %.1f s", pause_s)
        self._stopping.wait(pause_s)
        return pause_s

    def _see_log(self, role: str) -> str:
        return "" if self._logs is None else f"; why is in {self._logs / (role + '.log')}"

    def _start(self, role: str) -> subprocess.Popen[bytes]:
        file = None if self._logs is None else self._logs / f"{role}.log"
        return child.start(["gateway", "run", str(self._config), "--role", role], log=file)
