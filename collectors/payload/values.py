"""Numbers and times as devices write them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any

from collectors.scaling import MAX_EXACT
from gateway.model.reading import GOOD, Reason, Severity, quality, to_us

EARLIEST_US = 946_684_800_000_000
"""Start of 2000: a meter whose clock shows less has lost its time."""
LATEST_US = 4_102_444_800_000_000
"""Start of 2100."""
NO_TIME = quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME)
_FACTORS = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?")

Convert = Callable[[Any], tuple[float, int]]
"""What stands in a message to value and quality byte."""


def make_convert(scale: Callable[[float], float], *, text: bool, missing: Sequence[float | str]) -> Convert:
    """Return the function for one mapped value; `text` accepts digits in quotes, `missing` are marks of "no value"."""
    absent = frozenset(missing)

    def convert(found: Any) -> tuple[float, int]:
        if absent and not isinstance(found, bool) and isinstance(found, int | float | str) and found in absent:
            found = None
        elif text and isinstance(found, str):
            found = number_in(found)
        return number(found, scale)

    return convert


def number_in(text: str) -> Any:
    """Return the number that a text holds, None for an empty text, and the text itself if it is no number."""
    text = text.strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def number(found: Any, scale: Callable[[float], float]) -> tuple[float, int]:
    """Return value and quality; anything but a finite number of exact size is BAD with its reason."""
    reason = Reason.NONE
    if found is None:
        reason = Reason.MISSING_VALUE
    elif isinstance(found, Reason):
        reason = found
    elif isinstance(found, bool) or not isinstance(found, int | float) or not -math.inf < found < math.inf:
        reason = Reason.NOT_A_NUMBER
    elif isinstance(found, int) and abs(found) > MAX_EXACT:
        reason = Reason.OUT_OF_RANGE
    elif math.isfinite(value := scale(found)):
        return value, GOOD
    else:
        reason = Reason.OUT_OF_RANGE
    return math.nan, quality(Severity.BAD, reason)


def time_us(found: Any, form: str, zone: tzinfo | None = None) -> int | None:
    """Return us UTC of a written time; None if it cannot be read, or is before 2000 or after 2100.

    `zone` is the zone of an ISO time that names none; without it such a time cannot be read.
    """
    found_us = _iso_us(found, zone) if form == "iso" else _epoch_us(found, _FACTORS[form])
    return found_us if found_us is not None and EARLIEST_US <= found_us < LATEST_US else None


def _iso_us(found: Any, zone: tzinfo | None) -> int | None:
    if not isinstance(found, str) or len(found) > 40:
        return None
    try:
        moment = datetime.fromisoformat(found.strip())
        return to_us(moment.replace(tzinfo=zone) if moment.tzinfo is None else moment)
    except (ValueError, OverflowError):
        return None


def _epoch_us(found: Any, factor: int) -> int | None:
    if isinstance(found, str):
        found = number_in(found)
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < MAX_EXACT:
        return None
    return round(found * factor)
