"""Device profiles: one TOML file per device type. Loads shipped ones by name, a site's own by path."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Self
from zoneinfo import available_timezones

from pydantic import Field, ValidationError, field_validator, model_validator

from gateway.errors import ConfigError
from gateway.model.profile import (
    CLOCK_TYPES,
    LAST_ADDRESS,
    NUMBER_TYPES,
    TYPE_WIDTHS,
    ClockRegister,
    Golden,
    Identity,
    Members,
    PointSpec,
    Profile,
    Span,
    default_order,
    width,
)
from gateway.model.quantity import Quantity
from gateway.profiles.commands import CommandTable, check_commands
from gateway.profiles.places import in_range, parse_place
from gateway.settings import Settings


def profile_names() -> tuple[str, ...]:
    """Return the names of all shipped profiles, sorted."""
    return tuple(sorted(item.name[:-5] for item in resources.files(__name__).iterdir() if item.name.endswith(".toml")))


def load_profile(name_or_path: str | Path) -> Profile:
    """Return a shipped profile by name, or one from a path that ends in `.toml`.

    Raises ConfigError that names the file, each wrong key and what is allowed there.
    """
    if str(name_or_path).endswith(".toml"):
        path = Path(name_or_path)
        try:
            about = path.stat()
            return _from_file(path, about.st_mtime_ns, about.st_size)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([f"{path}: cannot read the profile: {error}"]) from error
    return _shipped(str(name_or_path))


@lru_cache(maxsize=256)
def _from_file(path: Path, _changed_ns: int, _size: int) -> Profile:
    """Read a profile once for the thousands of devices that may name it, and again when it was changed."""
    return parse_profile(path.read_text(encoding="utf-8"), str(path))


@cache
def _shipped(name: str) -> Profile:
    if name not in profile_names():
        allowed = ", ".join(profile_names())
        raise ConfigError([f"profile {name!r} is not shipped: use one of {allowed}, or a path that ends in .toml"])
    text = resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return parse_profile(text, f"{name}.toml")


def parse_profile(text: str, file: str) -> Profile:
    """Return the profile that a TOML text describes; `file` is named in problems. Raises ConfigError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{file}: not valid TOML: {error}"]) from error
    try:
        return _ProfileFile.model_validate(table).profile()
    except ValidationError as error:
        raise ConfigError([_problem(file, item) for item in error.errors(include_url=False)]) from error


def _problem(file: str, item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    text = item["msg"].removeprefix("Value error, ")
    return f"{file}: {key}: {text}" if key else f"{file}: {text}"


def _parse_span(text: str) -> Span:
    start, _, last = text.partition("-")
    table, first = parse_place(start)
    if last and not last.isdigit():
        raise ValueError(f"{text!r} is no span: write for example holding:900-905")
    span = Span(table, first, in_range(int(last)) if last else first)
    if span.last < span.first:
        raise ValueError(f"{text!r} ends before it begins")
    return span


def _check_order(order: str, kind: str) -> str:
    wanted = default_order(kind)
    if order and (kind in ("bool", "bit") or sorted(order) != sorted(wanted)):
        allowed = f"a permutation of {wanted}" if wanted and kind not in ("bool", "bit") else "no order"
        raise ValueError(f"order {order!r} does not suit {kind}: allowed is {allowed}")
    return order


class _PointTable(Settings):
    quantity: Quantity
    at: str
    type: str
    order: str = ""
    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)
    every_s: float | None = Field(default=None, gt=0, le=86400)
    together: str = ""
    missing: tuple[int, ...] = ()
    bit: int | None = Field(default=None, ge=0, le=15)
    bits: int = Field(default=1, ge=1, le=16)
    exponent: str = ""

    @field_validator("at")
    @classmethod
    def _a_place(cls, at: str) -> str:
        parse_place(at)
        return at

    @field_validator("type")
    @classmethod
    def _a_type(cls, kind: str) -> str:
        if kind not in NUMBER_TYPES:
            raise ValueError(f"{kind!r} is no type of a point: allowed are {', '.join(NUMBER_TYPES)}")
        return kind

    @model_validator(mode="after")
    def _fits(self) -> Self:
        table, address = parse_place(self.at)
        if table.of_bits != (self.type == "bool"):
            raise ValueError(
                f"{self.at} and type {self.type} do not fit: bool stands in coil or discrete, no other does"
            )
        if (self.type == "bit") != (self.bit is not None):
            raise ValueError("type bit needs the key bit (0 to 15), and no other type may have it")
        if self.scale == 0:
            raise ValueError("scale 0 would make every value the same")
        if (self.bit or 0) + self.bits > (16 if self.type == "bit" else 1):
            raise ValueError("bits is how many bits of a register type bit takes from bit upwards: 16 is the last")
        if self.exponent and (self.type in ("bit", "bool") or parse_place(self.exponent)[0] is not table):
            raise ValueError("exponent is a register of the same table as its point, and a bit has none")
        _check_order(self.order, self.type)
        in_range(address + width(self.type) - 1)
        return self

    def spec(self, every_s: float) -> PointSpec:
        table, address = parse_place(self.at)
        return PointSpec(
            quantity=self.quantity,
            table=table,
            address=address,
            type=self.type,
            order=self.order,
            scale=self.scale,
            offset=self.offset,
            every_s=self.every_s or every_s,
            together=self.together,
            missing=self.missing,
            bit=self.bit or 0,
            bits=self.bits,
            exponent=parse_place(self.exponent)[1] if self.exponent else None,
        )


class _TimeTable(Settings):
    """A register with the moment at which the device took the values of one `together` set."""

    together: str = Field(min_length=1)
    at: str
    type: str
    order: str = ""
    zone: str = "UTC"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _, address = parse_place(self.at)
        if self.type not in CLOCK_TYPES:
            raise ValueError(f"{self.type!r} is no type of a time: allowed are {', '.join(CLOCK_TYPES)}")
        _check_order(self.order, self.type)
        in_range(address + width(self.type) - 1)
        if self.zone not in available_timezones():
            raise ValueError(f"{self.zone!r} is no time zone: write for example Asia/Shanghai")
        return self

    def register(self) -> ClockRegister:
        return ClockRegister(parse_place(self.at)[1], self.type, self.order, self.zone)


class _MembersTable(Settings):
    count: int = Field(ge=1, le=1000)
    base: int = Field(ge=0, le=LAST_ADDRESS)
    stride: int = Field(ge=1)
    point: tuple[_PointTable, ...] = Field(min_length=1)
    time: tuple[_TimeTable, ...] = ()
    command: tuple[CommandTable, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ends = [spec.past for spec in _specs(self.point, self.time, every_s=1.0)]
        end = max(*ends, *(command.end for command in self.command), 0)
        if end > self.stride:
            raise ValueError(f"the members' points take {end} addresses, more than the stride of {self.stride}")
        in_range(self.base + self.count * self.stride - 1)
        return self


class _IdentityTable(Settings):
    at: str
    type: str
    order: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        table, address = parse_place(self.at)
        if self.type not in TYPE_WIDTHS or self.type in ("bool", "bit") or self.type.startswith("float"):
            raise ValueError(f"{self.type!r} is no type of an identity: allowed are text, whole numbers and BCD")
        if table.of_bits:
            raise ValueError("an identity stands in holding or input registers")
        _check_order(self.order, self.type)
        in_range(address + width(self.type) - 1)
        return self


class _GoldenTable(Settings):
    ask: str
    reply: str
    gives: dict[str, float] = Field(min_length=1)

    @field_validator("ask", "reply")
    @classmethod
    def _hexadecimal(cls, text: str) -> str:
        bytes.fromhex(text)
        return text


class _ProfileFile(Settings):
    name: str = Field(pattern=r"^[a-z0-9_]+$")
    description: str
    every_s: float = Field(default=60.0, gt=0, le=86400)
    max_registers: int = Field(default=125, ge=1, le=125)
    max_bits: int = Field(default=2000, ge=1, le=2000)
    max_gap: int = Field(default=0, ge=0, le=2000)
    never_read: tuple[str, ...] = ()
    pause_ms: int = Field(default=0, ge=0, le=10000)
    allow_open: bool = False
    zero_transaction: bool = False
    point: tuple[_PointTable, ...] = ()
    time: tuple[_TimeTable, ...] = ()
    command: tuple[CommandTable, ...] = ()
    members: _MembersTable | None = None
    identity: _IdentityTable | None = None
    golden: tuple[_GoldenTable, ...] = Field(min_length=1)

    @field_validator("never_read")
    @classmethod
    def _spans(cls, spans: tuple[str, ...]) -> tuple[str, ...]:
        for span in spans:
            _parse_span(span)
        return spans

    @model_validator(mode="after")
    def _points_can_be_read(self) -> Self:
        if not self.point and self.members is None:
            raise ValueError("a profile needs at least one point, or members with points")
        _check_block(self.point, self.time)
        if self.members is not None:
            _check_block(self.members.point, self.members.time)
        check_commands(self.command, {point.quantity for point in self.point}, allow_open=self.allow_open)
        if self.members is not None:
            readable = {point.quantity for point in self.members.point}
            check_commands(self.members.command, readable, allow_open=self.allow_open)
        profile = self._build()
        for spec in (*profile.points, *(spec for slot in profile.slots() for spec in profile.member_points(slot))):
            if any(span.touches(spec.table, spec.first, spec.past) for span in profile.never_read):
                raise ValueError(f"{spec.quantity} stands in addresses that never_read forbids")
        return self

    def profile(self) -> Profile:
        return self._build()

    def _build(self) -> Profile:
        place = parse_place(self.identity.at) if self.identity else None
        return Profile(
            name=self.name,
            description=self.description,
            max_registers=self.max_registers,
            max_bits=self.max_bits,
            max_gap=self.max_gap,
            never_read=tuple(_parse_span(span) for span in self.never_read),
            pause_ms=self.pause_ms,
            points=_specs(self.point, self.time, self.every_s),
            commands=tuple(command.spec() for command in self.command),
            members=self._members(),
            identity=Identity(*place, self.identity.type, self.identity.order) if place and self.identity else None,
            golden=tuple(
                Golden(bytes.fromhex(item.ask), bytes.fromhex(item.reply), dict(item.gives)) for item in self.golden
            ),
            zero_transaction=self.zero_transaction,
        )

    def _members(self) -> Members | None:
        if self.members is None:
            return None
        points = _specs(self.members.point, self.members.time, self.every_s)
        commands = tuple(command.spec() for command in self.members.command)
        return Members(self.members.count, self.members.base, self.members.stride, points, commands)


def _specs(points: tuple[_PointTable, ...], times: tuple[_TimeTable, ...], every_s: float) -> tuple[PointSpec, ...]:
    clocks = {time.together: time.register() for time in times}
    return tuple(replace(point.spec(every_s), clock=clocks.get(point.together)) for point in points)


def _check_block(points: tuple[_PointTable, ...], times: tuple[_TimeTable, ...]) -> None:
    quantities = [point.quantity for point in points]
    doubled = {quantity.value for quantity in quantities if quantities.count(quantity) > 1}
    if doubled:
        raise ValueError(f"{', '.join(sorted(doubled))} appears twice: a quantity has one place")
    words = {(point.together, parse_place(point.at)[0]) for point in points if point.together}
    if len({word for word, _ in words}) < len(words):
        raise ValueError("points that are read together must stand in one table")
    timed = [time.together for time in times]
    for time in times:
        tables = {table for word, table in words if word == time.together}
        if tables != {parse_place(time.at)[0]} or timed.count(time.together) > 1:
            raise ValueError(f"time needs points with together = {time.together!r} in its table, and each set has one")
