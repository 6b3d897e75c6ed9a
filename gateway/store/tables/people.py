"""People, their sessions and what they did."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

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
    Column("issuer", String(300), comment="identity provider that vouches for this person; null = a local password"),
    Column("subject", String(255), comment="the provider's name for this person, which it never gives to another"),
    Column("last_login_at", BigInteger, comment="real us UTC"),
    Column("must_change", Boolean, comment="true until the password, which somebody else chose, was changed"),
)
Index("user_vouched", user.c.issuer, user.c.subject, unique=True)

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
    Column("acts", JSON, comment="what it may do at most; null = all that its role may"),
    Column("last_used_at", BigInteger, comment="real us UTC, to a minute"),
)

session = Table(
    "session",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("owner", String(120), ForeignKey("user.name"), nullable=False, index=True),
    Column("hash", String(64), nullable=False, comment="SHA-256 of the secret half"),
    Column("created_at", BigInteger, nullable=False, comment="real time: a session ends by people's clocks"),
    Column("expires_at", BigInteger, nullable=False, comment="real time"),
    Column("used_at", BigInteger, comment="real time of the last use, to a minute"),
    Column("origin", String(60), comment="address that logged in"),
)

known_browser = Table(
    "known_browser",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("owner", String(120), ForeignKey("user.name"), primary_key=True, index=True),
    Column("hash", String(64), nullable=False, comment="SHA-256 of the secret half of the browser's cookie"),
    Column("used_at", BigInteger, nullable=False, comment="real us UTC of the last log-in"),
    comment="browsers in which somebody logged in before: their failures are counted apart from strangers'",
)

login_failure = Table(
    "login_failure",
    metadata,
    Column("key", String(200), primary_key=True, comment="name:, address: or browser: and whose"),
    Column("count", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False, index=True, comment="real us UTC"),
    comment="failed log-ins that still count",
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
    Column("origin", String(60), comment="address that it came from; null = the gateway itself or a command line"),
)
Index("audit_who", audit.c.who, audit.c.seq)
Index("audit_act", audit.c.act, audit.c.seq)
Index("audit_subject", audit.c.subject, audit.c.seq)

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
