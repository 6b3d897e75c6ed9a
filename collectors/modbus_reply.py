"""What a device answers to a read: data, or an exception code."""

from __future__ import annotations

from dataclasses import dataclass

from collectors.decode_block import cells_of
from collectors.plan import Request

ILLEGAL_ADDRESS = 2
BUSY_CODES = (5, 6)
_MEANINGS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, not ready yet",
    6: "device busy",
    7: "negative acknowledge",
    8: "memory parity error",
}
"""The codes of the Modbus application protocol, section 7."""


@dataclass(slots=True)
class Reply:
    """What a device answered to a request, and when that arrived."""

    request: Request
    data: bytes
    """registers with the high byte first, or bits with the lowest first"""
    arrived_us: int
    session: int = 0
    """which connection it came over; another number after each new one"""

    @property
    def cells(self) -> tuple[int, ...]:
        """Registers or bits."""
        return cells_of(self.request.table, self.request.count, self.data)


class RefusedByDeviceError(Exception):
    """The device answered with a Modbus exception; `code` is its code."""

    def __init__(self, code: int) -> None:
        """Keep the code."""
        super().__init__(describe_code(code))
        self.code = code


def describe_code(code: int) -> str:
    """Return an exception code with its meaning, where it has one."""
    meaning = _MEANINGS.get(code)
    return f"exception code {code} ({meaning})" if meaning else f"exception code {code}"
