"""API tokens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from api.auth import User
from api.deps import PartsDep, Require
from api.roles import Act
from api.services import tokens
from api.shapes import TokenBody, plain

router = APIRouter(tags=["session"])
Owner = Annotated[User, Depends(Require(Act.TOKEN_OWN))]


@router.get("/tokens")
def list_tokens(user: Owner, parts: PartsDep) -> list[dict[str, Any]]:
    """Return one's own API tokens; an administrator sees all. Times are us since 1970."""
    return [plain(token) for token in tokens.tokens(parts, user)]


@router.post("/tokens", status_code=201)
def make_token(body: TokenBody, user: Owner, parts: PartsDep) -> dict[str, Any]:
    """Make an API token; `token` is shown this once."""
    row, text = tokens.make(parts, user, body.name, body.role, days=body.days, acts=body.acts)
    return {**plain(row), "token": text}


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: Annotated[str, Path(pattern=r"^[a-f0-9]{1,20}$")], user: Owner, parts: PartsDep) -> None:
    """End an API token."""
    tokens.revoke(parts, user, token_id)
