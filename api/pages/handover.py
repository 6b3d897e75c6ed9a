"""The hand-over: what is hidden, old or out, read together and printed; and what waits for a second person."""

from __future__ import annotations

import asyncio
from html import escape

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import handover_html
from api.pages.parts.elements import Html
from api.pages.parts.forms import attempt
from api.pages.trouble import told
from api.roles import Act
from api.services import interruptions, out_of_service
from api.services.handover import Handover, handover
from api.services.interruptions import InterruptionView

EVERY_S = 5.0
_MOST = 50


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Hand-over"))
    view = HandoverPage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class HandoverPage:
    """One browser's hand-over."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/handover"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-handover"):
                with panel(tr("Alarms at the hand-over"), "", tr("what is hidden, old, or comes and goes")):
                    label = escape(tr("Print or save as PDF"))
                    Html(
                        f'<button type="button" class="gg-button" onclick="window.print()">{label}</button>',
                        classes="gg-in-head",
                    )
                    self.warnings = Html()
                    self.lists = Html(classes="gg-scroll")
                with ui.element("div").classes("gg-column"):
                    if page.can(Act.ALARM_SUPERVISE):
                        self.removals: Html | None = Html(classes="gg-panel").on_data("decide", self._decide)
                    else:
                        self.removals = None
                    with panel(tr("Tickets that are out"), "grow-3"):
                        self.tickets = Html(classes="gg-scroll")
                    with panel(tr("Planned interruptions"), "grow-2"):
                        self.plans = Html(classes="gg-scroll")

    @told
    async def refresh(self) -> None:
        """Read everything again and show what differs."""
        page, tr, zone, now = self.page, self.page.tr, self.page.timezone, self.page.now()
        lists, plans = await asyncio.to_thread(_read, page)
        self.warnings.set(handover_html.warnings(lists, tr, zone, now))
        self.lists.set(handover_html.alarms(lists, tr, zone, now))
        self.tickets.set(handover_html.tickets(list(page.board.tickets.values()), tr, zone, now))
        self.plans.set(handover_html.interruptions(plans, tr, zone, now))
        if self.removals is not None:
            shown = handover_html.removals(lists, tr, zone, now)
            head = f"<header><h2>{escape(tr('Leaves service after a second person agrees'))}</h2></header>"
            self.removals.set(head + shown if shown else "")
            self.removals.element.set_visibility(bool(shown))

    async def _decide(self, value: str) -> None:
        word, _, number = value.partition(":")
        if not number.isdigit() or len(number) > 15 or word not in {"agree", "refuse"}:
            return
        page, chosen = self.page, int(number)
        act = out_of_service.agree if word == "agree" else out_of_service.refuse
        await attempt(page.tr, lambda: act(page.parts, page.user, chosen))
        await self.refresh()


def _read(page: Page) -> tuple[Handover, list[InterruptionView]]:
    return handover(page.parts), interruptions.listed(page.parts, _MOST)
