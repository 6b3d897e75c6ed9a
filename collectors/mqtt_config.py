"""The configuration of a source of kind "mqtt"."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from collectors.mqtt_command_config import MqttCommand
from collectors.payload import TopicMapping
from gateway.settings import ConfigPath, Secret, Settings, quoted_url


class MqttConfig(Settings):
    """A source of kind "mqtt"."""

    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["mqtt"] = "mqtt"
    """always "mqtt" here"""
    name: str = Field(min_length=1, max_length=60, pattern=r"^[^/\s]+$")
    """name of the source"""
    url: str
    """mqtt://host:port, or mqtts://host:port for TLS"""
    version: Literal["3.1.1", 5] = 5
    """protocol version; with "3.1.1" set the broker's max_inflight_messages to 0"""
    client_id: str = Field(min_length=1, max_length=200)
    """fixed id: the broker keeps the session under it; no other client may use it"""
    topics: tuple[TopicMapping, ...] = Field(alias="topic", min_length=1)
    """topic filters and what their messages mean"""
    commands: tuple[MqttCommand, ...] = Field(default=(), alias="command")
    """what meters can be told over this broker"""
    username: str | None = None
    """user of the broker"""
    password: Secret | None = None
    """password of the user"""
    ca: ConfigPath | None = None
    """file with the certificate authority of the broker; empty = those of the system"""
    certificate: ConfigPath | None = None
    """client certificate file"""
    key: ConfigPath | None = None
    """key file of the client certificate"""
    silence_s: float = Field(default=86_400.0, ge=0, allow_inf_nan=False)
    """real seconds without any message after which the source subscribes again, and after as many more connects again;
    0 = never"""
    keepalive_s: int = Field(default=30, ge=5, le=3600)
    """real seconds of silence after which the connection is tested"""
    timeout_s: float = Field(default=10.0, gt=0, le=120)
    """real seconds to wait for the broker's answers"""

    @field_validator("url")
    @classmethod
    def _a_url(cls, url: str) -> str:
        broker_address(url)
        return url

    @model_validator(mode="after")
    def _commands_are_seen(self) -> Self:
        names = [command.name for command in self.commands]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"command {min(doubled)} appears twice")
        reported = {quantity for topic in self.topics for quantity in topic.values}
        has_frames = any(topic.frame is not None for topic in self.topics)
        for command in self.commands:
            if command.confirm not in reported and not has_frames:
                raise ValueError(
                    f"command {command.name} has no read-back: no topic reports {command.confirm}; "
                    f"reported are {', '.join(sorted(reported))}"
                )
        return self


def broker_address(url: str) -> tuple[str, int, bool]:
    """Return host, port and whether TLS is used. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path or parts.query or parts.username:
        raise ValueError(f"{quoted_url(url)} is no broker: write mqtt://host:port or mqtts://host:port")
    is_tls = parts.scheme == "mqtts"
    return parts.hostname, parts.port or (8883 if is_tls else 1883), is_tls
