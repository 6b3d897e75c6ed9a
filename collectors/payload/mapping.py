"""The tables of the configuration that say what a topic's messages mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from collectors.decode import check_golden
from collectors.payload.paths import compile_each, compile_filter, compile_path
from gateway.errors import ConfigError
from gateway.model.profile import RegisterTable
from gateway.model.quantity import Quantity
from gateway.profiles import load_profile
from gateway.settings import Settings


class TimeMapping(Settings):
    """Where a reading's source time stands."""

    model_config = ConfigDict(populate_by_name=True)

    path: str = ""
    """path in the reading (or in the message, with a leading $); empty only for `arrival`"""
    form: Literal["iso", "epoch_s", "epoch_ms", "step", "arrival"] = Field(default="arrival", alias="as")
    """how it is written; `step`: `path` leads to the time of the first of several values; `arrival`: when it came"""
    start: Literal["iso", "epoch_s", "epoch_ms"] = "epoch_ms"
    """how the time of the first value is written, for `step`"""
    step_s: float = Field(default=0.0, ge=-86_400 * 31, le=86_400 * 31, allow_inf_nan=False)
    """seconds from one value to the next, for `step`; negative = the newest comes first"""
    step: str = ""
    """path of these seconds, where the message says them"""
    zone: str = ""
    """IANA time zone of ISO times that name none; empty = such a time is not guessed"""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            if zone:
                ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f'"{zone}" is no IANA time zone; one is "Asia/Shanghai"') from None
        return zone

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.form == "arrival") == bool(self.path):
            raise ValueError("a path and a form other than arrival go together")
        if (self.form == "step") != (bool(self.step) or self.step_s != 0) or (self.step and self.step_s):
            raise ValueError('as = "step" needs one of step_s and step, and no other form may have them')
        compile_path(self.path)
        compile_path(self.step)
        return self


class SentMapping(Settings):
    """Where the moment of sending stands: what tells how far a meter's clock is off."""

    model_config = ConfigDict(populate_by_name=True)

    path: str = Field(min_length=1)
    """path in the message"""
    form: Literal["iso", "epoch_s", "epoch_ms"] = Field(alias="as")
    """how it is written"""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        compile_path(self.path)
        return self


class ValueMapping(Settings):
    """Where a value stands: value = number * scale + offset, in the quantity's unit."""

    path: str
    """path of the number in the reading (or in the message, with a leading $); a metric's name for `sparkplug`"""
    scale: float = Field(default=1.0, allow_inf_nan=False)
    """what the number is multiplied by"""
    offset: float = Field(default=0.0, allow_inf_nan=False)
    """what is added after that"""
    text: bool = False
    """whether the number may be written as text"""
    missing: tuple[float | str, ...] = ()
    """numbers or texts that stand for "no value" """


class FrameMapping(Settings):
    """Bytes of a meter's own protocol inside a message."""

    protocol: Literal["cjt188", "registers", "modbus_rtu"]
    """cjt188; registers = Modbus registers as they are; modbus_rtu = the reply of a Modbus device with its checksum"""
    encoding: Literal["bytes", "hex", "base64"] = "bytes"
    """how the bytes are written"""
    path: str = ""
    """path of the bytes in the reading; empty = the whole payload"""
    profile: str = ""
    """shipped profile or a path that ends in .toml, for registers and modbus_rtu"""
    at: str = Field(default="", pattern=r"^((holding|input):\d{1,5})?$")
    """zero-based place of the first register, for example holding:100"""

    @field_validator("profile")
    @classmethod
    def _a_profile(cls, profile: str, info: ValidationInfo) -> str:
        folder = (info.context or {}).get("folder")
        if profile.endswith(".toml") and folder is not None:
            profile = str(Path(folder) / profile)
        try:
            if profile:
                check_golden(load_profile(profile))
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return profile

    @property
    def start(self) -> tuple[RegisterTable, int]:
        """Table and address of the first register."""
        table, _, address = self.at.partition(":")
        return RegisterTable(table), int(address)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        of_registers = self.protocol != "cjt188"
        if of_registers != bool(self.profile) or of_registers != bool(self.at):
            raise ValueError("registers and modbus_rtu need profile and at; cjt188 has neither")
        if self.path and self.encoding == "bytes":
            raise ValueError("bytes inside a message are written as hex or base64")
        compile_path(self.path)
        return self


class TopicMapping(Settings):
    """What the messages of one topic filter mean."""

    filter: str = Field(min_length=1, max_length=500)
    """MQTT topic filter; one level is `{meter}`, or `meter` says where the id stands; `{zone}`, `+` and a last `#`
    are allowed"""
    format: Literal["json", "csv", "sparkplug"] = "json"
    """how a message is written; `sparkplug` takes the asset from the device (or node) of the topic"""
    loss_allowed: bool = False
    """whether the broker may drop messages of this topic: subscribed with QoS 0, none is kept while gasgate is away"""
    identity: str = ""
    """path of the meter's id in the message; it must equal `{meter}`; empty = the message names none"""
    meter: str = ""
    """path of the meter's id in each reading, for messages about several meters"""
    meters: tuple[str, ...] = ()
    """the only meters that this topic may speak for; empty = every meter of `{zone}`, or of the network"""
    each: str = ""
    """path of a list with one reading in each element, for example $.readings[*], or $.meters[*].readings[*]; empty =
    the message is the reading"""
    columns: bool = False
    """whether values and time stand in lists of equal length; always so for times with a `step`"""
    time: TimeMapping = TimeMapping()
    """source time of a reading"""
    sent: SentMapping | None = None
    """moment of sending, where the message says it; for topics with the level `{meter}`"""
    values: dict[Quantity, ValueMapping] = Field(default_factory=dict)
    """quantity to path, or to a table with path, scale and offset; may be left out where a profile names them"""
    frame: FrameMapping | None = None
    """bytes of a meter's own protocol inside the message; their fields are found like those of the message"""
    separator: str = Field(default=",", min_length=1, max_length=1)
    """what stands between two fields, for `csv`"""
    header: bool = False
    """whether the first line names the fields, for `csv`; without it paths are [0], [1] and so on"""

    @field_validator("values", mode="before")
    @classmethod
    def _plain_paths(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {key: {"path": value} if isinstance(value, str) else value for key, value in values.items()}

    @field_validator("filter")
    @classmethod
    def _a_filter(cls, topic_filter: str) -> str:
        compile_filter(topic_filter)
        return topic_filter

    @field_validator("each")
    @classmethod
    def _lists(cls, path: str) -> str:
        compile_each(path)
        return path

    @field_validator("identity", "meter")
    @classmethod
    def _a_path(cls, path: str) -> str:
        compile_path(path)
        return path

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.values and (self.frame is None or not self.frame.profile):
            raise ValueError('values names no quantity: write for example { register_measured_m3 = "v" }')
        if self.format == "sparkplug":
            self._only_sparkplug()
            return self
        if ("{meter}" in self.filter.split("/")) == bool(self.meter):
            raise ValueError(f"{self.filter!r} needs the level {{meter}}, or `meter` the path of the id, not both")
        if self.identity and self.meter:
            raise ValueError("identity compares with {meter}; a message about several meters has none")
        if self.sent and self.meter:
            raise ValueError("sent is of the meter in the topic; a message about several meters has none")
        for value in self.values.values():
            compile_path(value.path)
        if self.format == "csv" and (self.each or self.frame or self.columns or self.time.form == "step"):
            raise ValueError("each line of csv is a reading: it has no each, frame, columns or step")
        return self

    def _only_sparkplug(self) -> None:
        if not self.filter.startswith("spBv1.0/") or not self.filter.endswith("#"):
            raise ValueError(f"{self.filter!r}: Sparkplug needs spBv1.0/GROUP/#, so that births and deaths come too")
        others = self.each or self.frame or self.columns or self.sent
        if self.identity or self.meter or others or self.time.form != "arrival":
            raise ValueError("Sparkplug messages say meter and time themselves: only values and meters are allowed")
