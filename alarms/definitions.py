"""The master alarm database: reads a TOML file of definitions and refuses rows that an operator could not act on."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from alarms.machine import LONGEST_SHELVE
from gateway.errors import ConfigError
from gateway.model.alarm import Definition, Priority
from gateway.model.quantity import Quantity
from gateway.settings import Settings

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
AboveZero = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LIMIT_KINDS = ("high_limit", "low_limit", "flag")


BANDS_S = (180.0, 600.0, 1800.0)
"""times available that divide the matrix; a crew leaves within the first (document 001)"""
MATRIX: Mapping[str, tuple[Priority | None, ...]] = {
    "people": (Priority.P1, Priority.P1, Priority.P2, Priority.P2),
    "many": (Priority.P1, Priority.P2, Priority.P2, Priority.P3),
    "few": (Priority.P2, Priority.P3, Priority.P3, Priority.P4),
    "money": (Priority.P3, Priority.P4, Priority.P4, None),
}
"""priority by harm and time available: under 3, 10 and 30 minutes, and longer"""


class DefinitionRow(Settings):
    """One `[[alarm]]` table."""

    id: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{2,59}$")]
    title: Text
    kind: Literal["high_limit", "low_limit", "flag", "burst", "silence", "area", "finding", "own"]
    quantity: Quantity | Literal[""]
    asset_kinds: Annotated[
        tuple[Literal["station", "regulator", "meter", "zone", "ticket", "interruption", "system"], ...],
        Field(min_length=1),
    ]
    limit: Finite | None = None
    limit_of_set_pressure: AboveZero | None = None
    limit_of_medium_pressure: AboveZero | None = None
    unit: str
    deadband: Seconds = 0.0
    on_delay_s: Seconds = 0.0
    off_delay_s: Seconds = 0.0
    priority: Priority
    alarm_class: Literal["safety", "supply", "communication", "system"]
    highly_managed: bool = False
    latching: bool = False
    shelvable: bool = False
    max_shelve_s: Seconds = 0.0
    ack_on_rtn: bool = True
    realarm_after_s: AboveZero | None = None
    ticket_class: Literal["EMERGENCY", "URGENT", "CHECK", ""] = ""
    ticket_type: str = ""
    ticket_delay_s: Seconds = 0.0
    join_group: Literal["home", "network", "station", "area", "comms", "meter", ""] = ""
    rules: tuple[
        Literal["higher_limit", "parent_silent", "area_supply", "planned_interruption", "delivery_down", "commanded"],
        ...,
    ] = ()
    cause: Text
    consequence: Text
    harm: Literal["people", "many", "few", "money", ""] = ""
    """what the consequence means: people in danger; 500 and more customers without gas, or damage of plant; fewer
    customers, or loss of sight; money or quality. With the time available it makes the priority"""
    action: Text
    time_available_s: AboveZero
    time_needed_s: AboveZero
    revision: Annotated[int, Field(ge=1)] = 1
    position: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "control_room"
    guidance_url: Annotated[str, Field(pattern=r"^(https?://[^\s\"'<>]{1,290})?$")] = ""
    """address of the company's own instruction"""
    owner: Short = ""
    """who answers for the row"""
    basis: Short = ""
    """the document that limit and priority rest on"""

    @model_validator(mode="after")
    def _can_be_acted_on(self) -> Self:
        problems = [text for wrong, text in self._rules_of_practice() if wrong]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _rules_of_practice(self) -> list[tuple[bool, str]]:
        limited = self.limit is not None or self.limit_of_set_pressure is not None
        longest = LONGEST_SHELVE.get(self.priority, timedelta(0)).total_seconds()
        gas = self.id.startswith(("GAS_CONC", "HOME_GAS", "LEAK"))
        return [
            (self.time_needed_s > self.time_available_s, "time_needed_s must not exceed time_available_s"),
            (self.kind in LIMIT_KINDS and not (limited and self.quantity), "a limit needs quantity and limit"),
            (self.highly_managed and not self.latching, "a highly managed alarm latches"),
            (self.highly_managed and self.shelvable, "a highly managed alarm is not shelvable"),
            (
                self.shelvable and not 0 < self.max_shelve_s <= longest,
                f"max_shelve_s must be above 0, at most {longest:g}",
            ),
            (gas and self.on_delay_s > 0, "a leak or gas concentration alarm has no on_delay_s"),
            (gas and bool(self.rules), "no rule may suppress a leak or gas concentration alarm"),
            (bool(self.ticket_class) != bool(self.ticket_type), "ticket_class and ticket_type go together"),
            *self._priority_of_harm(),
        ]

    def _priority_of_harm(self) -> list[tuple[bool, str]]:
        if not self.harm:
            return []
        wanted = priority_of(self.harm, self.time_available_s)
        if wanted is None:
            return [(True, "money with more than 30 min of time is a work item, no alarm")]
        text = f"priority must be {int(wanted)}: harm {self.harm} within {self.time_available_s:g} s"
        return [(self.priority is not wanted, text)]

    def definition(self) -> Definition:
        """Return the row as a plain value."""
        seconds = {"max_shelve_s": self.max_shelve_s, "ticket_delay_s": self.ticket_delay_s}
        values: dict[str, Any] = {name: getattr(self, name) for name in Definition.__slots__ if hasattr(self, name)}
        values |= {name.removesuffix("_s"): timedelta(seconds=value) for name, value in seconds.items()}
        realarm = self.realarm_after_s
        values["realarm_after"] = None if realarm is None else timedelta(seconds=realarm)
        values["quantity"] = str(self.quantity)
        return Definition(**values)


def priority_of(harm: str, time_available_s: float) -> Priority | None:
    """Return the priority by consequence and time to respond; None for what is no alarm but a work item."""
    band = sum(time_available_s >= limit for limit in BANDS_S)
    return MATRIX[harm][band]


def load_definitions(path: Path | None = None) -> Mapping[str, Definition]:
    """Return the definitions of a file by id, those that come with gasgate if `path` is None.

    Raises ConfigError naming file, alarm, key and remedy for everything that is wrong.
    """
    name = "definitions.toml" if path is None else str(path)
    return parse_definitions(_text(path), name)


def parse_definitions(text: str, name: str) -> Mapping[str, Definition]:
    """Return the definitions in a TOML text; `name` is the file's name for messages. Raises ConfigError."""
    return {key: row.definition() for key, row in parse_rows(text, name).items()}


def shipped_rows() -> Mapping[str, DefinitionRow]:
    """Return the rows that come with gasgate."""
    return parse_rows(_text(None), "definitions.toml")


def parse_rows(text: str, name: str) -> Mapping[str, DefinitionRow]:
    """Return the rows of a TOML text; `name` is the file's name for messages. Raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{name}: {error}"]) from error
    rows = document.pop("alarm", None)
    problems = [f"{name}: unknown table {key!r}; only [[alarm]] is known" for key in document]
    if not isinstance(rows, list) or not rows:
        raise ConfigError([*problems, f"{name}: needs at least one [[alarm]] table"])
    found: dict[str, DefinitionRow] = {}
    for number, row in enumerate(rows, start=1):
        label = row.get("id", f"number {number}") if isinstance(row, dict) else f"number {number}"
        try:
            definition = DefinitionRow.model_validate(row)
        except ValidationError as error:
            problems += [_problem(name, str(label), detail) for detail in error.errors()]
            continue
        if definition.id in found:
            problems.append(f"{name}: alarm {definition.id}: defined twice; remove one")
        found[definition.id] = definition
    if problems:
        raise ConfigError(problems)
    return found


def rows_as_toml(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as the text of a definitions file; `parse_rows` reads the same back."""
    tables = []
    for row in rows:
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in row.items() if value is not None]
        tables.append("\n".join(["[[alarm]]", *lines]))
    return "\n\n".join(tables) + "\n"


def _text(path: Path | None) -> str:
    if path is None:
        return files("alarms").joinpath("definitions.toml").read_text(encoding="utf-8")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot read the alarm definitions: {error}"]) from error


def _problem(name: str, label: str, detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    return f"{name}: alarm {label}: {key + ': ' if key else ''}{detail['msg']}"
