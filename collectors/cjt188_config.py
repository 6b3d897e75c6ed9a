"""The configuration of a CJ/T 188 source: buses, and the meters on them."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import ConfigDict, Field, field_validator, model_validator

from collectors.modbus_config import LinkConfig, SerialConfig
from gateway.settings import Settings, quoted_url

_FORMS = "tcp://host:port for a converter, or serial:///dev/ttyS0"


class MeterConfig(Settings):
    """One meter of a bus."""

    address: str = Field(pattern=r"^\d{14}$")
    """14 digits as printed on the meter, highest first: with the maker's four in front"""
    meter: str
    """meter of the network to which the readings belong"""
    type: int = Field(default=0x30, ge=0x10, le=0x39)
    """type code of the standard: 0x30 to 0x39 measure gas"""


class BusConfig(Settings):
    """One bus with its meters."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(min_length=1, max_length=60, pattern=r"^[^/\s#]+$")
    """name of the bus, unique in its source"""
    url: str
    """tcp://host:port for a converter that passes bytes through, or serial:///dev/ttyS0"""
    timeout_s: float = Field(default=2.0, gt=0, le=60)
    """real seconds to wait for a connection, or for a meter to begin its reply"""
    connect_pause_s: float = Field(default=0.0, ge=0, le=60)
    """real seconds to leave a converter alone after connecting"""
    pause_s: float = Field(default=0.1, ge=0, le=60)
    """real seconds of rest between a reply and the next question"""
    serial: SerialConfig = SerialConfig(baud=2400)
    """settings of a serial line"""
    every_s: float = Field(default=3600.0, gt=0, le=86400)
    """seconds between two readings of a meter"""
    identifier: Literal["901F", "1F90"] = "901F"
    """data identifier in the order in which these meters take it"""
    register_quantity: Literal["register_measured_m3", "register_base_m3"] = "register_measured_m3"
    """what the meters' register counts"""
    clock: bool = True
    """take the meter's clock as the time of a reading; false for meters without one: the time of arrival then"""
    zone: str = "Asia/Shanghai"
    """time zone of the meters' clocks"""
    meters: tuple[MeterConfig, ...] = Field(alias="meter", min_length=1)
    """meters of the bus"""

    @field_validator("url")
    @classmethod
    def _a_url(cls, url: str) -> str:
        parts = urlsplit(url)
        socket = parts.scheme == "tcp" and parts.hostname and parts.port and not parts.path
        line = parts.scheme == "serial" and not parts.netloc and parts.path.startswith("/")
        if not (socket or line) or parts.query or parts.fragment or parts.username:
            raise ValueError(f"{quoted_url(url)} leads to no bus: write {_FORMS}")
        return url

    @field_validator("zone")
    @classmethod
    def _a_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"{zone!r} is no time zone: write for example Asia/Shanghai")
        return zone

    @model_validator(mode="after")
    def _a_line_has_settings(self) -> Self:
        if "serial" in self.model_fields_set and self.url.startswith("tcp:"):
            raise ValueError("serial is for serial:///dev/...")
        return self

    def as_link(self) -> LinkConfig:
        """Return the same connection in the words of a Modbus link, which opens and rests it alike."""
        url = self.url.replace("tcp:", "rtu+tcp:", 1).replace("serial:", "rtu:", 1)
        common = self.model_dump(include={"name", "timeout_s", "connect_pause_s", "pause_s"})
        return LinkConfig.model_construct(**common, url=url, serial=self.serial, units=())


class Cjt188Config(Settings):
    """A source of kind "cjt188"."""

    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["cjt188"] = "cjt188"
    """always "cjt188" here"""
    name: str = Field(min_length=1, max_length=60, pattern=r"^[^/\s]+$")
    """name of the source"""
    buses: tuple[BusConfig, ...] = Field(alias="bus", min_length=1)
    """buses of the source"""

    @field_validator("buses")
    @classmethod
    def _no_doubles(cls, buses: tuple[BusConfig, ...]) -> tuple[BusConfig, ...]:
        lists = (
            ("bus", [bus.name for bus in buses]),
            ("line", [bus.url for bus in buses if bus.url.startswith("serial:")]),
            *((f"bus {bus.name}: meter", [meter.address for meter in bus.meters]) for bus in buses),
            ("meter", [meter.meter for bus in buses for meter in bus.meters]),
        )
        for what, names in lists:
            if len(set(names)) < len(names):
                raise ValueError(f"{what} {max(names, key=names.count)} appears twice")
        return buses
