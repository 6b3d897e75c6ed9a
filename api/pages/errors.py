"""What a person sees where there is no page, and what a program gets there."""

from __future__ import annotations

import logging
from html import escape

from fastapi import Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, JSONResponse, Response
from nicegui import app as pages_app
from starlette.exceptions import HTTPException

from api.pages.frame import LANGUAGE_COOKIE, head_html
from api.pages.parts.html import FLAME
from api.text import DEFAULT, Texts, mark, texts
from gateway.errors import GatewayError

_TITLES = {
    403: mark("Your role may not see this page."),
    404: mark("This page does not exist."),
    500: mark("This page could not be shown."),
    503: mark("This page cannot be read now."),
}
_CODES = {403: "forbidden", 404: "not_found", 500: "internal", 503: "unavailable"}
_HELP = {
    403: mark("Ask an administrator if you need it."),
    404: mark("The address may be mistyped, or the page was moved."),
    500: mark("The fault was noted. Alarms and tickets go on without this page."),
    503: mark("Go by telephone and by the instruments on site. The reason stands in the log of the role web."),
}
_AGAIN_S = 10
"""real seconds after which a page that could not be read is tried again by itself"""

log = logging.getLogger(__name__)


async def refused(request: Request, error: Exception) -> Response:
    """Answer for a page that does not exist or is not for this person."""
    assert isinstance(error, HTTPException)
    endpoint = request.scope.get("endpoint")
    if endpoint is not None and endpoint is not pages_app and not request.scope.get("nicegui_page_path"):
        return await http_exception_handler(request, error)
    return problem(request, error.status_code)


async def failed(request: Request, error: Exception) -> Response:
    """Answer for a page that could not be built."""
    if not request.scope.get("nicegui_page_path"):
        raise error
    if isinstance(error, GatewayError):
        log.warning("the page %s cannot be read: %s", request.url.path, error)
        return problem(request, 503)
    log.error("the page %s could not be shown", request.url.path, exc_info=error)
    return problem(request, 500)


def problem(request: Request, status: int) -> Response:
    """Return a page in the person's language, or a short JSON for programs."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if request.url.path.startswith("/api/") or not wants_page:
        return JSONResponse({"code": _CODES[status]}, status)
    tr = texts(request.cookies.get(LANGUAGE_COOKIE, DEFAULT))
    title = escape(tr(_TITLES[status]))
    again = f'<meta http-equiv="refresh" content="{_AGAIN_S}">' if status == 503 else ""
    return HTMLResponse(
        f"""<!doctype html><html><head><meta charset="utf-8"><title>{title} · gasgate</title>{again}
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="/static/favicon.svg">
{head_html(tr)}</head><body class="gg-login"><main><h1>{FLAME}gasgate</h1><h2>{title}</h2>
<p>{escape(tr(_HELP[status]))}</p>{_ways(status, tr)}
<div class="foot"><span>{status}</span></div></main></body></html>""",
        status,
    )


def _ways(status: int, tr: Texts) -> str:
    again = '<a class="gg-button primary" href="">{}</a>'.format(escape(tr("Try again"))) if status >= 500 else ""
    kind = "" if again else " primary"
    return f'{again}<a class="gg-button{kind}" href="/">{escape(tr("To the control room"))}</a>'
