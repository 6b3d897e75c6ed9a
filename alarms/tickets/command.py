"""Hands tickets to a program of the site: for a text message, a call, a siren, when the ticketing system is away.

Nothing comes back but an exit code, so it can stand in for a receiver but never be the only one of an emergency.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from gateway.errors import PermanentError
from gateway.model.ticket import (
    Attempt,
    Capabilities,
    Command,
    Confirmed,
    ExternalChange,
    ExternalTicket,
    Misconfigured,
    Outcome,
    TicketClass,
    Unknown,
)
from gateway.ports import Clock
from gateway.settings import Settings

_LONGEST_OUTPUT = 4_000


def _no_emergency(classes: tuple[TicketClass, ...]) -> tuple[TicketClass, ...]:
    if TicketClass.EMERGENCY in classes:
        raise ValueError("EMERGENCY cannot go to a program alone: name it in fallback_for")
    return classes


class CommandConfig(Settings):
    """One `[[ticket_sink]]` of kind `command`."""

    kind: Literal["command"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]
    """unique name of this sink"""
    argv: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1, max_length=50)]
    """the program and its arguments; it gets the message as one line of JSON and ends with 0 once it was handed on"""
    secrets: Annotated[tuple[()], Field(max_length=0)] = ()
    """none: a program sends no events"""
    classes: Annotated[tuple[TicketClass, ...], AfterValidator(_no_emergency)] = ()
    """ticket classes that go to this sink; never EMERGENCY, because nobody can ask a program what became of a ticket"""
    fallback_for: tuple[TicketClass, ...] = ()
    """ticket classes that go here when the sink of the class has not confirmed in time"""


class CommandSink:
    """Runs the program once for each command. Safe to use from several tasks of one loop."""

    Config: ClassVar[type[CommandConfig]] = CommandConfig

    def __init__(self, config: CommandConfig, clock: Clock) -> None:
        """Remember the program; it is looked for when it is needed."""
        self.name = config.name
        self.classes = config.classes
        self._config, self._clock = config, clock

    @property
    def capabilities(self) -> Capabilities:
        """Return that it can only be told."""
        return Capabilities(create_once=False, lookup=False, push=False, pull=False, update=False)

    async def deliver(self, command: Command, attempt: Attempt) -> Outcome:
        """Run the program; it is killed when the attempt's real seconds are over."""
        line = json.dumps(dict(command.body), ensure_ascii=False).encode() + b"\n"
        try:
            process = await asyncio.create_subprocess_exec(
                *self._config.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            return Misconfigured(f"{self._config.argv[0]} cannot be run: {error.strerror}")
        try:
            async with asyncio.timeout(attempt.total_timeout_s):
                said, _ = await process.communicate(line)
        except TimeoutError:
            return Unknown("the program did not end in time")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        text = said[:_LONGEST_OUTPUT].decode("utf-8", "replace").strip()
        if process.returncode:
            return Unknown(f"the program ended with {process.returncode}: {text}"[:200])
        raised_at = str(command.body.get("raised_at") or "")
        return Confirmed(ExternalTicket("", "", "", command.dedup_key, raised_at, ""))

    async def lookup(self, dedup_key: str) -> ExternalTicket | None:
        """Raise PermanentError: nobody can be asked."""
        raise PermanentError(f"{self.name}: a program cannot be asked for {dedup_key}")

    async def changed_since(self, cursor: str) -> AsyncIterator[ExternalChange]:
        """Raise PermanentError: nobody can be asked."""
        raise PermanentError(f"{self.name}: a program cannot be asked for changes since {cursor!r}")
        yield

    async def probe(self) -> str:
        """Return the program's name. Raises PermanentError if there is no such program."""
        import shutil

        program = self._config.argv[0]
        if await asyncio.to_thread(shutil.which, program) is None:
            raise PermanentError(f"{self.name}: there is no program {program}")
        return f"{self.name}: {program} can be run"

    async def close(self) -> None:
        """Do nothing; may be called twice."""
