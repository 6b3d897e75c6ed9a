"""The log-in page: plain HTML, so that it is there at once and works with every password manager."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.deps import PartsDep
from api.pages.frame import LANGUAGE_COOKIE, head_html, static
from api.pages.parts.html import FLAME
from api.text import DEFAULT, LANGUAGES, mark, texts

router = APIRouter(include_in_schema=False)
_AFTER = ("/", "/loss", "/system")
_TEXTS = {
    "log_in": mark("Log in"),
    "name": mark("Name"),
    "password": mark("Password"),
    "wrong": mark("Name or password is wrong."),
    "locked": mark("Too many failures. Try again in five minutes."),
    "failed": mark("The gateway does not answer."),
    "simulated": mark("simulated city"),
}


@router.get("/login", response_class=HTMLResponse)
def login_page(request: Request, parts: PartsDep, next: str = "/") -> str:  # noqa: A002 - the word in the address
    """Return the form."""
    tr = texts(request.cookies.get(LANGUAGE_COOKIE, DEFAULT))
    after = next if next in _AFTER else "/"
    others = " · ".join(
        f'<a href="#" data-language="{key}">{name}</a>' for key, name in LANGUAGES.items() if key != tr.language
    )
    text = {key: escape(tr(value)) for key, value in _TEXTS.items()}
    return f"""<!doctype html><html><head><meta charset="utf-8"><title>{text["log_in"]} · gasgate</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="/static/favicon.svg">
{head_html(tr)}</head>
<body class="gg-login"><form data-next="{after}" data-wrong="{text["wrong"]}" data-locked="{text["locked"]}"
 data-failed="{text["failed"]}"><h1>{FLAME}gasgate</h1><p>{escape(parts.site.name)}</p>
<label>{text["name"]}<input name="name" autocomplete="username" required autofocus></label>
<label>{text["password"]}<input name="password" type="password" autocomplete="current-password" required></label>
<div role="alert"></div><button class="gg-button primary">{text["log_in"]}</button>
<div class="foot"><span>{text["simulated"] if parts.simulated else ""}</span><span>{others}</span></div></form>
<script src="{static("login.js")}"></script></body></html>"""
