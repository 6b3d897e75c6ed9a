"""The generic ticket webhook: CloudEvents in JSON, signed by Standard Webhooks, idempotent on the dedup key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

import httpx
from pydantic import AfterValidator, Field

from alarms.route import iso
from alarms.tickets.signature import signed_headers
from gateway.errors import PermanentError, TransientError
from gateway.model.ticket import (
    Attempt,
    Capabilities,
    Command,
    Confirmed,
    ExternalTicket,
    Misconfigured,
    Outcome,
    Refused,
    TicketClass,
    Unknown,
)
from gateway.ports import Clock
from gateway.settings import Secret, Settings

LONGEST_BODY = 20_000
LONGEST_ANSWER = 64_000
_BAD_MESSAGE = (400, 413, 415, 422)
_WRONG_SETUP = (401, 403, 404, 410)


def _http_url(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"{text!r} is no URL") from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError('must look like "https://host/tickets", without user, query or fragment')
    return text.rstrip("/")


class WebhookConfig(Settings):
    """One `[[ticket_sink]]` of kind `webhook`."""

    kind: Literal["webhook"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]
    """unique name of this sink"""
    url: Annotated[str, AfterValidator(_http_url)]
    """address that takes new tickets; look-ups go to `URL/by-key/KEY`"""
    secrets: Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]
    """one secret, or two while one is exchanged; each is `whsec_` and base64 text"""
    classes: Annotated[tuple[TicketClass, ...], Field(min_length=1)] = tuple(TicketClass)
    """ticket classes that go to this sink"""
    site: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,20}$")] = "hq"
    """name of the site in the messages' source"""


class WebhookSink:
    """Delivers commands by HTTP POST. Safe to use from several tasks of one loop."""

    Config: ClassVar[type[WebhookConfig]] = WebhookConfig

    def __init__(self, config: WebhookConfig, clock: Clock) -> None:
        """Read the secrets. Raises ConfigError if one is missing or cannot be used."""
        self.name = config.name
        self.classes = config.classes
        self._config, self._clock = config, clock
        self._secrets = [secret.read() for secret in config.secrets]
        signed_headers("", "probe", datetime.now(UTC), self._secrets)
        self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False)

    @property
    def capabilities(self) -> Capabilities:
        """Return that keys are unique at the receiver and can be looked up."""
        return Capabilities(create_once=True, lookup=True, push=True, pull=False, update=True)

    async def deliver(self, command: Command, attempt: Attempt) -> Outcome:
        """Send one command once, within the attempt's real seconds."""
        body = json.dumps(self._envelope(command), separators=(",", ":"), ensure_ascii=False)
        if len(body.encode()) > LONGEST_BODY:
            return Refused(f"the message is longer than {LONGEST_BODY} bytes")
        headers = {
            **signed_headers(body, command.webhook_id, datetime.now(UTC), self._secrets),
            "content-type": "application/cloudevents+json; charset=utf-8",
            "idempotency-key": _idempotency_key(command),
            "x-gasgate-attempt": str(attempt.number),
        }
        try:
            async with asyncio.timeout(attempt.total_timeout_s):
                status, text, waits = await self._post(body, headers, attempt)
        except TimeoutError:
            return Unknown("no answer in time")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return Unknown(f"{type(error).__name__}: {error}"[:200])
        return _outcome(status, text, waits, command)

    async def lookup(self, dedup_key: str) -> ExternalTicket | None:
        """Return the receiver's ticket; None only after its 404. Raises TransientError for every other answer."""
        url = f"{self._config.url}/by-key/{quote(dedup_key, safe='')}"
        status, text = await self._get(url)
        if status == httpx.codes.NOT_FOUND:
            return None
        found = _external(text, dedup_key) if status == httpx.codes.OK else None
        if found is None:
            raise TransientError(f"{self.name}: look-up answered {status}")
        if found.dedup_key != dedup_key:
            raise TransientError(f"{self.name}: look-up answered with another ticket")
        return found

    async def probe(self) -> str:
        """Ask for a key that nobody has; the receiver is well if it answers 404 or 200. Creates nothing."""
        status, _ = await self._get(f"{self._config.url}/by-key/{quote('gasgate:probe', safe='')}")
        if status in (httpx.codes.OK, httpx.codes.NOT_FOUND):
            return f"{self.name}: {self._config.url} answers look-ups"
        raise PermanentError(f"{self.name}: {self._config.url} answered {status} to a look-up")

    async def close(self) -> None:
        """Close all connections; may be called twice."""
        await self._client.aclose()

    async def _post(self, body: str, headers: Mapping[str, str], attempt: Attempt) -> tuple[int, str, float | None]:
        timeout = httpx.Timeout(attempt.total_timeout_s, connect=attempt.connect_timeout_s)
        url = self._config.url
        async with self._client.stream("POST", url, content=body.encode(), headers=headers, timeout=timeout) as answer:
            return answer.status_code, await _bounded(answer), _retry_after(answer.headers.get("retry-after"))

    async def _get(self, url: str) -> tuple[int, str]:
        now = datetime.now(UTC)
        headers = signed_headers("", f"get_{now.timestamp():.6f}", now, self._secrets)
        try:
            async with asyncio.timeout(5.0), self._client.stream("GET", url, headers=headers, timeout=5.0) as answer:
                return answer.status_code, await _bounded(answer)
        except (TimeoutError, httpx.HTTPError, httpx.StreamError) as error:
            raise TransientError(f"{self.name}: look-up failed: {type(error).__name__}") from error

    def _envelope(self, command: Command) -> dict[str, Any]:
        moment = iso(command.created_at)
        return {
            "specversion": "1.0",
            "id": command.webhook_id,
            "source": f"urn:gasgate:site:{self._config.site}",
            "type": f"gasgate.ticket.{command.command}.v1",
            "subject": f"ticket/{command.ticket_no}",
            "time": moment,
            "timestamp": moment,
            "datacontenttype": "application/json",
            "dataschema": f"urn:gasgate:schema:ticket-{command.command}:1",
            "data": dict(command.body),
        }


def _idempotency_key(command: Command) -> str:
    """Quote the key as a header's text; what a header cannot carry is percent-encoded."""
    key = quote(f"{command.dedup_key}:{command.command}:{command.command_no}", safe=":/")
    return f'"{key}"'


def _outcome(status: int, text: str, waits: float | None, command: Command) -> Outcome:
    if status in (200, 201):
        ticket = _external(text, command.dedup_key)
        if ticket is None:
            return Unknown(f"{status} without a ticket id")
        return Confirmed(ticket, duplicate=status == httpx.codes.OK)
    if 200 < status < 300:
        return Unknown(f"{status}: accepted, not known")
    if status in _BAD_MESSAGE:
        return Refused(f"{status}: {text[:200]}")
    if status in _WRONG_SETUP:
        return Misconfigured(f"{status}: {text[:200]}")
    return Unknown(f"status {status}", waits)


def _external(text: str, dedup_key: str) -> ExternalTicket | None:
    """Read the receiver's ticket; None if the answer has no usable id."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    external_id = values.get("external_ticket_id") or values.get("external_id")
    if not isinstance(external_id, str | int) or not str(external_id):
        return None
    version = values.get("version", 0)
    return ExternalTicket(
        external_id=str(external_id)[:120],
        url=_text(values, "url"),
        state=_text(values, "state"),
        dedup_key=_text(values, "dedup_key") or dedup_key,
        raised_at=_text(values, "raised_at"),
        received_at=_text(values, "received_at"),
        version=version if isinstance(version, int) else 0,
    )


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value[:2000] if isinstance(value, str) else ""


async def _bounded(answer: httpx.Response) -> str:
    """Read at most LONGEST_ANSWER bytes: a receiver cannot fill our memory."""
    parts, size = [], 0
    async for part in answer.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > LONGEST_ANSWER:
            break
    return b"".join(parts)[:LONGEST_ANSWER].decode("utf-8", "replace")


def _retry_after(text: str | None) -> float | None:
    """Read whole seconds, at most an hour; a date is ignored and the lane's own schedule holds."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return min(float(text), 3600.0)
