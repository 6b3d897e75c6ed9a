"""API tokens: one's own, for administrators everybody's."""

from __future__ import annotations

import asyncio
import json

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import forms, people_html
from api.pages.parts.elements import Html
from api.pages.trouble import told
from api.roles import Act, Role
from api.services import tokens

_LONGEST_NAME = 120


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("API tokens"))
    view = TokensPage(page)
    view.draw()
    await view.refresh()
    return None


class TokensPage:
    """One browser's page of tokens."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/tokens"), sanitize=False, tag="header").classes("gg-head")
            note = (
                tr("everybody's") if page.can(Act.TOKEN_ALL) else tr("yours; what programs show instead of a password")
            )
            with ui.element("main").classes("gg-one"), panel(tr("API tokens"), note=note):
                new = Html(f'<button class="gg-button" data-new="1">{tr("New token")}</button>', classes="gg-in-head")
                new.on_data("new", lambda _value: self._ask())
                self.list = Html(classes="gg-scroll").on_data("revoke", self._revoke)
        with ui.dialog() as self.dialog, ui.card().classes("gg-dialog"):
            self.form = Html()
            self.form.element.on("submit", self._make, js_handler=forms.SUBMIT)

    @told
    async def refresh(self) -> None:
        """Read the tokens again."""
        page = self.page
        rows = await asyncio.to_thread(tokens.tokens, page.parts, page.user)
        self.list.set(people_html.token_rows(rows, page.tr, page.timezone, page.parts.auth.wall_us()))

    def _ask(self) -> None:
        user = self.page.user
        self.form.set("")
        self.form.set(people_html.token_form(user.role, tokens.scope_of(user.role), self.page.tr))
        self.dialog.open()

    async def _make(self, event: GenericEventArguments) -> None:
        page, said = self.page, forms.fields(event)
        name = said.get("name", "")[:_LONGEST_NAME]
        role = Role(said["role"]) if said.get("role") in set(Role) else Role.VIEWER
        days = int(said["days"]) if said.get("days", "").isdecimal() and len(said["days"]) < 5 else 0
        chosen = {key.removeprefix("act:") for key in said if key.startswith("act:")}
        acts = [act for act in Act if act in chosen] or None
        if not name:
            return
        made = await forms.attempt(
            page.tr, lambda: tokens.make(page.parts, page.user, name, role, days=days, acts=acts)
        )
        if made is not None:
            self.form.set(people_html.token_shown(made[1], page.tr))
            await self.refresh()

    async def _revoke(self, token_id: str) -> None:
        page, revoke = self.page, tokens.revoke
        done = await forms.attempt(page.tr, lambda: json.dumps(revoke(page.parts, page.user, token_id)))
        if done is not None:
            await self.refresh()
