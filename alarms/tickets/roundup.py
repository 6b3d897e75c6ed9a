"""Roundup as the ticketing system: tickets are items of the tracker's class `ticket`, made once by their key.

The tracker runs the files in `roundup_tracker`. gasgate creates tickets and messages and never changes either: the
tracker's own rules show messages on tickets, and people move tickets on.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

import httpx
from pydantic import Field

from alarms.tickets.http import LONGEST_BODY, LONGEST_PAGE, HttpUrl, as_object, bounded, retry_after, text_of, whole
from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.ticket import (
    Attempt,
    Capabilities,
    Command,
    Confirmed,
    ExternalChange,
    ExternalEvent,
    ExternalTicket,
    Misconfigured,
    Outcome,
    Refused,
    TicketClass,
    Unknown,
)
from gateway.ports import Clock
from gateway.settings import Secret, Settings

PAGE = 100
OVERLAP = timedelta(minutes=5)
"""how far a pull looks back behind its cursor: transactions of the tracker end in another order than they begin"""
_LOOKUP_S = 5.0
_PULL_S = 30.0
_FIELDS = "dedup_key,ticket_no,ticket_class,type,asset,title,raised_at,state,version,creation,activity"
_STEP_FIELDS = "event_id,version,type,occurred_at,by,result,ticket"
_SENT = ("dedup_key", "ticket_no", "type", "title", "description", "priority", "raised_at")
_FAULT = "An error occurred."
"""what Roundup 2.6 says with status 400 of a fault of its own, such as a locked database"""
_MOMENT = "%Y-%m-%d.%H:%M:%S"


class RoundupConfig(Settings):
    """One `[[ticket_sink]]` of kind `roundup`."""

    kind: Literal["roundup"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]
    """unique name of this sink"""
    url: HttpUrl
    """the tracker's address as its config.ini gives it (`web` in `[tracker]`)"""
    user: Annotated[str, Field(min_length=1, max_length=80)] = "gasgate"
    """user of the tracker with the role Gateway"""
    password: Secret
    """its password"""
    secrets: Annotated[tuple[Secret, ...], Field(max_length=2)] = ()
    """with which the tracker signs its events; one, or two while one is exchanged; each is `whsec_` and base64 text"""
    classes: tuple[TicketClass, ...] = tuple(TicketClass)
    """ticket classes that go to this sink"""
    fallback_for: tuple[TicketClass, ...] = ()
    """ticket classes that go here when the sink of the class has not confirmed in time"""


class RoundupSink:
    """Delivers to a Roundup 2.6 tracker by its REST interface. Safe to use from several tasks of one loop."""

    Config: ClassVar[type[RoundupConfig]] = RoundupConfig

    def __init__(self, config: RoundupConfig, clock: Clock) -> None:
        """Read the password. Raises ConfigError if it is missing."""
        self.name = config.name
        self.classes = config.classes
        self._config, self._clock = config, clock
        self._password = config.password.read()
        url = httpx.URL(config.url)
        port = "" if url.port is None else f":{url.port}"
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            auth=(config.user, self._password),
            headers={
                "accept": "application/json",
                # without these three the tracker takes a request for one that another site's page sent
                "x-requested-with": "rest",
                "origin": f"{url.scheme}://{url.host}{port}",
                "referer": f"{config.url}/",
            },
        )

    @property
    def capabilities(self) -> Capabilities:
        """Return that keys are unique, and that tickets can be looked up and pulled."""
        return Capabilities(create_once=True, lookup=True, push=True, pull=True, update=True)

    async def deliver(self, command: Command, attempt: Attempt) -> Outcome:
        """Create the ticket, or a message on it, within the attempt's real seconds; once more with a new password."""
        outcome = await self._send(command, attempt)
        if isinstance(outcome, Misconfigured) and await asyncio.to_thread(self._read_anew):
            outcome = await self._send(command, attempt)
        return outcome

    def _read_anew(self) -> bool:
        """Read the password again; True if it is another one now."""
        try:
            fresh = self._config.password.read()
        except ConfigError:
            return False
        known, self._password = self._password, fresh
        self._client.auth = httpx.BasicAuth(self._config.user, fresh)
        return known != fresh

    async def _send(self, command: Command, attempt: Attempt) -> Outcome:
        name = "ticket" if command.command == "open" else "ticketmessage"
        item = _ticket_item(command) if command.command == "open" else _message_item(command)
        try:
            async with asyncio.timeout(attempt.total_timeout_s):
                status, text, waits = await self._post(name, item, attempt)
                if status == httpx.codes.CONFLICT or (status == httpx.codes.BAD_REQUEST and _FAULT in text):
                    return await self._known(command, status)
        except TimeoutError:
            return Unknown("no answer in time")
        except TransientError as error:
            return Unknown(str(error)[:200])
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return Unknown(f"{type(error).__name__}: {error}"[:200])
        return self._outcome(status, text, waits, command)

    async def lookup(self, dedup_key: str) -> ExternalTicket | None:
        """Return the tracker's ticket with its steps; None only if the tracker says that it has none."""
        # the path .../ticket/dedup_key=KEY would answer 400 for a key that nobody has
        answer = await self._list("ticket", {"dedup_key:": dedup_key, "@fields": _FIELDS, "@verbose": "2"}, _LOOKUP_S)
        if not answer:
            return None
        found = await self._with_steps(answer[:1], _LOOKUP_S)
        if found[0].dedup_key != dedup_key:
            raise TransientError(f"{self.name}: look-up answered with another ticket")
        return found[0]

    async def changed_since(self, cursor: str) -> AsyncIterator[ExternalChange]:
        """Yield tickets by the time of their last change; the cursor is that time. Raises TransientError."""
        asked = {"@fields": _FIELDS, "@verbose": "2", "@sort": "activity,id", "@page_size": str(PAGE)}
        if cursor:
            asked["activity"] = f"{_earlier(cursor)};"
        page, known = 1, cursor
        while True:
            rows = await self._list("ticket", {**asked, "@page_index": str(page)}, _PULL_S)
            for row, ticket in zip(rows, await self._with_steps(rows, _PULL_S), strict=True):
                known = max(known, text_of(row, "activity"))
                yield ExternalChange(ticket, known)
            if len(rows) < PAGE:
                return
            page += 1

    async def probe(self) -> str:
        """Ask for a key that nobody has, and whether our tables are there. Creates nothing."""
        for name in ("ticket", "ticketmessage", "crewevent"):
            status, text, _ = await self._get(name, {"@page_size": "1"}, _LOOKUP_S)
            if status != httpx.codes.OK:
                raise PermanentError(f"{self.name}: {self._config.url} answered {status} for {name}: {text[:200]}")
        return f"{self.name}: {self._config.url} answers look-ups"

    async def close(self) -> None:
        """Close all connections; may be called twice."""
        await self._client.aclose()

    async def _known(self, command: Command, status: int) -> Outcome:
        """Tell a key that exists from the other faults for which Roundup answers 409, or 400 for a fault of its own."""
        found = await self.lookup(command.dedup_key)
        if found is None:
            return Unknown(f"{status}, but no ticket has the key")
        if command.command != "open":
            rows = await self._list("ticketmessage", {"webhook_id:": command.webhook_id}, _LOOKUP_S)
            if not rows:
                return Unknown(f"{status}, but no message has the id")
        return Confirmed(found, duplicate=True)

    def _outcome(self, status: int, text: str, waits: float | None, command: Command) -> Outcome:
        number = ((as_object(text) or {}).get("data") or {}).get("id") if status == httpx.codes.CREATED else None
        if status == httpx.codes.CREATED and isinstance(number, str) and number.isdigit():
            raised_at = str(command.body.get("raised_at") or "")
            external_id = number if command.command == "open" else ""
            url = self._page(number) if external_id else ""
            return Confirmed(ExternalTicket(external_id, url, "open", command.dedup_key, raised_at, ""))
        if 200 <= status < 300:
            return Unknown(f"{status} without an id", accepted=status == httpx.codes.ACCEPTED)
        if status in (400, 413, 415, 422):
            return Refused(f"{status}: {text[:200]}")
        if status in (401, 403, 404, 405, 410):
            return Misconfigured(f"{status}: {text[:200]}", gone=status == httpx.codes.GONE)
        return Unknown(f"status {status}", waits)

    async def _post(self, name: str, item: Mapping[str, Any], attempt: Attempt) -> tuple[int, str, float | None]:
        timeout = httpx.Timeout(attempt.total_timeout_s, connect=attempt.connect_timeout_s)
        url = f"{self._config.url}/rest/data/{name}"
        async with self._client.stream("POST", url, json=item, timeout=timeout) as answer:
            waits = retry_after(answer.headers.get("retry-after"), time.time())
            return answer.status_code, await bounded(answer), waits

    async def _get(self, name: str, asked: Mapping[str, str], seconds: float) -> tuple[int, str, str]:
        url = f"{self._config.url}/rest/data/{name}"
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream("GET", url, params=dict(asked), timeout=seconds) as answer,
            ):
                return answer.status_code, await bounded(answer, LONGEST_PAGE), url
        except (TimeoutError, httpx.HTTPError, httpx.StreamError) as error:
            raise TransientError(f"{self.name}: no answer about {name}: {type(error).__name__}") from error

    async def _list(self, name: str, asked: Mapping[str, str], seconds: float) -> list[dict[str, Any]]:
        """Return the items that the tracker lists. Raises TransientError for every answer that is no list."""
        status, text, _ = await self._get(name, asked, seconds)
        data = (as_object(text) or {}).get("data") if status == httpx.codes.OK else None
        rows = data.get("collection") if isinstance(data, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise TransientError(f"{self.name}: {name} answered {status} without a list")
        return rows

    async def _with_steps(self, rows: Sequence[Mapping[str, Any]], seconds: float) -> list[ExternalTicket]:
        moved = [str(row.get("id")) for row in rows if whole(row.get("version"))]
        steps: dict[str, list[ExternalEvent]] = {}
        if moved:
            asked = {"ticket": ",".join(moved), "@fields": _STEP_FIELDS, "@sort": "id", "@verbose": "1"}
            for row in await self._list("crewevent", asked, seconds):
                ticket = row.get("ticket")
                if isinstance(ticket, dict):
                    steps.setdefault(str(ticket.get("id")), []).append(_step(row))
        return [self._external(row, steps.get(str(row.get("id")), [])) for row in rows]

    def _external(self, row: Mapping[str, Any], steps: Sequence[ExternalEvent]) -> ExternalTicket:
        number, state = str(row.get("id", ""))[:120], row.get("state")
        return ExternalTicket(
            external_id=number,
            url=self._page(number),
            state=text_of(state, "name") if isinstance(state, dict) else "",
            dedup_key=text_of(row, "dedup_key"),
            raised_at=text_of(row, "raised_at"),
            received_at=text_of(row, "creation"),
            version=whole(row.get("version")),
            events=tuple(steps),
            ticket_no=text_of(row, "ticket_no"),
            ticket_class=text_of(row, "ticket_class"),
            type=text_of(row, "type"),
            asset=text_of(row, "asset"),
            title=text_of(row, "title"),
        )

    def _page(self, number: str) -> str:
        return f"{self._config.url}/ticket{number}"


def _ticket_item(command: Command) -> dict[str, Any]:
    """Return the properties of a new ticket."""
    body = command.body
    asset, clocks = body.get("asset") or {}, body.get("sla") or {}
    item = {name: body.get(name) for name in _SENT}
    item |= {"ticket_class": command.ticket_class.value, "asset": asset.get("id"), "address": asset.get("address")}
    item |= {"depart_by": clocks.get("depart_by"), "arrive_by": clocks.get("arrive_by")}
    item |= {"dedup_key": command.dedup_key, "ticket_no": command.ticket_no}
    room = LONGEST_BODY // 4
    return {name: value[:room] if isinstance(value, str) else value for name, value in item.items() if value}


def _message_item(command: Command) -> dict[str, Any]:
    """Return the properties of a message; a key in a link's place is looked up by the tracker itself."""
    item: dict[str, Any] = {
        "webhook_id": command.webhook_id,
        "ticket": command.dedup_key,
        "command": command.command,
        "text": _message(command)[: LONGEST_BODY // 2],
    }
    priority = command.body.get("priority")
    return {**item, "priority": priority} if type(priority) is int else item


def _message(command: Command) -> str:
    body = command.body
    alarm = body.get("alarm") or {}
    parts = [command.command, str(body.get("text") or "")]
    if alarm:
        parts.append(f"{alarm.get('id')} no. {alarm.get('occurrence_no')}")
        parts += [f"{alarm.get('value')} {alarm.get('unit')}"] if alarm.get("value") is not None else []
    parts += [f"{name} {body[name]}" for name in ("cleared_at", "reason", "by") if body.get(name)]
    return ": ".join(part for part in parts if part)


def _step(row: Mapping[str, Any]) -> ExternalEvent:
    return ExternalEvent(
        event_id=text_of(row, "event_id", 120),
        version=whole(row.get("version")),
        type=text_of(row, "type", 120),
        occurred_at=text_of(row, "occurred_at", 40),
        actor=text_of(row, "by", 120),
        result=text_of(row, "result", 40),
    )


def _earlier(cursor: str) -> str:
    """Return the cursor less the overlap. Raises TransientError if it is none of this sink's."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d\.\d\d:\d\d:\d\d", cursor):
        raise TransientError(f"{cursor!r} is no cursor of a Roundup tracker")
    return (datetime.strptime(cursor, _MOMENT).replace(tzinfo=UTC) - OVERLAP).strftime(_MOMENT)
