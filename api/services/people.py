"""Who may come in: adding people, their roles and passwords, ending their sessions, letting them try again."""

from __future__ import annotations

import time
from dataclasses import dataclass

from api import passwords
from api.auth import LANGUAGES, User, only_people
from api.deps import Parts
from api.lock_out import LockOut
from api.roles import Act, Role
from gateway.errors import ConfigError, RefusedError
from gateway.store import credential_rows, user_rows
from gateway.store.credential_rows import SessionRow
from gateway.store.state import State, Transaction
from gateway.store.user_rows import UserRow

NO_PEOPLE = frozenset({"system", "gasgate", "identity provider"})
"""who else stands in the audit trail: nobody may be called so, for lines could then not be told apart"""
_NOBODY = "{name}: there is nobody of this name; gasgate user list shows who there is"


@dataclass(frozen=True, slots=True)
class Person:
    """One person as administrators see them. Times are us since 1970, real time."""

    name: str
    role: Role
    language: str
    disabled: bool
    vouched: bool
    """True if an identity provider vouches for this person and says the role"""
    must_change: bool
    last_login_at: int | None
    sessions: int
    locked_s: float | None
    """for how many seconds strangers cannot try this name; None if it is not locked"""


def problems_of(name: str, password: str, role: str, language: str) -> list[str]:
    """Return why somebody cannot be added so."""
    problems = []
    if not 1 <= len(name) <= 120 or not name.isprintable() or name != name.strip():
        problems.append("name: 1 to 120 printable characters, no space at the ends")
    if name.casefold() in NO_PEOPLE:
        problems.append("name: the gateway itself is called so in the audit trail")
    if why := passwords.problem_of(password, name):
        problems.append(f"password: {why}")
    if role not in set(Role):
        problems.append(f"role: one of {', '.join(Role)}")
    if language not in LANGUAGES:
        problems.append(f"language: one of {', '.join(LANGUAGES)}")
    return problems


def save_person(
    state: State, name: str, password: str, role: str, language: str = "zh", *, now_us: int, must_change: bool = False
) -> None:
    """Add a person, or give an existing one a new password, role and language, which ends their sessions.

    For the command line: nobody's rights are asked for. Raises ConfigError.
    """
    if problems := problems_of(name, password, role, language):
        raise ConfigError(problems)
    hashed = passwords.hash_of(password)
    with state.write() as connection:
        row = UserRow(name, hashed, role, language, disabled=False, must_change=must_change)
        user_rows.save_user(connection, row, now_us)
        _forget(connection, name)
        detail = {"role": role, "language": language}
        user_rows.add_audit(connection, now_us, "system", "user.save", subject=name, detail=detail)


def change_outside(state: State, name: str, act: str, now_us: int, **values: str | bool) -> None:
    """Change columns of a person from the command line, which ends their sessions. Raises ConfigError."""
    with state.write() as connection:
        if user_rows.find_user(connection, name) is None:
            raise ConfigError([_NOBODY.format(name=name)])
        user_rows.set_user(connection, name, **values)
        _forget(connection, name)
        user_rows.add_audit(connection, now_us, "system", act, subject=name)


def give_password_outside(state: State, name: str, password: str, now_us: int) -> None:
    """Give somebody a new password from the command line, which ends their sessions. Raises ConfigError."""
    if why := passwords.problem_of(password, name):
        raise ConfigError([f"password: {why}"])
    with state.read() as connection:
        row = user_rows.find_user(connection, name)
    if row is not None and row.issuer is not None:
        raise ConfigError([f"{name}: the identity provider {row.issuer} vouches for this person; there is no password"])
    change_outside(state, name, "user.password", now_us, password_hash=passwords.hash_of(password), must_change=False)


def unlock_outside(state: State, name: str, now_us: int) -> bool:
    """Let somebody try again at once, from the command line; False if they were not locked. Raises ConfigError."""
    with state.write() as connection:
        if user_rows.find_user(connection, name) is None:
            raise ConfigError([_NOBODY.format(name=name)])
        was = LockOut(state, time.time).unlock(connection, name)
        user_rows.add_audit(connection, now_us, "system", "user.unlock", subject=name, detail={"was_locked": was})
    return was


def people(parts: Parts, user: User) -> list[Person]:
    """Return everybody by name. Raises RefusedError 401 or 403."""
    parts.auth.permit(user, Act.USER_MANAGE)
    with parts.state.read() as connection:
        rows = user_rows.list_users(connection)
        sessions = credential_rows.list_sessions(connection, parts.auth.wall_us())
        locked = parts.auth.lock_out.locked(connection)
    counts: dict[str, int] = {}
    for session in sessions:
        counts[session.owner] = counts.get(session.owner, 0) + 1
    return [
        Person(
            row.name,
            Role(row.role),
            row.language,
            row.disabled,
            vouched=row.issuer is not None,
            must_change=row.must_change,
            last_login_at=row.last_login_at,
            sessions=counts.get(row.name, 0),
            locked_s=locked.get(row.name),
        )
        for row in rows
    ]


def add(parts: Parts, user: User, name: str, password: str, role: Role, *, language: str) -> None:
    """Add a person with a first password, which they must change before anything else.

    Raises RefusedError 401, 403, 409 `exists` or `too_many`, 422 `weak_password` or `bad_name`.
    """
    _administrator(parts, user)
    _name_and_password(name, password)
    hashed = passwords.hash_of(password)
    with parts.state.write() as connection:
        if user_rows.find_user(connection, name) is not None:
            raise RefusedError(409, "exists", "there is somebody of this name")
        if user_rows.count_users(connection) >= user_rows.MOST_USERS:
            raise RefusedError(409, "too_many", f"more than {user_rows.MOST_USERS} people")
        row = UserRow(name, hashed, role, language, disabled=False, must_change=True)
        user_rows.save_user(connection, row, parts.auth.wall_us())
        _write(parts, connection, user, "user.add", name, role=role.value)


def set_role(parts: Parts, user: User, name: str, role: Role) -> None:
    """Give somebody another role, which ends their sessions.

    Raises RefusedError 401, 403, 404, 409 `vouched` where the identity provider says the role, `last_administrator`.
    """
    _administrator(parts, user)
    with parts.state.write() as connection:
        row = _row(connection, name)
        if row.issuer is not None:
            raise RefusedError(409, "vouched", "the identity provider says this person's role")
        if row.role == role:
            return
        _keep_one(connection, row)
        user_rows.set_user(connection, name, role=role.value)
        _forget(connection, name)
        _write(parts, connection, user, "user.role", name, before=row.role, after=role.value)


def set_disabled(parts: Parts, user: User, name: str, *, disabled: bool) -> None:
    """Keep somebody out, which ends their sessions, or let them in again.

    Raises RefusedError 401, 403, 404, 409 `last_administrator`.
    """
    _administrator(parts, user)
    with parts.state.write() as connection:
        row = _row(connection, name)
        if row.disabled == disabled:
            return
        if disabled:
            _keep_one(connection, row)
        user_rows.set_user(connection, name, disabled=disabled)
        _forget(connection, name)
        _write(parts, connection, user, "user.disable" if disabled else "user.enable", name)


def give_password(parts: Parts, user: User, name: str, password: str) -> None:
    """Give somebody a new password, which they must change; it ends their sessions.

    Raises RefusedError 401, 403, 404, 409 `vouched`, 422 `weak_password`.
    """
    _administrator(parts, user)
    _name_and_password(name, password)
    hashed = passwords.hash_of(password)
    with parts.state.write() as connection:
        if _row(connection, name).issuer is not None:
            raise RefusedError(409, "vouched", "this person has no password here")
        user_rows.set_user(connection, name, password_hash=hashed, must_change=name != user.name)
        _forget(connection, name)
        _write(parts, connection, user, "user.password", name)


def end_sessions(parts: Parts, user: User, name: str) -> int:
    """End somebody's sessions and return how many there were. Raises RefusedError 401, 403 or 404."""
    _administrator(parts, user)
    with parts.state.write() as connection:
        _row(connection, name)
        ended = credential_rows.end_sessions_of(connection, name)
        _write(parts, connection, user, "user.end_sessions", name, sessions=ended)
    return ended


def unlock(parts: Parts, user: User, name: str) -> bool:
    """Let somebody try again before the five minutes are over. Raises RefusedError 401, 403 or 404."""
    _administrator(parts, user)
    with parts.state.write() as connection:
        _row(connection, name)
        was = parts.auth.lock_out.unlock(connection, name)
        _write(parts, connection, user, "user.unlock", name, was_locked=was)
    return was


def own_sessions(parts: Parts, user: User) -> list[SessionRow]:
    """Return one's own sessions, newest first. Raises RefusedError 401."""
    parts.auth.permit(user, Act.ACCOUNT_OWN)
    with parts.state.read() as connection:
        return credential_rows.list_sessions(connection, parts.auth.wall_us(), user.name)


def end_others(parts: Parts, user: User) -> int:
    """End one's own sessions but this one and return how many there were. Raises RefusedError 401, 403."""
    only_people(user)
    parts.auth.permit(user, Act.ACCOUNT_OWN)
    with parts.state.write() as connection:
        ended = credential_rows.end_sessions_of(connection, user.name, but=user.credential.removeprefix("gs_"))
        _write(parts, connection, user, "account.end_sessions", user.name, sessions=ended)
    return ended


def own_password(parts: Parts, user: User, before: str, after: str) -> None:
    """Change one's own password; all other sessions end, and every browser is a stranger again.

    Blocks for two password checks. Raises RefusedError 401, 403 `wrong_password`, 409 `vouched`, 422 `weak_password`
    or `same_password`, 429 `locked` after too many wrong ones.
    """
    only_people(user)
    parts.auth.permit(user, Act.ACCOUNT_OWN)
    if user.vouched:
        raise RefusedError(409, "vouched", "your password is with the identity provider")
    _name_and_password(user.name, after)
    parts.auth.prove(user, before)
    if before == after:
        raise RefusedError(422, "same_password", "take another one")
    hashed = passwords.hash_of(after)
    with parts.state.write() as connection:
        user_rows.set_user(connection, user.name, password_hash=hashed, must_change=False)
        ended = credential_rows.end_sessions_of(connection, user.name, but=user.credential.removeprefix("gs_"))
        credential_rows.forget_browsers_of(connection, user.name)
        _write(parts, connection, user, "account.password", user.name, sessions=ended)


def _administrator(parts: Parts, user: User) -> None:
    only_people(user)
    parts.auth.permit(user, Act.USER_MANAGE)


def _name_and_password(name: str, password: str) -> None:
    found = problems_of(name, password, Role.VIEWER, LANGUAGES[0])
    if any(problem.startswith("name") for problem in found):
        raise RefusedError(422, "bad_name", found[0])
    if found:
        raise RefusedError(422, "weak_password", found[0].removeprefix("password: "))


def _row(connection: Transaction, name: str) -> UserRow:
    row = user_rows.find_user(connection, name)
    if row is None:
        raise RefusedError(404, "unknown_user")
    return row


def _keep_one(connection: Transaction, leaving: UserRow) -> None:
    """Refuse to leave the gateway without an administrator who can come in."""
    if leaving.role != Role.ADMINISTRATOR or leaving.disabled:
        return
    others = user_rows.list_users(connection)
    if not any(one.role == Role.ADMINISTRATOR and not one.disabled and one.name != leaving.name for one in others):
        raise RefusedError(409, "last_administrator", "make somebody else administrator first")


def _forget(connection: Transaction, name: str) -> None:
    """End somebody's sessions and make every browser a stranger to them."""
    credential_rows.end_sessions_of(connection, name)
    credential_rows.forget_browsers_of(connection, name)


def _write(parts: Parts, connection: Transaction, user: User, act: str, subject: str, **detail: object) -> None:
    user_rows.add_audit(connection, parts.clock.now_us(), user.name, act, subject=subject, detail=detail)
