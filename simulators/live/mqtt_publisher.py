"""One MQTT client for all remote meters, at QoS 1 (paho-mqtt)."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

_QUEUE_LIMIT = 20_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened to messages since the start."""

    published: int
    acknowledged: int
    connections: int

    @property
    def waiting(self) -> int:
        """Messages that no broker has acknowledged yet."""
        return self.published - self.acknowledged


class Publisher:
    """One MQTT client that speaks for all remote meters; what was not acknowledged goes out again after a reconnect."""

    def __init__(self, port: int, client_id: str = "city-remote-meters", address: str = "127.0.0.1") -> None:
        """Prepare a client of a broker."""
        self._port = port
        self._address = address
        self._lock = threading.Lock()
        self._published = self._acknowledged = self._connections = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True)
        self._client.max_queued_messages_set(_QUEUE_LIMIT)
        self._client.max_inflight_messages_set(50)
        self._client.reconnect_delay_set(1, 5)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish

    def start(self) -> None:
        """Connect, and keep connecting, in a thread of its own."""
        self._client.connect_async(self._address, self._port, keepalive=20)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand a message over; it is kept until a broker has acknowledged it, at most 20,000 of them."""
        info = self._client.publish(topic, payload, qos=1)
        if info.rc == mqtt.MQTT_ERR_QUEUE_SIZE:
            _log.warning("the publisher's queue is full; a report of %s was dropped", topic)
            return
        with self._lock:
            self._published += 1

    def counts(self) -> Counts:
        """Return the counts so far."""
        with self._lock:
            return Counts(self._published, self._acknowledged, self._connections)

    def _on_connect(self, *_: Any) -> None:
        with self._lock:
            self._connections += 1

    def _on_publish(self, *_: Any) -> None:
        with self._lock:
            self._acknowledged += 1
