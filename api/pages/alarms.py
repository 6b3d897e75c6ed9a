"""The alarm system: planned interruptions, what is hidden, what changes, and how much it asks of the operator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from alarms.kpi import Report
from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import alarm_html
from api.pages.parts.elements import Html
from api.roles import Act
from api.services import definitions, interruptions, out_of_service
from api.services.alarm_report import reports
from api.services.definitions import Master
from api.services.handover import Handover, handover
from api.services.interruptions import InterruptionView
from gateway.errors import GatewayError, RefusedError

EVERY_S = 5.0
REPORT_EVERY = 12
"""looks between two readings of the report, which goes through a month of the journal"""
DAYS = 30
_MOST = 50
_SUBMIT = "(e) => { e.preventDefault(); emit(JSON.stringify(Object.fromEntries(new FormData(e.target)))) }"
_STEPS = ("closed", "restored", "cancelled")


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
        self.request_id = uuid4().hex

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/alarms"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-service"):
                with ui.element("div").classes("gg-column"):
                    if page.can(Act.INTERRUPTION_PLAN):
                        with panel(tr("Plan an interruption")), ui.element("div").classes("gg-call-box"):
                            self.form = Html(alarm_html.form(tr, self.request_id))
                            self.form.element.on("submit", self._submitted, js_handler=_SUBMIT)
                    with panel(tr("Planned interruptions"), "grow-2"):
                        self.plans = Html(classes="gg-scroll").on_data("step", self._step)
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
            plans, lists, master, report = await asyncio.to_thread(_read, page, with_report=with_report)
        except GatewayError:
            return
        run, plan = page.can(Act.INTERRUPTION_RUN), page.can(Act.INTERRUPTION_PLAN)
        self.plans.set(alarm_html.interruptions(plans, tr, zone, now, may_run=run, may_plan=plan))
        self.lists.set(alarm_html.handover(lists, tr, zone, now))
        self.removals.set(alarm_html.removals(lists, tr, zone, now) if page.can(Act.ALARM_SUPERVISE) else "")
        self.master.set(alarm_html.proposals(master, tr, may=page.can(Act.DEFINITION_APPROVE)))
        if report is not None:
            self.report.set(alarm_html.reports(report, tr))

    async def _submitted(self, event: GenericEventArguments) -> None:
        page = self.page
        try:
            said = {str(key): str(value) for key, value in json.loads(str(event.args)[:6000]).items()}
            zone = ZoneInfo(page.timezone)
            times = [datetime.fromisoformat(said[name]).replace(tzinfo=zone) for name in ("start", "end")]
        except (ValueError, KeyError, AttributeError):
            ui.notify(page.tr("These times cannot be."), type="warning", position="top")
            return
        plan = interruptions.Plan(
            _names(said.get("zones", "")),
            _names(said.get("assets", "")),
            said.get("reason", "")[:500],
            times[0],
            times[1],
            "emergency" in said,
        )
        if await self._try(lambda: interruptions.enter(page.parts, page.user, plan, self.request_id)):
            self.request_id = uuid4().hex
            self.form.set(alarm_html.form(page.tr, self.request_id))

    async def _step(self, value: str) -> None:
        step, _, number = value.partition(":")
        page = self.page
        if step in _STEPS:
            await self._try(lambda: interruptions.step(page.parts, page.user, number, step, None))

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


def _read(
    page: Page, *, with_report: bool
) -> tuple[list[InterruptionView], Handover, Master, dict[str, Report] | None]:
    parts = page.parts
    report = None
    if with_report:
        today = page.now().astimezone(ZoneInfo(page.timezone)).date()
        report = reports(parts, today - timedelta(days=DAYS - 1), today)
    return interruptions.listed(parts, _MOST), handover(parts), definitions.master(parts), report


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").replace("，", " ").split()))[:200]
