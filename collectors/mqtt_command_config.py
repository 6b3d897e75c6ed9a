"""Commands that meters take over MQTT: where they are published, how they are answered, what shows the result."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from collectors.payload import compile_path
from gateway.model.network import MeterKind
from gateway.model.quantity import Quantity
from gateway.settings import Settings

_PLACES = ("{meter}", "{zone}")
WORDS = ("$id", "$meter", "$zone", "$time_ms", "$until_ms")
_DEEPEST = 10


def _check_topic(topic: str, *, wildcards: bool) -> str:
    levels = topic.split("/")
    for level in levels:
        plain = not set(level) & set("+#{}")
        if not (plain or level in _PLACES or (wildcards and level == "+")):
            raise ValueError(f"{topic!r}: {level!r} is no level here: {{meter}} and {{zone}} stand alone")
    if "{meter}" not in levels:
        raise ValueError(f"{topic!r} needs the level {{meter}}: a command is for one meter")
    return topic


class AnswerConfig(Settings):
    """How a meter says that it has taken a command."""

    topic: str = Field(min_length=1, max_length=500)
    """topic of the meter's answer, with the levels {meter} and {zone}; `+` is allowed"""
    id: str
    """path of the command's id in the answer, for example $.id"""
    result: str = ""
    """path of the result in the answer; empty = every answer means that the meter took the command"""
    good: tuple[bool | int | str, ...] = (0,)
    """results that mean that the meter took the command; any other means that it did nothing"""
    within_s: float = Field(default=30.0, gt=0, le=3600)
    """real seconds to wait for the answer"""

    @field_validator("topic")
    @classmethod
    def _a_topic(cls, topic: str) -> str:
        return _check_topic(topic, wildcards=True)

    @field_validator("id", "result")
    @classmethod
    def _a_path(cls, path: str) -> str:
        compile_path(path)
        return path


class MqttCommand(Settings):
    """One command of a source of kind "mqtt"."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    """name of the command, for example valve_close"""
    topic: str = Field(min_length=1, max_length=500)
    """topic to publish to, with the levels {meter} and {zone}"""
    payload: dict[str, Any] = Field(min_length=1)
    """JSON to publish; the texts $id (of the command), $meter, $zone, $time_ms and $until_ms are replaced"""
    answer: AnswerConfig
    """how the meter answers"""
    confirm: Quantity
    """quantity whose next reading shows the result"""
    expect: float = Field(allow_inf_nan=False)
    """value that it must have then"""
    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """how far it may be from that"""
    settle_s: float = Field(default=5.0, ge=0, le=600)
    """real seconds after sending from which a reading counts"""
    look_for_s: float = Field(default=3600.0, gt=0, le=7 * 86_400)
    """real seconds to wait for that reading"""
    second_person: bool = False
    """whether another person must agree; needed for all that does more than close a valve"""
    allow_open: bool = False
    """whether a command may open a valve from afar"""
    kinds: tuple[MeterKind, ...] = (MeterKind.REMOTE,)
    """kinds of meters that take this command"""

    @property
    def closes(self) -> bool:
        """True if all that it does is to close a valve."""
        return self.confirm is Quantity.VALVE and self.expect == 0

    @field_validator("topic")
    @classmethod
    def _a_topic(cls, topic: str) -> str:
        return _check_topic(topic, wildcards=False)

    @field_validator("payload")
    @classmethod
    def _names_the_command(cls, payload: dict[str, Any]) -> dict[str, Any]:
        words = list(_texts(payload))
        if "$id" not in words:
            raise ValueError('payload needs "$id", so that the answer can name the command')
        if strange := [word for word in words if word.startswith("$") and word not in WORDS]:
            raise ValueError(f"payload: {strange[0]!r} is no word: allowed are {', '.join(WORDS)}")
        return payload

    @model_validator(mode="after")
    def _may_be_given(self) -> Self:
        if self.confirm is Quantity.VALVE and not self.closes and not self.allow_open:
            raise ValueError(f"command {self.name} opens a valve from afar: that needs allow_open = true")
        if not self.closes and not self.second_person:
            raise ValueError(f"command {self.name} does more than close a valve: that needs second_person = true")
        return self


def _texts(node: Any, depth: int = 0) -> list[str]:
    if depth > _DEEPEST:
        raise ValueError(f"payload is nested more than {_DEEPEST} times")
    if isinstance(node, dict):
        return [text for value in node.values() for text in _texts(value, depth + 1)]
    if isinstance(node, list):
        return [text for value in node for text in _texts(value, depth + 1)]
    return [node] if isinstance(node, str) else []
