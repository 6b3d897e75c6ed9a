"""The master alarm database: every alarm with its cause, consequence, action and time; changed by two people."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from alarms.false_alarms import FalseAlarms
from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import definition_html
from api.pages.parts.elements import Html
from api.pages.parts.forms import SUBMIT, attempt, fields
from api.pages.trouble import told
from api.roles import Act
from api.services import definitions, verdicts
from api.services.definitions import Master
from gateway.store.definition_rows import DefinitionChange

EVERY_S = 5.0


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Alarm definitions"))
    view = DefinitionsPage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class DefinitionsPage:
    """One browser's page of the definitions."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sought = ""
        self.chosen = ""
        self.master: Master | None = None
        self.false: tuple[str, Sequence[FalseAlarms]] = ("", ())
        """of which definition false alarms were counted when it was chosen, and what was found"""

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/definitions"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-master"):
                with panel(tr("Alarm definitions"), "gg-printed", tr("all that gasgate can announce, and what to do")):
                    self.tools = Html(classes="gg-bar-tools")
                    self.tools.element.on("input", self._seek, js_handler="(e) => emit(e.target.value)", throttle=0.3)
                    self.table = Html(classes="gg-scroll").on_data("pick", self._pick)
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Proposals"), "", tr("approved by a second person")):
                        self.waiting = Html().on_data("decide", self._decide)
                    with panel(tr("One definition"), "grow-4"), ui.element("div").classes("gg-scroll"):
                        self.detail = Html()
                        self.form = Html()
                        self.form.element.on("submit", self._propose, js_handler=SUBMIT)

    @told
    async def refresh(self) -> None:
        """Read everything again and show what differs."""
        self.master = await asyncio.to_thread(definitions.master, self.page.parts)
        await self._show()

    async def _show(self) -> None:
        page, tr, master = self.page, self.page.tr, self.master
        if master is None:
            return
        one = self._one(master)
        history: list[DefinitionChange] = []
        false: Sequence[FalseAlarms] = ()
        if one is not None:
            history = await asyncio.to_thread(definitions.history, page.parts, one.definition)
            false = await self._count(one.definition)
        self.tools.set(definition_html.tools(master, tr, ""))
        found = definition_html.matching(master, tr, self.sought)
        self.table.set(definition_html.definitions(found, tr, self.chosen))
        self.waiting.set(definition_html.waiting(master, tr, may=page.can(Act.DEFINITION_APPROVE)))
        self.detail.set(definition_html.detail(one, history, tr, page.timezone, page.now(), false=false))
        may = one is not None and page.can(Act.DEFINITION_PROPOSE)
        self.form.set(definition_html.form(one, tr) if may and one is not None else "")

    async def _count(self, name: str) -> Sequence[FalseAlarms]:
        """Count a year's false alarms once for each choice: that takes too long for every look at the page."""
        if self.false[0] != name:
            self.false = name, await asyncio.to_thread(verdicts.of_definition, self.page.parts, name)
        return self.false[1]

    def _one(self, master: Master) -> DefinitionChange | None:
        return next((one for one in master.in_force if one.definition == self.chosen), None)

    @told
    async def _seek(self, event: GenericEventArguments) -> None:
        self.sought = str(event.args)[:60].strip()
        await self._show()

    @told
    async def _pick(self, name: str) -> None:
        self.chosen, self.false = name, ("", ())
        await self._show()

    async def _propose(self, event: GenericEventArguments) -> None:
        page, master = self.page, self.master
        one = None if master is None else self._one(master)
        if one is None:
            return
        said = fields(event)
        changes = _changes(one.row, said)
        if changes is None:
            ui.notify(page.tr("A number is not one."), type="warning", position="top")
            return
        reason = said.get("reason", "")
        made = await attempt(
            page.tr, lambda: definitions.propose(page.parts, page.user, one.definition, changes, reason)
        )
        if made is not None:
            ui.notify(page.tr("Proposed. Somebody else approves it."), position="top")
            await self.refresh()

    async def _decide(self, value: str) -> None:
        word, _, number = value.partition(":")
        page = self.page
        if word not in {"agree", "refuse"} or not number.isdigit() or len(number) > 15:
            return
        await attempt(page.tr, lambda: definitions.decide(page.parts, page.user, int(number), agree=word == "agree"))
        await self.refresh()


def _changes(row: Any, said: dict[str, str]) -> dict[str, Any] | None:
    """Return what a form changes of a row; None if a number is none."""
    changes: dict[str, Any] = {}
    for name in definition_html.FIELDS:
        text = said.get(name)
        if text is None or text == definition_html.shown(row.get(name)):
            continue
        if name not in definition_html.NUMBERS:
            changes[name] = text
            continue
        try:
            changes[name] = float(text)
        except ValueError:
            return None
    return changes
