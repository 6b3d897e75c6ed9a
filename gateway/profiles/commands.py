"""Commands of a device profile: what may be written to a device from afar, and how it shows that it was done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import Field, field_validator, model_validator

from gateway.model.profile import CommandSpec, RegisterTable
from gateway.model.quantity import Quantity
from gateway.profiles.places import in_range, parse_place
from gateway.settings import Settings

MOST_VALUES = 123
"""registers that one write may carry; bits are held to the same number"""


class CommandTable(Settings):
    """One command of a profile file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    at: str
    value: int | tuple[int, ...]
    confirm: Quantity
    expect: float = Field(allow_inf_nan=False)
    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    settle_s: float = Field(default=5.0, ge=0, le=600)
    second_person: bool = False
    golden: str

    @field_validator("golden")
    @classmethod
    def _hexadecimal(cls, text: str) -> str:
        bytes.fromhex(text)
        return text

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        table, address = parse_place(self.at)
        if table not in (RegisterTable.COIL, RegisterTable.HOLDING):
            raise ValueError(f"{self.at} cannot be written: a command stands in coil or holding")
        values = self._values()
        if not 1 <= len(values) <= MOST_VALUES:
            raise ValueError(f"value has {len(values)} numbers: allowed are 1 to {MOST_VALUES}")
        highest = 1 if table.of_bits else 0xFFFF
        if wrong := [value for value in values if not 0 <= value <= highest]:
            raise ValueError(f"value {wrong[0]} does not fit into {table.value}: allowed is 0 to {highest}")
        in_range(address + len(values) - 1)
        return self

    def _values(self) -> tuple[int, ...]:
        return (self.value,) if isinstance(self.value, int) else self.value

    @property
    def end(self) -> int:
        """First address after what is written."""
        return parse_place(self.at)[1] + len(self._values())

    def spec(self) -> CommandSpec:
        """Return the command as the model has it."""
        table, address = parse_place(self.at)
        return CommandSpec(
            name=self.name,
            table=table,
            address=address,
            values=self._values(),
            several=not isinstance(self.value, int),
            confirm=self.confirm,
            expect=self.expect,
            tolerance=self.tolerance,
            settle_s=self.settle_s,
            second_person=self.second_person,
            golden=bytes.fromhex(self.golden),
        )


def check_commands(commands: Sequence[CommandTable], readable: Iterable[Quantity], *, allow_open: bool) -> None:
    """Raise ValueError for a command that cannot be read back, or that must not be given from afar as it stands."""
    known = set(readable)
    names = [command.name for command in commands]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"command {min(doubled)} appears twice")
    for command in commands:
        spec = command.spec()
        if spec.confirm not in known:
            raise ValueError(
                f"command {spec.name} has no read-back: confirm names {spec.confirm}, which is no point here; "
                f"allowed are {', '.join(sorted(known))}"
            )
        if spec.opens and not allow_open:
            raise ValueError(f"command {spec.name} opens a valve from afar: that needs allow_open = true")
        if not spec.closes and not spec.second_person:
            raise ValueError(f"command {spec.name} does more than close a valve: that needs second_person = true")
