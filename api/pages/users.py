"""The people who may come in: add them, change role and password, keep out, unlock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api import passwords
from api.pages.frame import Page, draw_frame, header_html, open_page, panel, refuse_page
from api.pages.parts import forms, people_html
from api.pages.parts.elements import Html
from api.pages.trouble import told
from api.roles import Act, Role
from api.services import people
from api.services.people import Person

EVERY_S = 5.0
SUBMIT = (
    "(e) => { e.preventDefault(); emit(e.target.dataset.form,"
    " JSON.stringify(Object.fromEntries(new FormData(e.target)))) }"
)


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    refuse_page(page, Act.USER_MANAGE)
    draw_frame(page, page.tr("People"))
    view = UsersPage(page)
    view.draw()
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class UsersPage:
    """One browser's page of people."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.known: Sequence[Person] = ()
        self.chosen = ""

    def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/users"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-one"), panel(tr("People"), note=tr("who may log in, and as what")):
                add = Html(
                    f'<button class="gg-button" data-add="1">{tr("Add a person")}</button>', classes="gg-in-head"
                )
                add.on_data("add", lambda _value: self._ask_new())
                self.list = Html(classes="gg-scroll").on_data("change", self._ask_change)
        with ui.dialog() as self.dialog, ui.card().classes("gg-dialog"):
            self.form = Html()
            self.form.element.on("submit", self._submitted, js_handler=SUBMIT)

    @told
    async def refresh(self) -> None:
        """Read everybody again and show what differs."""
        page = self.page
        self.known = await asyncio.to_thread(people.people, page.parts, page.user)
        self.list.set(people_html.persons(self.known, page.tr, page.timezone, page.user.name))

    def _ask_new(self) -> None:
        self.chosen = ""
        self._show(people_html.add_form(self.page.tr, passwords.suggest(), self.page.tr.language))

    def _ask_change(self, name: str) -> None:
        found = next((one for one in self.known if one.name == name), None)
        if found is not None:
            self.chosen = name
            self._show(people_html.change_form(found, self.page.tr, passwords.suggest()))

    def _show(self, form: str) -> None:
        self.form.set("")
        self.form.set(form)
        self.dialog.open()

    async def _submitted(self, event: GenericEventArguments) -> None:
        if not isinstance(event.args, list) or len(event.args) != 2:
            return
        what, said = str(event.args[0]), event.args[1]
        act = self._act(what, forms.as_texts(said), forms.secret_of(said, "password"))
        if act is None:
            return
        done = await forms.attempt(self.page.tr, lambda: json.dumps(act(), default=str))
        if done is not None:
            self.dialog.close()
            ui.notify(self.page.tr("Done."), type="positive", position="top")
            await self.refresh()

    def _act(self, what: str, said: dict[str, str], password: str) -> Callable[[], object] | None:
        """Return what a form asks for; a browser may send anything."""
        parts, user, name = self.page.parts, self.page.user, self.chosen
        role = Role(said["role"]) if said.get("role") in set(Role) else Role.VIEWER
        language = "en" if said.get("language") == "en" else "zh"
        acts: dict[str, Callable[[], object]] = {
            "add": lambda: people.add(parts, user, said.get("name", ""), password, role, language=language),
            "role": lambda: people.set_role(parts, user, name, role),
            "password": lambda: people.give_password(parts, user, name, password),
            "disable": lambda: people.set_disabled(parts, user, name, disabled=True),
            "enable": lambda: people.set_disabled(parts, user, name, disabled=False),
            "end": lambda: people.end_sessions(parts, user, name),
            "unlock": lambda: people.unlock(parts, user, name),
        }
        return acts.get(what)
