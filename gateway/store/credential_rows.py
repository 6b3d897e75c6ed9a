"""Rows about what proves who somebody is: sessions, API tokens, known browsers; and log-ins that failed.

Times are us UTC of real time. Only hashes of secrets are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, desc, func, insert, select, update

from gateway.store import tables
from gateway.store.state import upsert
from gateway.store.user_rows import UserRow, user_of_row

MOST_BROWSERS = 20
"""known browsers of one person; the one that was used longest ago is forgotten"""
MOST_FAILURES = 10_000
"""counts of failed log-ins; the oldest is forgotten"""


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A session or an API token: what proves it, until when, and whose it is."""

    id: str
    hash: str
    expires_at: int | None
    used_at: int | None
    role: str
    """what it may do; a session's is its user's"""
    acts: tuple[str, ...] | None
    """what it may do at most; None = all that its role may"""
    origin: str
    """address that logged in; empty for a token"""
    user: UserRow


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as its owner sees it."""

    id: str
    owner: str
    created_at: int
    expires_at: int
    used_at: int | None
    origin: str


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
    acts: tuple[str, ...] | None = None
    """None = all that its role may"""
    last_used_at: int | None = None


def add_session(connection: Connection, session: SessionRow, secret_hash: str) -> None:
    """Open a session and drop those that ended."""
    connection.execute(delete(tables.session).where(tables.session.c.expires_at <= session.created_at))
    connection.execute(
        insert(tables.session).values(
            id=session.id,
            owner=session.owner,
            hash=secret_hash,
            created_at=session.created_at,
            expires_at=session.expires_at,
            used_at=session.used_at,
            origin=session.origin[:60],
        )
    )


def find_session(connection: Connection, session_id: str) -> CredentialRow | None:
    """Return a session with its user; the caller checks time and secret."""
    session = tables.session
    query = (
        select(tables.user, session.c.id, session.c.hash, session.c.expires_at, session.c.used_at, session.c.origin)
        .join(session, session.c.owner == tables.user.c.name)
        .where(session.c.id == session_id)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    user = user_of_row(row)
    return CredentialRow(
        row["id"], row["hash"], row["expires_at"], row["used_at"], user.role, None, row["origin"] or "", user
    )


def list_sessions(connection: Connection, now_us: int, owner: str | None = None) -> list[SessionRow]:
    """Return the sessions that have not reached their last moment, newest first; of one owner, or all."""
    session = tables.session
    query = select(session).where(session.c.expires_at > now_us).order_by(desc(session.c.created_at), session.c.id)
    if owner is not None:
        query = query.where(session.c.owner == owner)
    return [
        SessionRow(r["id"], r["owner"], r["created_at"], r["expires_at"], r["used_at"], r["origin"] or "")
        for r in connection.execute(query.limit(5000)).mappings()
    ]


def touch_session(connection: Connection, session_id: str, now_us: int) -> None:
    """Note that a session was used."""
    connection.execute(update(tables.session).where(tables.session.c.id == session_id).values(used_at=now_us))


def end_session(connection: Connection, session_id: str) -> None:
    """Forget a session."""
    connection.execute(delete(tables.session).where(tables.session.c.id == session_id))


def end_sessions_of(connection: Connection, owner: str, *, but: str = "") -> int:
    """Forget the sessions of a user, maybe but one, and return how many there were."""
    session = tables.session
    return connection.execute(delete(session).where(session.c.owner == owner, session.c.id != but)).rowcount


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
            acts=None if token.acts is None else list(token.acts),
        )
    )


def find_token(connection: Connection, token_id: str) -> CredentialRow | None:
    """Return a token that was not revoked, with its owner; the caller checks time and secret."""
    token = tables.api_token
    columns = (token.c.id, token.c.hash, token.c.expires_at, token.c.last_used_at, token.c.acts)
    query = (
        select(tables.user, *columns, token.c.role.label("token_role"))
        .join(token, token.c.owner == tables.user.c.name)
        .where(token.c.id == token_id, token.c.revoked.is_(False))
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return CredentialRow(
        row["id"],
        row["hash"],
        row["expires_at"],
        row["last_used_at"],
        row["token_role"],
        _acts(row["acts"]),
        "",
        user_of_row(row),
    )


def list_tokens(connection: Connection, owner: str | None = None) -> list[TokenRow]:
    """Return the tokens of one owner, or all; newest first."""
    query = select(tables.api_token).order_by(desc(tables.api_token.c.created_at), tables.api_token.c.id)
    if owner is not None:
        query = query.where(tables.api_token.c.owner == owner)
    return [_token(row) for row in connection.execute(query.limit(5000)).mappings()]


def touch_token(connection: Connection, token_id: str, now_us: int) -> None:
    """Note that a token was used."""
    token = tables.api_token
    connection.execute(update(token).where(token.c.id == token_id).values(last_used_at=now_us))


def revoke_token(connection: Connection, token_id: str) -> bool:
    """End a token for good; False if there is none of this id that was not ended already."""
    token = tables.api_token
    done = connection.execute(
        update(token).where(token.c.id == token_id, token.c.revoked.is_(False)).values(revoked=True)
    )
    return done.rowcount == 1


def revoke_tokens_of(connection: Connection, owner: str) -> int:
    """End every token of a user and return how many there were."""
    token = tables.api_token
    alive = update(token).where(token.c.owner == owner, token.c.revoked.is_(False))
    return connection.execute(alive.values(revoked=True)).rowcount


def know_browser(connection: Connection, browser_id: str, owner: str, secret_hash: str, now_us: int) -> None:
    """Remember that somebody logged in in a browser; beyond a bound the oldest of this person is forgotten."""
    browser = tables.known_browser
    upsert(connection, browser, {"id": browser_id, "owner": owner}, {"hash": secret_hash, "used_at": now_us})
    mine = select(browser.c.id).where(browser.c.owner == owner).order_by(desc(browser.c.used_at), browser.c.id)
    surplus = list(connection.execute(mine.offset(MOST_BROWSERS).limit(MOST_BROWSERS)).scalars())
    connection.execute(delete(browser).where(browser.c.owner == owner, browser.c.id.in_(surplus)))


def browser_hashes(connection: Connection, browser_id: str) -> dict[str, str]:
    """Return who logged in in a browser before, with the hash of its secret."""
    browser = tables.known_browser
    rows = connection.execute(select(browser.c.owner, browser.c.hash).where(browser.c.id == browser_id).limit(200))
    return {row.owner: row.hash for row in rows}


def browsers_of(connection: Connection, owner: str) -> list[str]:
    """Return the ids of the browsers in which somebody logged in before."""
    browser = tables.known_browser
    found = select(browser.c.id).where(browser.c.owner == owner).limit(MOST_BROWSERS)
    return list(connection.execute(found).scalars())


def forget_browsers_of(connection: Connection, owner: str) -> None:
    """Forget every browser of a user."""
    connection.execute(delete(tables.known_browser).where(tables.known_browser.c.owner == owner))


def failures(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return how often and when last (us) each of these keys failed."""
    table = tables.login_failure
    rows = connection.execute(select(table).where(table.c.key.in_(keys))).mappings()
    return {row["key"]: (row["count"], row["last_at"]) for row in rows}


def count_failure(connection: Connection, key: str, count: int, now_us: int) -> None:
    """Set how often a key has failed."""
    table = tables.login_failure
    connection.execute(delete(table).where(table.c.key == key))
    connection.execute(insert(table).values(key=key, count=count, last_at=now_us))


def forget_failures(connection: Connection, keys: Sequence[str]) -> int:
    """Let keys begin anew and return how many had failed."""
    return connection.execute(delete(tables.login_failure).where(tables.login_failure.c.key.in_(keys))).rowcount


def prune_failures(connection: Connection, before_us: int) -> None:
    """Drop counts that are older than a moment, and the oldest beyond the bound."""
    table = tables.login_failure
    connection.execute(delete(table).where(table.c.last_at < before_us))
    surplus = int(connection.execute(select(func.count()).select_from(table)).scalar_one()) - MOST_FAILURES
    if surplus > 0:
        oldest = list(connection.execute(select(table.c.key).order_by(table.c.last_at).limit(surplus)).scalars())
        connection.execute(delete(table).where(table.c.key.in_(oldest)))


def failed_names(connection: Connection, since_us: int, least: int) -> dict[str, int]:
    """Return the names that failed at least so often since a moment, and when last (us)."""
    table = tables.login_failure
    query = select(table).where(table.c.key.startswith("name:"), table.c.last_at >= since_us, table.c.count >= least)
    return {row["key"].removeprefix("name:"): row["last_at"] for row in connection.execute(query).mappings()}


def _token(row: Mapping[Any, Any]) -> TokenRow:
    return TokenRow(
        row["id"],
        row["name"],
        row["owner"],
        row["role"],
        row["created_at"],
        row["expires_at"],
        row["revoked"],
        _acts(row["acts"]),
        row["last_used_at"],
    )


def _acts(value: Any) -> tuple[str, ...] | None:
    return None if value is None else tuple(str(act) for act in value)
