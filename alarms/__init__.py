"""From findings and limits to alarms, from alarms to tickets."""

from __future__ import annotations

from alarms.detectors.accounts import UnauthorisedDetector
from alarms.detectors.balance import BalanceDetector
from alarms.detectors.closed_valve import ClosedValveDetector
from alarms.detectors.ic_card import CreditDetector
from alarms.detectors.non_moving import NonMovingDetector
from alarms.detectors.silent import SilentDetector
from alarms.detectors.slow import SlowDetector
from alarms.detectors.supply_drift import SupplyDriftDetector
from alarms.detectors.theft import TheftDetector
from alarms.tickets.command import CommandSink
from alarms.tickets.roundup import RoundupSink
from alarms.tickets.webhook import WebhookSink

TICKET_SINKS = {"webhook": WebhookSink, "roundup": RoundupSink, "command": CommandSink}
"""Every kind of ticketing system; the key is the `kind` of its table in the configuration."""

DETECTORS = {
    "leak": BalanceDetector,
    "non_moving": NonMovingDetector,
    "theft": TheftDetector,
    "slow": SlowDetector,
    "unauthorised": UnauthorisedDetector,
    "flow_when_closed": ClosedValveDetector,
    "ic_mismatch": CreditDetector,
    "supply_drift": SupplyDriftDetector,
    "silent": SilentDetector,
}
"""Every kind of finding and the class that judges it, made with a `CityModel`."""
