"""How the gateway is doing: processes, links, spool, outputs, dead letters."""

from __future__ import annotations

import asyncio
from html import escape

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import check_html, link_html, system_html, words
from api.pages.parts.elements import Html
from api.pages.trouble import told
from api.roles import Act
from api.services.configuration import check
from api.services.format import clock_time
from api.services.pulse import configuration, role_health
from gateway.errors import GatewayError, RefusedError
from gateway.store import view_rows

EVERY_S = 2.0
_LETTERS = 60
_REASONS = 8
_LONGEST_LINK = 200


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("System"))
    view = SystemPage(page, request.query_params.get("link", "")[:_LONGEST_LINK])
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class SystemPage:
    """One browser's system page."""

    def __init__(self, page: Page, link: str) -> None:
        self.page = page
        self.link = link
        """the link that was asked for, first in the list"""

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
                    if page.can(Act.CONFIGURATION_RELOAD):
                        with panel(tr("Configuration check")):
                            self.check = Html(check_html.button(tr, busy=False), classes="gg-in-head")
                            self.check.on_data("check", self._check)
                            self.checked = Html(check_html.result(None, "", tr), classes="gg-scroll gg-checked")

    @told
    async def refresh(self) -> None:
        """Read everything again and show what differs."""
        page = self.page
        tr, status, problem = page.tr, page.pulse.store, page.pulse.store_problem
        roles = await asyncio.to_thread(role_health, page.parts)
        revision = await asyncio.to_thread(configuration, page.parts)
        letters = await asyncio.to_thread(self._read)
        room = await asyncio.to_thread(page.parts.storage.room) if page.parts.storage is not None else None
        cards = system_html.roles(roles, tr, page.timezone, page.now())
        self.roles.set(cards + system_html.configuration(revision, tr, page.timezone, page.now()))
        links = link_html.links(status, problem, tr, page.timezone, page.now(), chosen=self.link)
        self.links.set(links)
        self.flow.set(system_html.flow(status, problem, tr))
        self.room.set(system_html.room(room, tr))
        self.letters.set(letters)

    async def _check(self, _now: str) -> None:
        """Look what is wrong with the configuration files and show it."""
        page, tr = self.page, self.page.tr
        self.check.set(check_html.button(tr, busy=True))
        try:
            found = await check(page.parts, page.user)
        except RefusedError as error:
            self.checked.set(f'<div class="gg-empty">{escape(words.refusal(error.code, tr))}</div>')
        except GatewayError:
            self.checked.set(f'<div class="gg-empty">{escape(tr("The check gave no answer. Try again."))}</div>')
        else:
            self.checked.set(check_html.result(found, clock_time(page.now(), page.timezone, page.now()), tr))
        self.check.set(check_html.button(tr, busy=False))

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
