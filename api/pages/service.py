"""What the month of service to customers was like."""

from __future__ import annotations

import asyncio
import time
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import service_html
from api.pages.parts.elements import Html
from api.services import service
from gateway.errors import GatewayError

EVERY_S = 5.0
BRIEF_EVERY_S = 60.0
"""real seconds; a month may hold many thousand tickets"""


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Service of the month"))
    view = ServicePage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class ServicePage:
    """One browser's month."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.month = f"{page.now().astimezone(ZoneInfo(page.timezone)):%Y-%m}"
        self.counted_at = float("-inf")
        """monotonic seconds at which the month was counted"""

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/service"), sanitize=False, tag="header").classes("gg-head")
            with (
                ui.element("main").classes("gg-service"),
                panel(tr("Service of the month"), "gg-wide"),
            ):
                self.tools = Html(classes="gg-bar-tools")
                self.tools.element.on("change", self._set_month, js_handler="(e) => emit(e.target.value)")
                self.brief = Html(classes="gg-scroll gg-printed")

    async def refresh(self) -> None:
        """Count the month anew now and then."""
        page, tr, wanted = self.page, self.page.tr, self.month
        if time.monotonic() - self.counted_at < BRIEF_EVERY_S:
            return
        try:
            brief = await asyncio.to_thread(service.brief, page.parts, wanted)
        except GatewayError:
            return
        if wanted == self.month:
            self.counted_at = time.monotonic()
            self.brief.set(service_html.month(brief, tr))
            self.tools.set(service_html.month_tools(wanted, tr))

    async def _set_month(self, event: GenericEventArguments) -> None:
        wanted = str(event.args)[:7]
        try:
            brief = await asyncio.to_thread(service.brief, self.page.parts, wanted)
        except GatewayError:
            return
        self.month, self.counted_at = wanted, time.monotonic()
        self.brief.set(service_html.month(brief, self.page.tr))
        self.tools.set(service_html.month_tools(wanted, self.page.tr))
