"""Tickets, what happened to them, and their way to a ticketing system."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gateway.store.tables.base import metadata, serial

ticket = Table(
    "ticket",
    metadata,
    Column("ticket_no", String(40), primary_key=True),
    Column("dedup_key", String(300), nullable=False, unique=True),
    Column("ticket_class", String(20), nullable=False),
    Column("type", String(60), nullable=False),
    Column("asset", String(120), nullable=False),
    Column("join_group", String(40), nullable=False),
    Column("scope", String(120), nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("raised_at", BigInteger, nullable=False, index=True),
    Column("depart_by", BigInteger),
    Column("arrive_by", BigInteger),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("external_id", String(120), nullable=False, default=""),
    Column("external_url", Text, nullable=False, default=""),
    Column("external_version", Integer, nullable=False, default=0),
    Column("dispatched_at", BigInteger),
    Column("departed_at", BigInteger),
    Column("arrived_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("joinable", Boolean, nullable=False, default=True),
    Column("clocked", Boolean, comment="true once its clocks are set"),
    Column("size", String(40), comment="size of the job by the company's rules, or by a person; empty = ordinary"),
    Column("customer", String(40), comment="class of the customer if it is about one meter"),
    Column("customers", Integer, comment="customers behind the asset; null = not counted"),
    Column("sensitive", Integer, comment="those of them that depend on supply"),
)
Index(
    "tickets_without_clocks",
    ticket.c.ticket_no,
    sqlite_where=text("clocked IS NULL"),
    postgresql_where=text("clocked IS NULL"),
)
Index(
    "one_joinable_ticket",
    ticket.c.join_group,
    ticket.c.scope,
    ticket.c.ticket_class,
    unique=True,
    sqlite_where=text("joinable = 1"),
    postgresql_where=text("joinable"),
)

ticket_alarm = Table(
    "ticket_alarm",
    metadata,
    Column("alarm_id", String(200), primary_key=True),
    Column("occurrence_no", Integer, primary_key=True),
    Column("ticket_no", String(40), ForeignKey("ticket.ticket_no"), nullable=False, index=True),
)

ticket_event = Table(
    "ticket_event",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("source", String(120), nullable=False),
    Column("event_id", String(120), nullable=False),
    Column("ticket_no", String(40), nullable=False, index=True),
    Column("type", String(30), nullable=False),
    Column("version", Integer, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("data", JSON, nullable=False),
    Column("result", String(40), comment="what the crew found, in one word; null = it did not say"),
    UniqueConstraint("source", "event_id"),
)
Index(
    "ticket_events_with_result",
    ticket_event.c.received_at,
    sqlite_where=text("result IS NOT NULL"),
    postgresql_where=text("result IS NOT NULL"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), ForeignKey("ticket.ticket_no"), nullable=False),
    Column("command", String(20), nullable=False),
    Column("command_no", Integer, nullable=False),
    Column("sink", String(60), nullable=False),
    Column("state", String(12), nullable=False, index=True),
    Column("webhook_id", String(60), nullable=False, unique=True),
    Column("body", JSON, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("wall_created_at", Float, nullable=False, comment="real seconds since 1970: retries count real time"),
    Column("next_at", Float, nullable=False, comment="real seconds since 1970"),
    Column("confirmed_at", BigInteger),
    Column("wall_confirmed_at", Float),
    Column("last_error", Text, nullable=False, default=""),
    Column("cause", String(20), comment="why it is not confirmed, in one word of `gateway.model.ticket.Cause`"),
    UniqueConstraint("ticket_no", "command_no"),
)

ticket_fallback = Table(
    "ticket_fallback",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), ForeignKey("ticket.ticket_no"), nullable=False),
    Column("sink", String(60), nullable=False),
    Column("state", String(12), nullable=False),
    Column("webhook_id", String(60), nullable=False, unique=True),
    Column("attempts", Integer, nullable=False),
    Column("wall_created_at", Float, nullable=False, comment="real seconds since 1970"),
    Column("next_at", Float, nullable=False, comment="real seconds since 1970"),
    Column("wall_confirmed_at", Float),
    Column("last_error", Text, nullable=False),
    Column("sent_no", Integer, comment="newest command that went this way after the `open`"),
    UniqueConstraint("ticket_no", "sink"),
    comment="tickets that went another way because the receiver of their class did not confirm them in time",
)

ticket_difference = Table(
    "ticket_difference",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("sink", String(60), nullable=False),
    Column("dedup_key", String(300), nullable=False, index=True),
    Column("ticket_no", String(40), nullable=False, index=True, comment="empty if it is not ours"),
    Column("external_id", String(120), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("found_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger, index=True),
    Column("outcome", Text, nullable=False),
    comment="where gasgate and a ticketing system disagreed, and what was done about it; rows are kept",
)

ticket_act = Table(
    "ticket_act",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("ticket_no", String(40), ForeignKey("ticket.ticket_no"), nullable=False, index=True),
    Column("act", String(30), nullable=False),
    Column("who", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", BigInteger, nullable=False),
    comment="what people, or gasgate itself, did with a ticket beside sending it; rows are only ever added",
)
