"""What counts as a hit and how many false alarms a kind of finding may raise: the rules of the examination, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HOUR_S, DAY_S, YEAR_S = 3600.0, 86_400.0, 365.0 * 86_400.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How findings of one kind are matched with events and judged."""

    subject: Literal["zone", "meter"]
    horizon_d: float
    """a hit comes at most this long after the event first shows in the data"""
    grace_d: float
    """and at most this long after the event has ended"""
    budget: float
    """false alarms a year that a zone or a customer meter may cost"""
    within_d: tuple[float, float, float]
    """the times, typical of the kind, whose recall makes up Q"""


RULES = {
    "leak": Rule("zone", 60, 3, 1.0, (1, 7, 30)),
    "non_moving": Rule("meter", 120, 14, 0.002, (7, 30, 60)),
    "theft": Rule("meter", 240, 14, 0.005, (30, 90, 240)),
    "unauthorised": Rule("meter", 60, 14, 0.002, (1, 7, 30)),
    "ic_mismatch": Rule("meter", 90, 14, 0.002, (1, 7, 30)),
    "slow": Rule("meter", 240, 14, 0.002, (30, 90, 240)),
    "silent": Rule("meter", 21, 3, 0.002, (3, 7, 14)),
    "flow_when_closed": Rule("meter", 14, 3, 0.002, (1, 3, 7)),
}
KINDS = tuple(RULES)
RECALL_WITHIN_D = {"24h": 1.0, "7d": 7.0, "30d": 30.0}
SETTLING_D = 7.0
"""an event that takes effect later than this before the end leaves too little data to be found"""
SUSPECT_KINDS = ("theft", "non_moving", "slow")
"""a meter reported as one of these stands in the list of its zone's suspects"""
LEAK_SIZES_PCT = (0.0, 0.5, 1.0, 2.0, 5.0, 100.0)
LEAK_WITHIN_D = (1.0, 7.0, 30.0, 60.0)
LEAK_AIMS = ((5.0, 6.0), (2.0, 24.0), (0.5, 720.0))
"""per cent of the zone's flow, and the hours from reaching it within which the leak is to be found"""
RELIABLE, RELIABLE_FROM, ENOUGH_D = 0.9, 3, 30.0
"""a size counts as found reliably if so many of that size and above are, of so many at least, with so many days left"""
LOW_RATE, HIGH_RATE = 0.01, 0.05
"""true loss rates below and above which the verdict `high` is wrong and right"""
IDLE_SHARE = 0.02
"""days on which a zone takes less than this share of its mean are not rated: a loss rate has no meaning there"""
MONTH_D, MONTH_LEAST_D = 30, 20
