"""What every page has: head, language, theme, clock, and who is looking."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import app as pages_app
from nicegui import ui
from starlette.exceptions import HTTPException

from api.auth import User
from api.deps import Parts, user_of
from api.pages import style_sheet, trouble, welcome
from api.pages.navigation import navigation_html
from api.pages.parts import words
from api.pages.parts.charts import PALETTES, Palette
from api.pages.parts.html import FLAME
from api.pages.trouble import Reading
from api.roles import Act
from api.services.live import Board
from api.services.pulse import Pulse
from api.services.site_time import offset_ms, zone_label
from api.text import LANGUAGES, Texts, texts
from gateway.errors import GatewayError

LANGUAGE_COOKIE = "gasgate_language"
THEME_COOKIE = "gasgate_theme"
DENSITY_COOKIE = "gasgate_density"
STATIC = Path(__file__).parents[1] / "static"
_SUN = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.800" stroke-linecap="round" '
    'aria-hidden="true">'
    '<circle cx="12" cy="12" r="4.500"/><path d="M12 2v2.500M12 19.500V22M2 12h2.500M19.500 12H22M5 5l1.800 '
    "1.800M17.200 17.200 19 19M19 5l-1.800 "
    '1.800M6.800 17.200 5 19"/></svg>'
)
_OUT = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.800" stroke-linecap="round" '
    'stroke-linejoin="round" '
    'aria-hidden="true"><path d="M14 4h5v16h-5M4 12h11M11 8l4 4-4 4"/></svg>'
)


@dataclass(frozen=True)
class Page:
    """One browser's page: parts, person, language and theme."""

    parts: Parts
    board: Board
    pulse: Pulse
    user: User
    tr: Texts
    theme: str
    reading: Reading = field(default_factory=Reading)

    @property
    def timezone(self) -> str:
        """The site's time zone."""
        return self.parts.site.gas_day.timezone

    @property
    def palette(self) -> Palette:
        """The charts' colours."""
        return PALETTES[self.theme]

    def now(self) -> datetime:
        """Return the site's time."""
        return self.parts.clock.now()

    def can(self, act: Act) -> bool:
        """Return True if the person may do an act."""
        return self.user.may(act)


ACCOUNT = "/account"
SESSION_EVERY_S = 10.0
"""how long an open page may go on showing things after its session has ended, at most"""


async def open_page(request: Request) -> Page | RedirectResponse:
    """Return the page of whoever is logged in, else the way to the log-in, or to the password that must be changed."""
    request.scope["app"] = pages_app
    user = await asyncio.to_thread(user_of, request)
    if user is None or not user.by_cookie:  # pages are for people; a token is for the API, within its scope
        return RedirectResponse(f"/login?next={quote(request.url.path)}", status_code=303)
    if user.must_change and request.url.path != ACCOUNT:
        return RedirectResponse(ACCOUNT, status_code=303)
    state = pages_app.state
    language = request.cookies.get(LANGUAGE_COOKIE, user.language)
    theme = "light" if request.cookies.get(THEME_COOKIE) == "light" else "dark"
    return Page(state.parts, state.board, state.pulse, user, texts(language), theme)


def refuse_page(page: Page, act: Act) -> None:
    """Show that a page is not for this role. Raises HTTPException 403."""
    if not page.can(act):
        raise HTTPException(403)


def head_html(page_texts: Texts, clock: str = "") -> str:
    """Return what goes into a page's head; the theme is set before anything is drawn."""
    language = "zh-CN" if page_texts.language == "zh" else "en"
    return (
        f'<link rel="stylesheet" href="{style_sheet.address()}"><script src="{static("gasgate.js")}"></script>'
        f'<script>document.documentElement.lang="{language}";{clock}</script>'
    )


def static(name: str) -> str:
    """Return the address of a static file, new whenever the file is."""
    return f"/static/{name}?v={(STATIC / name).stat().st_mtime_ns:x}"


_SKIP = "const m = document.querySelector('.gg main'); m.tabIndex = -1; m.focus(); return false"
_FACTOR_HERE = "\ufffc"
_STANDS = 1e-3
"""a city whose time runs no faster than this has been told to stand"""


def draw_frame(page: Page, title: str) -> None:
    """Put the head, the banner of a lost connection and the theme into the page."""
    tr = page.tr
    ui.context.client.page_container.default_slot.children[0].tag = "div"  # the page has a <main> of its own
    ui.page_title(f"{title} · {page.parts.site.name} · gasgate")
    ui.add_head_html(head_html(tr, _clock_script(page)))
    ui.dark_mode(page.theme == "dark")
    ui.html(f'<a class="gg-skip" href="#" onclick="{_SKIP}">{escape(tr("To the content"))}</a>', sanitize=False)
    lost = escape(tr("Connection lost. What you see may be old. Trying again…"))
    ui.html(f'<div id="gg-lost" role="alert">{lost}</div>', sanitize=False)
    trouble.draw(page)
    welcome.draw(page)
    # somebody may change the pace of a simulated city
    every_s = 2.0 if page.parts.simulated else 60.0
    ui.timer(every_s, lambda: ui.run_javascript(_clock_script(page)))
    ui.timer(SESSION_EVERY_S, lambda: _end_with_session(page), immediate=False)


async def _end_with_session(page: Page) -> None:
    """Lead an open page to the log-in once its session has ended, and send it nothing more."""
    try:
        if await asyncio.to_thread(page.parts.auth.still, page.user) is not None:
            return
    except GatewayError:
        return
    client = ui.context.client
    ui.run_javascript("location.replace('/login?why=ended&next=' + encodeURIComponent(location.pathname))")
    await asyncio.sleep(1.0)
    client.delete()


def _clock_script(page: Page) -> str:
    clock = page.parts.clock
    shift = offset_ms(page.timezone, clock.now())
    return f"gasgate.setClock({clock.now_us() / 1000:.0f},{1 / clock.real_seconds(1.0):g},{shift})"


def header_html(page: Page, current: str) -> str:
    """Return the head line: site, pages, clock, person, language, theme."""
    tr = page.tr
    sections, places = navigation_html(tr, page.user, current)
    simulated = ""
    if page.parts.simulated:
        factor = 1 / page.parts.clock.real_seconds(1.0)
        shown = f"<span data-factor>{factor if factor > _STANDS else 0:g}</span>"
        label = escape(tr("simulated city, time ×{factor}", factor=_FACTOR_HERE)).replace(_FACTOR_HERE, shown)
        simulated = f'<span class="gg-tag">{label}</span>'
    other = next(language for language in LANGUAGES if language != tr.language)
    role = escape(tr(words.ROLES[page.user.role]))
    return (
        f'<a class="gg-brand" href="/">{FLAME}gasgate<span>{escape(page.parts.site.name)}</span></a>'
        f'{sections}<div class="gg-space"></div>'
        f'<div class="gg-head-right">{simulated}<div class="gg-time"><span data-clock="date"></span><b '
        'data-clock="time"></b>'
        f"<span>{zone_label(page.timezone, page.now())}</span></div>"
        f'<a class="gg-user" href="{ACCOUNT}" title="{escape(tr("Your account"))}"><b title="{role}">'
        f"{escape(page.user.name)}</b> <span>{role}</span></a><div>"
        f'<button class="gg-icon" onclick="gasgate.language({escape(json.dumps(other))})" '
        f'data-language="{other}">{LANGUAGES[other]}</button>'
        f'<button class="gg-icon" onclick="gasgate.theme()" aria-label="{escape(tr("Light or dark"))}" '
        f'title="{escape(tr("Light or dark"))}">{_SUN}</button>'
        f'<button class="gg-icon" onclick="gasgate.logout()" aria-label="{escape(tr("Log out"))}" '
        f'title="{escape(tr("Log out"))}">{_OUT}</button></div></div>{places}'
    )


def panel(title: str, classes: str = "", note: str = "") -> Any:
    """Return an open panel with its heading; use it in a `with`."""
    box = ui.element("section").classes(f"gg-panel {classes}")
    with box:
        small = f"<small>{escape(note)}</small>" if note else ""
        ui.html(f"<h2>{escape(title)}</h2>{small}", sanitize=False, tag="header")
    return box
