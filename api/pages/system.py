"""How the gateway is doing: processes, links, spool, outputs, dead letters."""

from __future__ import annotations

import asyncio

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import system_html
from api.pages.parts.elements import Html
from api.roles import Act
from api.services.pulse import configuration, role_health
from gateway.errors import GatewayError
from gateway.store import view_rows

EVERY_S = 2.0
_LETTERS = 60
_REASONS = 8


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("System"))
    view = SystemPage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class SystemPage:
    """One browser's system page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/system"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-system"):
                self.roles = Html(classes="gg-cards gg-wide")
                with panel(tr("Links to devices and brokers"), note=tr("those that do not answer first")):
                    self.links = Html(classes="gg-scroll")
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Spool, store and outputs"), "grow-3"), _scroll():
                        self.flow = Html()
                        self.room = Html()
                    with panel(tr("Dead letters"), "grow-2", tr("what could not become a reading, and why")):
                        self.letters = Html(classes="gg-scroll")

    async def refresh(self) -> None:
        """Read everything again and show what differs."""
        page = self.page
        tr, status, problem = page.tr, page.pulse.store, page.pulse.store_problem
        try:
            roles = await asyncio.to_thread(role_health, page.parts)
            revision = await asyncio.to_thread(configuration, page.parts)
            letters = await asyncio.to_thread(self._read)
            room = await asyncio.to_thread(page.parts.storage.room) if page.parts.storage is not None else None
        except GatewayError:
            return
        cards = system_html.roles(roles, tr, page.timezone, page.now())
        self.roles.set(cards + system_html.configuration(revision, tr, page.timezone, page.now()))
        self.links.set(system_html.links(status, problem, tr, page.timezone, page.now()))
        self.flow.set(system_html.flow(status, problem, tr))
        self.room.set(system_html.room(room, tr))
        self.letters.set(letters)

    def _read(self) -> str:
        page = self.page
        tr, zone, now = page.tr, page.timezone, page.now()
        with page.parts.state.read() as connection:
            total = view_rows.dead_letter_count(connection)
            reasons = view_rows.dead_letter_reasons(connection, _REASONS)
            rows = []
            if page.can(Act.DEAD_LETTER_READ):
                rows = view_rows.dead_letter_rows(connection, None, _LETTERS)
        return system_html.letters(total, reasons, rows, tr=tr, timezone=zone, now=now)


def _scroll() -> ui.element:
    """Return a part that scrolls by itself, also by keyboard."""
    return ui.element("div").classes("gg-scroll").props("tabindex=0")
