"""Puts commands into the outbox, in the transaction that makes them necessary."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.model.ticket import Command, Ticket
from gateway.store import outbox_rows
from gateway.store.state import Transaction


def put(
    connection: Transaction,
    ticket: Ticket,
    command: str,
    body: Mapping[str, Any],
    *,
    sink: str,
    now: datetime,
    wall_s: float,
    number: int | None = None,
) -> None:
    """Let a ticket's receiver get a command after all those before it; `wall_s` is real seconds since 1970."""
    number = number or outbox_rows.next_command_no(connection, ticket.ticket_no)
    made = Command(
        dedup_key=ticket.dedup_key,
        ticket_no=ticket.ticket_no,
        command=command,
        command_no=number,
        webhook_id=message_id(wall_s),
        ticket_class=ticket.ticket_class,
        created_at=now,
        body={**body, "command_no": number},
    )
    outbox_rows.insert_command(connection, made, sink=sink, wall_now_s=wall_s)


def message_id(wall_s: float) -> str:
    """Return `msg_` and a UUID of version 7, which sorts by the real time of its making."""
    bits = int(wall_s * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    text = f"{bits:032x}"
    return f"msg_{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
