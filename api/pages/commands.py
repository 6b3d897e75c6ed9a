"""Commands to devices: choose an asset, say why, confirm; see what became of it; agree to what others ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import command_html, forms
from api.pages.parts.elements import Html
from api.pages.trouble import told
from api.roles import Act
from api.services import commands
from gateway.model.command import CommandOffer

EVERY_S = 1.0
_SHOWN = 60
_LONGEST_ASSET = 120
_FIND = (
    "(e) => { if (e.type === 'keydown' ? e.key !== 'Enter' : !e.target.closest('[data-find]')) return;"
    "emit(e.currentTarget.querySelector('input').value) }"
)
_GO = (
    "(e) => { const b = e.target.closest('[data-go]'); if (!b) return;"
    "emit(b.dataset.go, e.currentTarget.querySelector('input').value) }"
)


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page; `?asset=` shows what that asset can be told."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Commands"))
    view = CommandsPage(page)
    view.draw(request.query_params.get("asset", "")[:_LONGEST_ASSET])
    await view.refresh()
    ui.timer(EVERY_S, view.refresh, immediate=False)
    return None


class CommandsPage:
    """One browser's page of commands."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.offers: list[CommandOffer] = []
        self.act: Callable[[str], Awaitable[Any]] | None = None
        """what the open question is about; takes the reason"""

    def draw(self, asset: str) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/commands"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-commands"):
                if page.can(Act.COMMAND_CLOSE):
                    with panel(tr("New command")), ui.element("div").classes("gg-order"):
                        form = Html(command_html.form(asset, tr), classes="gg-find")
                        for event in ("click", "keydown"):
                            form.element.on(event, self._find, js_handler=_FIND)
                        self.offered = Html().on_data("choose", self._choose)
                with panel(tr("Commands"), note=tr("what was asked of devices, and what became of it")):
                    self.list = Html(classes="gg-scroll").on_data("decide", self._decide)
        with ui.dialog() as self.dialog, ui.card().classes("gg-dialog"):
            self.question = Html(classes="gg-question")
            self.question.element.on("click", self._go, js_handler=_GO)
        if asset and page.can(Act.COMMAND_CLOSE):
            ui.timer(0.0, lambda: self._show(asset), once=True)

    @told
    async def refresh(self) -> None:
        """Read the commands again and show what differs."""
        page = self.page
        views = await asyncio.to_thread(commands.commands, page.parts, page.user, limit=_SHOWN)
        self.list.set(command_html.listed(views, page.tr, page.timezone, page.now()))

    async def _find(self, event: GenericEventArguments) -> None:
        text = event.args[0] if isinstance(event.args, list) and event.args else event.args
        await self._show(str(text).strip()[:_LONGEST_ASSET])

    async def _show(self, asset: str) -> None:
        """Show what an asset can be told."""
        page = self.page

        async def load() -> None:
            found = await commands.offers(page.parts, asset)
            self.offers = [offer for offer in found if page.can(commands.needed(offer))]
            name = page.parts.network.name_of(asset)
            shown = command_html.offered(asset, name, self._zone(asset), self.offers, page.tr)
            self.offered.set(shown)

        await self._try(load)

    def _choose(self, name: str) -> None:
        """Ask once more before anything happens."""
        offer = next((offer for offer in self.offers if offer.name == name), None)
        if offer is None:
            return
        page, key = self.page, uuid4().hex  # one key for each question: clicking twice asks once

        async def ask(reason: str) -> None:
            await commands.request(page.parts, page.user, offer.asset, offer.name, reason=reason, key=key)

        self._question(offer, ask)

    def _question(self, offer: CommandOffer, act: Callable[[str], Awaitable[Any]], asker: str = "") -> None:
        network = self.page.parts.network
        text = command_html.confirmation(
            offer,
            network.name_of(offer.asset),
            self._zone(offer.asset),
            self.page.tr,
            is_meter=offer.asset in network.meters,
            asker=asker,
        )
        self.act = act
        self.question.set(text)
        self.dialog.open()

    async def _go(self, event: GenericEventArguments) -> None:
        if not isinstance(event.args, list) or len(event.args) != 2:
            return
        act, reason = self.act, str(event.args[1])[:500]
        if not event.args[0] or act is None:
            self.dialog.close()
        elif await self._try(lambda: act(reason)):
            self.dialog.close()
            await self.refresh()

    async def _decide(self, value: str) -> None:
        """Agree, after the same question as the first person's, or turn down at once."""
        word, _, number = value.partition(":")
        if word not in ("approve", "reject") or not number.isdigit() or len(number) > 15:
            return
        page, command_id = self.page, int(number)

        async def decide(reason: str) -> None:
            act = commands.approve if word == "approve" else commands.reject
            await asyncio.to_thread(act, page.parts, page.user, command_id, reason)

        if word == "reject":
            await self._try(lambda: decide(""))
            await self.refresh()
            return

        async def show() -> None:
            view = await asyncio.to_thread(commands.one_command, page.parts, page.user, command_id)
            self._question(view.command.offer, decide, view.command.wish.who)

        await self._try(show)

    async def _try(self, call: Callable[[], Awaitable[Any]]) -> bool:
        """Do something; say plainly why if it was refused."""
        with forms.refusals(self.page.tr, self.page.tr("The gateway's collector is away: nothing was asked for.")):
            await call()
            return True
        return False

    def _zone(self, asset: str) -> str:
        network = self.page.parts.network
        zone = network.zone_of(asset)
        return network.name_of(zone) if zone else ""
