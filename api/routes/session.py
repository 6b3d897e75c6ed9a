"""Log-in, log-out, who am I, and API tokens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from api.auth import SESSION_COOKIE, SESSION_S, User
from api.deps import PartsDep, Reader, Require, refuse_forms
from api.roles import Act
from api.shapes import LoginBody, TokenBody, plain

router = APIRouter(tags=["session"])
Owner = Annotated[User, Depends(Require(Act.TOKEN_OWN))]


@router.post("/login")
def login(body: LoginBody, request: Request, response: Response, parts: PartsDep) -> dict[str, Any]:
    """Open a session of 12 hours; its text is also set as an http-only cookie."""
    refuse_forms(request)
    peer = request.client.host if request.client else ""
    done = parts.auth.login(body.name, body.password, peer)
    response.set_cookie(
        SESSION_COOKIE,
        done.session,
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return {"session": done.session, "expires_at": done.expires_at_s, **_who(done.user)}


@router.post("/logout", status_code=204)
def logout(request: Request, response: Response, parts: PartsDep, _user: Reader) -> None:
    """End the session of the cookie."""
    parts.auth.logout(request.cookies.get(SESSION_COOKIE, ""))
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")


@router.get("/me")
def me(user: Reader) -> dict[str, Any]:
    """Return who is asking and what that person may do."""
    return _who(user)


@router.get("/tokens")
def tokens(user: Owner, parts: PartsDep) -> list[dict[str, Any]]:
    """Return one's own API tokens; an administrator sees all. Times are us since 1970."""
    return [plain(token) for token in parts.auth.tokens(user)]


@router.post("/tokens", status_code=201)
def make_token(body: TokenBody, user: Owner, parts: PartsDep) -> dict[str, Any]:
    """Make an API token; `token` is shown this once."""
    row, text = parts.auth.make_token(user, body.name, body.role, body.days)
    return {**plain(row), "token": text}


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: Annotated[str, Path(pattern=r"^[a-f0-9]{1,20}$")], user: Owner, parts: PartsDep) -> None:
    """End an API token."""
    parts.auth.revoke(user, token_id)


def _who(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role,
        "language": user.language,
        "may": [act.value for act in Act if user.may(act)],
    }
