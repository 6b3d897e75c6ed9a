"""Service to customers: taking calls, who was told of a clock, call-backs, and what the month was like."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import service_html
from api.pages.parts.elements import Html
from api.roles import Act
from api.services import service
from gateway.errors import GatewayError, RefusedError
from gateway.model.call import Call, Said

EVERY_S = 5.0
BRIEF_EVERY_S = 60.0
"""real seconds; a month may hold many thousand tickets"""
TOLD_HOURS = 24
MOST = 100
_SUBMIT = "(e) => { e.preventDefault(); emit(JSON.stringify(Object.fromEntries(new FormData(e.target)))) }"
_ASSET = "(e) => { if (e.target.name === 'asset') emit(e.target.value) }"
_MARKS = ("5", "4", "3", "2", "1")
_YES = {"yes": True, "no": False}


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Service"))
    view = ServicePage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class ServicePage:
    """One browser's service page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.month = f"{page.now().astimezone(ZoneInfo(page.timezone)):%Y-%m}"
        self.counted_at = float("-inf")
        """monotonic seconds at which the month was counted"""
        self.said: dict[str, str] = {}
        self.request_id = secrets.token_hex(8)
        self.asking = ("", "")
        """ticket and level of the call-back whose answers are asked"""

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/service"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-service"):
                with ui.element("div").classes("gg-column"):
                    if page.can(Act.CALL_TAKE):
                        with panel(tr("Take a call"), "", tr("number and place send the ticket")):
                            self._draw_form()
                    with panel(tr("Clocks that ran out"), "grow-2", tr("who was told in the last 24 hours")):
                        self.told = Html(classes="gg-scroll")
                    if page.can(Act.CALL_BACK):
                        with panel(tr("Call-backs"), "grow-2", tr("those that are due first")):
                            self.back: Html | None = Html(classes="gg-scroll").on_data("reached", self._ask)
                            self.back.on_data("missed", self._missed)
                    else:
                        self.back = None
                with panel(tr("Service of the month"), "grow-4"):
                    self.tools = Html(classes="gg-bar-tools")
                    self.tools.element.on("change", self._set_month, js_handler="(e) => emit(e.target.value)")
                    self.brief = Html(classes="gg-scroll gg-printed")
        self._draw_answers()

    def _draw_form(self) -> None:
        with ui.element("div").classes("gg-call-box"):
            self.form = Html()
            self.form.element.on("submit", self._submitted, js_handler=_SUBMIT)
            self.form.element.on("change", self._look_near, js_handler=_ASSET)
            self.near = Html().on_data("join", self._join)
        self._fresh_form()

    def _fresh_form(self) -> None:
        self.request_id = secrets.token_hex(8)
        self.form.set(service_html.form(self.page.tr, self.request_id))
        self.near.set("")

    def _draw_answers(self) -> None:
        tr = self.page.tr
        asked = (
            ("conduct", tr("Conduct")),
            ("attitude", tr("Attitude")),
            ("skill", tr("Skill")),
            ("timeliness", tr("Timeliness")),
        )
        with ui.dialog() as self.answers, ui.card().classes("gg-dialog"):
            marks = "".join(f"<option>{mark}</option>" for mark in _MARKS)
            fields = "".join(
                f'<label>{name}<select class="gg-input" name="{key}">{marks}</select></label>' for key, name in asked
            )
            form = Html(
                f'<h2>{tr("What the customer said")}</h2><p class="gg-dim">{tr("5 is best, 1 is worst")}</p>'
                f'<form class="gg-call"><fieldset class="first">{fields}</fieldset>'
                f'<button class="gg-button primary" type="submit">{tr("Keep")}</button></form>'
            )
            form.element.on("submit", self._answered, js_handler=_SUBMIT)

    async def refresh(self) -> None:
        """Read everything again and show what differs."""
        page, tr, zone, now = self.page, self.page.tr, self.page.timezone, self.page.now()
        try:
            told = await asyncio.to_thread(service.told, page.parts, TOLD_HOURS, MOST)
            if time.monotonic() - self.counted_at >= BRIEF_EVERY_S:
                wanted = self.month
                brief = await asyncio.to_thread(service.brief, page.parts, wanted)
                if wanted == self.month:
                    self.counted_at = time.monotonic()
                    self.brief.set(service_html.month(brief, tr))
            if self.back is not None:
                waiting = await asyncio.to_thread(_waiting, page)
                self.back.set(service_html.call_backs(waiting, tr, zone, now, may=True))
        except GatewayError:
            return
        self.told.set(service_html.told(told, tr, zone, now))
        self.tools.set(service_html.month_tools(self.month, tr))

    async def _set_month(self, event: GenericEventArguments) -> None:
        wanted = str(event.args)[:7]
        try:
            brief = await asyncio.to_thread(service.brief, self.page.parts, wanted)
        except GatewayError:
            return
        self.month, self.counted_at = wanted, time.monotonic()
        self.brief.set(service_html.month(brief, self.page.tr))
        self.tools.set(service_html.month_tools(wanted, self.page.tr))

    async def _look_near(self, event: GenericEventArguments) -> None:
        asset = str(event.args)[:120].strip()
        parts = self.page.parts
        found = await self._try(lambda: service.near(parts, asset, None, None)) if asset else None
        self.near.set(service_html.near(found, self.page.tr))

    async def _submitted(self, event: GenericEventArguments) -> None:
        self.said = _fields(event)
        await self._take("")

    async def _join(self, ticket_no: str) -> None:
        script = "JSON.stringify(Object.fromEntries(new FormData(document.querySelector('form.gg-call'))))"
        said = await ui.run_javascript(f"return {script}")
        self.said = _as_texts(said)
        await self._take(ticket_no)

    async def _take(self, join: str) -> None:
        page, tr = self.page, self.page.tr
        try:
            call = _call(self.said, page.now(), page.timezone)
        except (ValueError, KeyError):
            ui.notify(tr("Number and place are needed."), type="warning")
            return
        done = await self._try(lambda: service.take_call(page.parts, page.user, call, self.request_id, join))
        if done is not None:
            self._fresh_form()
            ui.notify(tr("Ticket {number} is on its way.", number=done.ticket_no), type="positive")
            await self.refresh()

    async def _ask(self, key: str) -> None:
        ticket_no, _, level = key.partition("/")
        self.asking = (ticket_no, level)
        self.answers.open()

    async def _answered(self, event: GenericEventArguments) -> None:
        answers = {name: int(mark) for name, mark in _fields(event).items() if mark in _MARKS}
        self.answers.close()
        await self._tried(*self.asking, answers)

    async def _missed(self, key: str) -> None:
        ticket_no, _, level = key.partition("/")
        await self._tried(ticket_no, level, None)

    async def _tried(self, ticket_no: str, level: str, answers: Mapping[str, Any] | None) -> None:
        page = self.page
        reached = answers is not None
        await self._try(
            lambda: page.parts.call_backs.tried(ticket_no, level, page.user.name, reached=reached, answers=answers)
        )
        await self.refresh()

    async def _try(self, act: Callable[[], Any]) -> Any:
        """Return what an act gives; None, and a word to the person, if it is refused."""
        try:
            return await asyncio.to_thread(act)
        except RefusedError as error:
            ui.notify(str(error), type="warning")
        except GatewayError as error:
            ui.notify(str(error), type="negative")
        return None


def _waiting(page: Page) -> Any:
    return service.call_backs(page.parts, month=None, waiting=True)


def _fields(event: GenericEventArguments) -> dict[str, str]:
    value = event.args[0] if isinstance(event.args, list) and event.args else event.args
    return _as_texts(value)


def _as_texts(value: object) -> dict[str, str]:
    """Return the fields of a form; a browser may send anything."""
    try:
        found = json.loads(str(value)[:10_000])
    except ValueError:
        return {}
    return {str(key)[:40]: str(text)[:500].strip() for key, text in found.items()} if isinstance(found, dict) else {}


def _call(said: Mapping[str, str], now: datetime, timezone: str) -> Call:
    """Return the call of a form. Raises ValueError or KeyError if what is needed is missing."""
    entered = said.get("called_at", "")
    taken = datetime.fromisoformat(entered).replace(tzinfo=ZoneInfo(timezone)) if entered else now
    if not said["number"] or not said["place"]:
        raise ValueError("number and place are needed")
    return Call(
        called_at=taken,
        number=said["number"][:40],
        place=said["place"][:120],
        what=Said(said.get("what") or Said.SMELL),
        asset=said.get("asset", "")[:120],
        caller=said.get("caller", "")[:120],
        indoors=_YES.get(said.get("indoors", "")),
        valve_closed=_YES.get(said.get("valve_closed", "")),
        ill_persons=_YES.get(said.get("ill_persons", "")),
        note=said.get("note", "")[:500],
    )
