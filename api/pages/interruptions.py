"""Planned interruptions of supply: announced, told to the customers, stopped, restored; who is without gas."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import forms, interruption_html
from api.pages.parts.elements import Html
from api.pages.trouble import told
from api.roles import Act
from api.services import interruptions as service
from api.services.interruptions import Affected, InterruptionView

EVERY_S = 5.0
_MOST = 100
_STEPS = ("closed", "restored", "cancelled")
_MOST_CUSTOMERS = 10_000_000


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Planned interruptions"))
    view = InterruptionsPage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class InterruptionsPage:
    """One browser's page of planned interruptions."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.request_id = uuid4().hex
        self.views: dict[str, InterruptionView] = {}
        self.chosen = ""
        self.affected: tuple[str, list[Affected]] = ("", [])
        """the interruption whose customers are known, and these"""

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/interruptions"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-stops"):
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Planned interruptions"), "grow-2"):
                        self.list = Html(classes="gg-scroll").on_data("pick", self._pick).on_data("step", self._step)
                    if page.can(Act.INTERRUPTION_PLAN):
                        with panel(tr("Plan an interruption")), ui.element("div").classes("gg-call-box"):
                            self.form = Html(interruption_html.form(tr, self.request_id))
                            self.form.element.on("submit", self._submitted, js_handler=forms.SUBMIT)
                with panel(tr("Customers without gas"), "", tr("those who depend on supply first")):
                    self.told = Html(classes="gg-notices")
                    self.told.element.on("submit", self._tell, js_handler=forms.SUBMIT)
                    self.customers = Html(classes="gg-scroll")

    @told
    async def refresh(self) -> None:
        """Read everything again and show what differs."""
        page, tr, zone, now = self.page, self.page.tr, self.page.timezone, self.page.now()
        views = await asyncio.to_thread(service.listed, page.parts, _MOST)
        self.views = {view.plan.id: view for view in views}
        if self.chosen not in self.views:
            self.chosen = next(iter(self.views), "")
        await self._read_affected()
        run, plan = page.can(Act.INTERRUPTION_RUN), page.can(Act.INTERRUPTION_PLAN)
        self.list.set(interruption_html.listed(views, tr, zone, now, self.chosen, may_run=run, may_plan=plan))
        chosen = self.views.get(self.chosen)
        self.told.set(interruption_html.told(chosen, tr, zone, now, may_plan=plan) if chosen else "")
        self.customers.set(
            interruption_html.customers(self.affected[1], tr) if chosen else interruption_html.none_chosen(tr)
        )

    async def _read_affected(self) -> None:
        if self.chosen and self.affected[0] != self.chosen:
            self.affected = (
                self.chosen,
                await asyncio.to_thread(service.affected, self.page.parts, self.page.user, self.chosen),
            )

    async def _pick(self, interruption: str) -> None:
        if interruption in self.views:
            self.chosen = interruption
            await self.refresh()

    async def _submitted(self, event: GenericEventArguments) -> None:
        page, said = self.page, forms.fields(event)
        try:
            zone = ZoneInfo(page.timezone)
            start, end = (datetime.fromisoformat(said[name]).replace(tzinfo=zone) for name in ("start", "end"))
        except (ValueError, KeyError):
            ui.notify(page.tr("These times cannot be."), type="warning", position="top")
            return
        plan = service.Plan(
            _names(said.get("zones", "")), _names(said.get("assets", "")), said.get("reason", ""), start, end,
            "emergency" in said,
        )  # fmt: skip
        made = await forms.attempt(page.tr, lambda: service.enter(page.parts, page.user, plan, self.request_id))
        if made is not None:
            self.chosen, self.request_id = made.plan.id, uuid4().hex
            self.form.set(interruption_html.form(page.tr, self.request_id))
            await self.refresh()

    async def _step(self, value: str) -> None:
        step, _, number = value.partition(":")
        page = self.page
        if step in _STEPS:
            await forms.attempt(page.tr, lambda: service.step(page.parts, page.user, number, step, None))
            await self.refresh()

    async def _tell(self, event: GenericEventArguments) -> None:
        """Record how many customers were told, and how."""
        page, said, number = self.page, forms.fields(event), self.chosen
        count = said.get("customers", "")
        if said.get("channel") not in interruption_html.CHANNELS or not count.isdecimal() or len(count) > 8:
            return
        customers = int(count)
        if 0 < customers <= _MOST_CUSTOMERS:
            await forms.attempt(
                page.tr, lambda: service.told(page.parts, page.user, number, said["channel"], customers)
            )
            await self.refresh()


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").replace("，", " ").split()))[:200]
