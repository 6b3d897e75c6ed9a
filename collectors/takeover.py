"""Whether another gateway has taken over a session, where the broker closes the connection without saying so. Pure."""

from __future__ import annotations

_WITHIN_S = 60.0
_RIGHT_AFTER_S = 30.0


class TakeoverGuard:
    """Notes silently closed connections: two within a minute, the second right after connecting, are a take-over.

    Of two gateways that fight for one session, the one that had it loses it first, so it is the one that stops.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._closed_at: float | None = None

    def closed(self, connected_s: float, now_s: float) -> bool:
        """Note a connection that stood from `connected_s` to `now_s`; return whether somebody else has the session."""
        before, self._closed_at = self._closed_at, now_s
        again = before is not None and now_s - before <= _WITHIN_S
        return again and now_s - connected_s <= _RIGHT_AFTER_S
