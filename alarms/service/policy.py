"""The promises as data: which clock runs for which ticket, from which step to which, and how long."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from alarms.extent import SizeRule, ambiguous, covers, rank
from alarms.service.calendar import MOST_DAYS
from gateway.errors import ConfigError
from gateway.model.network import Station
from gateway.model.ticket import TicketClass
from gateway.settings import Settings

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class ClockKind(StrEnum):
    """How a limit is meant."""

    DEADLINE = "DEADLINE"
    """the stop step comes by start + limit"""
    NOT_BEFORE = "NOT_BEFORE"
    """the stop step comes no earlier than start + limit"""
    LEAD_TIME = "LEAD_TIME"
    """the start step comes by the planned moment - limit; `stop` names that moment"""


class Unit(StrEnum):
    """What a limit is counted in."""

    MINUTES = "minutes"
    """elapsed, day and night"""
    DAYS = "days"
    """to the end of the local day; 0 = the same day"""
    WORKING_DAYS = "working_days"
    """to the end of the n-th working day after the start day"""


class Rung(Settings):
    """One step of an escalation: who is told, and when."""

    at: float = Field(ge=0.0, le=100.0)
    """share of the limit; 1 = at the limit, more than 1 after it"""
    tell: Name
    """role or duty that is told"""
    every_minutes: int = Field(default=0, ge=0, le=100_000)
    """told again so often until the clock stops; 0 = once"""


class Promise(Settings):
    """One row of the policy table. The most specific active row of a clock counts for a ticket."""

    id: Name
    revision: int = Field(default=1, ge=1)
    clock: Name
    """rows of one clock compete; each ticket has at most one of them"""
    ticket_class: TicketClass
    type: str = Field(default="", max_length=60)
    """type of ticket; empty = every type"""
    place: Literal["", "city", "remote"] = ""
    size: str = Field(default="", max_length=40)
    """size class of the job, e.g. large; empty = every size"""
    customer: str = Field(default="", max_length=40)
    """class of customer; empty = every class"""
    kind: ClockKind = ClockKind.DEADLINE
    start: Name
    stop: Name
    limit: int = Field(ge=0, le=1_000_000)
    unit: Unit
    first_day: bool = False
    """of working days: the start day is the first"""
    pausable: bool = False
    """the clock may stand while the customer is awaited"""
    ladder: tuple[Rung, ...] = ()
    source: str = Field(max_length=200)
    """where the figure comes from"""
    active: bool = True
    valid_from: date = date(2000, 1, 1)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.pausable and self.ticket_class in (TicketClass.EMERGENCY, TicketClass.URGENT):
            raise ValueError("pausable: a clock of an EMERGENCY or URGENT ticket never stands")
        if self.unit is not Unit.DAYS and self.limit == 0:
            raise ValueError("limit: must be at least 1")
        if self.kind is not ClockKind.DEADLINE and self.unit is not Unit.MINUTES:
            raise ValueError(f"unit: {self.kind} is counted in minutes")
        if self.unit is not Unit.MINUTES and self.limit > MOST_DAYS:
            raise ValueError(f"limit: at most {MOST_DAYS} days can be counted")
        if self.first_day and self.unit is not Unit.WORKING_DAYS:
            raise ValueError("first_day: only working days are counted so")
        if list(self.ladder) != sorted(self.ladder, key=lambda rung: rung.at):
            raise ValueError("ladder: the rungs stand in order of time")
        return self

    @property
    def specific(self) -> int:
        """Return how many conditions the row names: the more, the rather it counts."""
        return sum(bool(value) for value in (self.type, self.place, self.size, self.customer))


class _File(Settings):
    promise: tuple[Promise, ...]
    size: tuple[SizeRule, ...] = ()


@cache
def shipped() -> tuple[Promise, ...]:
    """Return the promises that come with gasgate."""
    return _shipped().promise


def read_promises(path: Path) -> tuple[Promise, ...]:
    """Return the promises of a file. Raises ConfigError that names row, key and remedy."""
    return _parsed(_text(path), str(path)).promise


@cache
def shipped_sizes() -> tuple[SizeRule, ...]:
    """Return the rules that come with gasgate for what makes a fault large or major."""
    return _shipped().size


def read_sizes(path: Path) -> tuple[SizeRule, ...]:
    """Return the rules of a file of promises; those that come with gasgate if it has none. Raises ConfigError."""
    return _parsed(_text(path), str(path)).size or shipped_sizes()


def place_of(station: Station | None) -> str:
    """Return where a ticket's asset stands: what is no station or regulator counts as in the city."""
    return "remote" if station is not None and station.remote else "city"


def matching(
    promises: Iterable[Promise],
    *,
    ticket_class: TicketClass,
    ticket_type: str,
    place: str,
    day: date,
    size: str = "",
    customer: str = "",
) -> tuple[Promise, ...]:
    """Return of each clock the promise that counts for a ticket opened on a local day."""
    best: dict[str, Promise] = {}
    for row in promises:
        if not row.active or row.ticket_class is not ticket_class or row.valid_from > day:
            continue
        asked = ((row.type, ticket_type), (row.place, place), (row.customer, customer))
        if any(wanted and wanted != has for wanted, has in asked) or not covers(row.size, size):
            continue
        old = best.get(row.clock)
        if old is None or _stands_before(row) > _stands_before(old):
            best[row.clock] = row
    return tuple(best.values())


def orders(promises: Iterable[Promise]) -> tuple[tuple[str, str], ...]:
    """Return type and size of what customers may ask for: what active promises of class SERVICE name, each once."""
    rows = (row for row in promises if row.active and row.ticket_class is TicketClass.SERVICE and row.type)
    return tuple(dict.fromkeys((row.type, row.size) for row in rows))


def _stands_before(row: Promise) -> tuple[int, int, date]:
    return row.specific, rank(row.size), row.valid_from


@cache
def _shipped() -> _File:
    return _parsed(resources.files("alarms.service").joinpath("promises.toml").read_text("utf-8"), "promises.toml")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error


def _parsed(text: str, name: str) -> _File:
    try:
        found = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{name}: no TOML: {error}"]) from error
    except ValidationError as error:
        problems = [f"{name}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigError(problems) from error
    problems = [*_doubled(found.promise, name), *_ambiguous(found.promise, name)]
    problems += [f"{name}: size {one.size}: names nothing that makes a fault so" for one in ambiguous(found.size)]
    if problems:
        raise ConfigError(problems)
    return found


def _doubled(rows: Sequence[Promise], name: str) -> list[str]:
    ids = [row.id for row in rows]
    return [f"{name}: id {one!r} stands twice; give each row its own" for one in sorted(set(ids)) if ids.count(one) > 1]


def _ambiguous(rows: Sequence[Promise], name: str) -> list[str]:
    """Two active rows that are alike in all conditions would leave it open which of them counts."""
    seen: dict[tuple[object, ...], str] = {}
    problems = []
    for row in (row for row in rows if row.active):
        key = (row.clock, row.ticket_class, row.type, row.place, row.size, row.customer, row.valid_from)
        if key in seen:
            problems.append(f"{name}: {row.id} and {seen[key]} cover the same tickets; make one of them inactive")
        seen[key] = row.id
    return problems
