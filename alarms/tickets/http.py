"""What every ticket sink that speaks HTTP needs: checked addresses, bounded answers, waits in seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator

from gateway.model.ticket import ExternalEvent
from gateway.settings import quoted_url

LONGEST_BODY = 20_000
LONGEST_ANSWER = 64_000
LONGEST_PAGE = 4_000_000
"""of an answer that lists many tickets"""
MOST_EVENTS = 1_000
_LONGEST_WAIT_S = 7 * 86_400.0


def http_url(text: str) -> str:
    """Return an address without a slash at its end. Raises ValueError."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"{quoted_url(text)} is no URL") from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError('must look like "https://host/tickets", without user, query or fragment')
    return text.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(http_url)]


async def bounded(answer: httpx.Response, longest: int = LONGEST_ANSWER) -> str:
    """Read at most so many bytes: a receiver cannot fill our memory."""
    parts, size = [], 0
    async for part in answer.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > longest:
            break
    return b"".join(parts)[:longest].decode("utf-8", "replace")


def retry_after(text: str | None, now_s: float) -> float | None:
    """Return the seconds that Retry-After asks for, given as seconds or as a date; None if it says nothing usable."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), _LONGEST_WAIT_S)
    try:
        asked = parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, OverflowError, IndexError):
        return None
    return min(max(asked, 0.0), _LONGEST_WAIT_S)


def as_object(text: str) -> dict[str, Any] | None:
    """Return a JSON object, None for anything else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def text_of(values: Mapping[str, Any], key: str, longest: int = 2000) -> str:
    """Return a text of an answer, empty if it is none."""
    value = values.get(key)
    return value[:longest] if isinstance(value, str) else ""


def whole(value: object) -> int:
    """Return a version, 0 if it is no whole number that a database can hold."""
    return value if type(value) is int and 0 <= value < 2**31 else 0


def event_of(values: object) -> ExternalEvent | None:
    """Read one step of the work from an answer, None if it is none."""
    if not isinstance(values, dict) or not text_of(values, "id", 120) or not text_of(values, "type", 120):
        return None
    return ExternalEvent(
        event_id=text_of(values, "id", 120),
        version=whole(values.get("version")),
        type=text_of(values, "type", 120),
        occurred_at=text_of(values, "occurred_at", 40),
        actor=text_of(values, "actor", 120),
        result=text_of(values, "result", 40),
    )
