"""What all tables share. Times are us UTC in BigInteger; JSON columns hold plain dicts."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData()
serial = BigInteger().with_variant(Integer, "sqlite")
