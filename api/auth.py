"""Log-in, sessions and API tokens. Secrets are kept as hashes only; time here is real time, not the city's."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.roles import Act, Role, may
from gateway.errors import ConfigError, RefusedError
from gateway.ports import Clock
from gateway.store import user_rows
from gateway.store.state import State

SESSION_COOKIE = "gasgate_session"
SESSION_S = 12 * 3600
FAILURES = 5
LOCKED_S = 300.0
REMEMBERED_NAMES = 10_000
LANGUAGES = ("zh", "en")
TOKENS_OF_ONE_OWNER = 100

_hasher = PasswordHasher()
_two_at_once = threading.Semaphore(2)  # one check takes 64 MiB
_room = threading.BoundedSemaphore(8)  # log-ins under way; more would take the threads that acknowledgements need


@dataclass(frozen=True, slots=True)
class User:
    """Who is asking, with what right."""

    name: str
    role: Role
    language: str
    by_cookie: bool
    """True for a browser's session: such a call must prove that it is not another site's form"""
    credential: str = ""
    """which session or token (`gs_` or `gg_` and its id) this person came with; no secret"""

    def may(self, act: Act) -> bool:
        """Return True if this person may do an act."""
        return may(self.role, act)


@dataclass(frozen=True, slots=True)
class Login:
    """What a successful log-in gives."""

    user: User
    session: str
    expires_at_s: float
    """real seconds since 1970"""


def add_user(
    state: State, name: str, password: str, role: str, language: str = "zh", *, now_us: int | None = None
) -> None:
    """Add a user, or give an existing one a new password, role and language, which ends its sessions.

    Raises ConfigError.
    """
    problems = []
    if not 1 <= len(name) <= 120 or not name.isprintable() or name != name.strip():
        problems.append("name: 1 to 120 printable characters, no space at the ends")
    if not 8 <= len(password) <= 1000:
        problems.append("password: 8 to 1000 characters")
    if role not in set(Role):
        problems.append(f"role: one of {', '.join(Role)}")
    if language not in LANGUAGES:
        problems.append(f"language: one of {', '.join(LANGUAGES)}")
    if problems:
        raise ConfigError(problems)
    row = user_rows.UserRow(name, _hasher.hash(password), role, language, disabled=False)
    at = _wall_us() if now_us is None else now_us
    with state.write() as connection:
        user_rows.save_user(connection, row, at)
        user_rows.end_sessions_of(connection, name)
        user_rows.add_audit(
            connection, at, "system", "user.save", subject=name, detail={"role": role, "language": language}
        )


class LockOut:
    """Counts failed log-ins by name; forgets the oldest names beyond its bound. Safe from several threads."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def try_one(self, name: str) -> float:
        """Count a try as failed before its password is checked, so that tries at once are not free.

        Returns 0, or for how many seconds the name is still locked; then nothing was counted. A lock that ran out
        starts the count again.
        """
        now = self._wall()
        with self._lock:
            count, last = self._failed.pop(name, (0, 0.0))
            over = not 0.0 <= now - last <= LOCKED_S
            locked = count >= FAILURES and not over
            self._failed[name] = (count, last) if locked else (1 if over else count + 1, now)
            while len(self._failed) > REMEMBERED_NAMES:
                self._failed.popitem(last=False)
        return max(1.0, last + LOCKED_S - now) if locked else 0.0

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name, and its last try."""
        with self._lock:
            self._failed.pop(name, None)


class Authenticator:
    """Checks names, sessions and tokens against the state database."""

    def __init__(self, state: State, clock: Clock, wall: Callable[[], float] = time.time) -> None:
        """Use `wall` (real seconds since 1970) for all ends of time, `clock` for the audit trail."""
        self._state = state
        self._clock = clock
        self._wall = wall
        self._lock_out = LockOut(wall)
        self._nobody = _hasher.hash(secrets.token_hex(16))

    def login(self, name: str, password: str, peer: str) -> Login:
        """Open a session. Blocks for the password check. Raises RefusedError 401, 429, or 503 while many log in."""
        if not _room.acquire(blocking=False):
            raise RefusedError(503, "busy", "too many log-ins at once: try again")
        try:
            return self._login(name, password, peer)
        finally:
            _room.release()

    def _login(self, name: str, password: str, peer: str) -> Login:
        wait_s = self._lock_out.try_one(name)
        if wait_s > 0:
            # not in the audit trail: whoever needs no password to write there could fill the disk
            raise RefusedError(429, "locked", f"too many failures: try again in {wait_s:.0f} s")
        with self._state.read() as connection:
            row = user_rows.find_user(connection, name)
        known = row is not None and not row.disabled
        if not _verify(row.password_hash if row is not None else self._nobody, password) or row is None or not known:
            self._audit(name, "login.failed", {"peer": peer})
            raise RefusedError(401, "wrong_login", "name or password is wrong")
        self._lock_out.succeeded(name)
        return self._open_session(row, peer)

    def _open_session(self, row: user_rows.UserRow, peer: str) -> Login:
        session_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        created = _us(self._wall())
        with self._state.write() as connection:
            user_rows.add_session(
                connection,
                session_id,
                row.name,
                _digest(secret),
                created_at=created,
                expires_at=created + SESSION_S * 1_000_000,
            )
            user_rows.add_audit(
                connection, self._clock.now_us(), row.name, "login", subject=row.name, detail={"peer": peer}
            )
        user = User(row.name, Role(row.role), row.language, by_cookie=True, credential=f"gs_{session_id}")
        return Login(user, f"gs_{session_id}_{secret}", self._wall() + SESSION_S)

    def logout(self, session: str) -> None:
        """End a session; an unknown one is no error."""
        user = self.of_session(session)
        if user is None:
            return
        with self._state.write() as connection:
            user_rows.end_session(connection, session.split("_", 2)[1])
            user_rows.add_audit(connection, self._clock.now_us(), user.name, "logout", subject=user.name)

    def of_session(self, session: str) -> User | None:
        """Return whose session this is, None if it is nobody's or has ended."""
        return self._of(session, "gs")

    def of_token(self, token: str) -> User | None:
        """Return whom an API token stands for, None if it is nobody's, revoked or out of date."""
        return self._of(token, "gg")

    def permit(self, user: User, act: Act) -> None:
        """Check at the moment of an act that `user` may do it: a page stays open longer than rights last.

        Raises RefusedError 401 if the session or token has ended since, 403 if the role may not.
        """
        prefix, _, key = user.credential.partition("_")
        row = self._find(prefix, key)
        if row is None or row.user.name != user.name:
            raise RefusedError(401, "login_required", "the session has ended")
        if not may(Role(row.role), act):
            raise RefusedError(403, "forbidden")

    def _of(self, text: str, prefix: str) -> User | None:
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != prefix or not parts[1].isalnum() or not text.isascii():
            return None
        row = self._find(prefix, parts[1])
        if row is None or not hmac.compare_digest(row.hash, _digest(parts[2])):
            return None
        credential = f"{prefix}_{parts[1]}"
        return User(row.user.name, Role(row.role), row.user.language, by_cookie=prefix == "gs", credential=credential)

    def _find(self, prefix: str, key: str) -> user_rows.CredentialRow | None:
        """Return a session or token that is good now, whoever shows it."""
        find = user_rows.find_session if prefix == "gs" else user_rows.find_token
        with self._state.read() as connection:
            row = find(connection, key)
        if row is None or row.user.disabled:
            return None
        if row.expires_at is not None and row.expires_at <= _us(self._wall()):
            return None
        # a token whose owner's role was lowered since is good no more
        return row if _may_give(Role(row.user.role), Role(row.role)) else None

    def make_token(self, user: User, name: str, role: Role, days: int | None) -> tuple[user_rows.TokenRow, str]:
        """Make an API token for `user`; its text is shown once. Raises RefusedError.

        403 `forbidden` for a role above one's own, 403 `session_only` if a token asks, 409 `too_many`.
        """
        _only_people(user)
        if not _may_give(user.role, role):
            raise RefusedError(403, "forbidden", "a token may have your own role, or viewer")
        token_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        created = _us(self._wall())
        expires = None if days is None else created + days * 86_400_000_000
        row = user_rows.TokenRow(token_id, name, user.name, role, created, expires, revoked=False)
        with self._state.write() as connection:
            alive = [token for token in user_rows.list_tokens(connection, user.name) if not token.revoked]
            if len(alive) >= TOKENS_OF_ONE_OWNER:
                raise RefusedError(409, "too_many", "revoke tokens that are not used")
            user_rows.add_token(connection, row, _digest(secret))
            detail = {"name": name, "role": role, "days": days}
            user_rows.add_audit(
                connection, self._clock.now_us(), user.name, "token.make", subject=token_id, detail=detail
            )
        return row, f"gg_{token_id}_{secret}"

    def tokens(self, user: User) -> list[user_rows.TokenRow]:
        """Return one's own tokens; an administrator sees all."""
        with self._state.read() as connection:
            return user_rows.list_tokens(connection, None if user.may(Act.TOKEN_ALL) else user.name)

    def revoke(self, user: User, token_id: str) -> None:
        """End one of one's own tokens; an administrator may end any. Raises RefusedError 403 or 404."""
        _only_people(user)
        if all(token.id != token_id for token in self.tokens(user)):
            raise RefusedError(404, "unknown_token")
        with self._state.write() as connection:
            user_rows.revoke_token(connection, token_id)
            user_rows.add_audit(connection, self._clock.now_us(), user.name, "token.revoke", subject=token_id)

    def _audit(self, who: str, act: str, detail: dict[str, str]) -> None:
        with self._state.write() as connection:
            user_rows.add_audit(connection, self._clock.now_us(), who[:120], act, subject=who[:200], detail=detail)


def _may_give(own: Role, role: Role) -> bool:
    return own is Role.ADMINISTRATOR or role in (own, Role.VIEWER)


def _only_people(user: User) -> None:
    """Refuse a token: one that leaked or runs out must not make another, nor end the others."""
    if not user.by_cookie:
        raise RefusedError(403, "session_only", "log in to make or end tokens")


def _verify(password_hash: str, password: str) -> bool:
    with _two_at_once:
        try:
            return _hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _wall_us() -> int:
    return _us(time.time())
