"""The certificate files of a source of kind "mqtt": how they are used, and the warning before one expires."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta

from collectors.mqtt_config import MqttConfig, broker_address
from gateway.certificates import good_until
from gateway.errors import ConfigError

WARN_DAYS = (30, 7, 0)


def tls_context(config: MqttConfig) -> ssl.SSLContext:
    """Return a context for TLS 1.2 or newer that checks the host's name. Raises ConfigError for unusable files."""
    try:
        context = ssl.create_default_context(cafile=config.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if config.certificate is not None:
            context.load_cert_chain(config.certificate, config.key)
    except OSError as error:
        raise ConfigError([f"source {config.name}: certificate files cannot be used: {error}"]) from error
    return context


class ExpiryWatch:
    """Says that a certificate of the source expires soon; new files count from the next connection on."""

    def __init__(self) -> None:
        """Begin without files."""
        self.complaint = ""
        """which file expires soon or has expired; empty if none"""
        self._ends: list[tuple[datetime, str]] = []
        self._told: int | None = None

    def read(self, config: MqttConfig) -> None:
        """Look at the files of a configuration. Blocks."""
        files = [file for file in (config.ca, config.certificate) if file is not None]
        ends = [(until, str(file)) for file in files if (until := good_until(file)) is not None]
        ends = ends if broker_address(config.url)[2] else []
        if ends != self._ends:
            self._ends, self._told = ends, None

    def look(self, now: datetime) -> str:
        """Renew the complaint; return it when it is worth a line of the log: 30 days and 7 days before, and at last."""
        self.complaint = ""
        if not self._ends:
            return ""
        until, file = min(self._ends)
        passed = [days for days in WARN_DAYS if until - now <= timedelta(days=days)]
        if not passed:
            return ""
        word = "has expired" if until <= now else "expires"
        self.complaint = f"certificate {file} {word} on {until:%Y-%m-%d}"
        news, self._told = passed[-1] != self._told, passed[-1]
        return self.complaint if news else ""
