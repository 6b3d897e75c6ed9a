"""Telephone reports: a call becomes a ticket within seconds, or joins one; those taken lately stand beside the form."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import call_html, forms
from api.pages.parts.elements import Html
from api.roles import Act
from api.services import service
from gateway.errors import GatewayError
from gateway.model.call import Call, Said

EVERY_S = 5.0
MOST = 100
_ASSET = "(e) => { if (e.target.name === 'asset') emit(e.target.value) }"
_SAID = "return JSON.stringify(Object.fromEntries(new FormData(document.querySelector('form.gg-call'))))"
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
                    note = tr("number and place send the ticket")
                    with panel(tr("Take a call"), "", note), ui.element("div").classes("gg-call-box gg-scroll"):
                        self.form = Html()
                        self.form.element.on("submit", self._submitted, js_handler=forms.SUBMIT)
                        self.form.element.on("change", self._look_near, js_handler=_ASSET)
                        self.near = Html().on_data("join", self._join)
                        self._fresh_form()
                wide = "" if page.can(Act.CALL_TAKE) else "gg-wide"
                with panel(tr("Telephone reports"), wide, tr("the latest first")):
                    self.list = Html(classes="gg-scroll")

    def _fresh_form(self) -> None:
        self.request_id = secrets.token_hex(8)
        self.form.set(call_html.form(self.page.tr, self.request_id))
        self.near.set("")

    async def refresh(self) -> None:
        """Read the calls again and show what differs."""
        page = self.page
        try:
            taken = await asyncio.to_thread(service.calls, page.parts, MOST)
        except GatewayError:
            return
        full = page.can(Act.CALL_TAKE)
        self.list.set(call_html.calls(taken, page.tr, page.timezone, page.now(), full=full))

    async def _look_near(self, event: GenericEventArguments) -> None:
        asset = str(event.args)[:120].strip()
        parts, tr = self.page.parts, self.page.tr
        found = await forms.attempt(tr, lambda: service.near(parts, asset, None, None)) if asset else None
        self.near.set(call_html.near(found, tr))

    async def _submitted(self, event: GenericEventArguments) -> None:
        await self._take(forms.fields(event), "")

    async def _join(self, ticket_no: str) -> None:
        await self._take(forms.as_texts(await ui.run_javascript(_SAID)), ticket_no)

    async def _take(self, said: Mapping[str, str], join: str) -> None:
        page, tr = self.page, self.page.tr
        try:
            call = _call(said, page.now(), page.timezone)
        except (ValueError, KeyError):
            ui.notify(tr("Number and place are needed."), type="warning", position="top")
            return
        done = await forms.attempt(tr, lambda: service.take_call(page.parts, page.user, call, self.request_id, join))
        if done is not None:
            self._fresh_form()
            ui.notify(tr("Ticket {number} is on its way.", number=done.ticket_no), type="positive", position="top")
            await self.refresh()


def _call(said: Mapping[str, str], now: datetime, timezone: str) -> Call:
    """Return the call of a form. Raises ValueError or KeyError if what is needed is missing."""
    entered = said.get("called_at", "")
    taken = datetime.fromisoformat(entered).replace(tzinfo=ZoneInfo(timezone)) if entered else now
    if not said["number"] or not said["place"]:
        raise ValueError("number and place are needed")
    return Call(
        called_at=taken,
        number=said["number"][:40],
        place=said["place"][:120],
        what=Said(said.get("what") or Said.SMELL),
        asset=said.get("asset", "")[:120],
        caller=said.get("caller", "")[:120],
        indoors=_YES.get(said.get("indoors", "")),
        valve_closed=_YES.get(said.get("valve_closed", "")),
        ill_persons=_YES.get(said.get("ill_persons", "")),
        note=said.get("note", "")[:500],
    )
