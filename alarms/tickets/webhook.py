"""The generic ticket webhook: CloudEvents in JSON, signed by Standard Webhooks, idempotent on the dedup key."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

import httpx
from pydantic import Field

from alarms.route import iso
from alarms.tickets.http import (
    LONGEST_BODY,
    LONGEST_PAGE,
    MOST_EVENTS,
    HttpUrl,
    as_object,
    bounded,
    event_of,
    retry_after,
    text_of,
    whole,
)
from alarms.tickets.signature import signed_headers
from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.ticket import (
    Attempt,
    Capabilities,
    Command,
    Confirmed,
    ExternalChange,
    ExternalTicket,
    Misconfigured,
    Outcome,
    Refused,
    TicketClass,
    Unknown,
)
from gateway.ports import Clock
from gateway.settings import Secret, Settings

_LOOKUP_S = 5.0
_PULL_S = 30.0
_BAD_MESSAGE = (400, 413, 415, 422)
_WRONG_SETUP = (401, 403, 404)


class WebhookConfig(Settings):
    """One `[[ticket_sink]]` of kind `webhook`."""

    kind: Literal["webhook"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]
    """unique name of this sink"""
    url: HttpUrl
    """address that takes new tickets; look-ups go to `URL/by-key/KEY`"""
    secrets: Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]
    """one secret, or two while one is exchanged; each is `whsec_` and base64 text"""
    classes: tuple[TicketClass, ...] = tuple(TicketClass)
    """ticket classes that go to this sink"""
    fallback_for: tuple[TicketClass, ...] = ()
    """ticket classes that go here when the sink of the class has not confirmed in time"""
    pull: bool = False
    """whether the receiver answers `URL?changed_since=CURSOR` with the tickets that changed"""
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
        """Return that keys are unique at the receiver and can be looked up; pulled from if the site says so."""
        return Capabilities(create_once=True, lookup=True, push=True, pull=self._config.pull, update=True)

    async def deliver(self, command: Command, attempt: Attempt) -> Outcome:
        """Send one command once, within the attempt's real seconds; once more if a secret was changed meanwhile."""
        outcome = await self._send(command, attempt)
        if isinstance(outcome, Misconfigured) and await asyncio.to_thread(self._read_anew):
            outcome = await self._send(command, attempt)
        return outcome

    def _read_anew(self) -> bool:
        """Read the secrets again; True if they are others now. One that cannot be used leaves the known ones."""
        try:
            fresh = [secret.read() for secret in self._config.secrets]
            signed_headers("", "probe", datetime.now(UTC), fresh)
        except ConfigError:
            return False
        known, self._secrets = self._secrets, fresh
        return known != fresh

    async def _send(self, command: Command, attempt: Attempt) -> Outcome:
        body = json.dumps(self._envelope(command), separators=(",", ":"), ensure_ascii=False)
        if len(body.encode()) > LONGEST_BODY:
            return Refused(f"the message is longer than {LONGEST_BODY} bytes")
        headers = {
            **signed_headers(body, command.webhook_id, datetime.now(UTC), self._secrets),
            "content-type": "application/cloudevents+json; charset=utf-8",
            "idempotency-key": _idempotency_key(command),
            "x-gasgate-attempt": str(attempt.number),
            "traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
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
        found = _external(as_object(text), dedup_key) if status == httpx.codes.OK else None
        if found is None:
            raise TransientError(f"{self.name}: look-up answered {status}")
        if found.dedup_key != dedup_key:
            raise TransientError(f"{self.name}: look-up answered with another ticket")
        return found

    async def changed_since(self, cursor: str) -> AsyncIterator[ExternalChange]:
        """Yield what changed behind the receiver's own cursor, page by page. Raises TransientError."""
        while True:
            status, text = await self._get(f"{self._config.url}?changed_since={quote(cursor, safe='')}", page=True)
            values = as_object(text) if status == httpx.codes.OK else None
            rows, behind = (values or {}).get("tickets"), text_of(values or {}, "cursor", 200)
            if not isinstance(rows, list):
                raise TransientError(f"{self.name}: asked for changes it answered {status} without a list")
            tickets = [found for row in rows if isinstance(row, dict) and (found := _external(row, ""))]
            for ticket in tickets:
                if ticket.dedup_key:
                    # the cursor stands behind the whole page: one that was cut short is asked for again
                    yield ExternalChange(ticket, behind if ticket is tickets[-1] else cursor)
            if not rows or not behind or behind == cursor:
                return
            cursor = behind

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
            return (
                answer.status_code,
                await bounded(answer),
                retry_after(answer.headers.get("retry-after"), time.time()),
            )

    async def _get(self, url: str, *, page: bool = False) -> tuple[int, str]:
        now = datetime.now(UTC)
        headers = signed_headers("", f"get_{now.timestamp():.6f}", now, self._secrets)
        seconds = _PULL_S if page else _LOOKUP_S
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream("GET", url, headers=headers, timeout=seconds) as answer,
            ):
                return answer.status_code, await (bounded(answer, LONGEST_PAGE) if page else bounded(answer))
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
        ticket = _external(as_object(text), command.dedup_key)
        if ticket is None:
            return Unknown(f"{status} without a ticket id", accepted=True)
        return Confirmed(ticket, duplicate=status == httpx.codes.OK)
    if 200 < status < 300:
        return Unknown(f"{status}: accepted, not known", accepted=True)
    if status in _BAD_MESSAGE:
        return Refused(f"{status}: {text[:200]}")
    if status in _WRONG_SETUP or status == httpx.codes.GONE:
        return Misconfigured(f"{status}: {text[:200]}", gone=status == httpx.codes.GONE)
    return Unknown(f"status {status}", waits)


def _external(values: Mapping[str, Any] | None, dedup_key: str) -> ExternalTicket | None:
    """Read the receiver's ticket; None if the answer has no usable id."""
    if values is None:
        return None
    external_id = values.get("external_ticket_id") or values.get("external_id")
    if not isinstance(external_id, str | int) or not str(external_id):
        return None
    events = values.get("events")
    steps = [step for one in events[:MOST_EVENTS] if (step := event_of(one))] if isinstance(events, list) else []
    return ExternalTicket(
        external_id=str(external_id)[:120],
        url=text_of(values, "url"),
        state=text_of(values, "state"),
        dedup_key=text_of(values, "dedup_key") or dedup_key,
        raised_at=text_of(values, "raised_at"),
        received_at=text_of(values, "received_at"),
        version=whole(values.get("version")),
        events=tuple(steps),
        ticket_no=text_of(values, "ticket_no"),
        ticket_class=text_of(values, "class"),
        type=text_of(values, "type"),
        asset=text_of(values, "asset"),
        title=text_of(values, "title"),
    )
