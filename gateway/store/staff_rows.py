"""Whether somebody who may act on alarms is signed in."""

from __future__ import annotations

from sqlalchemy import Connection, and_, func, or_, select

from gateway.store import tables

DESK_ROLES = ("operator", "manager", "administrator")
"""roles that may acknowledge"""
WATCH_ROLE = "operator"
"""whose session lasts while the page stands open"""
USED_WITHIN_US = 3_600_000_000
"""a session of another role counts as long as it was used lately"""


def desk_is_staffed(connection: Connection, *, now_us: int) -> bool | None:
    """Tell whether anybody who may acknowledge is signed in, at a real moment; None if there is no such person."""
    user, session = tables.user.c, tables.session.c
    able = and_(user.role.in_(DESK_ROLES), ~user.disabled)
    if connection.execute(select(user.name).where(able).limit(1)).first() is None:
        return None
    lately = func.coalesce(session.used_at, session.created_at) > now_us - USED_WITHIN_US
    query = (
        select(session.id)
        .join(tables.user, user.name == session.owner)
        .where(able, session.expires_at > now_us, or_(user.role == WATCH_ROLE, lately))
        .limit(1)
    )
    return connection.execute(query).first() is not None
