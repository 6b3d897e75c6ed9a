"""Log-in, log-out, who am I, one's own password and sessions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.auth import BROWSER_COOKIE, SESSION_COOKIE, User
from api.cookies import keep_cookies
from api.deps import Anybody, PartsDep, address_of, refuse_others
from api.lock_out import Browser
from api.roles import Act
from api.services import people
from api.shapes import LoginBody, OwnPasswordBody

router = APIRouter(tags=["session"])


@router.post("/login")
def login(body: LoginBody, request: Request, response: Response, parts: PartsDep) -> dict[str, Any]:
    """Open a session; its text is also set as an http-only cookie."""
    refuse_others(request)
    browser = Browser.of_cookie(request.cookies.get(BROWSER_COOKIE, ""))
    done = parts.auth.login(body.name, body.password, address_of(request), browser)
    keep_cookies(response, done, parts, request)
    return {"session": done.session, "expires_at": done.expires_at_s, **_who(done.user)}


@router.post("/logout", status_code=204)
def logout(request: Request, response: Response, parts: PartsDep, _user: Anybody) -> None:
    """End the session of the cookie."""
    parts.auth.logout(request.cookies.get(SESSION_COOKIE, ""))
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")


@router.get("/me")
def me(user: Anybody) -> dict[str, Any]:
    """Return who is asking and what that person may do."""
    return _who(user)


@router.post("/me/password", status_code=204)
def own_password(body: OwnPasswordBody, user: Anybody, parts: PartsDep) -> None:
    """Change one's own password; all other sessions end."""
    people.own_password(parts, user, body.before, body.after)


@router.get("/me/sessions")
def own_sessions(user: Anybody, parts: PartsDep) -> list[dict[str, Any]]:
    """Return one's own sessions. Times are us since 1970; `here` is the one that asks."""
    here = user.credential.removeprefix("gs_")
    return [
        {
            "created_at": row.created_at,
            "used_at": row.used_at,
            "expires_at": row.expires_at,
            "origin": row.origin,
            "here": row.id == here,
        }
        for row in people.own_sessions(parts, user)
    ]


@router.post("/me/sessions/end")
def end_others(user: Anybody, parts: PartsDep) -> dict[str, int]:
    """End one's own sessions but this one."""
    return {"ended": people.end_others(parts, user)}


def _who(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role,
        "language": user.language,
        "must_change": user.must_change,
        "may": [act.value for act in Act if user.may(act)],
    }
