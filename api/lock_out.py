"""Counts failed log-ins, so that nobody can try many passwords, and no stranger can lock others out.

Strangers are counted by name and by address. A browser in which a person logged in before is counted for itself: the
control room's own browsers go on when a stranger has failed under all of its names (OWASP, "device cookies").
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from api.digest import digest
from gateway.store import credential_rows
from gateway.store.state import State, Transaction

FAILURES = 5
"""of one name, or of one known browser"""
FAILURES_OF_ADDRESS = 30
"""of one address, whatever the names"""
LOCKED_S = 300.0


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser shows of itself: a cookie that a log-in has set, or nothing."""

    id: str = ""
    secret: str = ""

    @staticmethod
    def of_cookie(text: str) -> Browser:
        """Read a cookie; one that cannot be is that of a stranger."""
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != "gb" or not parts[1].isalnum() or not text.isascii() or len(text) > 100:
            return Browser()
        return Browser(parts[1], parts[2])

    @staticmethod
    def new() -> Browser:
        """Return one that nobody knows yet."""
        return Browser(secrets.token_hex(8), secrets.token_urlsafe(24))

    @property
    def cookie(self) -> str:
        """What the browser is to keep."""
        return f"gb_{self.id}_{self.secret}"


@dataclass(frozen=True, slots=True)
class Try:
    """One log-in that was begun."""

    wait_s: float
    """0, or for how long this is locked still: then nothing was counted"""
    keys: tuple[str, ...]
    genuine: bool
    """True if somebody logged in in this browser before, maybe not this person"""
    last: bool
    """True if one more failure is not allowed"""


class LockOut:
    """Failures as rows, so that they outlive a restart. Safe from several threads."""

    def __init__(self, state: State, wall: Callable[[], float]) -> None:
        """Use `wall` for real seconds since 1970."""
        self._state = state
        self._wall = wall

    def begin(self, name: str, address: str, browser: Browser, *, own: bool = False) -> Try:
        """Count a try as failed before its password is checked, so that tries at once are not free.

        `own` says that somebody with a session asks, who is counted apart from strangers. A lock that ran out starts
        the count again.
        """
        with self._state.write() as connection:
            now_us = int(self._wall() * 1e6)  # read while nobody else writes: counts never come from the future
            known = _known_to(connection, browser)
            genuine = bool(known)
            limits = {f"browser:{browser.id}:{name}": FAILURES} if name in known else _limits(name, address)
            if own:
                limits = {f"own:{name}": FAILURES}
            counts = {
                key: entry
                for key, entry in credential_rows.failures(connection, list(limits)).items()
                if 0 <= now_us - entry[1] <= LOCKED_S * 1e6
            }
            locked = [last for key, (count, last) in counts.items() if count >= limits[key]]
            if locked:
                return Try(max(1.0, LOCKED_S - (now_us - max(locked)) / 1e6), tuple(limits), genuine, last=True)
            for key in limits:
                credential_rows.count_failure(connection, key, counts.get(key, (0, 0))[0] + 1, now_us)
            credential_rows.prune_failures(connection, now_us - int(LOCKED_S * 1e6))
            last = any(counts.get(key, (0, 0))[0] + 1 >= limit for key, limit in limits.items())
        return Try(0.0, tuple(limits), genuine, last)

    def succeeded(self, connection: Transaction, begun: Try) -> None:
        """Forget the failures of a name; of an address only this try, for others may be trying from there."""
        for key, (count, last) in credential_rows.failures(connection, begun.keys).items():
            credential_rows.forget_failures(connection, [key])
            if key.startswith("address:") and count > 1:
                credential_rows.count_failure(connection, key, count - 1, last)

    def is_genuine(self, connection: Transaction, browser: Browser) -> bool:
        """Return True if somebody logged in in this browser before."""
        return bool(_known_to(connection, browser))

    def unlock(self, connection: Transaction, name: str) -> bool:
        """Let a name be tried again, by strangers, at its own browsers and within its session.

        Returns False if it had not failed.
        """
        own = [f"browser:{browser}:{name}" for browser in credential_rows.browsers_of(connection, name)]
        return credential_rows.forget_failures(connection, [f"name:{name}", f"own:{name}", *own]) > 0

    def locked(self, connection: Transaction) -> dict[str, float]:
        """Return the names that are locked for strangers, and for how many seconds still."""
        now = self._wall()
        found = credential_rows.failed_names(connection, int((now - LOCKED_S) * 1e6), FAILURES)
        return {name: max(1.0, LOCKED_S - (now - last / 1e6)) for name, last in found.items()}


def _limits(name: str, address: str) -> dict[str, int]:
    return {f"name:{name}": FAILURES, f"address:{address[:60]}": FAILURES_OF_ADDRESS}


def _known_to(connection: Transaction, browser: Browser) -> frozenset[str]:
    """Return who logged in in this browser before; nobody if its secret is not the one that it was given."""
    kept = credential_rows.browser_hashes(connection, browser.id) if browser.id else {}
    own = digest(browser.secret)
    return frozenset(owner for owner, hashed in kept.items() if hmac.compare_digest(hashed, own))
