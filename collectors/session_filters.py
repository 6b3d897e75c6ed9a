"""Which topic filters a broker may still hold in a source's session: those of an earlier configuration are ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from collectors.mqtt_config import MqttConfig, broker_address
from collectors.payload import subscription
from gateway.errors import TransientError
from gateway.ports import Memory

_MOST = 1000
"""How many filters of earlier configurations are remembered."""


class SessionFilters:
    """The filters of a source's sessions, also over a restart if there is a memory. All that it does may block."""

    def __init__(self, source: str) -> None:
        """Begin without any; `source` owns what is remembered."""
        self.memory: Memory | None = None
        self._source = source
        self._held: dict[str, frozenset[str]] = {}

    def begin(self, config: MqttConfig) -> list[str]:
        """Note what is about to be subscribed; return the filters that the session must no longer hold."""
        wanted = filters_of(config)
        old = sorted(self._recall(config) - wanted)[:_MOST]
        self._keep(config, wanted.union(old))
        return old

    def done(self, config: MqttConfig) -> None:
        """Note that the session holds the filters of the configuration, and no others."""
        self._keep(config, filters_of(config))

    def _recall(self, config: MqttConfig) -> frozenset[str]:
        session = _session(config)
        if session not in self._held and self.memory is not None:
            # without the memory old filters only stay: their messages become dead letters
            with contextlib.suppress(TransientError):
                self._held[session] = _read(self.memory.recall(self._source).get(session))
        return self._held.get(session, frozenset())

    def _keep(self, config: MqttConfig, filters: Iterable[str]) -> None:
        session, kept = _session(config), frozenset(filters)
        if kept != self._held.get(session):
            self._held[session] = kept
            if self.memory is not None:
                with contextlib.suppress(TransientError):
                    self.memory.remember(self._source, session, {"filters": sorted(kept)})


def filters_of(config: MqttConfig) -> frozenset[str]:
    """Return the filters of a configuration as the broker knows them."""
    return frozenset(subscription(topic.filter) for topic in config.topics)


def _session(config: MqttConfig) -> str:
    """Name a session without the port: a broker that is now reached over TLS still has it."""
    return f"session {config.client_id}@{broker_address(config.url)[0]}"


def _read(fact: object) -> frozenset[str]:
    found = fact.get("filters") if isinstance(fact, dict) else None
    return frozenset(one for one in found if isinstance(one, str) and one) if isinstance(found, list) else frozenset()
