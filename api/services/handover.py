"""What is read at every hand-over: hidden alarms, old ones, those that come and go, the flood, what waits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from alarms.flood import WINDOW_US, Flood, FloodWatch
from api.deps import Parts
from api.services import out_of_service
from api.services.views import AlarmView, load_alarms
from gateway.model.reading import from_us, to_us
from gateway.store import alarm_rows, report_rows
from gateway.store.removal_rows import Removal

STALE = timedelta(hours=24)
MOST_SHELVED = 20
"""more than this on the shelf at once call for a review"""
SHELVED_AGAIN = 3
SHELVED_WITHIN = timedelta(days=7)
APPROVED_FOR = timedelta(days=7)
"""after this an alarm out of service needs a new approval"""
LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Handover:
    """The lists; each most urgent first."""

    at: datetime
    flood: Flood | None
    """the flood that goes on"""
    floods: tuple[Flood, ...]
    """those that ended within the last 24 h"""
    stale: tuple[AlarmView, ...]
    shelved: tuple[AlarmView, ...]
    suppressed: tuple[AlarmView, ...]
    out_of_service: tuple[AlarmView, ...]
    approve_again: tuple[str, ...]
    """out of service for more than 7 days, or longer than planned"""
    review: tuple[str, ...]
    """shelved three times within 7 days"""
    too_many_shelved: bool
    chattering: dict[str, int]
    """occurrences in the last 24 h of alarms that came and went"""
    removals: tuple[Removal, ...]


def handover(parts: Parts) -> Handover:
    """Return the lists as of now."""
    now = parts.clock.now()
    views = load_alarms(parts, parts.state)
    with parts.state.read() as connection:
        marked = {
            entry.alarm_id for entry in alarm_rows.journal_since(connection, now - LATELY, ("chattering", "repair"))
        }
        rises = report_rows.counts_since(connection, to_us(now - LATELY), ("raised", "withheld"), sorted(marked))
        shelved = report_rows.counts_since(connection, to_us(now - SHELVED_WITHIN), ("shelved",), None)
    out = [view for view in views if view.letter == "G"]
    on_shelf = tuple(view for view in views if view.letter == "E")
    watch = flood_watch(parts, now)
    return Handover(
        at=now,
        flood=watch.look(to_us(now)),
        floods=tuple(watch.ended),
        stale=tuple(view for view in views if view.letter in {"B", "C"} and _older(view.alarm.raised_at, now, STALE)),
        shelved=on_shelf,
        suppressed=tuple(view for view in views if view.letter == "F"),
        out_of_service=tuple(out),
        approve_again=tuple(view.id for view in out if _too_long(view, now)),
        review=tuple(sorted(name for name, count in shelved.items() if count >= SHELVED_AGAIN)),
        too_many_shelved=any(
            count > MOST_SHELVED for count in Counter(view.definition.position for view in on_shelf).values()
        ),
        chattering=dict(sorted(rises.items(), key=lambda item: -item[1])),
        removals=tuple(out_of_service.waiting(parts)),
    )


def flood_watch(parts: Parts, now: datetime) -> FloodWatch:
    """Return a watch that has seen the announcements of the last 24 h."""
    watch = FloodWatch()
    with parts.state.read() as connection:
        for at in report_rows.announced_since(connection, to_us(now - LATELY) - WINDOW_US):
            watch.announce(at)
    watch.look(to_us(now))
    return watch


def _older(moment: datetime | None, now: datetime, span: timedelta) -> bool:
    return moment is not None and now - moment > span


def _too_long(view: AlarmView, now: datetime) -> bool:
    oos = view.alarm.oos
    return oos is not None and (now - oos.since > APPROVED_FOR or now > oos.until)


def flood_json(flood: Flood | None) -> dict[str, object] | None:
    """Return a flood as the API shows it."""
    if flood is None:
        return None
    end = None if flood.end is None else from_us(flood.end)
    return {"begin": from_us(flood.begin), "end": end, "announced": flood.announced}
