"""Rows of commands to devices. Each step and its line of the audit trail are one transaction of the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, desc, func, insert, select, true, update

from gateway.errors import RefusedError
from gateway.model.command import WAITING, CommandOffer, CommandState, CommandWish, DeviceCommand
from gateway.model.quantity import Quantity
from gateway.model.reading import from_us, to_us
from gateway.store import tables
from gateway.store.user_rows import add_audit

MOST_OPEN_OF_ONE = 5
MOST_OF_ONE_A_MINUTE = 10
MOST_A_MINUTE = 30
MOST_ROWS = 500
GATEWAY = "gasgate"
"""who acts where no person does"""
_MINUTE_S = 60.0
_LONGEST_DETAIL = 500
CLOSE = "valve_close"
"""name, in every profile, of the command that closes a valve"""
_row = tables.device_command
_IS_OPEN = _row.c.open == true()
"""as the partial index has it"""


def add_request(
    connection: Connection, wish: CommandWish, offer: CommandOffer, at_us: int, wall: float
) -> tuple[DeviceCommand, bool]:
    """Record a wish; return its command and whether it is new: the same key again gives the first one.

    Raises RefusedError: 409 `key_used` for another wish under this key, 409 `asset_busy` while the asset has an open
    command, 429 `too_many_open`, 429 `too_fast`.
    """
    known = connection.execute(select(_row).where(_row.c.key == wish.key)).mappings().first()
    if known is not None:
        command = _command(known)
        if command.wish != wish:
            raise RefusedError(409, "key_used", "this key stands for another command")
        return command, False
    _check_bounds(connection, wish, wall)
    done = connection.execute(
        insert(_row).values(
            key=wish.key,
            asset=wish.asset,
            name=wish.name,
            reason=wish.reason,
            who=wish.who,
            offer=asdict(offer),
            state=CommandState.REQUESTED,
            open=True,
            requested_at=at_us,
            wall_requested=wall,
            wall_asked=wall,
        )
    )
    assert done.inserted_primary_key is not None
    command = find(connection, int(done.inserted_primary_key[0]))
    _audit(connection, command, at_us, wish.who, CommandState.REQUESTED)
    return command, True


def _check_bounds(connection: Connection, wish: CommandWish, wall: float) -> None:
    busy = select(_row.c.id).where(_row.c.asset == wish.asset, _IS_OPEN)
    if connection.execute(busy).first() is not None:
        raise RefusedError(409, "asset_busy", f"{wish.asset} has an open command")
    mine = _row.c.who == wish.who
    if _count(connection, mine, _IS_OPEN) >= MOST_OPEN_OF_ONE:
        raise RefusedError(429, "too_many_open", f"one person may have {MOST_OPEN_OF_ONE} open commands")
    lately = _row.c.wall_requested.between(wall - _MINUTE_S, wall)
    if _count(connection, mine, lately) >= MOST_OF_ONE_A_MINUTE or _count(connection, lately) >= MOST_A_MINUTE:
        raise RefusedError(
            429, "too_fast", f"{MOST_OF_ONE_A_MINUTE} commands a minute by one person, {MOST_A_MINUTE} by all"
        )


def decide(
    connection: Connection, command_id: int, who: str, *, agree: bool, reason: str, at_us: int, wall: float
) -> DeviceCommand:
    """Let a second person agree to a command, or anybody who may turn it down before it is sent.

    Raises RefusedError: 404 `unknown_command`, 409 `not_waiting`, 409 `no_second_person`, 403 `same_person`.
    """
    command = find(connection, command_id)
    if command.state is not CommandState.REQUESTED or (agree and command.too_late(wall)):
        raise RefusedError(409, "not_waiting", f"the command is {command.state}")
    if agree and not command.offer.second_person:
        raise RefusedError(409, "no_second_person", "this command needs none")
    if agree and who == command.wish.who:
        raise RefusedError(403, "same_person", "the second person must be another one")
    changes: dict[str, Any] = {"decided_by": who, "decided_at": at_us, "detail": reason}
    if agree:
        changes["wall_asked"] = wall
    state = CommandState.APPROVED if agree else CommandState.REFUSED
    moved = move(connection, command_id, (CommandState.REQUESTED,), state, at_us, who=who, **changes)
    assert moved is not None
    return moved


def move(
    connection: Connection,
    command_id: int,
    before: Sequence[CommandState],
    after: CommandState,
    at_us: int,
    *,
    who: str = GATEWAY,
    act: str = "",
    over: bool = False,
    **changes: Any,
) -> DeviceCommand | None:
    """Take a command from one of the states `before` to `after`; None, and nothing changed, if it is in another.

    `over` ends a command that stays unknown: nobody looks after it any more.
    """
    is_open = not over and after in (*WAITING, CommandState.SENT, CommandState.UNKNOWN)
    if not is_open:
        changes["ended_at"] = at_us
    if "detail" in changes:
        changes["detail"] = str(changes["detail"])[:_LONGEST_DETAIL]
    done = connection.execute(
        update(_row)
        .where(_row.c.id == command_id, _row.c.state.in_(before))
        .values(state=after, open=is_open, **changes)
    )
    if done.rowcount == 0:
        return None
    command = find(connection, command_id)
    _audit(connection, command, at_us, who, act or after)
    return command


def find(connection: Connection, command_id: int) -> DeviceCommand:
    """Return one command. Raises RefusedError 404."""
    row = connection.execute(select(_row).where(_row.c.id == command_id)).mappings().first()
    if row is None:
        raise RefusedError(404, "unknown_command")
    return _command(row)


def list_open(connection: Connection) -> list[DeviceCommand]:
    """Return all commands about which something must still be done, the oldest first; they are few."""
    # sorted here: with ORDER BY the database would walk through all commands there ever were
    found = [_command(row) for row in connection.execute(select(_row).where(_IS_OPEN)).mappings()]
    return sorted(found, key=lambda command: command.id)


def list_commands(
    connection: Connection, *, asset: str | None = None, before: int | None = None, limit: int = 100
) -> list[DeviceCommand]:
    """Return commands with an id < `before`, newest first."""
    query = select(_row).order_by(desc(_row.c.id)).limit(min(limit, MOST_ROWS))
    if asset is not None:
        query = query.where(_row.c.asset == asset)
    if before is not None:
        query = query.where(_row.c.id < before)
    return [_command(row) for row in connection.execute(query).mappings()]


def assets_that_differ(connection: Connection) -> list[str]:
    """Return the assets whose newest command ended in a mismatch."""
    later = _row.alias()
    newer = select(later.c.id).where(later.c.asset == _row.c.asset, later.c.id > _row.c.id).exists()
    query = select(_row.c.asset).where(_row.c.state == CommandState.MISMATCH, ~newer)
    return [str(asset) for asset in connection.execute(query).scalars()]


def closed_by_command(connection: Connection, since: datetime) -> dict[str, datetime]:
    """Return the assets whose newest command closes a valve and may have been done, and when it was sent."""
    later = _row.alias()
    newer = select(later.c.id).where(later.c.asset == _row.c.asset, later.c.id > _row.c.id).exists()
    query = (
        select(_row.c.asset, _row.c.sent_at)
        .where(_row.c.name == CLOSE, _row.c.sent_at >= to_us(since), ~newer)
        .where(_row.c.state != CommandState.REFUSED.value)
    )
    return {str(asset): from_us(int(at)) for asset, at in connection.execute(query)}


def _count(connection: Connection, *conditions: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(_row).where(*conditions)).scalar_one())


def _audit(connection: Connection, command: DeviceCommand, at_us: int, who: str, act: str) -> None:
    detail = {
        "id": command.id,
        "command": command.wish.name,
        "key": command.wish.key,
        "requested_by": command.wish.who,
        "reason": command.wish.reason,
        "decided_by": command.decided_by,
        "request_frame": command.request_frame,
        "reply_frame": command.reply_frame,
        "read_frames": command.read_frames,
        "read_value": command.read_value,
        "detail": command.detail,
    }
    shown = {name: value for name, value in detail.items() if value not in ("", None)}
    add_audit(connection, at_us, who, f"command.{act}", subject=command.wish.asset, detail=shown)


def _command(row: Mapping[Any, Any]) -> DeviceCommand:
    offer = row["offer"]
    return DeviceCommand(
        id=int(row["id"]),
        wish=CommandWish(row["key"], row["asset"], row["name"], row["reason"], row["who"]),
        offer=CommandOffer(**{**offer, "confirm": Quantity(offer["confirm"])}),
        state=CommandState(row["state"]),
        open=bool(row["open"]),
        **{
            name: row[name]
            for name in (
                "requested_at",
                "wall_asked",
                "decided_by",
                "decided_at",
                "sent_at",
                "ended_at",
                "request_frame",
                "reply_frame",
                "read_frames",
                "read_value",
                "read_at",
                "detail",
            )
        },
    )
