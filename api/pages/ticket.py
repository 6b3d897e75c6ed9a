"""One ticket: its clocks, its history, the alarms it answers, how it was delivered, and what people do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments
from starlette.exceptions import HTTPException

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import forms, html, service_words, ticket_side_html, words
from api.pages.parts.elements import Html
from api.pages.trouble import told
from api.roles import Act
from api.services import tickets
from api.services.live import Change
from api.services.ticket_sides import Sides, offer, sides
from gateway.errors import RefusedError

EVERY_S = 3.0
_LONGEST = 40
_QUESTIONS = ("note", "phone", "cancel", "link", "agree", "pause", "split", "step")
_TIMES = ("agree", "pause", "resume")
"""acts that change a ticket's clocks"""
_RIGHTS = {"step": Act.CALL_BACK}
"""the right of an act where it is another one than that to work on tickets"""


async def build(request: Request, ticket_no: str) -> RedirectResponse | None:
    """Draw the page of one ticket."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    try:
        found = await asyncio.to_thread(sides, page.parts, ticket_no[:_LONGEST])
    except RefusedError as error:
        raise HTTPException(404) from error
    draw_frame(page, f"{page.tr('Ticket')} {found.ticket.ticket_no}")
    view = TicketPage(page, found)
    view.draw()
    ui.context.client.on_delete(page.board.listen(view.changed))
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class TicketPage:
    """One browser's page of a ticket."""

    def __init__(self, page: Page, found: Sides) -> None:
        self.page = page
        self.client = ui.context.client
        self.found = found
        self.asked = ("", "")
        """the act whose question is open, and what it is about"""
        self.request_id = ""

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/tickets"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-ticket-page"):
                with ui.element("section").classes("gg-panel gg-ticket-head"):
                    self.head = Html()
                    self.steps = Html(classes="gg-steps")
                    self.actions = Html(classes="gg-actions").on_data("act", self._act)
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Promises and their clocks")):
                        self.clocks = Html(classes="gg-fitting")
                    with panel(tr("Delivery"), "grow-2"):
                        self.deliveries = Html(classes="gg-scroll").on_data("act", self._act)
                with ui.element("div").classes("gg-column"):
                    with panel(tr("Alarms that it answers")):
                        self.alarms = Html(classes="gg-fitting").on_data("split", self._split)
                    with panel(tr("History"), "grow-2", tr("the latest first")), ui.element("div").classes("gg-scroll"):
                        self.beside = Html()
                        self.history = Html()
        with ui.dialog() as self.dialog, ui.card().classes("gg-dialog"):
            self.question = Html()
            self.question.element.on("submit", self._answered, js_handler=forms.SUBMIT)
        self._show()

    def changed(self, change: Change) -> None:
        """Look again when this ticket changed."""
        number = self.found.ticket.ticket_no
        if number in change.tickets_gone or any(view.ticket_no == number for view in change.tickets):
            with self.client:
                ui.timer(0.0, self.refresh, once=True)

    @told
    async def refresh(self) -> None:
        """Read the ticket again and show what differs."""
        self.found = await asyncio.to_thread(sides, self.page.parts, self.found.ticket.ticket_no)
        if not self.client.is_deleted:
            self._show()

    def _show(self) -> None:
        page, tr, found = self.page, self.page.tr, self.found
        zone, now, offered = page.timezone, page.now(), offer(self.found, page.user)
        part = ticket_side_html
        self.head.set(part.head(found, tr, zone))
        self.steps.set(html.ticket_steps(found.view, tr, zone, now))
        self.actions.set(part.actions(offered, tr))
        self.clocks.set(part.clocks(found, tr, zone, now))
        self.alarms.set(part.alarms(found.alarms, tr, zone, now, may_split=offered.split))
        self.deliveries.set(part.deliveries(found, tr, may=offered.replay))
        self.beside.set(part.beside(found, tr, zone, now))
        self.history.set(part.history(found.history, tr, zone, now))

    # Acts --------------------------------------------------------------------------------------------------

    async def _act(self, act: str) -> None:
        if not getattr(offer(self.found, self.page.user), act, False):
            return
        if act in _QUESTIONS:
            self._ask(act)
            return
        parts, user, number = self.page.parts, self.page.user, self.found.ticket.ticket_no
        if act == "resume":
            await self._try(act, lambda: parts.service.resume(number, user.name))
        elif act == "replay":
            ids, key = self.found.given_up, uuid4().hex
            await self._try(act, lambda: tickets.desk(parts).send_again(ids, who=user.name, request_id=key))

    async def _split(self, subject: str) -> None:
        if offer(self.found, self.page.user).split:
            self._ask("split", subject)

    def _ask(self, act: str, subject: str = "") -> None:
        tr = self.page.tr
        titles = {
            "note": tr("Note to the crew"),
            "phone": tr("Given to a crew by telephone"),
            "cancel": tr("Ask the ticketing system to cancel"),
            "link": tr("Link with another ticket about the same"),
            "agree": tr("A date agreed with the customer"),
            "pause": tr("Let the clocks stand"),
            "split": tr("Give the alarm its own ticket"),
            "step": tr("A step that no ticketing system reports"),
        }
        left = [
            (row.clock, tr(service_words.CLOCKS.get(row.clock, row.clock)))
            for row in self.found.clocks
            if row.stopped_at is None and row.due_at is not None
        ]
        steps = [(name, words.ticket_state(name, tr)) for name in self.found.steps]
        self.asked, self.request_id = (act, subject), uuid4().hex
        self.question.set(
            ticket_side_html.question(act, titles[act], tr, steps if act == "step" else left, self.request_id)
        )
        self.dialog.open()

    async def _answered(self, event: GenericEventArguments) -> None:
        act, subject = self.asked
        call = self._call(act, subject, forms.fields(event))
        if call is None:
            ui.notify(self.page.tr("Something is missing."), type="warning", position="top")
        elif await self._try(act, call):
            self.dialog.close()

    def _call(self, act: str, subject: str, said: Mapping[str, str]) -> Callable[[], Any] | None:
        """Return what is to be done, None if the answer is incomplete or not allowed."""
        parts, user, number = self.page.parts, self.page.user, self.found.ticket.ticket_no
        reason, key, desk = said.get("reason", ""), self.request_id, tickets.desk(self.page.parts)
        if (not reason and act != "step") or not getattr(offer(self.found, user), act, False):
            return None
        supervisor = user.may(Act.TICKET_SUPERVISE)
        match act:
            case "note":
                return lambda: desk.note(number, who=user.name, text=reason, request_id=key)
            case "phone":
                return lambda: desk.handled_by_phone(number, who=user.name, reason=reason, request_id=key)
            case "cancel":
                return lambda: desk.ask_to_cancel(
                    number, who=user.name, reason=reason, supervisor=supervisor, request_id=key
                )
            case "link":
                other = said.get("ticket_no", "")[:_LONGEST]
                return lambda: desk.link(number, other, who=user.name, reason=reason, request_id=key)
            case "split":
                alarm_id, _, count = subject.rpartition("#")
                if not count.isdigit() or len(count) > 15:
                    return None
                return lambda: desk.split(number, alarm_id, int(count), who=user.name, reason=reason, request_id=key)
            case "pause":
                known = reason if reason in service_words.PAUSES else next(iter(service_words.PAUSES))
                return lambda: parts.service.pause(number, known, user.name)
            case "step":
                at = self._moment(said["at"]) if said.get("at") else self.page.now()
                name = said.get("step", "")[:_LONGEST]
                if at is not None:
                    return partial(parts.service.step, number, name, at, user.name, reason)
            case "agree":
                due = self._moment(said.get("due", ""))
                name = said.get("clock", "")[:_LONGEST]
                if due is not None:
                    return partial(parts.service.agree, number, name, due, reason, user.name)
        return None

    def _moment(self, text: str) -> datetime | None:
        try:
            return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(self.page.timezone))
        except ValueError:
            return None

    async def _try(self, act: str, call: Callable[[], Any]) -> bool:
        right = Act.TICKET_TIMES if act in _TIMES else _RIGHTS.get(act, Act.TICKET_WORK)
        asked = forms.permitted(self.page.parts, self.page.user, right, lambda: (call(),))
        done = await forms.attempt(self.page.tr, asked)
        await self.refresh()
        return done is not None
