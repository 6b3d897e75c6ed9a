"""The people who may come in, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from api.auth import User
from api.deps import PartsDep, Require
from api.roles import Act
from api.services import people
from api.shapes import PasswordBody, RoleBody, UserBody, plain

router = APIRouter(tags=["users"])
Administrator = Annotated[User, Depends(Require(Act.USER_MANAGE))]
PersonName = Annotated[str, Path(min_length=1, max_length=120)]


@router.get("/users")
def users(user: Administrator, parts: PartsDep) -> list[dict[str, Any]]:
    """Return everybody by name. Times are us since 1970."""
    return [plain(person) for person in people.people(parts, user)]


@router.post("/users", status_code=201)
def add_user(body: UserBody, user: Administrator, parts: PartsDep) -> dict[str, Any]:
    """Add a person with a first password, which they must change."""
    people.add(parts, user, body.name, body.password, body.role, language=body.language)
    return {"name": body.name, "role": body.role, "language": body.language}


@router.post("/users/{name}/role", status_code=204)
def set_role(name: PersonName, body: RoleBody, user: Administrator, parts: PartsDep) -> None:
    """Give another role; the person's sessions end."""
    people.set_role(parts, user, name, body.role)


@router.post("/users/{name}/disable", status_code=204)
def disable(name: PersonName, user: Administrator, parts: PartsDep) -> None:
    """Keep somebody out; their sessions end."""
    people.set_disabled(parts, user, name, disabled=True)


@router.post("/users/{name}/enable", status_code=204)
def enable(name: PersonName, user: Administrator, parts: PartsDep) -> None:
    """Let somebody in again."""
    people.set_disabled(parts, user, name, disabled=False)


@router.post("/users/{name}/password", status_code=204)
def give_password(name: PersonName, body: PasswordBody, user: Administrator, parts: PartsDep) -> None:
    """Give a new password, which the person must change; their sessions end."""
    people.give_password(parts, user, name, body.password)


@router.post("/users/{name}/end-sessions")
def end_sessions(name: PersonName, user: Administrator, parts: PartsDep) -> dict[str, int]:
    """End somebody's sessions."""
    return {"ended": people.end_sessions(parts, user, name)}


@router.post("/users/{name}/unlock")
def unlock(name: PersonName, user: Administrator, parts: PartsDep) -> dict[str, bool]:
    """Let somebody log in again before the lock-out is over."""
    return {"was_locked": people.unlock(parts, user, name)}
