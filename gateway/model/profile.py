"""A device type as data: which quantity stands in which Modbus registers, and in which form.

How a value stands in registers; whoever answers (a simulator) applies it forwards, whoever reads backwards:

1. `raw = (value - offset) / scale`; integers and BCD round to the nearest whole number. `flags` and `valve`
   (1 open, 0 closed) are plain numbers.
2. The raw number becomes `2 * width(type)` bytes, most significant byte first, called A, B, C and so on:
   integers in two's complement, floats as IEEE 754, BCD with two decimal digits a byte and zeros in front.
   Eight-bit integers stand in the lower byte of their register, sign-extended; `bit` is the `bits` bits of
   its register from bit `bit` (0 = least significant) upwards, so several points may share that register; `textN` is
   N bytes of ASCII, filled with zero bytes at the end.
3. `order` spells the bytes as they follow each other on the wire: `CDAB` sends C first. Empty means ABCD...
4. Each pair of bytes on the wire is one register, high byte first, from `address` upwards.
5. A pattern of `missing` (the number read from bytes A, B, C... without a sign) says "no value".
6. With `exponent`, the signed 16-bit register there holds e, and `raw = (value - offset) / scale / 10**e`.
7. With `clock`, the registers there hold the moment at which the device took the value.

`bool` stands alone in the tables `coil` and `discrete`, where an address is one bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.model.quantity import Quantity

LAST_ADDRESS = 65535


class RegisterTable(StrEnum):
    """The four address spaces of a Modbus device."""

    HOLDING = "holding"
    INPUT = "input"
    COIL = "coil"
    DISCRETE = "discrete"

    @property
    def of_bits(self) -> bool:
        """True where an address is one bit instead of a 16-bit register."""
        return self in (RegisterTable.COIL, RegisterTable.DISCRETE)

    @property
    def read_function(self) -> int:
        """Modbus function code that reads this table."""
        return {"coil": 1, "discrete": 2, "holding": 3, "input": 4}[self.value]


_INTEGERS = {f"{sign}int{bits}": max(1, bits // 16) for sign in ("", "u") for bits in (8, 16, 32, 48, 64)}
_FLOATS = {f"float{bits}": bits // 16 for bits in (16, 32, 64)}
_BCD = {f"bcd{digits}": -(-digits // 4) for digits in range(2, 17, 2)}
_TEXTS = {f"text{length}": length // 2 for length in range(2, 65, 2)}

TYPE_WIDTHS: Mapping[str, int] = {"bool": 1, "bit": 1, **_INTEGERS, **_FLOATS, **_BCD, **_TEXTS}
"""Every type with the number of addresses that it takes."""

NUMBER_TYPES = tuple(name for name in TYPE_WIDTHS if not name.startswith("text"))
"""Types that a point may have; texts only identify."""


def width(kind: str) -> int:
    """Return how many addresses a value of this type takes. Raises KeyError for an unknown type."""
    return TYPE_WIDTHS[kind]


def default_order(kind: str) -> str:
    """Return the order of a value whose most significant byte comes first: AB, ABCD and so on."""
    return "ABCDEFGH"[: 2 * width(kind)] if not kind.startswith("text") else ""


CLOCK_TYPES = ("uint32", "uint64", "bcd12")
"""Types of a device's clock: seconds since 1970 UTC, or the digits YYMMDDhhmmss of its zone."""


@dataclass(frozen=True, slots=True)
class ClockRegister:
    """Where a device writes at which moment it took some values, in the same table as they."""

    address: int
    type: str
    """one of CLOCK_TYPES"""
    order: str = ""
    zone: str = "UTC"
    """IANA name of the zone in which a `bcd12` is written"""

    @property
    def end(self) -> int:
        """First address after it."""
        return self.address + width(self.type)


@dataclass(frozen=True, slots=True)
class PointSpec:
    """One quantity and where it stands. In a member block `address` is relative to the member's first address."""

    quantity: Quantity
    table: RegisterTable
    address: int
    """zero-based, as on the wire"""
    type: str
    order: str = ""
    """letters of the bytes as they are sent; empty = most significant first"""
    scale: float = 1.0
    offset: float = 0.0
    every_s: float = 60.0
    """seconds of the clock between two polls"""
    together: str = ""
    """points of one unit with the same word here come from one request; empty = alone"""
    missing: tuple[int, ...] = ()
    """raw patterns that stand for "no value" """
    bit: int = 0
    """which bit of the register, for type `bit`"""
    bits: int = 1
    """how many bits from there upwards, for type `bit`"""
    exponent: int | None = None
    """address of the signed register with the power of ten by which the raw number is multiplied"""
    clock: ClockRegister | None = None
    """where the source time of the value stands; without it that is when the reply came"""

    @property
    def width(self) -> int:
        """Number of addresses that it takes."""
        return width(self.type)

    @property
    def end(self) -> int:
        """First address after it."""
        return self.address + self.width

    @property
    def first(self) -> int:
        """First of the addresses that must be read in one request: value, exponent and clock."""
        if self.exponent is None and self.clock is None:
            return self.address
        exponent = self.address if self.exponent is None else self.exponent
        return min(self.address, exponent, self.address if self.clock is None else self.clock.address)

    @property
    def past(self) -> int:
        """First address after those that must be read in one request."""
        if self.exponent is None and self.clock is None:
            return self.end
        exponent = self.end if self.exponent is None else self.exponent + 1
        return max(self.end, exponent, self.end if self.clock is None else self.clock.end)

    def moved(self, by: int) -> PointSpec:
        """Return the same `by` addresses further on."""
        return replace(
            self,
            address=self.address + by,
            exponent=None if self.exponent is None else self.exponent + by,
            clock=None if self.clock is None else replace(self.clock, address=self.clock.address + by),
        )


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """What is written to a device for a command, and the reading that shows whether it was done.

    In a member block `address` is relative to the member's first address.
    """

    name: str
    table: RegisterTable
    """coil or holding"""
    address: int
    values: tuple[int, ...]
    """bits or registers as they are written"""
    several: bool
    """True writes with function code 15 or 16, also a single one; else with 5 or 6"""
    confirm: Quantity
    """point of the same block that is read back"""
    expect: float
    tolerance: float
    settle_s: float
    """real seconds that the device needs before it shows the result"""
    second_person: bool
    golden: bytes
    """PDU from the manual; in a member block that of slot 0"""

    @property
    def closes(self) -> bool:
        """True if all that it does is to close a valve."""
        return self.confirm is Quantity.VALVE and self.expect == 0

    @property
    def opens(self) -> bool:
        """True if it lets gas flow."""
        return self.confirm is Quantity.VALVE and self.expect != 0


@dataclass(frozen=True, slots=True)
class Span:
    """Addresses first to last, both included."""

    table: RegisterTable
    first: int
    last: int

    def touches(self, table: RegisterTable, start: int, end: int) -> bool:
        """Say whether any address of start <= a < end of a table belongs to it."""
        return table is self.table and start <= self.last and self.first < end


@dataclass(frozen=True, slots=True)
class Members:
    """A block that repeats, one for each meter behind a concentrator; slot 0 begins at `base`."""

    count: int
    base: int
    stride: int
    points: tuple[PointSpec, ...]
    commands: tuple[CommandSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the device keeps its serial number, so that a swapped device is noticed."""

    table: RegisterTable
    address: int
    type: str
    order: str = ""


@dataclass(frozen=True, slots=True)
class Golden:
    """A request and its reply from a manual or a recording, as PDU without framing, and what they mean."""

    ask: bytes
    reply: bytes
    gives: Mapping[str, float]
    """`<quantity>` or `<slot>/<quantity>` to value; every key must come out of this reply. With `@` behind it, its
    source time in seconds since 1970 UTC"""


@dataclass(frozen=True, slots=True)
class Profile:
    """One device type."""

    name: str
    description: str
    max_registers: int
    """most registers in one request, 125 at most"""
    max_bits: int
    """most coils or discrete inputs in one request, 2000 at most"""
    max_gap: int
    """addresses that may be read and thrown away between two points of one request"""
    never_read: tuple[Span, ...]
    pause_ms: int
    """real milliseconds to leave the device alone after each reply"""
    points: tuple[PointSpec, ...]
    members: Members | None
    identity: Identity | None
    golden: tuple[Golden, ...]
    commands: tuple[CommandSpec, ...] = ()
    zero_transaction: bool = False
    """the device answers over TCP with transaction id 0, so that a reply is told only by its time"""

    def member_points(self, slot: int) -> tuple[PointSpec, ...]:
        """Return the points of one member with their real addresses. Raises IndexError for no such slot."""
        if self.members is None or not 0 <= slot < self.members.count:
            raise IndexError(f"profile {self.name} has no member slot {slot}")
        base = self.members.base + slot * self.members.stride
        return tuple(
            replace(spec.moved(base), together=f"{slot}/{spec.together}" if spec.together else "")
            for spec in self.members.points
        )

    def member_commands(self, slot: int) -> tuple[CommandSpec, ...]:
        """Return the commands of one member with their real addresses; none for no such slot."""
        if self.members is None or not 0 <= slot < self.members.count:
            return ()
        base = self.members.base + slot * self.members.stride
        return tuple(replace(spec, address=base + spec.address) for spec in self.members.commands)

    def slots(self) -> range:
        """Return every member slot."""
        return range(self.members.count if self.members else 0)
