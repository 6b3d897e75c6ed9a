"""How long to wait before trying again: exponential growth with full jitter and a cap."""

from __future__ import annotations

import random


class Backoff:
    """Waits that are spread, so that many who lost the same server do not come back together.

    The n-th wait is uniform between 0 and `min(cap_s, first_s * 2**n)`; see Brooker, "Exponential Backoff And
    Jitter" (2015), "full jitter".
    """

    def __init__(self, first_s: float, cap_s: float, rng: random.Random | None = None) -> None:
        """Make one; `rng` is given by tests."""
        self.first_s = first_s
        self.cap_s = cap_s
        self.failures = 0
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing

    def next(self) -> float:
        """Return the next wait in real seconds."""
        ceiling = min(self.cap_s, self.first_s * 2.0 ** min(self.failures, 60))
        self.failures += 1
        return self._rng.uniform(0.0, ceiling)

    def reset(self) -> None:
        """Start again from the first wait: it worked."""
        self.failures = 0
