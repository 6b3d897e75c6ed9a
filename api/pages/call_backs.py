"""Call-backs: whose customers are to be called after the work, those that are due first; and what they said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import call_html, forms
from api.pages.parts.elements import Html
from api.pages.trouble import told
from api.roles import Act
from api.services import service

EVERY_S = 5.0
_MARKS = ("5", "4", "3", "2", "1")


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Call-backs"))
    view = CallBacksPage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class CallBacksPage:
    """One browser's page of call-backs."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asking = ("", "")
        """ticket and level of the call-back whose answers are asked"""

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/call-backs"), sanitize=False, tag="header").classes("gg-head")
            with (
                ui.element("main").classes("gg-board-page"),
                panel(tr("Call-backs"), "grow-2", tr("those that are due first")),
            ):
                self.list = Html(classes="gg-scroll").on_data("reached", self._ask)
                self.list.on_data("missed", self._missed)
        with ui.dialog() as self.answers, ui.card().classes("gg-dialog"):
            form = Html(call_html.answers(tr, _MARKS))
            form.element.on("submit", self._answered, js_handler=forms.SUBMIT)

    @told
    async def refresh(self) -> None:
        """Read the call-backs again and show what differs."""
        page = self.page
        may = page.can(Act.CALL_BACK)
        waiting = await asyncio.to_thread(service.call_backs, page.parts, month=None, waiting=True)
        self.list.set(call_html.call_backs(waiting, page.tr, page.timezone, page.now(), may=may))

    def _ask(self, key: str) -> None:
        ticket_no, _, level = key.partition("/")
        self.asking = (ticket_no, level)
        self.answers.open()

    async def _answered(self, event: GenericEventArguments) -> None:
        answers = {name: int(mark) for name, mark in forms.fields(event).items() if mark in _MARKS}
        self.answers.close()
        await self._tried(*self.asking, answers)

    async def _missed(self, key: str) -> None:
        ticket_no, _, level = key.partition("/")
        await self._tried(ticket_no, level, None)

    async def _tried(self, ticket_no: str, level: str, answers: Mapping[str, Any] | None) -> None:
        page, reached = self.page, answers is not None
        if page.can(Act.CALL_BACK):
            tried, who = page.parts.call_backs.tried, page.user.name
            act = forms.permitted(
                page.parts, page.user, Act.CALL_BACK,
                lambda: tried(ticket_no, level, who, reached=reached, answers=answers),
            )  # fmt: skip
            await forms.attempt(page.tr, act)
        await self.refresh()
