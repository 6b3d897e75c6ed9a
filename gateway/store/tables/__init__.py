"""The tables of the state database, by what they are about. Times are us UTC; JSON columns hold plain dicts."""

from __future__ import annotations

from gateway.store.tables.alarms import (
    alarm,
    definition_row,
    interruption,
    interruption_notice,
    journal,
    removal,
    running_timer,
    work_item,
)
from gateway.store.tables.base import metadata
from gateway.store.tables.findings import finding, inspection, loss
from gateway.store.tables.people import answer, api_token, audit, session, user
from gateway.store.tables.readings import (
    cursor,
    dead_letter,
    interval,
    interval_edit,
    memory,
    point,
    reading_choice,
    stream,
    stream_gap,
    vee_verdict,
)
from gateway.store.tables.service import (
    call_back,
    call_back_seed,
    call_report,
    clock_change,
    clock_pause,
    escalation,
    ticket_clock,
    ticket_step,
)
from gateway.store.tables.site import device_command, revision, role_health, state_restoration
from gateway.store.tables.tickets import (
    outbox,
    ticket,
    ticket_act,
    ticket_alarm,
    ticket_difference,
    ticket_event,
    ticket_fallback,
)

__all__ = [
    "alarm",
    "answer",
    "api_token",
    "audit",
    "call_back",
    "call_back_seed",
    "call_report",
    "clock_change",
    "clock_pause",
    "cursor",
    "dead_letter",
    "definition_row",
    "device_command",
    "escalation",
    "finding",
    "inspection",
    "interruption",
    "interruption_notice",
    "interval",
    "interval_edit",
    "journal",
    "loss",
    "memory",
    "metadata",
    "outbox",
    "point",
    "reading_choice",
    "removal",
    "revision",
    "role_health",
    "running_timer",
    "session",
    "state_restoration",
    "stream",
    "stream_gap",
    "ticket",
    "ticket_act",
    "ticket_alarm",
    "ticket_clock",
    "ticket_difference",
    "ticket_event",
    "ticket_fallback",
    "ticket_step",
    "user",
    "vee_verdict",
    "work_item",
]
