"""Alarms with their journal, definitions, covers and work items."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.store.tables.base import metadata, serial

alarm = Table(
    "alarm",
    metadata,
    Column("alarm_id", String(200), primary_key=True),
    Column("definition", String(60), nullable=False, index=True),
    Column("asset", String(120), nullable=False, index=True),
    Column("state", String(2), nullable=False, index=True, comment="derived; for queries only, never read as truth"),
    Column("priority", Integer, nullable=False),
    Column("cond", Boolean, nullable=False),
    Column("occurrence_no", Integer, nullable=False),
    Column("acked", Boolean, nullable=False),
    Column("latched", Boolean, nullable=False),
    Column("shelf", JSON(none_as_null=True)),
    Column("sbd", JSON, nullable=False),
    Column("oos", JSON(none_as_null=True)),
    Column("uncertain", Boolean, nullable=False),
    Column("announced_no", Integer, nullable=False),
    Column("silenced_until", BigInteger),
    Column("source_at", BigInteger),
    Column("condition_at", BigInteger),
    Column("raised_at", BigInteger),
    Column("acked_at", BigInteger),
    Column("acked_by", String(120), nullable=False),
    Column("cleared_at", BigInteger),
    Column("value", Float),
    Column("definition_rev", Integer, nullable=False),
    Column("version", Integer, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("seq", serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("alarm_id", String(200), nullable=False, index=True),
    Column("occurrence_no", Integer, nullable=False),
    Column("event", String(40), nullable=False),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("hash", String(64), nullable=False, comment="SHA-256 over this row and the hash of the row before"),
)

running_timer = Table(
    "running_timer",
    metadata,
    Column("alarm_id", String(200), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("period", BigInteger, nullable=False),
    Column("value", Float, nullable=False),
    comment="delays of limit judging that ran when the reader's cursor was committed; us UTC",
)

removal = Table(
    "removal",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("request_id", String(100), nullable=False, unique=True),
    Column("alarm_id", String(200), nullable=False, index=True),
    Column("work_order", String(120), nullable=False),
    Column("interim", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("by", String(120), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", String(12), nullable=False, index=True, comment="asked, agreed or refused"),
    Column("decided_by", String(120), nullable=False, default=""),
    Column("decided_at", BigInteger),
    comment="a highly managed alarm leaves service only when a second person agrees",
)

interruption = Table(
    "interruption",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("request_id", String(100), nullable=False, unique=True),
    Column("zones", JSON, nullable=False),
    Column("assets", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("announced_at", BigInteger, nullable=False),
    Column("planned_start", BigInteger, nullable=False),
    Column("planned_end", BigInteger, nullable=False),
    Column("by", String(120), nullable=False),
    Column("short_notice", Boolean, nullable=False, comment="announced too late; a breach of the promise"),
    Column("closed_at", BigInteger),
    Column("closed_by", String(120), nullable=False, default=""),
    Column("restored_at", BigInteger),
    Column("restored_by", String(120), nullable=False, default=""),
    Column("cancelled_at", BigInteger),
    Column("cancelled_by", String(120), nullable=False, default=""),
    Column("ticket_no", String(40), comment="its PLANNED ticket; an emergency has none"),
)

interruption_notice = Table(
    "interruption_notice",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("interruption", String(40), ForeignKey("interruption.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("channel", String(40), nullable=False),
    Column("customers", Integer, nullable=False),
    Column("who", String(120), nullable=False),
    comment="notices that went out; rows are only ever added",
)

definition_row = Table(
    "definition_row",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("definition", String(60), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("row", JSON, nullable=False),
    Column("state", String(12), nullable=False, index=True, comment="proposed, approved or refused"),
    Column("author", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("decided_by", String(120), nullable=False, default=""),
    Column("decided_at", BigInteger),
    Column("next_review", String(10), comment="local day by which it is to be looked at again"),
    UniqueConstraint("definition", "revision"),
    comment="changes of the master alarm database; the newest approved row of a definition is in force",
)

alarm_verdict = Table(
    "alarm_verdict",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("request_id", String(100), nullable=False, unique=True),
    Column("alarm_id", String(200), nullable=False, index=True),
    Column("occurrence_no", Integer, nullable=False),
    Column("false_alarm", Boolean, nullable=False),
    Column("who", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    comment="what people at the desk say about occurrences; rows are only ever added, the newest counts",
)

work_item = Table(
    "work_item",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("key", String(300), nullable=False, unique=True, comment="kind, subject and what made it: one item each"),
    Column("kind", String(30), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("made_at", BigInteger, nullable=False, index=True),
    Column("done_at", BigInteger),
    Column("done_by", String(120), nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
    comment="work that is not this operator's now: repairs, exchanges, batteries",
)
