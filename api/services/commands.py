"""What a person tells a device: asking, agreeing, turning down. Every refusal is written to the audit trail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.auth import User
from api.deps import Parts
from api.roles import Act
from gateway.errors import RefusedError
from gateway.model.command import APPROVE_WITHIN_S, CommandOffer, CommandState, CommandWish, DeviceCommand
from gateway.model.reading import from_us
from gateway.store import command_rows, user_rows


@dataclass(frozen=True, slots=True)
class CommandView:
    """A command with the name of its asset, and what this person may do about it."""

    command: DeviceCommand
    asset_name: str
    may_approve: bool
    may_reject: bool

    @property
    def requested_at(self) -> datetime:
        """When it was asked for."""
        return from_us(self.command.requested_at)

    @property
    def waits_for_second_person(self) -> bool:
        """True until somebody else has agreed."""
        return self.command.state is CommandState.REQUESTED and self.command.offer.second_person


async def offers(parts: Parts, asset: str) -> Sequence[CommandOffer]:
    """Return what an asset can be told now. Raises RefusedError 404, TransientError."""
    known = parts.network
    if asset not in known.meters and asset not in known.stations:
        raise RefusedError(404, "unknown_asset")
    return await parts.store.offers(asset)


def needed(offer: CommandOffer) -> Act:
    """Return the right that a command needs."""
    return Act.COMMAND_CLOSE if offer.closes else Act.COMMAND_OTHER


async def request(
    parts: Parts, user: User, asset: str, name: str, *, reason: str, key: str
) -> tuple[CommandView, bool]:
    """Ask for a command; return it and whether it is new. The same key again gives the first one.

    Raises RefusedError: 403 `forbidden`, 404 `unknown_asset` or `no_such_command`, 422 `reason_required`, and what
    `command_rows.add_request` raises. Raises TransientError while the collecting role is away.
    """
    wish = CommandWish(key, asset, name, reason.strip(), user.name)
    try:
        return await _request(parts, user, wish)
    except RefusedError as error:
        detail = {"command": name, "refused": error.code}
        await asyncio.to_thread(_note, parts, user, "command.request", subject=asset, detail=detail)
        raise


async def _request(parts: Parts, user: User, wish: CommandWish) -> tuple[CommandView, bool]:
    await asyncio.to_thread(parts.auth.permit, user, Act.COMMAND_CLOSE)
    if not wish.reason:
        raise RefusedError(422, "reason_required")
    offer = next((one for one in await offers(parts, wish.asset) if one.name == wish.name), None)
    if offer is None:
        raise RefusedError(404, "no_such_command", f"{wish.asset} does not take {wish.name}")
    await asyncio.to_thread(parts.auth.permit, user, needed(offer))

    def write() -> tuple[DeviceCommand, bool]:
        with parts.state.write() as connection:
            return command_rows.add_request(connection, wish, offer, parts.clock.now_us(), time.time())

    command, is_new = await asyncio.to_thread(write)
    return view(parts, user, command), is_new


def approve(parts: Parts, user: User, command_id: int, reason: str = "") -> CommandView:
    """Agree to what another person asked for. Raises RefusedError."""
    return _decide(parts, user, command_id, reason, agree=True)


def reject(parts: Parts, user: User, command_id: int, reason: str = "") -> CommandView:
    """Turn a command down before it is sent; whoever asked for it may, too. Raises RefusedError."""
    return _decide(parts, user, command_id, reason, agree=False)


def _decide(parts: Parts, user: User, command_id: int, reason: str, *, agree: bool) -> CommandView:
    act = "command.approve" if agree else "command.reject"
    try:
        with parts.state.read() as connection:
            asker = command_rows.find(connection, command_id).wish.who
        own = not agree and asker == user.name
        parts.auth.permit(user, Act.COMMAND_CLOSE if own else Act.COMMAND_APPROVE)
        with parts.state.write() as connection:
            command = command_rows.decide(
                connection,
                command_id,
                user.name,
                agree=agree,
                reason=reason.strip(),
                at_us=parts.clock.now_us(),
                wall=time.time(),
            )
    except RefusedError as error:
        _note(parts, user, act, subject=str(command_id), detail={"refused": error.code})
        raise
    return view(parts, user, command)


def one_command(parts: Parts, user: User, command_id: int) -> CommandView:
    """Return one command. Raises RefusedError 404."""
    with parts.state.read() as connection:
        return view(parts, user, command_rows.find(connection, command_id))


def commands(
    parts: Parts, user: User, *, asset: str | None = None, before: int | None = None, limit: int = 50
) -> list[CommandView]:
    """Return commands, newest first."""
    with parts.state.read() as connection:
        found = command_rows.list_commands(connection, asset=asset, before=before, limit=limit)
    return [view(parts, user, command) for command in found]


def view(parts: Parts, user: User, command: DeviceCommand) -> CommandView:
    """Return a command as this person sees it."""
    waits = command.state is CommandState.REQUESTED and -1 <= time.time() - command.wall_asked <= APPROVE_WITHIN_S
    mine = command.wish.who == user.name
    return CommandView(
        command,
        parts.network.name_of(command.wish.asset),
        may_approve=waits and command.offer.second_person and not mine and user.may(Act.COMMAND_APPROVE),
        may_reject=waits and (mine or user.may(Act.COMMAND_APPROVE)),
    )


def _note(parts: Parts, user: User, act: str, *, subject: str, detail: dict[str, str]) -> None:
    with parts.state.write() as connection:
        user_rows.add_audit(connection, parts.clock.now_us(), user.name, act, subject=subject[:200], detail=detail)
