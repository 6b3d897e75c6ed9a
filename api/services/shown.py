"""Which rows the operator's list has: nothing that another row tells already, and groups while there is a flood."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api.services.views import AlarmView
from gateway.model.alarm import Priority

FOLDS_INTO = {"GAS_CONC_HI": "GAS_CONC_HIHI"}
"""a lower limit of the same point, which no rule may hide: its row is that of the higher one"""
BELOW = {higher: lower for lower, higher in FOLDS_INTO.items()}


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row: the alarm that it stands for, and how many it stands for altogether."""

    view: AlarmView
    count: int = 1


def shown_rows(views: Iterable[AlarmView], *, flood: bool) -> list[ShownRow]:
    """Return the rows of a list that is sorted by urgency.

    What a rule covers has none. The lower limit of a point whose higher one is active is told by it. In a flood
    alarms of one priority, zone and definition share a row, the most urgent one's; priority 1 never does.
    """
    listed = [view for view in views if view.listed]
    active = {view.id for view in listed if view.alarm.cond and not view.alarm.hidden}
    listed = [view for view in listed if _told_by(view) not in active]
    if not flood:
        return [ShownRow(view) for view in listed]
    groups: dict[tuple[object, ...], list[AlarmView]] = {}
    for view in listed:
        alarm = view.alarm
        alone = alarm.priority is Priority.P1
        key = (view.id,) if alone else (alarm.priority, alarm.hidden, view.zone, alarm.definition)
        groups.setdefault(key, []).append(view)
    return [ShownRow(min(own, key=lambda view: not view.unacknowledged), len(own)) for own in groups.values()]


def _told_by(view: AlarmView) -> str:
    higher = FOLDS_INTO.get(view.alarm.definition)
    return "" if higher is None else f"{higher}@{view.alarm.asset}"
