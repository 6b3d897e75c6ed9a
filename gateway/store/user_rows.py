"""Rows about people and what they did: users and the audit trail.

The moment of a line of the audit trail is us UTC of the site's clock; other times are real time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, desc, func, insert, or_, select, update

from gateway.store import audit_origin, tables
from gateway.store.state import upsert

MOST_USERS = 2000


@dataclass(frozen=True, slots=True)
class UserRow:
    """One person who may log in."""

    name: str
    password_hash: str = field(repr=False)
    """empty for a person whom an identity provider vouches for"""
    role: str
    language: str
    disabled: bool
    issuer: str | None = None
    """identity provider that vouches for this person; None = a local password"""
    subject: str | None = None
    """the provider's own name for this person"""
    must_change: bool = False
    """True until the password, which somebody else chose, was changed"""
    last_login_at: int | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what, when, to what, and from where."""

    seq: int
    at: int
    who: str
    act: str
    subject: str
    detail: Mapping[str, Any]
    origin: str = ""
    """network address; empty = the gateway itself or a command line"""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines of the audit trail are wanted; what is empty is not asked for."""

    who: str = ""
    act: str = ""
    """an act, or its beginning up to a dot: `alarm` finds `alarm.acknowledge`"""
    subject: str = ""
    """any part of the subject"""
    first: int | None = None
    """us UTC of the site's clock, inclusive"""
    last: int | None = None
    """us UTC of the site's clock, exclusive"""


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
            "issuer": user.issuer,
            "subject": user.subject,
            "must_change": user.must_change,
            "created_at": now_us,
        },
    )


def find_user(connection: Connection, name: str) -> UserRow | None:
    """Return the user of this name."""
    row = connection.execute(select(tables.user).where(tables.user.c.name == name)).mappings().first()
    return None if row is None else user_of_row(row)


def find_vouched(connection: Connection, issuer: str, subject: str) -> UserRow | None:
    """Return the user for whom an identity provider vouches under this name of its own."""
    query = select(tables.user).where(tables.user.c.issuer == issuer, tables.user.c.subject == subject)
    row = connection.execute(query).mappings().first()
    return None if row is None else user_of_row(row)


def list_users(connection: Connection) -> list[UserRow]:
    """Return all users by name."""
    rows = connection.execute(select(tables.user).order_by(tables.user.c.name).limit(MOST_USERS)).mappings()
    return [user_of_row(row) for row in rows]


def count_users(connection: Connection) -> int:
    """Return how many users there are."""
    return int(connection.execute(select(func.count()).select_from(tables.user)).scalar_one())


def set_user(connection: Connection, name: str, **values: str | bool | int | None) -> None:
    """Change columns of a user."""
    connection.execute(update(tables.user).where(tables.user.c.name == name).values(**values))


def add_audit(
    connection: Connection, at_us: int, who: str, act: str, *, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Write one line of the audit trail, with the address that `audit_origin.current` tells."""
    origin = audit_origin.current.get()
    if origin is not None:
        origin.written += 1
    connection.execute(
        insert(tables.audit).values(
            at=at_us,
            who=who,
            act=act,
            subject=subject,
            detail=dict(detail or {}),
            origin=None if origin is None else origin.address[:60],
        )
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


def list_audit(
    connection: Connection, before: int | None, limit: int, wanted: AuditFilter | None = None
) -> list[AuditRow]:
    """Return lines of the audit trail with seq < `before`, newest first."""
    query = select(tables.audit).order_by(desc(tables.audit.c.seq)).limit(limit)
    if before is not None:
        query = query.where(tables.audit.c.seq < before)
    if wanted is not None:
        query = _matching(query, wanted)
    return [
        AuditRow(r["seq"], r["at"], r["who"], r["act"], r["subject"], r["detail"], r["origin"] or "")
        for r in connection.execute(query).mappings()
    ]


def count_audit(connection: Connection, wanted: AuditFilter | None = None) -> int:
    """Return how many lines the audit trail has, or how many match."""
    query = select(func.count()).select_from(tables.audit)
    return int(connection.execute(query if wanted is None else _matching(query, wanted)).scalar_one())


def audit_acts(connection: Connection) -> Sequence[str]:
    """Return every act that the audit trail tells of."""
    return list(connection.execute(select(tables.audit.c.act).distinct().order_by(tables.audit.c.act)).scalars())


def _matching(query: Select[Any], wanted: AuditFilter) -> Select[Any]:
    audit = tables.audit.c
    if wanted.who:
        query = query.where(audit.who == wanted.who)
    if wanted.act:
        query = query.where(or_(audit.act == wanted.act, audit.act.startswith(f"{wanted.act}.", autoescape=True)))
    if wanted.subject:
        query = query.where(audit.subject.contains(wanted.subject, autoescape=True))
    if wanted.first is not None:
        query = query.where(audit.at >= wanted.first)
    if wanted.last is not None:
        query = query.where(audit.at < wanted.last)
    return query


def user_of_row(row: Mapping[Any, Any]) -> UserRow:
    """Return the user in a row that holds all columns of its table."""
    return UserRow(
        row["name"],
        row["password_hash"],
        row["role"],
        row["language"],
        bool(row["disabled"]),
        row["issuer"],
        row["subject"],
        bool(row["must_change"]),
        row["last_login_at"],
    )
