"""Reads JSON that others wrote: every defect becomes one line that names file, key and remedy."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError

MAX_BYTES = 2 << 30
"""a larger file is not the answer of an analysis"""


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises ConfigError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError([f"{path}: larger than {MAX_BYTES >> 30} GiB; is this the right file?"])
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError([f"{path}: cannot read: {error.strerror}; put the file there"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path}: not JSON in UTF-8: {error}; write it again"]) from error
    if not isinstance(value, dict):
        raise ConfigError([f"{path}: holds {_name(value)}; an object {{...}} is wanted"])
    return value


def seconds(value: object) -> float:
    """Return the seconds since 1970 UTC of an ISO time, NaN if it is none. A time without zone is UTC."""
    if not isinstance(value, str):
        return math.nan
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def number(value: object) -> float:
    """Return a number as a float, NaN if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _name(value: object) -> str:
    names = {type(None): "null", bool: "true or false", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


class Fields:
    """One JSON object being read: what is wrong is added to `problems`, and a harmless value returned."""

    def __init__(self, where: str, values: object, problems: list[str]) -> None:
        """`where` names file and place; it begins every problem."""
        self.where, self.problems = where, problems
        self.values: dict[str, Any] = values if isinstance(values, dict) else {}
        if not isinstance(values, dict):
            problems.append(f"{where}: is {_name(values)}; an object {{...}} is wanted")

    def problem(self, key: str, text: str) -> None:
        """Note what is wrong with one key."""
        self.problems.append(f"{self.where}: key {key}: {text}")

    def text(self, key: str, default: str = "") -> str:
        """Return a text; a missing one is a problem unless there is a default."""
        value = self.values.get(key, default or None)
        if isinstance(value, str) and value:
            return value
        self._absent(key, value, "a text")
        return default

    def name(self, key: str) -> str | None:
        """Return a text, or None where the key is missing or null."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value or None
        self.problem(key, f"is {_name(value)}; give a text or null")
        return None

    def moment(self, key: str, default: float | None = None) -> float:
        """Return a time as seconds since 1970; with a default the key may be missing or null."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        at = seconds(value)
        if math.isnan(at):
            self._absent(key, value, "a UTC time such as 2024-02-03T22:00:00Z")
            return 0.0
        return at

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number; with a default the key may be missing or null."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        amount = number(value)
        if not math.isfinite(amount):
            self._absent(key, value, "a finite number")
            return 0.0
        return amount

    def day(self, key: str) -> date:
        """Return a date."""
        value = self.values.get(key)
        try:
            return date.fromisoformat(value)  # type: ignore[arg-type]  # what is no text is a problem as well
        except (TypeError, ValueError):
            self._absent(key, value, "a date such as 2024-02-03")
            return date(1970, 1, 1)

    def listed(self, key: str) -> list[Any]:
        """Return a list; a missing one is empty."""
        value = self.values.get(key, [])
        if isinstance(value, list):
            return value
        self.problem(key, f"is {_name(value)}; give a list [...]")
        return []

    def inner(self, key: str) -> dict[str, Any]:
        """Return an object; a missing one is empty."""
        value = self.values.get(key, {})
        if isinstance(value, dict):
            return value
        self.problem(key, f"is {_name(value)}; give an object {{...}}")
        return {}

    def _absent(self, key: str, value: object, wanted: str) -> None:
        self.problem(key, f"is missing; give {wanted}" if value is None else f"{value!r:.60} is not {wanted}; correct")
