"""What the web role is made of, and how a route gets at it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from alarms.route import TicketPolicy
from alarms.service.calendar import WorkCalendar, official
from alarms.service.call_backs import CallBacks
from alarms.service.desk import ServiceDesk
from alarms.service.policy import Promise, shipped
from alarms.service.release import Checks
from alarms.service.telephone import Telephone
from api.account_config import AccountRules
from api.auth import SESSION_COOKIE, Authenticator, User
from api.kept import Kept
from api.oidc import Provider
from api.roles import Act
from api.services.city import Tiles
from api.services.storage import Storage
from gateway.errors import RefusedError
from gateway.model.alarm import Definition
from gateway.model.command import CommandOffer
from gateway.model.file_problem import FileProblem
from gateway.model.gasday import GasDay
from gateway.model.network import Network
from gateway.model.reading import ReadingBatch
from gateway.ports import Clock
from gateway.store import audit_origin
from gateway.store.interval_rows import IntervalRow
from gateway.store.state import State


class Readings(Protocol):
    """The part of the store service that pages read from."""

    async def history(self, points: Any, start_us: int, end_us: int) -> ReadingBatch:
        """Return rows with start <= source_time < end of these point indices. Raises TransientError."""
        ...

    async def latest(self, points: Any) -> ReadingBatch:
        """Return the newest row of each point. Raises TransientError."""
        ...

    async def offers(self, asset: str) -> Sequence[CommandOffer]:
        """Return the commands that can be given to an asset. Raises TransientError."""
        ...

    async def links(self, asset: str) -> Mapping[str, Any]:
        """Return the states of the links that read an asset, and whether that is known. Raises TransientError."""
        ...

    async def status(self) -> Mapping[str, Any]:
        """Return accounting, links, spool and outputs of the keeping role. Raises TransientError."""
        ...


class Intervals(Protocol):
    """Where the final intervals are read from."""

    def of_meter(self, meter: str, first: date, last: date) -> list[IntervalRow]:
        """Return all revisions of a meter's gas days, oldest first. Blocks; raises TransientError."""
        ...

    def read_meters(
        self, first: date, last: date, *, begin: int, end: int, parts: int = 1
    ) -> Iterable[tuple[Sequence[str], Any]]:
        """Return who was read between two moments, and on how many gas days each. Blocks; raises TransientError."""
        ...


class Site(Protocol):
    """Which site the pages show."""

    @property
    def id(self) -> str:
        """Short name."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def gas_day(self) -> GasDay:
        """Its gas day and time zone."""
        ...


class Desk(Protocol):
    """What a person does to an alarm, one transaction each."""

    @property
    def definitions(self) -> Mapping[str, Definition]:
        """The master alarm database by id."""
        ...

    @property
    def policy(self) -> TicketPolicy:
        """What the company fixed about its tickets."""
        ...

    def apply(
        self, alarm_id: str, event: Any, actor: str, request_id: str | None = None, *, version: int | None = None
    ) -> Any:
        """Apply an event of the alarm machine. Raises RefusedError; the same request id again does nothing."""
        ...

    def require_known(self, alarm_id: str) -> None:
        """Raise RefusedError 404 unless there may be such an alarm."""
        ...


@dataclass(frozen=True)
class Parts:
    """All that the web role needs; made once by the composition root."""

    site: Site
    state: State
    store: Readings
    network: Network
    clock: Clock
    desk: Desk
    intervals: Intervals
    audit_days: int = 35
    """gas days whose readings are audited again at each pass"""
    ticket_secrets: tuple[str, ...] = field(default=(), repr=False)
    """secrets that ticketing systems sign their events with"""
    note_file: Path | None = None
    """JSON list that the demo's story writes; shown beside the map"""
    tiles: Tiles | None = None
    """where the map's tiles come from; None: no tiles, nothing is loaded from elsewhere"""
    reload: Callable[[str], Awaitable[Mapping[str, Any]]] | None = None
    """takes the configuration files anew in the name of somebody; see `gateway.reloading.Outcome`"""
    check: Callable[[], Awaitable[Sequence[FileProblem]]] | None = None
    """looks what is wrong with the configuration files, errors first"""
    refresh: Callable[[], object] = lambda: None
    """takes what was approved in the master alarm database since; blocks"""
    simulated: bool = False
    """True shows on every page that the city is not a real one"""
    promises: Sequence[Promise] = field(default_factory=shipped, repr=False)
    calendar: WorkCalendar = field(default_factory=official, repr=False)
    accounts: AccountRules = field(default_factory=AccountRules)
    oidc: Provider | None = None
    """identity provider that vouches for people"""
    storage: Storage | None = None
    """measures the data folder"""
    public_url: str = ""
    """address under which people open the pages; empty where none is configured"""
    kept: Kept = field(init=False, repr=False, default_factory=Kept)
    auth: Authenticator = field(init=False)
    service: ServiceDesk = field(init=False)
    telephone: Telephone = field(init=False)
    call_backs: CallBacks = field(init=False)
    checks: Checks = field(init=False)

    def __post_init__(self) -> None:
        """Make what stands on the other parts."""
        state, network, clock = self.state, self.network, self.clock
        object.__setattr__(self, "auth", Authenticator(state, clock, rules=self.accounts))
        object.__setattr__(self, "service", ServiceDesk(state, self.promises, self.calendar, network, clock))
        object.__setattr__(self, "telephone", Telephone(state, network, self.desk.policy, clock))
        object.__setattr__(self, "call_backs", CallBacks(state, network, self.calendar, clock, self.desk.policy))
        object.__setattr__(self, "checks", Checks(state, network, self.desk.policy, self.calendar, clock))


def parts_of(connection: HTTPConnection) -> Parts:
    """Return the parts of the app that answers."""
    parts: Parts = connection.app.state.parts
    return parts


def user_of(connection: HTTPConnection) -> User | None:
    """Return who is asking: by bearer token, else by session cookie."""
    auth, origin = parts_of(connection).auth, address_of(connection)
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme:
        return auth.of_token(token.strip(), origin) if scheme.lower() == "bearer" else None
    cookie = connection.cookies.get(SESSION_COOKIE, "")
    return auth.of_session(cookie, origin) if cookie else None


def address_of(connection: HTTPConnection) -> str:
    """Return the network address of whoever asks; behind a trusted proxy, the one that it names."""
    return connection.client.host[:60] if connection.client else ""


class Require:
    """A dependency that lets only those in who may do an act. Raises RefusedError 401, 403 or 415."""

    def __init__(self, act: Act) -> None:
        self.act = act

    def __call__(self, request: Request) -> User:
        """Return the user. Runs in a worker thread, for it reads the database."""
        user = user_of(request)
        if user is None:
            raise RefusedError(401, "login_required")
        if user.by_cookie and request.method not in {"GET", "HEAD"}:
            refuse_others(request)
        if user.must_change and self.act is not Act.ACCOUNT_OWN:
            raise RefusedError(403, "password_change", "change your password first")
        if not user.may(self.act):
            raise RefusedError(403, "forbidden")
        origin = audit_origin.current.get()
        if origin is not None:
            origin.who = user.name
        return user


def refuse_others(request: Request) -> None:
    """Refuse what another site could make a browser send: forms cannot send JSON, and browsers say whose page asks.

    A page of the same host on another port is "same-site", but it is not ours.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, "json_only", "send content-type: application/json")
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise RefusedError(403, "other_site", "this came from a page of another site")


PartsDep = Annotated[Parts, Depends(parts_of)]
Reader = Annotated[User, Depends(Require(Act.READ))]
Anybody = Annotated[User, Depends(Require(Act.ACCOUNT_OWN))]
