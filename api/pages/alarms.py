"""The alarm system: what is hidden, what changes, and how much it asks of the operator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui

from alarms.kpi import Report
from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import alarm_html
from api.pages.parts.elements import Html
from api.roles import Act
from api.services import definitions, out_of_service
from api.services.alarm_report import reports
from api.services.definitions import Master
from api.services.handover import Handover, handover
from gateway.errors import GatewayError, RefusedError

EVERY_S = 5.0
REPORT_EVERY = 12
"""looks between two readings of the report, which goes through a month of the journal"""
DAYS = 30


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Alarms"))
    view = AlarmsPage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class AlarmsPage:
    """One browser's page about the alarm system."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.looks = 0

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/alarms"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-service"):
                with ui.element("div").classes("gg-column"):
                    note = tr("what is hidden, old, or comes and goes")
                    with panel(tr("Hand-over"), "grow-3", note), ui.element("div").classes("gg-scroll"):
                        self.removals = Html().on_data("decide", self._decide)
                        self.lists = Html(classes="gg-padded")
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Definitions"), "", tr("what changes is approved by a second person")):
                        self.master = Html(classes="gg-call-box").on_data("decide", self._decide)
                    with panel(tr("Report"), "grow-4", tr("30 days, against ISA-18.2 and EEMUA 191")):
                        self.report = Html(classes="gg-scroll gg-padded")

    async def refresh(self) -> None:
        """Read everything again and show what differs."""
        page, tr, zone, now = self.page, self.page.tr, self.page.timezone, self.page.now()
        with_report = self.looks % REPORT_EVERY == 0
        self.looks += 1
        try:
            lists, master, report = await asyncio.to_thread(_read, page, with_report=with_report)
        except GatewayError:
            return
        self.lists.set(alarm_html.handover(lists, tr, zone, now))
        self.removals.set(alarm_html.removals(lists, tr, zone, now) if page.can(Act.ALARM_SUPERVISE) else "")
        self.master.set(alarm_html.proposals(master, tr, may=page.can(Act.DEFINITION_APPROVE)))
        if report is not None:
            self.report.set(alarm_html.reports(report, tr))

    async def _decide(self, value: str) -> None:
        what, _, rest = value.partition(":")
        word, _, number = rest.partition(":")
        if not number.isdigit() or len(number) > 15 or word not in ("agree", "refuse"):
            return
        parts, user, chosen = self.page.parts, self.page.user, int(number)
        calls: dict[tuple[str, str], Callable[[], Any]] = {
            ("removal", "agree"): lambda: out_of_service.agree(parts, user, chosen),
            ("removal", "refuse"): lambda: out_of_service.refuse(parts, user, chosen),
            ("proposal", "agree"): lambda: definitions.decide(parts, user, chosen, agree=True),
            ("proposal", "refuse"): lambda: definitions.decide(parts, user, chosen, agree=False),
        }
        if (what, word) in calls:
            await self._try(calls[what, word])

    async def _try(self, call: Callable[[], Any]) -> bool:
        """Run an act in a thread; say plainly why if it was refused."""
        tr = self.page.tr
        try:
            await asyncio.to_thread(call)
        except RefusedError as error:
            ui.notify(alarm_html.refusal(error.code, tr), type="warning", position="top")
            return False
        except GatewayError:
            ui.notify(tr("That did not work. Try again."), type="negative", position="top")
            return False
        await self.refresh()
        return True


def _read(page: Page, *, with_report: bool) -> tuple[Handover, Master, dict[str, Report] | None]:
    parts = page.parts
    report = None
    if with_report:
        today = page.now().astimezone(ZoneInfo(page.timezone)).date()
        report = reports(parts, today - timedelta(days=DAYS - 1), today)
    return handover(parts), definitions.master(parts), report
