"""Log-in by the identity provider: there and back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from html import escape
from typing import TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.auth import BROWSER_COOKIE
from api.cookies import is_guarded, keep_cookies
from api.deps import PartsDep, address_of
from api.lock_out import Browser
from api.oidc import WITHIN_S, Provider
from api.pages.frame import LANGUAGE_COOKIE
from api.pages.next_page import local_path
from api.services import vouched
from api.text import DEFAULT
from gateway.errors import GatewayError, RefusedError

COOKIE = "gasgate_oidc"
PATH = "/login/oidc"
_MOST_PARAMETER = 4000
_T = TypeVar("_T")
_room = threading.BoundedSemaphore(4)  # each may wait for a provider that is slow

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)


@router.get(PATH)
def begin(request: Request, parts: PartsDep, next: str = "/") -> Response:  # noqa: A002 - the word in the address
    """Send the browser to the provider."""
    if parts.oidc is None:
        return RedirectResponse("/login", 303)
    try:
        begun = _in_turn(lambda provider: provider.begin(local_path(next)), parts.oidc)
    except GatewayError as error:
        return _back(error)
    answer = RedirectResponse(begun.address, 303)
    guarded = is_guarded(request, parts)
    answer.set_cookie(COOKIE, begun.cookie, max_age=WITHIN_S, path=PATH, httponly=True, samesite="lax", secure=guarded)
    return answer


@router.get(f"{PATH}/callback")
def finish(request: Request, parts: PartsDep) -> Response:
    """Let in whom the provider has sent back."""
    if parts.oidc is None:
        return RedirectResponse("/login", 303)
    said = {name: value[:_MOST_PARAMETER] for name, value in request.query_params.items()}
    try:
        who, after = _in_turn(lambda provider: provider.finish(request.cookies.get(COOKIE, ""), said), parts.oidc)
        browser = Browser.of_cookie(request.cookies.get(BROWSER_COOKIE, ""))
        language = "en" if request.cookies.get(LANGUAGE_COOKIE, DEFAULT) == "en" else DEFAULT
        done = vouched.enter(parts, who, address_of(request), browser, language)
    except GatewayError as error:
        return _back(error)
    # a page of our own goes on: after the provider's redirect the browser would hold the new cookie back
    answer = HTMLResponse(
        f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(local_path(after))}"><title>gasgate</title>',
        headers={"cache-control": "no-store"},
    )
    keep_cookies(answer, done, parts, request)
    answer.delete_cookie(COOKIE, path=PATH)
    return answer


def _in_turn(ask: Callable[[Provider], _T], provider: Provider) -> _T:
    if not _room.acquire(blocking=False):
        raise RefusedError(503, "busy", "too many log-ins at once: try again")
    try:
        return ask(provider)
    finally:
        _room.release()


def _back(error: GatewayError) -> Response:
    """Lead back to the log-in page with the reason; the log has the details, none of them secret."""
    why = error.code if isinstance(error, RefusedError) else "oidc_away"
    log.warning("log-in by the identity provider: %s", error)
    answer = RedirectResponse(f"/login?why={why}", 303)
    answer.delete_cookie(COOKIE, path=PATH)
    return answer
