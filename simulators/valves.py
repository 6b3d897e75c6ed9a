"""Valves that orders from afar have closed. Nobody opens one from afar; a crew does, on site."""

from __future__ import annotations

from collections.abc import Callable, Mapping

TRAVEL_US = 2_000_000
"""us of the city's clock that a valve needs to close"""


class Valves:
    """Which valves are closed, and since when."""

    def __init__(self, closed: Mapping[str, int] | None = None, on_change: Callable[[], None] = lambda: None) -> None:
        """Begin with those that are closed already: asset -> us UTC of the order. `on_change` is told of each order."""
        self._closed = dict(closed or {})
        self._on_change = on_change

    @property
    def closed(self) -> Mapping[str, int]:
        """Asset -> us UTC of the order."""
        return dict(self._closed)

    def order_closed(self, asset: str, now_us: int) -> None:
        """Let a valve begin to close; one that is closed stays so."""
        if asset not in self._closed:
            self._closed[asset] = now_us
            self._on_change()

    def open_on_site(self, asset: str) -> None:
        """Let a crew open a valve again."""
        if self._closed.pop(asset, None) is not None:
            self._on_change()

    def closed_at(self, asset: str, now_us: int) -> int | None:
        """Return since when a valve lets no gas through (us UTC), None while it does."""
        ordered = self._closed.get(asset)
        return None if ordered is None or now_us < ordered + TRAVEL_US else ordered + TRAVEL_US
