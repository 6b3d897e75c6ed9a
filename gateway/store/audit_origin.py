"""Where the acts of a request come from, known to whoever writes the audit trail without being handed down."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Origin:
    """One request, or one act on an open page."""

    address: str
    """network address of the other side, at most 60 characters"""
    who: str = ""
    """who asks, once that is known"""
    written: int = 0
    """lines of the audit trail that it has led to"""


current: ContextVar[Origin | None] = ContextVar("origin", default=None)
"""None in the gateway's own processes and on the command line; threads see what their caller sees"""
