"""The gateway itself: commands to devices, revisions of its configuration, restorations and health."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text, text

from gateway.store.tables.base import metadata, serial

device_command = Table(
    "device_command",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("key", String(100), nullable=False, unique=True),
    Column("asset", String(120), nullable=False, index=True),
    Column("name", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("who", String(120), nullable=False),
    Column("offer", JSON, nullable=False, comment="what was offered when it was asked for"),
    Column("state", String(12), nullable=False, index=True),
    Column("open", Boolean, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("wall_requested", Float, nullable=False, index=True, comment="real seconds since 1970"),
    Column("wall_asked", Float, nullable=False, comment="real seconds since 1970, of the request or the approval"),
    Column("decided_by", String(120), nullable=False, default=""),
    Column("decided_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("request_frame", Text, nullable=False, default=""),
    Column("reply_frame", Text, nullable=False, default=""),
    Column("read_frames", Text, nullable=False, default=""),
    Column("read_value", Float),
    Column("read_at", BigInteger),
    Column("detail", Text, nullable=False, default=""),
)
Index(
    "one_open_command",
    device_command.c.asset,
    unique=True,
    sqlite_where=text("open = 1"),
    postgresql_where=text("open"),
)

revision = Table(
    "revision",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("number", Integer, nullable=False, comment="of the configuration that held afterwards"),
    Column("at", BigInteger, nullable=False, comment="real us UTC"),
    Column("who", String(120), nullable=False),
    Column("outcome", String(10), nullable=False, comment="started, reloaded or refused"),
    Column("digest", String(64), nullable=False, comment="of all its files; of those that held on if it was refused"),
    Column("fixed", JSON, nullable=False, comment="values that a reload must not change"),
    Column("problems", JSON, nullable=False, comment="why it was refused"),
    comment="every start and reload with another configuration; the newest that was not refused is the one to run",
)

state_restoration = Table(
    "state_restoration",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, comment="real us UTC"),
    Column("copied_at", BigInteger, comment="real us UTC at which the copy was made; null = there was none"),
    Column("problem", Text, nullable=False),
    Column("aside", Text, nullable=False, comment="folder of the damaged files"),
    comment="each time the state was restored from a copy; ticket keys made after it differ from all before",
)

role_health = Table(
    "role_health",
    metadata,
    Column("role", String(20), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("at", Float, nullable=False, comment="real seconds since 1970"),
    Column("ok", Boolean, nullable=False),
    Column("detail", JSON, nullable=False),
)
