"""One row per role: that it lives, since when it is not well, and what it has to say."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from gateway.store.state import State, upsert
from gateway.store.tables import role_health


def beat(state: State, role: str, *, ok: bool, detail: Mapping[str, Any]) -> None:
    """Record that a role lives now, in real time."""
    values = {"pid": os.getpid(), "at": time.time(), "ok": ok, "detail": dict(detail)}
    with state.write() as connection:
        upsert(connection, role_health, {"role": role}, values)


def detail(state: State, role: str) -> Mapping[str, Any]:
    """Return what a role said last, nothing if it never did."""
    query = select(role_health.c.detail).where(role_health.c.role == role)
    with state.read() as connection:
        return dict(connection.execute(query).scalar() or {})
