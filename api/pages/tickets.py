"""The board of tickets: one column a state, clocks, and how the delivery of each stands."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import forms, ticket_html
from api.pages.parts.elements import Html, KeyedList
from api.pages.parts.export_html import export
from api.pages.parts.html import empty
from api.pages.trouble import told
from api.roles import Act
from api.services import service, ticket_board, tickets
from api.services.live import Change
from api.services.ticket_board import COLUMNS, Wish, column_of
from api.services.views import TicketView

EVERY_S = 3.0
CARD_PX = 112
TOLD_HOURS = 24
MOST = 100
_TABS = ("undelivered", "differences", "told")
_ASKED = (
    "(e) => { const form = e.currentTarget; emit(form.querySelector('[name=class]').value, "
    "form.querySelector('[name=text]').value) }"
)


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Tickets"))
    view = TicketsPage(page)
    view.draw()
    ui.context.client.on_delete(page.board.listen(view.changed))
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class TicketsPage:
    """One browser's board."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.client = ui.context.client
        self.wish = Wish()
        self.tab = _TABS[0]
        self.cards: dict[str, KeyedList] = {}
        self.heads: dict[str, Html] = {}
        self.placed: dict[str, tuple[str, TicketView]] = {}
        """column and view of each ticket on the board"""
        self.waiting: dict[str, int] = {}

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/tickets"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("div").classes("gg-board-tools"):
                self.tools = Html(ticket_html.tools(self.wish, tr), classes="gg-board-wish")
                self.tools.element.on("input", self._asked, js_handler=_ASKED, throttle=0.3)
                self.tools.on_data("only", self._only)
                self.figures = Html(classes="gg-tallies")
                Html(export(tr, "tickets"))
            with ui.element("main").classes("gg-board-page"):
                with ui.element("div").classes("gg-board"):
                    for name, (title, _) in COLUMNS.items():
                        self._draw_column(name, tr(title))
                with ui.element("section").classes("gg-panel gg-board-below"):
                    self.tabs = Html(tag="header").on_data("tab", self._tab)
                    self.below = Html(classes="gg-scroll").on_data("replay", self._replay)
        self._show(dict(page.board.tickets))

    def _draw_column(self, name: str, title: str) -> None:
        with panel(title, "gg-board-column"):
            self.heads[name] = Html(classes="gg-board-count")
            self.cards[name] = KeyedList(
                row_height=CARD_PX, label=title, empty=empty(self.page.tr("Nothing.")), rows=[], leads="/tickets/"
            )

    def changed(self, change: Change) -> None:
        """Bring a change of tickets to this browser."""
        if change.tickets or change.tickets_gone:
            with self.client:
                self._show(dict(self.page.board.tickets))

    def _show(self, known: dict[str, TicketView]) -> None:
        """Bring the columns to these tickets: only cards that differ are sent."""
        wanted = {number: (column_of(view), view) for number, view in known.items() if self.wish.takes(view)}
        for name, column in self.cards.items():
            now = {number: view for number, (at, view) in wanted.items() if at == name}
            before = {number: view for number, (at, view) in self.placed.items() if at == name}
            changed = [ticket_html.card(view, self.page.tr) for key, view in now.items() if before.get(key) != view]
            column.apply(changed, [number for number in before if number not in now])
            self.heads[name].set(str(len(now)))
        self.placed = wanted
        self.page.reading.shown = True
        self.figures.set(ticket_html.figures(ticket_board.figures(known.values(), self.waiting), self.page.tr))

    @told
    async def refresh(self) -> None:
        """Read deliveries and differences again and show what differs."""
        page, tr, zone, now = self.page, self.page.tr, self.page.timezone, self.page.now()
        counts, rows = await asyncio.to_thread(ticket_board.undelivered, page.parts)
        found, differ = await asyncio.to_thread(tickets.differences, page.parts, open_only=True, limit=MOST)
        told = await asyncio.to_thread(service.told, page.parts, TOLD_HOURS, MOST)
        self.waiting = dict(counts)
        left = sum(number for _, number in found.values())
        self.tabs.set(self._tabs_html({"undelivered": sum(counts.values()), "differences": left, "told": len(told)}))
        match self.tab:
            case "differences":
                self.below.set(ticket_html.differences(differ, tr, zone, now))
            case "told":
                self.below.set(ticket_html.told(told, tr, zone, now))
            case _:
                self.below.set(ticket_html.undelivered(rows, counts, tr, may=page.can(Act.TICKET_WORK)))
        views = page.board.tickets.values()
        self.figures.set(ticket_html.figures(ticket_board.figures(views, self.waiting), tr))

    def _tabs_html(self, counts: dict[str, int]) -> str:
        tr = self.page.tr
        titles = (tr("Not confirmed"), tr("Differences"), tr("Clocks that ran out"))
        return ticket_html.tabs(list(zip(_TABS, titles, strict=True)), counts, self.tab)

    async def _tab(self, name: str) -> None:
        if name in _TABS:
            self.tab = name
            await self.refresh()

    def _asked(self, event: Any) -> None:
        if isinstance(event.args, list) and len(event.args) == 2:
            self.wish = Wish(str(event.args[0])[:20], self.wish.only, str(event.args[1])[:80])
            self._show(dict(self.page.board.tickets))

    def _only(self, only: str) -> None:
        self.wish = Wish(self.wish.ticket_class, only, self.wish.text)
        self.tools.set(ticket_html.tools(self.wish, self.page.tr))
        self._show(dict(self.page.board.tickets))

    async def _replay(self, what: str) -> None:
        """Send what was given up again: one command, or all that are shown."""
        page = self.page
        if not page.can(Act.TICKET_WORK):
            return
        _, rows = await asyncio.to_thread(ticket_board.undelivered, page.parts)
        ids = [row.id for row in rows if row.state == "dead" and what in {"all", str(row.id)}]
        desk, key = tickets.desk(page.parts), uuid4().hex
        if not ids:
            return
        act = forms.permitted(
            page.parts, page.user, Act.TICKET_WORK,
            lambda: desk.send_again(ids, who=page.user.name, request_id=key),
        )  # fmt: skip
        done = await forms.attempt(page.tr, act)
        if done is not None:
            text = page.tr("{count} are sent again.", count=len(done["sent_again"]))
            ui.notify(text, type="positive", position="top")
        await self.refresh()
