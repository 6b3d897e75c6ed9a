"""Rows about people: users, sessions, API tokens and the audit trail.

Times of sessions and tokens are us UTC of real time, those of the audit trail of the site's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, desc, func, insert, select, update

from gateway.store import tables
from gateway.store.state import upsert


@dataclass(frozen=True, slots=True)
class UserRow:
    """One person who may log in."""

    name: str
    password_hash: str
    role: str
    language: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A session or an API token: what proves it, until when, and whose it is."""

    id: str
    hash: str
    expires_at: int | None
    role: str
    """what it may do; a session's is its user's"""
    user: UserRow


@dataclass(frozen=True, slots=True)
class TokenRow:
    """An API token as its owner sees it; the secret half is never kept."""

    id: str
    name: str
    owner: str
    role: str
    created_at: int
    expires_at: int | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what, when and to what."""

    seq: int
    at: int
    who: str
    act: str
    subject: str
    detail: Mapping[str, Any]


def save_user(connection: Connection, user: UserRow, now_us: int) -> None:
    """Add a user, or change the one of this name."""
    upsert(
        connection,
        tables.user,
        {"name": user.name},
        {
            "password_hash": user.password_hash,
            "role": user.role,
            "language": user.language,
            "disabled": user.disabled,
            "created_at": now_us,
        },
    )


def find_user(connection: Connection, name: str) -> UserRow | None:
    """Return the user of this name."""
    row = connection.execute(select(tables.user).where(tables.user.c.name == name)).mappings().first()
    return None if row is None else _user(row)


def list_users(connection: Connection) -> list[UserRow]:
    """Return all users by name."""
    rows = connection.execute(select(tables.user).order_by(tables.user.c.name)).mappings()
    return [_user(row) for row in rows]


def add_session(
    connection: Connection, session_id: str, owner: str, secret_hash: str, *, created_at: int, expires_at: int
) -> None:
    """Open a session and drop those that ended."""
    connection.execute(delete(tables.session).where(tables.session.c.expires_at <= created_at))
    connection.execute(
        insert(tables.session).values(
            id=session_id, owner=owner, hash=secret_hash, created_at=created_at, expires_at=expires_at
        )
    )


def find_session(connection: Connection, session_id: str) -> CredentialRow | None:
    """Return a session with its user; the caller checks time and secret."""
    query = (
        select(tables.user, tables.session.c.id, tables.session.c.hash, tables.session.c.expires_at)
        .join(tables.session, tables.session.c.owner == tables.user.c.name)
        .where(tables.session.c.id == session_id)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    user = _user(row)
    return CredentialRow(row["id"], row["hash"], row["expires_at"], user.role, user)


def end_session(connection: Connection, session_id: str) -> None:
    """Forget a session."""
    connection.execute(delete(tables.session).where(tables.session.c.id == session_id))


def end_sessions_of(connection: Connection, owner: str) -> None:
    """Forget every session of a user."""
    connection.execute(delete(tables.session).where(tables.session.c.owner == owner))


def add_token(connection: Connection, token: TokenRow, secret_hash: str) -> None:
    """Keep a new API token."""
    connection.execute(
        insert(tables.api_token).values(
            id=token.id,
            name=token.name,
            owner=token.owner,
            hash=secret_hash,
            role=token.role,
            created_at=token.created_at,
            expires_at=token.expires_at,
            revoked=token.revoked,
        )
    )


def find_token(connection: Connection, token_id: str) -> CredentialRow | None:
    """Return a token that was not revoked, with its owner; the caller checks time and secret."""
    token = tables.api_token
    query = (
        select(tables.user, token.c.id, token.c.hash, token.c.expires_at, token.c.role.label("token_role"))
        .join(token, token.c.owner == tables.user.c.name)
        .where(token.c.id == token_id, token.c.revoked.is_(False))
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return CredentialRow(row["id"], row["hash"], row["expires_at"], row["token_role"], _user(row))


def list_tokens(connection: Connection, owner: str | None = None) -> list[TokenRow]:
    """Return the tokens of one owner, or all; newest first."""
    query = select(tables.api_token).order_by(desc(tables.api_token.c.created_at), tables.api_token.c.id)
    if owner is not None:
        query = query.where(tables.api_token.c.owner == owner)
    return [
        TokenRow(r["id"], r["name"], r["owner"], r["role"], r["created_at"], r["expires_at"], r["revoked"])
        for r in connection.execute(query).mappings()
    ]


def revoke_token(connection: Connection, token_id: str) -> bool:
    """End a token for good; False if there is none of this id."""
    done = connection.execute(update(tables.api_token).where(tables.api_token.c.id == token_id).values(revoked=True))
    return done.rowcount == 1


def add_audit(
    connection: Connection, at_us: int, who: str, act: str, *, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Write one line of the audit trail."""
    connection.execute(
        insert(tables.audit).values(at=at_us, who=who, act=act, subject=subject, detail=dict(detail or {}))
    )


def add_audit_once(
    connection: Connection, at_us: int, who: str, act: str, *, subject: str, detail: Mapping[str, Any]
) -> bool:
    """Write one line of the audit trail unless there is one of this act about this subject; True if it was new."""
    same = select(tables.audit.c.seq).where(tables.audit.c.act == act, tables.audit.c.subject == subject).limit(1)
    if connection.execute(same).first() is not None:
        return False
    add_audit(connection, at_us, who, act, subject=subject, detail=detail)
    return True


def list_audit(connection: Connection, before: int | None, limit: int) -> list[AuditRow]:
    """Return lines of the audit trail with seq < `before`, newest first."""
    query = select(tables.audit).order_by(desc(tables.audit.c.seq)).limit(limit)
    if before is not None:
        query = query.where(tables.audit.c.seq < before)
    return [
        AuditRow(r["seq"], r["at"], r["who"], r["act"], r["subject"], r["detail"])
        for r in connection.execute(query).mappings()
    ]


def count_audit(connection: Connection) -> int:
    """Return how many lines the audit trail has."""
    return int(connection.execute(select(func.count()).select_from(tables.audit)).scalar_one())


def _user(row: Mapping[Any, Any]) -> UserRow:
    return UserRow(row["name"], row["password_hash"], row["role"], row["language"], bool(row["disabled"]))
