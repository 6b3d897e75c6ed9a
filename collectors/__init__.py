"""Collectors bring readings in: one file and one line in `COLLECTORS` for each kind."""

from __future__ import annotations

from collectors.cjt188_bus import Cjt188Collector
from collectors.modbus import ModbusCollector
from collectors.mqtt import MqttCollector

COLLECTORS = {"cjt188": Cjt188Collector, "modbus": ModbusCollector, "mqtt": MqttCollector}
"""Kind of a `[[source]]` to the class that collects it."""
