"""The audit trail as pages, API and files show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from api.auth import User
from api.deps import Parts
from api.roles import Act
from gateway.errors import RefusedError
from gateway.model.reading import to_us
from gateway.store import user_rows
from gateway.store.user_rows import AuditFilter, AuditRow

_AT_ONCE = 500


def wanted(who: str, act: str, subject: str, first: datetime | None, last: datetime | None) -> AuditFilter:
    """Return which lines are asked for; empty texts ask for nothing. Raises RefusedError 422 for years far away."""
    for moment in (first, last):
        if moment is not None and not 1990 <= moment.year <= 2190:
            raise RefusedError(422, "bad_time", "a year between 1990 and 2190")
    return AuditFilter(
        who.strip(),
        act.strip(),
        subject.strip(),
        None if first is None else to_us(first),
        None if last is None else to_us(last),
    )


def lines(parts: Parts, user: User, wish: AuditFilter, before: int | None, limit: int) -> list[AuditRow]:
    """Return lines with seq < `before`, newest first. Raises RefusedError 401 or 403."""
    parts.auth.permit(user, Act.AUDIT_READ)
    with parts.state.read() as connection:
        return user_rows.list_audit(connection, before, limit, wish)


def count(parts: Parts, wish: AuditFilter) -> int:
    """Return how many lines match."""
    with parts.state.read() as connection:
        return user_rows.count_audit(connection, wish)


def acts(parts: Parts) -> Sequence[str]:
    """Return every act that the trail tells of."""
    with parts.state.read() as connection:
        return user_rows.audit_acts(connection)


def every_line(parts: Parts, user: User, wish: AuditFilter, most: int) -> Iterator[AuditRow]:
    """Yield matching lines, newest first; a short transaction for each few hundred. Raises what `lines` does."""
    before: int | None = None
    told = 0
    while told < most:
        found = lines(parts, user, wish, before, min(_AT_ONCE, most - told))
        yield from found
        if len(found) < _AT_ONCE:
            return
        told += len(found)
        before = found[-1].seq
