"""Valves of the sample city that can be told something: meters close, one is jammed, regulators need two persons."""

from __future__ import annotations

from typing import Any

from gateway.model.command import CommandOffer, CommandState
from gateway.model.quantity import Quantity
from gateway.ports import Clock
from gateway.store import command_rows
from gateway.store.state import State

JAMMED = "M-000007"


def offers(asset: str) -> list[CommandOffer]:
    if not asset.startswith(("M-", "REG-")):
        return []
    second = asset.startswith("REG-")
    close = CommandOffer(asset, "valve_close", "site", Quantity.VALVE, 0.0, 0.0, 3.0, second, closes=True)
    if second:
        return [close]
    return [close, CommandOffer(asset, "valve_open", "site", Quantity.VALVE, 1.0, 0.0, 3.0, True, closes=False)]


def carry_out(state: State, clock: Clock, wall: float) -> None:
    """Bring every open command one step further, as the role that collects would."""
    with state.write() as connection:
        for command in command_rows.list_open(connection):
            now = clock.now_us()
            if command.state is CommandState.SENT:
                value = 1.0 if command.wish.asset == JAMMED else command.offer.expect
                after = CommandState.CONFIRMED if command.offer.met_by(value) else CommandState.MISMATCH
                detail = "" if after is CommandState.CONFIRMED else "valve is 1 and should be 0"
                command_rows.move(
                    connection, command.id, (command.state,), after, now,
                    read_value=value, read_at=now, read_frames="010400080001 0104020000", detail=detail,
                )  # fmt: skip
            elif command.too_late(wall):
                command_rows.move(connection, command.id, (command.state,), CommandState.EXPIRED, now)
            elif command.may_be_sent():
                command_rows.move(
                    connection, command.id, (command.state,), CommandState.SENT, now,
                    sent_at=now, request_frame="01050000FF00",
                )  # fmt: skip


def polled(up: bool | None, last_us: int | None) -> dict[str, Any]:
    """Return what the status tells of a link that is asked: how often it failed lately, and what is asked."""
    failed = {True: 1, False: 37, None: 0}[up]
    due = None if last_us is None else last_us + 300_000_000
    plan = {"requests": 3, "addresses": 118, "period_s": 60.0}
    return {"recent": 0 if up is None else 100, "recent_failed": failed, "next_us": due, **plan}
