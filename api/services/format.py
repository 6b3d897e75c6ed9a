"""How numbers and times look to people. What is not known is a dash, never a zero."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

UNKNOWN = "—"
_MINUS = "−"


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with thousands separated by thin spaces."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = f"{abs(value):,.{digits}f}".replace(",", "\u2009")
    negative = value < 0 and text.strip("0.\u2009") != ""
    return _MINUS + text if negative else text


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share as per cent, without the sign: the unit stands in the header."""
    return number(None if share is None else share * 100, digits)


def significant(value: float | None) -> str:
    """Return a measured value with as many digits as its size deserves."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    return number(value, 0 if size >= 1000 else 1 if size >= 10 else 2)


def clock_time(moment: datetime | None, timezone: str, now: datetime | None = None) -> str:
    """Return a local time, with the date where it is not today."""
    if moment is None:
        return UNKNOWN
    local = moment.astimezone(ZoneInfo(timezone))
    today = now is not None and local.date() == now.astimezone(ZoneInfo(timezone)).date()
    return f"{local:%H:%M:%S}" if today else f"{local:%m-%d %H:%M}"


def full_time(moment: datetime | None, timezone: str) -> str:
    """Return local date and time to the second."""
    return UNKNOWN if moment is None else f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S}"


def duration_s(span_s: float) -> str:
    """Return a span of seconds as m:ss, or h:mm:ss from one hour on."""
    seconds = int(abs(span_s))
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def sentence(text: str) -> str:
    """Return a text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
