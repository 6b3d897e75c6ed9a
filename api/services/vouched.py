"""Lets in whom an identity provider vouches for."""

from __future__ import annotations

from api.auth import Login
from api.deps import Parts
from api.lock_out import Browser
from api.oidc import Vouched
from api.services.people import NO_PEOPLE
from gateway.errors import RefusedError
from gateway.store import credential_rows, user_rows
from gateway.store.state import Transaction
from gateway.store.user_rows import UserRow

PROVIDER = "identity provider"
"""who did it, in the audit trail, when the provider's word changes something"""


def enter(parts: Parts, who: Vouched, origin: str, browser: Browser, language: str) -> Login:
    """Open a session for somebody, who is added or gets the provider's role now.

    Raises RefusedError 403 `no_role`, `name_taken` if somebody else has this name here, `disabled`; each is written to
    the audit trail. Whom the provider gives no role any more loses sessions and tokens at once.
    """
    with parts.state.write() as connection:
        row = user_rows.find_vouched(connection, who.issuer, who.subject)
        why = _refusal(connection, who, row)
        if why:
            if row is not None:
                credential_rows.end_sessions_of(connection, row.name)
            if row is not None and who.role is None:
                credential_rows.revoke_tokens_of(connection, row.name)
            detail = {"peer": origin, "why": why, "issuer": who.issuer, "as": who.subject}
            _write(parts, connection, row.name if row is not None else "", "login.refused", who.name, **detail)
        else:
            browser = browser if parts.auth.lock_out.is_genuine(connection, browser) else Browser.new()
            return parts.auth.open_session(
                connection, _row(parts, connection, who, row, language), origin, browser, "identity provider"
            )
    raise RefusedError(403, why)


def _refusal(connection: Transaction, who: Vouched, row: UserRow | None) -> str:
    if who.role is None:
        return "no_role"
    taken = who.name.casefold() in NO_PEOPLE or user_rows.find_user(connection, who.name) is not None
    if row is None and taken:
        return "name_taken"
    if row is None and user_rows.count_users(connection) >= user_rows.MOST_USERS:
        return "too_many"
    return "disabled" if row is not None and row.disabled else ""


def _row(parts: Parts, connection: Transaction, who: Vouched, row: UserRow | None, language: str) -> UserRow:
    assert who.role is not None
    if row is None:
        new = UserRow(who.name, "", who.role, language, disabled=False, issuer=who.issuer, subject=who.subject)
        user_rows.save_user(connection, new, parts.auth.wall_us())
        _write(parts, connection, PROVIDER, "user.add", who.name, role=who.role.value, issuer=who.issuer)
    elif row.role != who.role:
        user_rows.set_user(connection, row.name, role=who.role.value)
        credential_rows.end_sessions_of(connection, row.name)
        _write(parts, connection, PROVIDER, "user.role", row.name, before=row.role, after=who.role.value)
    found = user_rows.find_vouched(connection, who.issuer, who.subject)
    assert found is not None
    return found


def _write(parts: Parts, connection: Transaction, who: str, act: str, subject: str, **detail: object) -> None:
    user_rows.add_audit(connection, parts.clock.now_us(), who, act, subject=subject[:200], detail=detail)
