"""The remote meters: each reports every half hour of the city over MQTT at QoS 1 (paho-mqtt)."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
from numpy.typing import NDArray
from paho.mqtt.enums import CallbackAPIVersion

from simulators import noise
from simulators.city import City
from simulators.dataset.history import report_phase_s

HALF_HOUR_US = 1_800_000_000
READINGS_PER_REPORT = 3
"""a report repeats the two readings before, so that one lost report loses nothing"""

_QUEUE_LIMIT = 20_000
_CATCH_UP = 8
"""reports of one meter after a pause, at most"""

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

    def __init__(self, port: int, client_id: str = "city-remote-meters") -> None:
        """Prepare a client of the broker on 127.0.0.1."""
        self._port = port
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
        self._client.connect_async("127.0.0.1", self._port, keepalive=20)
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


class Reporter:
    """Decides which meters report when, and writes their reports."""

    def __init__(self, city: City, since_us: int) -> None:
        """Begin after `since_us`: what was due until then has been reported."""
        self._city = city
        self._columns = np.flatnonzero(~city.plan.customers.ic_card)
        self._phase_us = report_phase_s(city.plan)[self._columns] * 1_000_000
        self._signal_dbm = (-95 + 35 * noise.uniform(city.plan.seed, 52, city.plan.customers.key)).astype(int)
        self._done = self._slot(since_us)

    def _slot(self, at_us: int) -> NDArray[np.int64]:
        """Return the number of the half hour that each meter has reported by a moment."""
        return np.asarray((at_us - self._phase_us) // HALF_HOUR_US, dtype=np.int64)

    def due(self, now_us: int) -> list[tuple[str, bytes]]:
        """Return (topic, payload) of every report that became due since the last call."""
        slots = self._slot(now_us)
        reports = []
        for row in np.flatnonzero(slots > self._done):
            first = max(int(self._done[row]) + 1, int(slots[row]) - _CATCH_UP + 1)
            reports += [self._report(int(row), slot) for slot in range(first, int(slots[row]) + 1)]
        self._done = slots
        return reports

    def _report(self, row: int, slot: int) -> tuple[str, bytes]:
        column = self._columns[row]
        meter = self._city.plan.customers.meters[column]
        first = max(slot - READINGS_PER_REPORT + 1, -(-self._city.plan.start_hour * 2))
        moments = np.arange(first, slot + 1, dtype=np.int64) * HALF_HOUR_US
        shown = self._city.shown(self._city.registers(moments))[:, column]
        report = {
            "id": meter.meter_id,
            "sent": int(slot * HALF_HOUR_US + self._phase_us[row]) // 1000,
            "readings": [
                {"t": int(at) // 1000, "v": round(float(value) * 1000.0), "k": 1, "f": 0}
                for at, value in zip(moments, shown, strict=True)
            ],
            "bat": 3.6,
            "rssi": int(self._signal_dbm[column]),
        }
        return f"gas/{meter.zone_id}/{meter.meter_id}/up", json.dumps(report, separators=(",", ":")).encode()


def bad_messages(city: City, now_us: int) -> list[tuple[str, bytes]]:
    """Return what a broken terminal might send: unreadable payloads, and one with another meter's number."""
    remote = [m for m, ic in zip(city.plan.customers.meters, city.plan.customers.ic_card, strict=True) if not ic]
    broken, other = remote[4], remote[9]
    topic = f"gas/{broken.zone_id}/{broken.meter_id}/up"
    foreign = {
        "id": other.meter_id,
        "sent": now_us // 1000,
        "readings": [{"t": now_us // 1000, "v": 1, "k": 1, "f": 0}],
    }
    return [
        (topic, b'{"id":"' + broken.meter_id.encode() + b'","readings":[{"t":17'),
        (topic, b"\xff\xfe\x00\x81garbage"),
        (topic, b'{"id":"' + broken.meter_id.encode() + b'","readings":"none"}'),
        (f"gas/{broken.zone_id}/M-999999/up", b'{"id":"M-999999","readings":[]}'),
        (topic, json.dumps(foreign).encode()),
    ]
