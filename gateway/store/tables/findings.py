"""What the analysis found, what people found there, and the losses of zones."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from gateway.store.tables.base import metadata, serial

finding = Table(
    "finding",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("kind", String(30), nullable=False),
    Column("zone", String(120), nullable=False, index=True),
    Column("meter", String(120)),
    Column("subject", String(120), nullable=False, index=True),
    Column("episode_no", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("detected_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("onset", BigInteger, nullable=False),
    Column("score", Float, nullable=False),
    Column("estimate_m3_per_day", Float),
    Column("evidence", JSON, nullable=False),
    Column("cause", String(20), comment="why it is over"),
    Column("inspected_at", BigInteger),
    UniqueConstraint("kind", "subject", "episode_no"),
)

inspection = Table(
    "inspection",
    metadata,
    Column("id", serial, primary_key=True, autoincrement=True),
    Column("finding_id", serial, ForeignKey("finding.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("who", String(120), nullable=False),
    Column("result", String(20), nullable=False),
    Column("found_kind", String(30), nullable=False, comment="what it really was; empty: what was suspected"),
    Column("found_m3_per_day", Float),
    Column("note", Text, nullable=False),
    comment="what people found; rows are only ever added",
)

loss = Table(
    "loss",
    metadata,
    Column("zone", String(120), primary_key=True),
    Column("gas_day", String(10), primary_key=True, index=True),
    Column("revision", Integer, primary_key=True),
    Column("supply_m3", Float),
    Column("metered_m3", Float),
    Column("linepack_m3", Float),
    Column("loss_m3", Float),
    Column("loss_rate", Float),
    Column("sigma", Float),
    Column("coverage", Float, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("computed_at", BigInteger, nullable=False),
    Column("steady_sigma", Float),
    Column("between_m3", Float),
    Column("between_sigma_m3", Float),
    Column("terms", JSON(none_as_null=True)),
)
