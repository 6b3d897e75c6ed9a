"""The log-in page: plain HTML, so that it is there at once and works with every password manager."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.deps import Parts, PartsDep
from api.pages.frame import LANGUAGE_COOKIE, head_html, static
from api.pages.login_oidc import PATH as OIDC_PATH
from api.pages.next_page import local_path
from api.pages.parts.html import FLAME
from api.text import DEFAULT, LANGUAGES, Texts, mark, texts

router = APIRouter(include_in_schema=False)
_TEXTS = {
    "log_in": mark("Log in"),
    "name": mark("Name"),
    "password": mark("Password"),
    "wrong": mark("Name or password is wrong."),
    "locked": mark("Too many failures. Try again in {minutes} min."),
    "busy": mark("Many people log in at once. Try again."),
    "failed": mark("The gateway does not answer."),
    "simulated": mark("simulated city"),
}
_WHY = {
    "ended": mark("Your session has ended. Log in again."),
    "no_role": mark("Your company account has no role here. Ask an administrator."),
    "disabled": mark("Your account is disabled. Ask an administrator."),
    "name_taken": mark("Somebody else has your name here. Ask an administrator."),
    "oidc_state": mark("This log-in took too long or was begun elsewhere. Begin again."),
    "oidc_failed": mark("The identity provider did not confirm who you are. Begin again."),
    "oidc_away": mark("The identity provider does not answer. Try again, or use a password."),
    "busy": _TEXTS["busy"],
    "too_many": mark("There are too many already."),
}
"""why somebody is back here"""


@router.get("/login", response_class=HTMLResponse)
def login_page(request: Request, parts: PartsDep, next: str = "/", why: str = "") -> str:  # noqa: A002 - in the address
    """Return the form; `why` says in a word what went wrong before."""
    tr = texts(request.cookies.get(LANGUAGE_COOKIE, DEFAULT))
    after = local_path(next)
    others = " · ".join(
        f'<a href="#" data-language="{key}">{name}</a>' for key, name in LANGUAGES.items() if key != tr.language
    )
    text = {key: escape(tr(value)) for key, value in _TEXTS.items()}
    told = escape(tr(_WHY[why])) if why in _WHY else ""
    return f"""<!doctype html><html><head><meta charset="utf-8"><title>{text["log_in"]} · gasgate</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="/static/favicon.svg">
{head_html(tr)}</head>
<body class="gg-login"><form method="post" data-next="{escape(after)}" data-wrong="{text["wrong"]}"
 data-locked="{text["locked"]}" data-busy="{text["busy"]}" data-failed="{text["failed"]}">
<h1>{FLAME}gasgate</h1><p>{escape(parts.site.name)}</p>
{_fields(text) if parts.accounts.passwords else ""}<div role="alert">{told}</div>
{_button(text) if parts.accounts.passwords else ""}{_provider(parts, tr, after)}
<div class="foot"><span>{text["simulated"] if parts.simulated else ""}</span><span>{others}</span></div></form>
<script src="{static("login.js")}"></script></body></html>"""


def _fields(text: dict[str, str]) -> str:
    return (
        f'<label>{text["name"]}<input name="name" autocomplete="username" required autofocus></label>'
        f'<label>{text["password"]}<input name="password" type="password" autocomplete="current-password" required>'
        "</label>"
    )


def _button(text: dict[str, str]) -> str:
    return f'<button class="gg-button primary">{text["log_in"]}</button>'


def _provider(parts: Parts, tr: Texts, after: str) -> str:
    """Return the way to the identity provider, where there is one."""
    if parts.oidc is None:
        return ""
    title = parts.oidc.config.title or tr("Log in with your company account")
    kind = "" if parts.accounts.passwords else " primary"
    return f'<a class="gg-button{kind}" href="{OIDC_PATH}?next={escape(quote(after, safe=""))}">{escape(title)}</a>'
