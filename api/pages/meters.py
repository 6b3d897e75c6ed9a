"""The meters: found by id, account or address, page by page; the address of the page keeps what was asked."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages.frame import Page, draw_frame, header_html, open_page, panel
from api.pages.parts import forms, meters_html, words
from api.pages.parts.elements import Html
from api.pages.parts.paging import Paging
from api.pages.trouble import told
from api.roles import Act
from api.services import meters
from api.services.meters import Wanted
from api.services.newest import Newest, newest
from gateway.errors import RefusedError, TransientError
from gateway.model.network import Meter
from gateway.model.reading import point_id

ROWS = 50
_LONGEST = 120
_TYPED = (
    "(e) => { clearTimeout(window.ggTyped); const form = e.currentTarget.querySelector('form');"
    "window.ggTyped = setTimeout(() => emit(JSON.stringify(Object.fromEntries(new FormData(form)))),"
    " e.type === 'input' && e.target.name === 'text' ? 250 : 0) }"
)


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page; the address may say what to look for."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    draw_frame(page, page.tr("Meters"))
    view = MetersPage(page, _wanted(dict(request.query_params)))
    await view.draw()
    await view.load()
    return None


def _wanted(asked: dict[str, str]) -> Wanted:
    """Return what a form or an address asks for, bounded; what is no word of ours asks for nothing."""
    known = {name: asked.get(name, "").strip()[:_LONGEST] for name in ("zone", "kind", "customer_class", "account")}
    return Wanted(text=asked.get("text", "")[: meters.LONGEST_TEXT], role=asked.get("role", "")[:20], **known)


class MetersPage:
    """One browser's search for meters."""

    def __init__(self, page: Page, wanted: Wanted) -> None:
        self.page = page
        self.wanted = wanted
        self.paging = Paging()
        self.asked = 0

    async def draw(self) -> None:
        """Lay the page out."""
        page, tr = self.page, self.page.tr
        classes = await asyncio.to_thread(meters.classes, page.parts.network)
        with ui.element("div").classes("gg"):
            ui.html(header_html(page, "/meters"), sanitize=False, tag="header").classes("gg-head")
            with ui.element("main").classes("gg-single"), panel(tr("Meters"), "grow-2", self._note()):
                form = meters_html.tools(
                    tr, self.wanted, page.parts.network, classes, by_customer=page.can(Act.CUSTOMER_READ)
                )
                tools = Html(form, classes="gg-search")
                for event in ("input", "change", "submit"):
                    tools.element.on(event, self._typed, js_handler=_TYPED)
                self.list = Html(classes="gg-scroll")
                self.foot = Html(classes="gg-foot").on_data("page", self._turn)

    def _note(self) -> str:
        return self.page.tr("{count} meters", count=f"{len(self.page.parts.network.meters):,}".replace(",", "\u2009"))

    @told
    async def load(self) -> None:
        """Find the meters and show them with their newest register; only the last of several searches is shown."""
        page, tr = self.page, self.page.tr
        self.asked += 1
        number = self.asked
        try:
            found = await asyncio.to_thread(
                meters.find_meters, page.parts, page.user, self.wanted, after=self.paging.after, limit=ROWS
            )
        except RefusedError as error:
            self.list.set(meters_html.said(words.refusal(error.code, tr)))
            self.foot.set("")
            return
        heard, problem = await self._registers(found.meters)
        if number != self.asked:
            return
        names = page.parts.network.name_of
        self.list.set(meters_html.listed(found.meters, heard, tr, page.timezone, page.now(), names))
        asked = {name: value for name, value in _address(self.wanted).items() if value}
        self.foot.set(meters_html.foot(tr, self.paging.number, found.after, asked, problem))
        self.paging.found(found.after)

    async def _registers(self, found: tuple[Meter, ...]) -> tuple[dict[str, Newest], bool]:
        try:
            points = [point_id(meter.meter_id, meter.register) for meter in found]
            heard = await newest(self.page.parts, points)
        except TransientError:
            return {}, True
        return {point.partition("/")[0]: one for point, one in heard.items()}, False

    async def _typed(self, event: GenericEventArguments) -> None:
        wanted = _wanted(forms.fields(event))
        if wanted == self.wanted:
            return
        self.wanted = wanted
        self.paging.restart()
        query = urlencode({name: value for name, value in _address(wanted).items() if value})
        ui.run_javascript(f"history.replaceState(null, '', '/meters{'?' if query else ''}{query}')")
        await self.load()

    async def _turn(self, way: str) -> None:
        if self.paging.turn(way):
            await self.load()


def _address(wanted: Wanted) -> dict[str, str]:
    return {
        "text": wanted.text.strip(),
        "zone": wanted.zone,
        "kind": wanted.kind,
        "customer_class": wanted.customer_class,
        "account": wanted.account,
    }
