"""People, their sessions and what they did."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Integer, String, Table, Text

from gateway.store.tables.base import metadata, serial

user = Table(
    "user",
    metadata,
    Column("name", String(120), primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", String(20), nullable=False),
    Column("language", String(5), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("name", String(120), nullable=False),
    Column("owner", String(120), ForeignKey("user.name"), nullable=False),
    Column("hash", String(64), nullable=False, comment="SHA-256 of the secret half"),
    Column("role", String(20), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked", Boolean, nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("owner", String(120), ForeignKey("user.name"), nullable=False, index=True),
    Column("hash", String(64), nullable=False, comment="SHA-256 of the secret half"),
    Column("created_at", BigInteger, nullable=False, comment="real time: a session ends by people's clocks"),
    Column("expires_at", BigInteger, nullable=False, comment="real time"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("who", String(120), nullable=False),
    Column("act", String(60), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", JSON, nullable=False),
)

answer = Table(
    "answer",
    metadata,
    Column("request_id", String(100), primary_key=True),
    Column("who", String(120), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    comment="first answer to each request id; the same id again gets it and does nothing",
)
