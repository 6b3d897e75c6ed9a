"""The configuration of a Modbus source: links, their addresses, and the devices behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from collectors.command_frames import check_commands
from collectors.decode import check_golden
from gateway.errors import ConfigError
from gateway.model.profile import Profile
from gateway.profiles import load_profile
from gateway.settings import ConfigPath, Settings, quoted_url

_TLS_PORT = 802
_PORT = 502
_LAST_SERIAL_UNIT = 247
_FORMS = "tcp://host:port, tls://host:port, rtu+tcp://host:port, ascii+tcp://host:port, rtu:///dev/ttyS0 or ascii:///dev/ttyS0"
_SCHEMES: dict[str, tuple[Literal["socket", "serial"], Literal["tcp", "rtu", "ascii"]]] = {
    "tcp": ("socket", "tcp"),
    "tls": ("socket", "tcp"),
    "rtu+tcp": ("socket", "rtu"),
    "ascii+tcp": ("socket", "ascii"),
    "rtu": ("serial", "rtu"),
    "ascii": ("serial", "ascii"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a link leads, and how its frames are packed."""

    way: Literal["socket", "serial"]
    framing: Literal["tcp", "rtu", "ascii"]
    host: str = ""
    port: int = 0
    device: str = ""
    """path of the serial line"""
    tls: bool = False

    def __str__(self) -> str:
        """Return what a person calls it."""
        return self.device or f"{self.host}:{self.port}"


def parse_url(url: str) -> Address:
    """Take the url of a link apart; the port is 502, or 802 with TLS, where it is missing. Raises ValueError."""
    parts = urlsplit(url)
    wrong = ValueError(f"{quoted_url(url)} is no Modbus address: write {_FORMS}")
    if parts.scheme not in _SCHEMES or parts.query or parts.fragment or parts.username:
        raise wrong
    way, framing = _SCHEMES[parts.scheme]
    if way == "serial" and not parts.netloc and parts.path.startswith("/"):
        return Address(way, framing, device=parts.path)
    if way == "socket" and parts.hostname and not parts.path:
        tls = parts.scheme == "tls"
        return Address(way, framing, parts.hostname, parts.port or (_TLS_PORT if tls else _PORT), tls=tls)
    raise wrong


_checked: dict[str, Profile] = {}
"""Profiles whose golden frames were decoded; the same profile may stand at thousands of devices."""


class UnitConfig(Settings):
    """One device of a link."""

    unit: int = Field(ge=0, le=255)
    """unit number on the link"""
    profile: str
    """name of a shipped profile, or path of a profile of your own that ends in .toml"""
    asset: str = Field(default="", max_length=120)
    """station, regulator or meter whose points the device has; empty for a concentrator without points of its own"""
    members: tuple[str, ...] = ()
    """meter in each slot of a concentrator, in order; "" for an unused slot"""
    identity: str = ""
    """serial number that the device must show before its readings count; empty = not checked"""
    timeout_s: float | None = Field(default=None, gt=0, le=60)
    """real seconds to wait for this device's reply, where it needs another time than its link"""

    @field_validator("profile")
    @classmethod
    def _a_profile(cls, profile: str, info: ValidationInfo) -> str:
        folder = (info.context or {}).get("folder")
        if profile.endswith(".toml") and folder is not None:
            profile = str(Path(folder) / profile)
        try:
            loaded = load_profile(profile)
            if _checked.get(profile) is not loaded:
                check_golden(loaded)
                check_commands(loaded)
                _checked[profile] = loaded
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return profile


class SerialConfig(Settings):
    """How characters go over a serial line; every device of the line must be set alike."""

    baud: Literal[300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400] = 9600
    """bits a second"""
    parity: Literal["none", "even", "odd"] = "even"
    """parity bit"""
    data_bits: Literal[7, 8] = 8
    """bits of a character; RTU needs 8"""
    stop_bits: Literal[1, 2] = 1
    """stop bits; the standard asks for 2 without parity"""

    @property
    def character_s(self) -> float:
        """Seconds that one character takes."""
        return (1 + self.data_bits + (self.parity != "none") + self.stop_bits) / self.baud


class LinkConfig(Settings):
    """One connection that several devices share."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(min_length=1, max_length=60, pattern=r"^[^/\s#]+$")
    """name of the link, unique in its source"""
    url: str
    """tcp://host:port, tls://host:port, rtu+tcp://host:port, ascii+tcp://host:port, rtu:///dev/ttyS0 or ascii:///dev/ttyS0"""
    timeout_s: float = Field(default=1.0, gt=0, le=60)
    """real seconds to wait for a connection, or for a device to begin its reply"""
    connect_pause_s: float = Field(default=0.0, ge=0, le=60)
    """real seconds to leave a device alone after connecting"""
    pause_s: float = Field(default=0.0, ge=0, le=60)
    """real seconds of rest between a reply and the next request"""
    connections: int = Field(default=1, ge=1, le=16)
    """connections to open to a device that allows several; its units are spread over them"""
    serial: SerialConfig = SerialConfig()
    """settings of a serial line"""
    ca: ConfigPath | None = None
    """for tls: file with the certificate authority of the device; empty = those of the system"""
    certificate: ConfigPath | None = None
    """for tls: client certificate file"""
    key: ConfigPath | None = None
    """for tls: key file of the client certificate"""
    server_name: str = ""
    """for tls: name in the device's certificate, where it is not the host of the url"""
    units: tuple[UnitConfig, ...] = Field(alias="unit", min_length=1)
    """devices of the link"""

    @property
    def address(self) -> Address:
        """Where the link leads."""
        return parse_url(self.url)

    @field_validator("url")
    @classmethod
    def _a_url(cls, url: str) -> str:
        parse_url(url)
        return url

    @model_validator(mode="after")
    def _keys_suit_the_address(self) -> Self:
        address = self.address
        if not address.tls and (self.ca or self.certificate or self.key or self.server_name):
            raise ValueError("ca, certificate, key and server_name are for tls://")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both")
        if address.way == "serial":
            self._check_serial(address)
        elif "serial" in self.model_fields_set:
            raise ValueError("serial is for rtu:///dev/... and ascii:///dev/...")
        return self

    def _check_serial(self, address: Address) -> None:
        if self.connections > 1:
            raise ValueError("a serial line has one connection")
        if address.framing == "rtu" and self.serial.data_bits != 8:
            raise ValueError("rtu needs data_bits = 8")
        if strangers := [one.unit for one in self.units if not 1 <= one.unit <= _LAST_SERIAL_UNIT]:
            raise ValueError(f"unit {strangers[0]}: devices on a serial line have the numbers 1 to {_LAST_SERIAL_UNIT}")


class ModbusConfig(Settings):
    """A source of kind "modbus"."""

    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["modbus"] = "modbus"
    """always "modbus" here"""
    name: str = Field(min_length=1, max_length=60, pattern=r"^[^/\s]+$")
    """name of the source"""
    links: tuple[LinkConfig, ...] = Field(alias="link", min_length=1)
    """connections of the source"""

    @field_validator("links")
    @classmethod
    def _no_doubles(cls, links: tuple[LinkConfig, ...]) -> tuple[LinkConfig, ...]:
        names = [link.name for link in links]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"link {', '.join(sorted(doubled))} appears twice")
        lines = [link.address.device for link in links if link.address.device]
        if doubled_lines := {line for line in lines if lines.count(line) > 1}:
            raise ValueError(f"{min(doubled_lines)} appears in two links: a serial line has one owner")
        for link in links:
            numbers = [unit.unit for unit in link.units]
            if doubled_units := {number for number in numbers if numbers.count(number) > 1}:
                raise ValueError(f"link {link.name}: unit {min(doubled_units)} appears twice")
        return links
