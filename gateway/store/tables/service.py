"""Clocks of tickets, telephone reports and call-backs."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, String, Table, Text

from gateway.store.tables.base import metadata, serial

ticket_step = Table(
    "ticket_step",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("step", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("entered_at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("note", Text, nullable=False, default=""),
    comment="steps that gasgate itself knows: a call was taken, a check was released",
)

ticket_clock = Table(
    "ticket_clock",
    metadata,
    Column("ticket_no", String(40), primary_key=True),
    Column("clock", String(40), primary_key=True),
    Column("promise", JSON, nullable=False, comment="the row that was in force when the ticket was opened"),
    Column("standing", String(20), nullable=False),
    Column("started_at", BigInteger),
    Column("due_at", BigInteger),
    Column("stopped_at", BigInteger),
    Column("provisional", Boolean, nullable=False, default=False),
    Column("agreed_at", BigInteger, comment="due time that was agreed with the customer"),
    Column("next_at", BigInteger, index=True, comment="when time alone changes it; null = never"),
)

clock_change = Table(
    "clock_change",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("clock", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("old_due_at", BigInteger),
    Column("new_due_at", BigInteger),
    comment="a due time that was shown changes only by a recorded act",
)

clock_pause = Table(
    "clock_pause",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("reason", String(60), nullable=False),
    Column("actor", String(120), nullable=False),
)

escalation = Table(
    "escalation",
    metadata,
    Column("ticket_no", String(40), primary_key=True),
    Column("clock", String(40), primary_key=True),
    Column("rung", Integer, primary_key=True),
    Column("repetition", Integer, primary_key=True),
    Column("tell", String(40), nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("told_at", BigInteger, nullable=False, index=True),
    Column("breach", Boolean, nullable=False),
    comment="who was told that a clock runs out; each step once",
)

call_report = Table(
    "call_report",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("request_id", String(100), nullable=False, unique=True),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("called_at", BigInteger, nullable=False, index=True),
    Column("entered_at", BigInteger, nullable=False),
    Column("taker", String(120), nullable=False),
    Column("joined", Boolean, nullable=False, comment="the call taker put it to an open ticket"),
    Column("said", JSON, nullable=False, comment="all that the caller said, as far as it was asked"),
    comment="what people reported by telephone",
)

call_back = Table(
    "call_back",
    metadata,
    Column("ticket_no", String(40), primary_key=True),
    Column("level", String(20), primary_key=True),
    Column("unit", String(120), nullable=False),
    Column("crew", String(120), nullable=False),
    Column("month", String(7), nullable=False, index=True),
    Column("drawn_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("tries", JSON, nullable=False, comment="{at, by, reached} of each try"),
    Column("answers", JSON(none_as_null=True), comment="what the customer said"),
    Column("opened", String(40), comment="ticket that was opened because the customer was not satisfied"),
    Column("closed_at", BigInteger),
)

call_back_seed = Table(
    "call_back_seed",
    metadata,
    Column("month", String(7), primary_key=True),
    Column("seed", String(80), nullable=False, comment="shown when the month is over; its hash before"),
    Column("made_at", BigInteger, nullable=False),
)
