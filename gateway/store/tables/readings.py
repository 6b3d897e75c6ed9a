"""Readings on their way and the audit of them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.store.tables.base import metadata, serial

point = Table(
    "point",
    metadata,
    Column("index", serial, primary_key=True, autoincrement=False),
    Column("point_id", String(200), nullable=False, unique=True),
)

cursor = Table(
    "cursor",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

stream = Table(
    "stream",
    metadata,
    Column("name", String(100), primary_key=True, comment="name of its cursor, which is the head"),
    Column("dropped", JSON, nullable=False, comment="readings of class A, B, C, D that are not streamed any more"),
)

stream_gap = Table(
    "stream_gap",
    metadata,
    Column("stream", String(100), primary_key=True),
    Column("upto", BigInteger, primary_key=True),
    Column("after", BigInteger, nullable=False),
    Column("rows", JSON(none_as_null=True), comment="readings of class A, B, C, D that wait; null = not counted yet"),
    Column("newest_us", BigInteger, nullable=False, comment="newest received time"),
    Column("classes", String(4), nullable=False, comment="what is still to be streamed"),
    comment="loads after < seq <= upto that an output has not taken although its head is further on",
)

memory = Table(
    "memory",
    metadata,
    Column("owner", String(100), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("fact", JSON, nullable=False),
    comment="small facts that a part wants back after a restart, such as addresses that a device does not have",
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("seq", BigInteger, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("source", String(100), nullable=False),
    Column("topic", String(500), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("seq", "ordinal"),
)

vee_verdict = Table(
    "vee_verdict",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("meter", String(120), nullable=False),
    Column("point_id", String(200), nullable=False),
    Column("source_time", BigInteger, nullable=False, comment="of the reading, or beginning of the gas day"),
    Column("rule", String(8), nullable=False),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("holds", Boolean, nullable=False, comment="False: later readings took the verdict back"),
    Column("result", String(12), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    UniqueConstraint("point_id", "source_time", "rule", "revision"),
    Index("vee_verdict_of_meter", "meter", "source_time"),
    comment="rows are only ever added",
)

interval = Table(
    "interval",
    metadata,
    Column("meter", String(120), primary_key=True),
    Column("gas_day", String(10), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("begins", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Column("units", BigInteger, comment="whole register units; null = missing"),
    Column("decimals", Integer, nullable=False, comment="m3 = units / 10**decimals"),
    Column("status", String(10), nullable=False),
    Column("method", String(16), nullable=False),
    Column("rules", String(80), nullable=False, comment="codes of the rules that throw doubt on it"),
    Column("left_at", BigInteger, comment="the reading before that it rests on"),
    Column("right_at", BigInteger, comment="the reading after that it rests on"),
    Column("step_units", BigInteger, comment="register step between the two"),
    Column("computed_at", BigInteger, nullable=False),
    Index("interval_of_day", "gas_day", "meter"),
    comment="written by the first release only; moved to files at the next audit",
)

reading_choice = Table(
    "reading_choice",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("meter", String(120), nullable=False, index=True),
    Column("source_time", BigInteger, nullable=False),
    Column("value", Float, comment="the value that counts; null = the choice is taken back"),
    Column("who", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    comment="which of several values of one device time counts; rows are only ever added, the newest holds",
)

interval_edit = Table(
    "interval_edit",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("meter", String(120), nullable=False, index=True),
    Column("gas_day", String(10), nullable=False),
    Column("units", BigInteger, comment="whole register units; null = the edit is taken back"),
    Column("who", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    comment="gas days that a person set by hand; rows are only ever added, the newest holds",
)

verdict_decision = Table(
    "verdict_decision",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("meter", String(120), nullable=False),
    Column("point_id", String(200), nullable=False),
    Column("source_time", BigInteger, nullable=False),
    Column("rule", String(8), nullable=False),
    Column("revision", Integer, nullable=False, comment="of the verdict; a later one asks anew"),
    Column("accepted", Boolean, nullable=False),
    Column("who", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("verdict_decision_of_verdict", "point_id", "source_time", "rule"),
    comment="whether a person accepted a reading that a rule questioned; rows are only ever added",
)
