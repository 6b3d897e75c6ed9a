"""Whether another gateway has taken over a session, where the broker closes the connection without saying so. Pure."""

from __future__ import annotations

_WITHIN_S = 60.0
_RIGHT_AFTER_S = 30.0
_FROZEN_S = 3.0
_BROKER_WAITS = 1.5
"""After so many keep-alive periods of silence a broker closes a connection by itself (MQTT 5, 3.1.2.10)."""


class TakeoverGuard:
    """Notes silently closed connections and tells which of them are a take-over.

    Two within a minute, the second right after connecting, are one: of two gateways that fight for a session, the one
    that had it loses it first, so it is the one that stops. From then on, until a connection has lasted, one that is
    closed right after connecting is enough: the other gateway is disturbed once and not twice. A connection that ended
    while this process stood still, sooner than a broker gives up a silent client, was taken over, too.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._closed_at: float | None = None
        self._suspects = False

    def closed(self, connected_s: float, now_s: float, *, frozen_s: float = 0.0, keepalive_s: float = 0.0) -> bool:
        """Note a connection that stood from `connected_s` to `now_s`; return whether somebody else has the session.

        `frozen_s` is how long the process has just stood still. All in real seconds.
        """
        before, self._closed_at = self._closed_at, now_s
        again = before is not None and now_s - before <= _WITHIN_S
        right_after = now_s - connected_s <= _RIGHT_AFTER_S
        frozen = frozen_s >= _FROZEN_S
        taken = (frozen and frozen_s < _BROKER_WAITS * keepalive_s) or (right_after and (again or self._suspects))
        self._suspects = taken or frozen or (self._suspects and right_after)
        return taken


class Stillness:
    """How long the process has just stood still, by a task that calls `tick` all the time."""

    EVERY_S = 1.0
    _REMEMBERED_S = 10.0

    def __init__(self, now_s: float) -> None:
        """Begin to watch."""
        self._ticked_s = now_s
        self._still_s = 0.0
        self._until_s = now_s

    def tick(self, now_s: float) -> None:
        """Note that the process is running."""
        still_s = now_s - self._ticked_s - self.EVERY_S
        if still_s >= self.EVERY_S or now_s - self._until_s > self._REMEMBERED_S:
            self._still_s, self._until_s = max(still_s, 0.0), now_s
        self._ticked_s = now_s

    def just_now(self, now_s: float) -> float:
        """Return the seconds of the last standstill if it ended a moment ago, or has not been noted yet; else 0."""
        self.tick(now_s)
        return self._still_s
