"""One's own account: password and sessions."""

from __future__ import annotations

import asyncio
import json

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import ACCOUNT, DENSITY_COOKIE, Page, draw_frame, header_html, open_page, panel
from api.pages.parts import forms, people_html
from api.pages.parts.elements import Html
from api.pages.trouble import told
from api.services import people


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Your account"))
    view = AccountPage(page, dense=request.cookies.get(DENSITY_COOKIE) == "dense")
    view.draw()
    await view.refresh()
    return None


class AccountPage:
    """One browser's page of its own person."""

    def __init__(self, page: Page, *, dense: bool) -> None:
        self.page, self.dense = page, dense

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, ACCOUNT), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-one gg-account"):
                with panel(tr("Password")), ui.element("div").classes("gg-call-box"):
                    self.password = Html(self._password_html())
                    self.password.element.on("submit", self._change, js_handler=forms.SUBMIT)
                with (
                    panel(tr("View"), "gg-screen", note=tr("for this browser")),
                    ui.element("div").classes("gg-call-box"),
                ):
                    Html(people_html.density(tr, dense=self.dense))
                with panel(tr("Sessions"), note=tr("where you are logged in")):
                    end = f'<button class="gg-button" data-end="1">{tr("End all others")}</button>'
                    Html(end, classes="gg-in-head").on_data("end", self._end_others)
                    self.sessions = Html(classes="gg-scroll")

    def _password_html(self) -> str:
        page, tr = self.page, self.page.tr
        if page.user.vouched:
            return f'<p class="gg-dim">{tr("The identity provider keeps your password. Change it there.")}</p>'
        return people_html.own_password_form(tr, must_change=page.user.must_change)

    @told
    async def refresh(self) -> None:
        """Read the sessions again."""
        page = self.page
        rows = await asyncio.to_thread(people.own_sessions, page.parts, page.user)
        here = page.user.credential.removeprefix("gs_")
        self.sessions.set(people_html.sessions(rows, here, page.tr, page.timezone))

    async def _change(self, event: GenericEventArguments) -> None:
        page, tr, said = self.page, self.page.tr, forms.sent(event)
        before, after, again = (forms.secret_of(said, name) for name in ("before", "after", "again"))
        if after != again:
            ui.notify(tr("The new password was not typed twice alike."), type="warning", position="top")
            return
        act = people.own_password
        if await forms.attempt(tr, lambda: json.dumps(act(page.parts, page.user, before, after))) is None:
            return
        if page.user.must_change:
            ui.navigate.to("/")
            return
        self.password.set("")
        self.password.set(self._password_html())
        ui.notify(tr("The password is changed; all other sessions have ended."), type="positive", position="top")
        await self.refresh()

    async def _end_others(self, _value: str) -> None:
        page, tr = self.page, self.page.tr
        ended = await forms.attempt(tr, lambda: people.end_others(page.parts, page.user))
        if ended is not None:
            ui.notify(tr("Sessions ended: {count}", count=ended), type="positive", position="top")
            await self.refresh()
