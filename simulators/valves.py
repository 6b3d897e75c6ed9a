"""Valves that orders from afar have closed. Nobody opens one from afar; a crew does, on site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

TRAVEL_US = 2_000_000
"""us of the city's clock that a valve needs to close"""


@dataclass(frozen=True, slots=True)
class Closure:
    """A time in which a valve let no gas through, us UTC; `end_us` is None while it still does not."""

    asset: str
    start_us: int
    end_us: int | None = None


class Valves:
    """Which valves are closed, since when, and which have been."""

    def __init__(
        self,
        closed: Mapping[str, int] | None = None,
        on_change: Callable[[], None] = lambda: None,
        past: Iterable[Closure] = (),
    ) -> None:
        """Begin with those that are closed already: asset -> us UTC of the order. `on_change` is told of each order.

        `past` are closures that a crew has ended.
        """
        self._closed = dict(closed or {})
        self._past = tuple(past)
        self._on_change = on_change

    @property
    def closed(self) -> Mapping[str, int]:
        """Asset -> us UTC of the order."""
        return dict(self._closed)

    @property
    def past(self) -> tuple[Closure, ...]:
        """Closures that a crew has ended."""
        return self._past

    def closures(self) -> tuple[Closure, ...]:
        """Return all closures, those that a crew has ended first."""
        return *self._past, *(Closure(asset, ordered + TRAVEL_US) for asset, ordered in self._closed.items())

    def order_closed(self, asset: str, now_us: int) -> None:
        """Let a valve begin to close; one that is closed stays so."""
        if asset not in self._closed:
            self._closed[asset] = now_us
            self._on_change()

    def open_on_site(self, asset: str, now_us: int) -> None:
        """Let a crew open a valve again."""
        since = self.closed_at(asset, now_us)
        if self._closed.pop(asset, None) is not None:
            if since is not None:
                self._past = (*self._past, Closure(asset, since, now_us))
            self._on_change()

    def closed_at(self, asset: str, now_us: int) -> int | None:
        """Return since when a valve lets no gas through (us UTC), None while it does."""
        ordered = self._closed.get(asset)
        return None if ordered is None or now_us < ordered + TRAVEL_US else ordered + TRAVEL_US
