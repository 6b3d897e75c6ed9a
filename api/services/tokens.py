"""API tokens: what programs show instead of a password; with a scope and an end."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from api.auth import User, only_people
from api.deps import Parts
from api.digest import digest
from api.roles import Act, Role, may, may_give
from gateway.errors import RefusedError
from gateway.store import credential_rows, user_rows
from gateway.store.credential_rows import TokenRow
from gateway.store.state import Transaction

TOKENS_OF_ONE_OWNER = 100
LONGEST_DAYS = 366


def scope_of(role: Role) -> tuple[Act, ...]:
    """Return what a token of a role may be allowed: all that the role may, but for what only people do."""
    return tuple(act for act in Act if may(role, act) and act not in _ONLY_PEOPLE)


_ONLY_PEOPLE = frozenset({Act.ACCOUNT_OWN, Act.USER_MANAGE, Act.TOKEN_OWN, Act.TOKEN_ALL})


def make(
    parts: Parts, user: User, name: str, role: Role, *, days: int, acts: Iterable[Act] | None = None
) -> tuple[TokenRow, str]:
    """Make an API token for `user`; its text is shown once. `acts` narrows what it may do; None = all of its role.

    Raises RefusedError 401, 403 `forbidden` for a role or act beyond one's own, 403 `session_only` if a token asks,
    409 `too_many`, 422 `bad_scope`.
    """
    only_people(user)
    parts.auth.permit(user, Act.TOKEN_OWN)
    if not may_give(user.role, role):
        raise RefusedError(403, "forbidden", "a token may have your own role, or viewer")
    if not 1 <= days <= LONGEST_DAYS:
        raise RefusedError(422, "bad_scope", f"1 to {LONGEST_DAYS} days")
    scope = None if acts is None else tuple(act for act in scope_of(role) if act in set(acts))
    if scope is not None and (not scope or len(scope) != len(set(acts or ()))):
        raise RefusedError(422, "bad_scope", "acts: some of those that the role may, but no accounts or tokens")
    token_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    created = parts.auth.wall_us()
    expires = created + days * 86_400_000_000
    row = TokenRow(token_id, name, user.name, role, created, expires, revoked=False, acts=scope)
    with parts.state.write() as connection:
        alive = [one for one in credential_rows.list_tokens(connection, user.name) if is_good(one, created)]
        if len(alive) >= TOKENS_OF_ONE_OWNER:
            raise RefusedError(409, "too_many", "revoke tokens that are not used")
        credential_rows.add_token(connection, row, digest(secret))
        told = None if scope is None else list(scope)
        _write(parts, connection, user, "token.make", token_id, name=name, role=role, days=days, acts=told)
    return row, f"gg_{token_id}_{secret}"


def is_good(token: TokenRow, now_us: int) -> bool:
    """Say whether a token was neither revoked nor has come to its end."""
    return not token.revoked and (token.expires_at is None or token.expires_at > now_us)


def tokens(parts: Parts, user: User) -> list[TokenRow]:
    """Return one's own tokens, newest first; an administrator sees all. Raises RefusedError 401 or 403."""
    parts.auth.permit(user, Act.TOKEN_OWN)
    with parts.state.read() as connection:
        return credential_rows.list_tokens(connection, None if user.may(Act.TOKEN_ALL) else user.name)


def revoke(parts: Parts, user: User, token_id: str) -> None:
    """End one of one's own tokens; an administrator may end any. Raises RefusedError 401, 403 or 404."""
    only_people(user)
    if all(token.id != token_id for token in tokens(parts, user)):
        raise RefusedError(404, "unknown_token")
    with parts.state.write() as connection:
        if credential_rows.revoke_token(connection, token_id):
            _write(parts, connection, user, "token.revoke", token_id)


def _write(parts: Parts, connection: Transaction, user: User, act: str, subject: str, **detail: object) -> None:
    user_rows.add_audit(connection, parts.clock.now_us(), user.name, act, subject=subject, detail=detail)
