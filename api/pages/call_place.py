"""Where a caller is: found by what is typed, or by a click on the map, with what is open there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui

from api.pages.frame import Page
from api.pages.parts import forms, place_html
from api.pages.parts.elements import CityMap, Html
from api.services import places, service
from api.services.city import place_of
from api.services.places import Place
from api.services.service import Near
from gateway.model.call import Call


class CallPlace:
    """One browser's choice of a place; `joined` hears the ticket that the call is to be put to."""

    def __init__(self, page: Page, joined: Callable[[str], Any]) -> None:
        self.page = page
        self.spot: Place | None = None
        """where the caller is, as far as somebody said"""
        self._listed = False
        """whether the spot was chosen from what the search found: other words then mean another place"""
        self._asked = ""
        self.found = Html(classes="gg-place-hits").on_data("place", self._choose)
        self.chosen = Html(classes="gg-chosen").on_data("forget", lambda _: self.forget())
        self.map = CityMap(page.tr, marks=[], on_pick=self._picked, on_place=self._pointed)
        self.map.classes("gg-place-map")
        self.near = Html(classes="gg-open-there").on_data("join", joined)

    async def typed(self, text: str) -> None:
        """Search for what was typed as the place."""
        if self.spot is not None and self._listed and not text.startswith(self.spot.name):
            self.forget()
        self._asked = text
        page = self.page
        found = await forms.attempt(page.tr, lambda: places.find(page.parts, page.user, text)) if text.strip() else ()
        if found is not None and self._asked == text:
            self.found.set(place_html.found(found, page.tr, page.parts.network.name_of))

    async def named(self, asset: str) -> None:
        """Take the meter, zone or station that was typed; one that does not exist is told when the call is sent."""
        self.forget(keep_form=True)
        await self._take_asset(asset, listed=False)

    def forget(self, *, keep_form: bool = False) -> None:
        """Know no place any more."""
        if self.spot is not None and not keep_form:
            _fill({"asset": ""})
        self.spot, self._listed, self._asked = None, False, ""
        for piece in (self.found, self.chosen, self.near):
            piece.set("")
        self.map.show([])

    async def _choose(self, asset: str) -> None:
        spot = await self._take_asset(asset, listed=True)
        if spot is not None:
            _fill({"asset": spot.asset, "place": spot.name})

    async def _picked(self, asset: str) -> None:
        """Take a station, or what has an alarm or a ticket, that was chosen on the map."""
        spot = await self._take_asset(asset, listed=False) if asset else None
        if spot is not None:
            _fill({"asset": spot.asset}, {"place": spot.name})

    async def _pointed(self, x_m: float, y_m: float) -> None:
        """Take a position of the map."""
        page = self.page
        spot = await forms.attempt(page.tr, lambda: places.at_position(page.parts, page.user, x_m, y_m))
        if spot is not None:
            _fill({"asset": ""}, {"place": spot.name})
            await self._take(spot, listed=False)

    async def _take_asset(self, asset: str, *, listed: bool) -> Place | None:
        page = self.page
        if not page.parts.network.zone_of(asset):
            return None
        spot = await forms.attempt(page.tr, lambda: places.of_asset(page.parts, page.user, asset))
        if spot is not None:
            await self._take(spot, listed=listed)
            self.map.frame()
        return spot

    async def _take(self, spot: Place, *, listed: bool) -> None:
        page, tr = self.page, self.page.tr
        self.spot, self._listed, self._asked = spot, listed, ""
        self.found.set("")
        self.chosen.set(place_html.chosen(spot, tr, page.parts.network.name_of))
        near = await forms.attempt(tr, lambda: service.near(page.parts, spot.asset, spot.x_m, spot.y_m))
        if near is not None and self.spot is spot:
            self.near.set(place_html.near(near, tr, page.parts.network.name_of, page.timezone, page.now()))
            self.map.show(self._marks(spot, near))

    def _marks(self, spot: Place, near: Near) -> list[dict[str, Any]]:
        """Return the marks of what is open there, at each place the worst, and of the place itself."""
        marks: dict[tuple[float, float], dict[str, Any]] = {}
        for ticket in reversed(near.tickets):
            at = self._place_of(ticket.asset, near.calls.get(ticket.ticket_no))
            if at is not None:
                marks[at] = place_html.ticket_mark(ticket, at, self.page.tr)
        for view in reversed(near.alarms):
            at = self._place_of(view.alarm.asset)
            if at is not None:
                marks[at] = place_html.alarm_mark(view.alarm, at)
        here = [] if spot.x_m is None or spot.y_m is None else [place_html.here((spot.x_m, spot.y_m))]
        return [*marks.values(), *here]

    def _place_of(self, asset: str, call: Call | None = None) -> tuple[float, float] | None:
        if call is not None and call.x_m is not None and call.y_m is not None:
            return call.x_m, call.y_m
        return place_of(self.page.parts.network, asset)


def _fill(values: Mapping[str, str], where_empty: Mapping[str, str] | None = None) -> None:
    """Write into the fields of the form, into some only where nothing stands."""
    ui.run_javascript(f"gasgate.fill('form.gg-report', {json.dumps(values)}, {json.dumps(where_empty or {})})")
