"""Tickets in every state that their pages show: clocks set, a delivery given up, a difference, calls, call-backs."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from alarms.tickets.events import fold
from api.deps import Parts
from gateway.model.call import Call, Said
from gateway.model.ticket import Cause, DeliveryState, DifferenceKind
from gateway.store import call_back_rows, delivery_rows, outbox_rows, ticket_event_rows, ticket_rows
from gateway.store.call_back_rows import CallBack
from gateway.store.state import Transaction
from gateway.store.ticket_event_rows import TicketEvent


def add(parts: Parts) -> None:
    """Add telephone reports, a finished ticket with its call-backs, what was given up, and set all clocks."""
    now = parts.clock.now()
    meter = Call(now - timedelta(minutes=80), "13900001111", "柳园路 12 号 3 单元", Said.METER_PROBLEM, "M-000012")
    smell = Call(now - timedelta(minutes=4), "13700002222", "站前街 9 号", Said.SMELL, "M-000140", indoors=True)
    no_gas = Call(now - timedelta(hours=3), "13600003333", "河东大道 66 号", Said.NO_GAS, "M-000230")
    stove = Call(now - timedelta(minutes=30), "13500004444", "柳园路 7 号", Said.OTHER, "M-000060", note="灶具打不着火")
    taken = [
        parts.telephone.take(call, "operator", f"sample-{n}", wall_s=time.time())
        for n, call in enumerate((meter, smell, no_gas, stove))
    ]
    with parts.state.write() as connection:
        _report(connection, taken[2].ticket_no, now, "crew 5", accepted=170, departed=160, arrived=130, completed=60)
        _report(connection, taken[3].ticket_no, now, "crew 2", accepted=25, dispatched=20)
        for level, days in (("station", 2), ("company", 4)):
            due = now + timedelta(days=days)
            call_back_rows.add(
                connection, CallBack(taken[2].ticket_no, level, "D-2", "crew 5", f"{now:%Y-%m}", now, due)
            )
        opening = outbox_rows.outbox_of(connection, taken[0].ticket_no)[0]
        outbox_rows.set_delivery(
            connection, opening.id, DeliveryState.DEAD, attempts=2, next_at=0.0, error="422 unknown meter",
            cause=Cause.REFUSED,
        )  # fmt: skip
        for report in taken[1:]:
            for row in outbox_rows.outbox_of(connection, report.ticket_no):
                outbox_rows.set_confirmed(connection, row.id, attempts=1, at=now, wall_now_s=time.time())
        known = ticket_rows.find_ticket(connection, taken[1].ticket_no)
        assert known is not None
        delivery_rows.note_difference(
            connection, DifferenceKind.FIELD, sink="desk", dedup_key=known.dedup_key, ticket_no=known.ticket_no,
            external_id="T-4711", at=now, detail={"type": ["home_gas", "leak"]},
        )  # fmt: skip
    while parts.service.sweep():
        pass


def _report(connection: Transaction, number: str, now: datetime, crew: str, **steps: int) -> None:
    """Let the ticketing system report steps, each so many minutes ago."""
    ticket = ticket_rows.find_ticket(connection, number)
    assert ticket is not None
    times = {step: now - timedelta(minutes=ago) for step, ago in steps.items()}
    events = [
        TicketEvent("desk", f"{number}-{n}", number, step, n, at, at, crew, {})
        for n, (step, at) in enumerate(times.items())
    ]
    for event in events:
        ticket_event_rows.insert_event(connection, event)
    ticket_rows.update_ticket(connection, fold(ticket, events))
