"""Telephone reports and orders: what a caller says becomes a ticket within seconds, or joins one.

The calls that were taken lately stand beside the form.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from api.pages.call_place import CallPlace
from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.order_form import OrderForm
from api.pages.parts import call_html, forms, ticket_html
from api.pages.parts.elements import Html
from api.pages.trouble import told
from api.roles import Act
from api.services import service
from api.services.places import Place
from api.shapes import telephone_number
from gateway.model.call import Call, Said

EVERY_S = 5.0
MOST = 100
_ASSET = "(e) => { if (e.target.name === 'asset') emit(e.target.value) }"
_PLACE = (
    "(e) => { if (e.target.name !== 'place') return; clearTimeout(window.ggPlace);"
    "window.ggPlace = setTimeout(() => emit(e.target.value), 250) }"
)
_SAID = "return JSON.stringify(Object.fromEntries(new FormData(document.querySelector('form.gg-report'))))"
_YES = {"yes": True, "no": False}


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Telephone reports"))
    view = CallsPage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class CallsPage:
    """One browser's page of telephone reports."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.request_id = secrets.token_hex(8)

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/calls"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-service"):
                if page.can(Act.CALL_TAKE):
                    with ui.element("section").classes("gg-panel"):
                        self.tabs = Html(self._tabs_html("call"), tag="header").on_data("tab", self._show)
                        self.boxes = {"call": self._draw_call(), "order": self._draw_order()}
                        self._show("call")
                with ui.element("div").classes("gg-column" if page.can(Act.CALL_TAKE) else "gg-column gg-wide"):
                    if page.can(Act.CALL_TAKE):
                        with panel(tr("Where the caller is"), "grow-3", tr("type the place, or click on the map")):
                            self.place = CallPlace(page, self._join)
                    with panel(tr("Telephone reports"), "grow-2", tr("the latest first")):
                        self.list = Html(classes="gg-scroll")

    def _draw_call(self) -> Element:
        with ui.element("div").classes("gg-call-box gg-scroll") as box:
            self.form = Html()
            self.form.element.on("submit", self._submitted, js_handler=forms.SUBMIT)
            self.form.element.on("change", self._asset_named, js_handler=_ASSET)
            self.form.element.on("input", self._place_typed, js_handler=_PLACE)
            self.form.set(call_html.form(self.page.tr, self.request_id))
        return box

    def _draw_order(self) -> Element:
        with ui.element("div").classes("gg-call-box gg-scroll") as box:
            OrderForm(self.page, self.refresh)
        return box

    def _show(self, name: str) -> None:
        """Show one of the two forms; what was typed into the other stays."""
        if name in self.boxes:
            self.tabs.set(self._tabs_html(name))
            for key, box in self.boxes.items():
                box.set_visibility(key == name)

    def _tabs_html(self, chosen: str) -> str:
        tr = self.page.tr
        heads = ticket_html.tabs((("call", tr("Take a call")), ("order", tr("Take an order"))), {}, chosen)
        return heads + f"<small>{escape(tr('number and place send the ticket'))}</small>" * (chosen == "call")

    def _fresh_form(self) -> None:
        self.request_id = secrets.token_hex(8)
        self.form.set(call_html.form(self.page.tr, self.request_id))
        self.place.forget()

    @told
    async def refresh(self) -> None:
        """Read the calls again and show what differs."""
        page = self.page
        taken = await asyncio.to_thread(service.calls, page.parts, MOST)
        full = page.can(Act.CALL_TAKE)
        self.list.set(call_html.calls(taken, page.tr, page.timezone, page.now(), full=full))

    async def _asset_named(self, event: GenericEventArguments) -> None:
        await self.place.named(_text(event))

    async def _place_typed(self, event: GenericEventArguments) -> None:
        await self.place.typed(_text(event))

    async def _submitted(self, event: GenericEventArguments) -> None:
        await self._take(forms.fields(event), "")

    async def _join(self, ticket_no: str) -> None:
        await self._take(forms.as_texts(await ui.run_javascript(_SAID)), ticket_no)

    async def _take(self, said: Mapping[str, str], join: str) -> None:
        page, tr = self.page, self.page.tr
        try:
            call = _call(said, self.place.spot, page.now(), page.timezone)
        except (ValueError, KeyError):
            ui.notify(tr("Number and place are needed."), type="warning", position="top")
            return
        done = await forms.attempt(tr, lambda: service.take_call(page.parts, page.user, call, self.request_id, join))
        if done is not None:
            self._fresh_form()
            ui.notify(tr("Ticket {number} is on its way.", number=done.ticket_no), type="positive", position="top")
            await self.refresh()


def _text(event: GenericEventArguments) -> str:
    return str(forms.sent(event))[:120].strip()


def _call(said: Mapping[str, str], spot: Place | None, now: datetime, timezone: str) -> Call:
    """Return the call of a form and of the place that was chosen.

    Raises ValueError or KeyError if what is needed is missing.
    """
    entered = said.get("called_at", "")
    taken = datetime.fromisoformat(entered).replace(tzinfo=ZoneInfo(timezone)) if entered else now
    if not said["number"] or not said["place"]:
        raise ValueError("number and place are needed")
    return Call(
        called_at=taken,
        number=telephone_number(said["number"][:40]),
        place=said["place"][:120],
        what=Said(said.get("what") or Said.SMELL),
        asset=said.get("asset", "")[:120],
        caller=said.get("caller", "")[:120],
        x_m=None if spot is None else spot.x_m,
        y_m=None if spot is None else spot.y_m,
        indoors=_YES.get(said.get("indoors", "")),
        valve_closed=_YES.get(said.get("valve_closed", "")),
        ill_persons=_YES.get(said.get("ill_persons", "")),
        note=said.get("note", "")[:500],
        reference=said.get("reference", "")[:120],
    )
