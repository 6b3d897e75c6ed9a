"""Which rows the operator's list has, under which tab, and which of them belong together in a flood."""

from __future__ import annotations

from collections.abc import Mapping

from api.services.views import AlarmView
from gateway.model.alarm import Priority

FOLDS_INTO = {"GAS_CONC_HI": "GAS_CONC_HIHI"}
"""a lower limit of the same point, which no rule may hide: its row is that of the higher one"""
BELOW = {higher: lower for lower, higher in FOLDS_INTO.items()}
TABS = ("active", "shelved", "suppressed", "removed")
_TAB_OF = {"E": "shelved", "F": "suppressed", "G": "removed"}


def is_told(view: AlarmView, alarms: Mapping[str, AlarmView]) -> bool:
    """Return whether another row tells of this alarm: that of the same point's higher limit, while it is active."""
    higher = FOLDS_INTO.get(view.alarm.definition)
    told_by = None if higher is None else alarms.get(f"{higher}@{view.alarm.asset}")
    return told_by is not None and told_by.alarm.cond and not told_by.alarm.hidden


def tab_of(view: AlarmView) -> str:
    """Return the tab of the list that an alarm stands under: what is hidden is not among what is active."""
    return _TAB_OF.get(view.letter, "active")


def group_of(view: AlarmView) -> str:
    """Return what an alarm has in common with others that may share its line: area and cause.

    Alarms of one priority, zone and definition belong together; priority 1 always stands alone, and the group is empty.
    """
    alarm = view.alarm
    return "" if alarm.priority is Priority.P1 else f"{int(alarm.priority)}|{view.zone}|{alarm.definition}"
