"""What a point measures. Each quantity has exactly one unit inside gasgate; conversion happens at the edge."""

from __future__ import annotations

from enum import StrEnum


class Quantity(StrEnum):
    """A measured quantity; the name carries its one canonical unit."""

    REGISTER_MEASURED_M3 = "register_measured_m3"
    REGISTER_BASE_M3 = "register_base_m3"
    FLOW_MEASURED_M3H = "flow_measured_m3h"
    FLOW_BASE_M3H = "flow_base_m3h"
    PRESSURE_GAUGE_KPA = "pressure_gauge_kpa"
    INLET_PRESSURE_GAUGE_KPA = "inlet_pressure_gauge_kpa"
    TEMPERATURE_C = "temperature_c"
    GAS_LEL_PCT = "gas_lel_pct"
    VALVE = "valve"
    FLAGS = "flags"
    BALANCE_M3 = "balance_m3"
    PURCHASED_M3 = "purchased_m3"
    BATTERY_V = "battery_v"
    SIGNAL_DBM = "signal_dbm"
    SENT = "sent"
    """a message came; its source time is the device's moment of sending, and the value is always 1"""


class ReadingClass(StrEnum):
    """How dear a reading is when room runs out: D is refused first, then C; A and B never."""

    SAFETY = "A"
    BILLING = "B"
    NETWORK = "C"
    DIAGNOSTICS = "D"


UNITS: dict[Quantity, str] = {
    Quantity.REGISTER_MEASURED_M3: "m³",
    Quantity.REGISTER_BASE_M3: "m³",
    Quantity.FLOW_MEASURED_M3H: "m³/h",
    Quantity.FLOW_BASE_M3H: "m³/h",
    Quantity.PRESSURE_GAUGE_KPA: "kPa",
    Quantity.INLET_PRESSURE_GAUGE_KPA: "kPa",
    Quantity.TEMPERATURE_C: "°C",
    Quantity.GAS_LEL_PCT: "%LEL",
    Quantity.VALVE: "",
    Quantity.FLAGS: "",
    Quantity.BALANCE_M3: "m³",
    Quantity.PURCHASED_M3: "m³",
    Quantity.BATTERY_V: "V",
    Quantity.SIGNAL_DBM: "dBm",
    Quantity.SENT: "",
}

CLASSES: dict[Quantity, ReadingClass] = {
    Quantity.GAS_LEL_PCT: ReadingClass.SAFETY,
    Quantity.VALVE: ReadingClass.SAFETY,
    Quantity.FLAGS: ReadingClass.SAFETY,
    Quantity.REGISTER_MEASURED_M3: ReadingClass.BILLING,
    Quantity.REGISTER_BASE_M3: ReadingClass.BILLING,
    Quantity.BALANCE_M3: ReadingClass.BILLING,
    Quantity.PURCHASED_M3: ReadingClass.BILLING,
    Quantity.FLOW_MEASURED_M3H: ReadingClass.NETWORK,
    Quantity.FLOW_BASE_M3H: ReadingClass.NETWORK,
    Quantity.PRESSURE_GAUGE_KPA: ReadingClass.NETWORK,
    Quantity.INLET_PRESSURE_GAUGE_KPA: ReadingClass.NETWORK,
    Quantity.TEMPERATURE_C: ReadingClass.NETWORK,
    Quantity.BATTERY_V: ReadingClass.DIAGNOSTICS,
    Quantity.SIGNAL_DBM: ReadingClass.DIAGNOSTICS,
    Quantity.SENT: ReadingClass.DIAGNOSTICS,
}


class Flag(int):
    """One bit of `Quantity.FLAGS`, as in the dataset format."""


FLAG_MAGNET = Flag(1)
FLAG_COVER_OPEN = Flag(2)
FLAG_REVERSE_FLOW = Flag(4)
FLAG_LOW_BATTERY = Flag(8)
FLAG_CLOCK_RESET = Flag(16)
FLAG_OVER_RANGE = Flag(32)
FLAG_LEAK_SENSOR = Flag(64)
FLAG_NO_GAS = Flag(128)
"""the meter's own pressure switch says that there is no gas before it"""
