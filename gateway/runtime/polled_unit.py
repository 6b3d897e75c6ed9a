"""The schedule and the breaker of one unit that is polled, and what a status page shows of it."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.ports import Clock, Job
from gateway.runtime.backoff import Backoff

FAILURES_TO_OPEN = 3
FIRST_PROBE_S = 5.0
LONGEST_PROBE_S = 300.0
SILENT_EVERY_US = 15 * 60 * 1_000_000
RECENT_POLLS = 100


@dataclass(frozen=True, slots=True)
class LinkState:
    """What a status page shows of one unit or one broker."""

    key: str
    source: str
    link: str
    up: bool | None
    """None until it was tried"""
    since_us: int
    """us UTC of the clock since which `up` has been so"""
    last_good_us: int | None = None
    failures: int = 0
    """polls or connections in a row that failed"""
    overruns: int = 0
    """due times that were skipped because the link was still busy"""
    deliveries: int = 0
    error: str = ""
    recent: int = 0
    """polls that were counted lately, at most `RECENT_POLLS`; 0 for what is told and not asked"""
    recent_failed: int = 0
    """how many of them failed"""
    next_us: int | None = None
    """us UTC of the clock at which it is asked next"""
    period_s: float = 0.0
    """seconds of the clock between polls while it answers"""
    requests: int = 0
    """requests of a poll of everything"""
    addresses: int = 0
    """registers and coils that they ask for"""


OnState = Callable[[LinkState], None]
"""Is told whenever `up` changes."""


class PolledUnit:
    """The schedule and the breaker of one job."""

    def __init__(self, job: Job, source: str, clock: Clock, rng: random.Random) -> None:
        """Make one that was never polled."""
        self.job = job
        self.state = LinkState(job.key, source, job.link, None, clock.now_us(), period_s=job.period_s)
        self.silent_at: int | None = None
        self._clock = clock
        self._recent: deque[bool] = deque(maxlen=RECENT_POLLS)
        # where the clock runs fast, waiting minutes of real time would hide a recovery for days
        cap_s = LONGEST_PROBE_S
        if clock.real_seconds(1.0) < 1.0:
            cap_s = min(cap_s, clock.real_seconds(3 * job.period_s))
        self._backoff = Backoff(min(FIRST_PROBE_S, cap_s), cap_s, rng)

    @property
    def is_open(self) -> bool:
        """True while the breaker keeps regular polls away."""
        return self.state.failures >= FAILURES_TO_OPEN

    def next_tick(self, now_us: int) -> int:
        """Return the first moment of the grid after `now_us`."""
        period_us, phase_us = round(self.job.period_s * 1e6), round(self.job.phase_s * 1e6)
        return now_us - (now_us - phase_us) % period_us + period_us

    def after(self, due_us: int, now_us: int) -> int:
        """Return when to poll next, after the poll that was due at `due_us` has ended at `now_us`."""
        next_us = self._after(due_us, now_us)
        self.state = replace(self.state, next_us=next_us)
        return next_us

    def _after(self, due_us: int, now_us: int) -> int:
        tick = self.next_tick(now_us)
        if not self.state.failures:
            missed = max(0, (tick - due_us) // round(self.job.period_s * 1e6) - 1)
            self.state = replace(self.state, overruns=self.state.overruns + missed)
            return tick
        wait_s = self._backoff.next()
        retry = now_us + round(wait_s / self._clock.real_seconds(1.0) * 1e6)
        return retry if self.is_open else min(tick, retry)

    def good(self, now_us: int) -> bool:
        """Note a success; return whether it is news."""
        news = self.state.up is not True
        since = now_us if news else self.state.since_us
        self.state = replace(
            self.state,
            up=True,
            since_us=since,
            last_good_us=now_us,
            failures=0,
            error="",
            deliveries=self.state.deliveries + 1,
        )
        self._count(failed=False)
        self.silent_at = None
        self._backoff.reset()
        return news

    def bad(self, now_us: int, error: str) -> bool:
        """Note a failure; return whether it opened the breaker."""
        self.state = replace(self.state, failures=self.state.failures + 1, error=error)
        self._count(failed=True)
        opened = self.state.failures == FAILURES_TO_OPEN
        if opened:
            self.state = replace(self.state, up=False, since_us=now_us)
        return opened

    def _count(self, *, failed: bool) -> None:
        self._recent.append(failed)
        self.state = replace(self.state, recent=len(self._recent), recent_failed=sum(self._recent))

    def silence_is_due(self, now_us: int) -> bool:
        """Say whether the gap must be written now, and remember that it was."""
        if not self.is_open or (self.silent_at is not None and 0 <= now_us - self.silent_at < SILENT_EVERY_US):
            return False
        self.silent_at = now_us
        return True
