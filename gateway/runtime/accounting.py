"""What became of every reading and message, per source: received is always the sum of the others."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from dataclasses import dataclass

_MOST_RECORDS = 50_000


@dataclass(slots=True)
class Account:
    """Numbers of one source since the start; a dead letter counts as one, like a reading."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    refused: int = 0
    dead_lettered: int = 0

    @property
    def in_flight(self) -> int:
        """Return what is received but not yet settled."""
        return self.received - self.stored - self.duplicate - self.refused - self.dead_lettered


class Accounting:
    """The accounts of all sources. Safe to use from several threads.

    What a restart finds in the spool is received anew, under the source `spool`: nobody knows its source any more.
    """

    def __init__(self) -> None:
        """Start with no source."""
        self.live_after = sys.maxsize
        """records up to this sequence were there before the start"""
        self._lock = threading.Lock()
        self._early: dict[int, tuple[int, int, list[int]]] = {}
        self._accounts: dict[str, Account] = {}
        self._rows: dict[int, list[tuple[str, int, int]]] = {}

    def received(self, source: str, count: int) -> None:
        """Count what a delivery brought."""
        with self._lock:
            self._of(source).received += count

    def redelivered(self, source: str, count: int) -> None:
        """Count what a message brought that was there before."""
        with self._lock:
            self._of(source).duplicate += count

    def refused(self, source: str, count: int) -> None:
        """Count readings that were not taken for want of room."""
        with self._lock:
            account = self._of(source)
            account.received += count
            account.refused += count

    def committed(self, seq: int, shares: list[tuple[str, int, int]]) -> None:
        """Note whose (source, readings, dead letters) stand in a record, in its order."""
        with self._lock:
            early = self._early.pop(seq, None)
            if early is None:
                self._rows[seq] = shares
                self._forget_oldest()
            else:
                self._settle(shares, early[2])

    def settled(self, seq: int, rows: int, dead: int, duplicate_rows: list[int]) -> None:
        """Settle a record: `duplicate_rows` of its `rows` were there before."""
        with self._lock:
            shares = self._rows.pop(seq, None)
            if shares is not None:
                self._settle(shares, duplicate_rows)
            elif seq > self.live_after:
                self._early[seq] = (rows, dead, duplicate_rows)
            else:
                self._of("spool").received += rows + dead
                self._settle([("spool", rows, dead)], duplicate_rows)

    def _forget_oldest(self) -> None:
        """Bound the memory while nothing is loaded for long: the oldest record belongs to `spool` from now on."""
        if len(self._rows) > _MOST_RECORDS:
            oldest = next(iter(self._rows))
            for source, count, letters in self._rows.pop(oldest):
                self._of(source).received -= count + letters
            self.live_after = oldest

    def _settle(self, shares: list[tuple[str, int, int]], duplicate_rows: list[int]) -> None:
        owners = [source for source, count, _ in shares for _ in range(count)] if duplicate_rows else []
        doubled = Counter(owners[row] for row in duplicate_rows)
        for source, count, letters in shares:
            taken = min(doubled[source], count)
            doubled[source] -= taken
            account = self._of(source)
            account.stored += count - taken
            account.duplicate += taken
            account.dead_lettered += letters

    def snapshot(self) -> dict[str, dict[str, int]]:
        """Return all numbers, ready for JSON."""
        with self._lock:
            return {
                source: {
                    "received": account.received,
                    "stored": account.stored,
                    "duplicate": account.duplicate,
                    "refused": account.refused,
                    "dead_lettered": account.dead_lettered,
                    "in_flight": account.in_flight,
                }
                for source, account in sorted(self._accounts.items())
            }

    def _of(self, source: str) -> Account:
        return self._accounts.setdefault(source, Account())
