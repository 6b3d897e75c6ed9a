"""Collectors bring readings in: one file and one line in `COLLECTORS` for each kind."""

from __future__ import annotations

from collectors.modbus import ModbusCollector
from collectors.mqtt import MqttCollector

COLLECTORS = {"modbus": ModbusCollector, "mqtt": MqttCollector}
"""Kind of a `[[source]]` to the class that collects it."""
