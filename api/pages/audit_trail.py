"""The audit trail: who did what, when, to what, from where. A plain form, so that a view is an address."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui

from api.pages.frame import Page, draw_frame, header_html, open_page, panel, refuse_page
from api.pages.parts import audit_html
from api.pages.parts.elements import Html
from api.roles import Act
from api.services import audit_trail
from gateway.errors import RefusedError

PATH = "/audit-trail"
SHOWN = 100


async def build(request: Request) -> RedirectResponse | None:
    """Draw the page; the address says which lines."""
    page = await open_page(request)
    if isinstance(page, RedirectResponse):
        return page
    refuse_page(page, Act.AUDIT_READ)
    draw_frame(page, page.tr("Audit trail"))
    asked = {name: value[:120] for name, value in request.query_params.items()}
    try:
        content = await asyncio.to_thread(_content, page, asked)
    except RefusedError:
        content = audit_html.nothing(page.tr("The time is not one that can be looked for."))
    acts = await asyncio.to_thread(audit_trail.acts, page.parts)
    with ui.element("div").classes("gg"):
        ui.html(header_html(page, PATH), sanitize=False, tag="header").classes("gg-head")
        with ui.element("main").classes("gg-one"), panel(page.tr("Audit trail"), note=page.tr("who did what")):
            Html(audit_html.filters(asked, acts, page.tr), classes="gg-filters")
            Html(content, classes="gg-scroll")
    return None


def _content(page: Page, asked: Mapping[str, str]) -> str:
    before = asked.get("before", "")
    wish = audit_html.filter_of(asked, page.timezone)
    start = int(before) if before.isdecimal() and len(before) < 16 else None
    rows = audit_trail.lines(page.parts, page.user, wish, start, SHOWN + 1)
    return audit_html.lines(rows[:SHOWN], asked, page.tr, page.timezone, more=len(rows) > SHOWN)
