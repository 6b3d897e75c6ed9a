"""The cookies that a browser keeps after a log-in."""

from __future__ import annotations

from fastapi import Request, Response

from api.auth import BROWSER_COOKIE, SESSION_COOKIE, Login
from api.deps import Parts

_BROWSER_S = 400 * 86_400


def keep_cookies(response: Response, done: Login, parts: Parts, request: Request) -> None:
    """Let a browser keep its new session, and that it is known."""
    for name, value, seconds in (
        (SESSION_COOKIE, done.session, parts.accounts.session_s),
        (BROWSER_COOKIE, done.browser.cookie, _BROWSER_S),
    ):
        response.set_cookie(
            name, value, max_age=seconds, httponly=True, samesite="strict", secure=is_guarded(request, parts)
        )


def is_guarded(request: Request, parts: Parts) -> bool:
    """Say whether browsers reach this over HTTPS: a cookie then never goes another way."""
    return request.url.scheme == "https" or parts.public_url.startswith("https:")
