"""What keeps all pages from telling the truth, the worst first."""

from __future__ import annotations

from enum import StrEnum

from api.services.live import Board
from api.services.pulse import ROLE_SILENT_S, Pulse


class Trouble(StrEnum):
    """A fault of the gateway itself that whoever looks at a page must know."""

    STATE = "state"
    """alarms and tickets cannot be read"""
    ALARMS = "alarms"
    """nobody judges readings: no new alarm comes"""
    READINGS = "readings"
    """no reading is kept or can be looked up"""


def trouble(board: Board, pulse: Pulse) -> Trouble | None:
    """Return the worst fault that lasts, None if all goes on; from memory only."""
    if board.problem:
        return Trouble.STATE
    if "alarm" in pulse.silent:
        return Trouble.ALARMS
    if "keep" in pulse.silent or pulse.store_away_s >= ROLE_SILENT_S:
        return Trouble.READINGS
    return None
