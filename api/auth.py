"""Log-in and sessions. Secrets are kept as hashes only; time here is real time, not the city's."""

from __future__ import annotations

import contextlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from api import passwords
from api.account_config import AccountRules
from api.digest import digest
from api.lock_out import LOCKED_S, Browser, LockOut, Try
from api.roles import Act, Role, may, may_give
from gateway.errors import GatewayError, RefusedError
from gateway.ports import Clock
from gateway.store import audit_origin, credential_rows, user_rows
from gateway.store.audit_origin import Origin
from gateway.store.credential_rows import CredentialRow, SessionRow
from gateway.store.state import State, Transaction

SESSION_COOKIE = "gasgate_session"
BROWSER_COOKIE = "gasgate_browser"
LANGUAGES = ("zh", "en")
_TOUCH_US = 60_000_000

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
    acts: frozenset[str] | None = None
    """what a token may do at most; None = all that the role may"""
    origin: str = ""
    """network address"""
    must_change: bool = False
    """True until a password that somebody else chose was changed: nothing else is allowed before"""
    vouched: bool = False
    """True if an identity provider vouches for this person, who has no password here"""

    def may(self, act: Act) -> bool:
        """Return True if this person may do an act."""
        if self.must_change and act is not Act.ACCOUNT_OWN:
            return False
        return may(self.role, act) and (self.acts is None or act in self.acts or act is Act.ACCOUNT_OWN)


@dataclass(frozen=True, slots=True)
class Login:
    """What a successful log-in gives."""

    user: User
    session: str = field(repr=False)
    expires_at_s: float
    """real seconds since 1970"""
    browser: Browser = field(repr=False)
    """what the browser is to keep, so that strangers' failures do not lock it"""


class Authenticator:
    """Checks names, sessions and tokens against the state database."""

    def __init__(
        self,
        state: State,
        clock: Clock,
        wall: Callable[[], float] = time.time,
        rules: AccountRules | None = None,
    ) -> None:
        """Use `wall` (real seconds since 1970) for all ends of time, `clock` for the audit trail."""
        self._state = state
        self._clock = clock
        self._wall = wall
        self.rules = rules or AccountRules()
        self.lock_out = LockOut(state, wall)
        self._nobody = passwords.hash_of(secrets.token_hex(16))

    def wall_us(self) -> int:
        """Return real time in us since 1970."""
        return int(self._wall() * 1e6)

    def login(self, name: str, password: str, origin: str, browser: Browser | None = None) -> Login:
        """Open a session. Blocks for the password check.

        Raises RefusedError 401, 403 where passwords are not accepted, 429, or 503 while many log in.
        """
        if not self.rules.passwords:
            raise RefusedError(403, "no_passwords", "log in with the identity provider")
        if not _room.acquire(blocking=False):
            raise RefusedError(503, "busy", "too many log-ins at once: try again")
        try:
            return self._login(name, password, origin, browser or Browser())
        finally:
            _room.release()

    def _login(self, name: str, password: str, origin: str, browser: Browser) -> Login:
        begun = self.lock_out.begin(name, origin, browser)
        if begun.wait_s > 0:
            # not in the audit trail: whoever needs no password to write there could fill the disk
            raise _locked(begun)
        with self._state.read() as connection:
            row = user_rows.find_user(connection, name)
        # somebody without a password, or unknown, takes as long to refuse as anybody else
        fits = passwords.fits((row.password_hash if row is not None else "") or self._nobody, password)
        if not fits or row is None or row.disabled or row.issuer is not None:
            self._failed(row, origin, begun)
            raise RefusedError(401, "wrong_login", "name or password is wrong")
        with self._state.write() as connection:
            now = user_rows.find_user(connection, name)
            if now is not None and now.password_hash == row.password_hash and not now.disabled:
                self.lock_out.succeeded(connection, begun)
                return self.open_session(connection, now, origin, browser if begun.genuine else Browser.new())
        # an administrator gave another password, or kept this person out, while this one was checked
        self._failed(row, origin, begun)
        raise RefusedError(401, "wrong_login", "name or password is wrong")

    def _failed(self, row: user_rows.UserRow | None, origin: str, begun: Try) -> None:
        # a name that nobody has is not kept: people type their password into the wrong field
        who = "" if row is None else row.name
        with self._state.write() as connection:
            self._write(connection, who, "login.failed", who, {"peer": origin})
            if begun.last:
                self._write(connection, who, "login.locked", who, {"peer": origin, "seconds": LOCKED_S})

    def open_session(
        self, connection: Transaction, row: user_rows.UserRow, origin: str, browser: Browser, how: str = "password"
    ) -> Login:
        """Begin a session of somebody who has proved who they are, in the caller's transaction."""
        session_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        now_us, ends_us = self.wall_us(), self.wall_us() + self.rules.session_s * 1_000_000
        session = SessionRow(session_id, row.name, now_us, ends_us, now_us, origin)
        credential_rows.add_session(connection, session, digest(secret))
        credential_rows.know_browser(connection, browser.id, row.name, digest(browser.secret), now_us)
        user_rows.set_user(connection, row.name, last_login_at=now_us)
        self._write(connection, row.name, "login", row.name, {"peer": origin, "how": how})
        user = _user(row, Role(row.role), f"gs_{session_id}", origin=origin)
        return Login(user, f"gs_{session_id}_{secret}", ends_us / 1e6, browser)

    def prove(self, user: User, password: str) -> None:
        """Check that who has a session knows the password too. Blocks.

        Raises RefusedError 403 `wrong_password`, 429 after as many failures as a log-in may have.
        """
        begun = self.lock_out.begin(user.name, user.origin, Browser(), own=True)
        if begun.wait_s > 0:
            raise _locked(begun)
        with self._state.read() as connection:
            row = user_rows.find_user(connection, user.name)
        if row is None or not passwords.fits(row.password_hash, password):
            self._failed(row, user.origin, begun)
            raise RefusedError(403, "wrong_password", "the password is wrong")
        with self._state.write() as connection:
            self.lock_out.succeeded(connection, begun)

    def logout(self, session: str) -> None:
        """End a session; an unknown one is no error."""
        user = self.of_session(session)
        if user is None:
            return
        with self._state.write() as connection:
            credential_rows.end_session(connection, session.split("_", 2)[1])
            self._write(connection, user.name, "logout", user.name, {})

    def of_session(self, session: str, origin: str = "") -> User | None:
        """Return whose session this is, None if it is nobody's or has ended."""
        return self._of(session, "gs", origin)

    def of_token(self, token: str, origin: str = "") -> User | None:
        """Return whom an API token stands for, None if it is nobody's, revoked or out of date."""
        return self._of(token, "gg", origin)

    def permit(self, user: User, act: Act) -> None:
        """Check at the moment of an act that `user` may do it: a page stays open longer than rights last.

        From here on the audit trail tells this person's address. Raises RefusedError 401 if the session or token has
        ended since, 403 if the role may not.
        """
        now = self.still(user)
        if now is None:
            raise RefusedError(401, "login_required", "the session has ended")
        self._touch(user.credential)
        if not now.may(act):
            raise RefusedError(403, "forbidden")
        here = audit_origin.current.get()
        if here is None or here.who not in ("", user.name):
            audit_origin.current.set(Origin(user.origin, user.name))

    def still(self, user: User) -> User | None:
        """Return who this is now, None if the session or token has ended; asking does not count as use."""
        prefix, _, key = user.credential.partition("_")
        row = self._find(prefix, key)
        if row is None or row.user.name != user.name:
            return None
        return _user(row.user, Role(row.role), user.credential, origin=user.origin, acts=row.acts)

    def _of(self, text: str, prefix: str, origin: str) -> User | None:
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != prefix or not parts[1].isalnum() or not text.isascii():
            return None
        row = self._find(prefix, parts[1])
        if row is None or not hmac.compare_digest(row.hash, digest(parts[2])):
            return None
        credential = f"{prefix}_{parts[1]}"
        if row.used_at is None or self.wall_us() - row.used_at > _TOUCH_US:
            self._touch(credential)
        return _user(row.user, Role(row.role), credential, origin=origin or row.origin, acts=row.acts)

    def _touch(self, credential: str) -> None:
        """Note that a session or token is used; a full disk must not keep anybody from reading."""
        prefix, _, key = credential.partition("_")
        row = self._find(prefix, key)
        if row is None or (row.used_at is not None and self.wall_us() - row.used_at <= _TOUCH_US):
            return
        note = credential_rows.touch_session if prefix == "gs" else credential_rows.touch_token
        with contextlib.suppress(GatewayError), self._state.write() as connection:
            note(connection, key, self.wall_us())

    def _find(self, prefix: str, key: str) -> CredentialRow | None:
        """Return a session or token that is good now, whoever shows it."""
        find = credential_rows.find_session if prefix == "gs" else credential_rows.find_token
        with self._state.read() as connection:
            row = find(connection, key)
        now_us = self.wall_us()
        if row is None or row.user.disabled or (row.expires_at is not None and row.expires_at <= now_us):
            return None
        idles = prefix == "gs" and Role(row.role) not in self.rules.always_on and row.used_at is not None
        if idles and (row.used_at or 0) + self.rules.idle_s * 1_000_000 <= now_us:
            return None
        # a token whose owner's role was lowered since is good no more
        return row if may_give(Role(row.user.role), Role(row.role)) else None

    def audit(self, who: str, act: str, subject: str, **detail: object) -> None:
        """Write a line of the audit trail in a transaction of its own."""
        with self._state.write() as connection:
            self._write(connection, who, act, subject, detail)

    def _write(self, connection: Transaction, who: str, act: str, subject: str, detail: dict[str, object]) -> None:
        user_rows.add_audit(connection, self._clock.now_us(), who[:120], act, subject=subject[:200], detail=detail)


def _locked(begun: Try) -> RefusedError:
    text = f"too many failures: try again in {begun.wait_s:.0f} s"
    return RefusedError(429, "locked", text, retry_after_s=begun.wait_s)


def only_people(user: User) -> None:
    """Refuse a token: one that leaked or runs out must not make another, nor change who may come in."""
    if not user.by_cookie:
        raise RefusedError(403, "session_only", "log in to do this; a token may not")


def _user(
    row: user_rows.UserRow, role: Role, credential: str, *, origin: str, acts: tuple[str, ...] | None = None
) -> User:
    return User(
        row.name,
        role,
        row.language,
        by_cookie=credential.startswith("gs_"),
        credential=credential,
        acts=None if acts is None else frozenset(acts),
        origin=origin,
        must_change=row.must_change,
        vouched=row.issuer is not None,
    )
