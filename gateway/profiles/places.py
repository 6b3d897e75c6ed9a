"""Where a value stands in a device, as profiles write it."""

from __future__ import annotations

import re

from gateway.model.profile import LAST_ADDRESS, RegisterTable

_MODICON = {"0": RegisterTable.COIL, "1": RegisterTable.DISCRETE, "3": RegisterTable.INPUT, "4": RegisterTable.HOLDING}
_FORM = "write table:address, for example holding:100 (zero-based), or a classic number such as 40101"


def parse_place(text: str) -> tuple[RegisterTable, int]:
    """Return table and zero-based address of a place. Raises ValueError."""
    if re.fullmatch(r"[0134]\d{4,5}", text):
        return _MODICON[text[0]], in_range(int(text[1:]) - 1)
    table, _, address = text.partition(":")
    if table not in set(RegisterTable) or not re.fullmatch(r"0x[0-9a-fA-F]+|\d+", address):
        raise ValueError(f"{text!r} is no place: {_FORM}")
    return RegisterTable(table), in_range(int(address, 16) if address.startswith("0x") else int(address))


def in_range(address: int) -> int:
    """Return the address. Raises ValueError for one that Modbus does not have."""
    if not 0 <= address <= LAST_ADDRESS:
        raise ValueError(f"address {address} is not between 0 and {LAST_ADDRESS}")
    return address
