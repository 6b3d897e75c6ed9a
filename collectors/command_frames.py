"""Commands of device profiles as Modbus PDUs: function codes 5, 6, 15 and 16. Pure."""

from __future__ import annotations

import struct

from gateway.errors import ConfigError
from gateway.model.profile import CommandSpec, Profile

_COIL_ON = 0xFF00


def write_pdu(spec: CommandSpec) -> bytes:
    """Return the PDU that writes what a command says."""
    bits = spec.table.of_bits
    if not spec.several:
        (value,) = spec.values
        if bits:
            return struct.pack(">BHH", 5, spec.address, _COIL_ON if value else 0)
        return struct.pack(">BHH", 6, spec.address, value)
    count = len(spec.values)
    if bits:
        packed = sum(value << place for place, value in enumerate(spec.values))
        data = packed.to_bytes(-(-count // 8), "little")
    else:
        data = struct.pack(f">{count}H", *spec.values)
    return struct.pack(">BHHB", 15 if bits else 16, spec.address, count, len(data)) + data


def check_commands(profile: Profile) -> None:
    """Compare every command with its golden frame. Raises ConfigError that lists each that differs."""
    problems = [
        f"profile {profile.name}: command {spec.name} would send {write_pdu(spec).hex(' ')}, but golden is "
        f"{spec.golden.hex(' ')}"
        for spec in (*profile.commands, *profile.member_commands(0))
        if write_pdu(spec) != spec.golden
    ]
    if problems:
        raise ConfigError(problems)
