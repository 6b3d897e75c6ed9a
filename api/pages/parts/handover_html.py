"""HTML of the hand-over: what both read together before the one who leaves has left; printed as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from api.pages.parts import interruption_html, service_words, words
from api.pages.parts.html import place, priority_mark
from api.pages.parts.table_html import table
from api.pages.parts.ticket_html import way
from api.services.format import UNKNOWN, clock_time
from api.services.handover import Handover
from api.services.interruptions import InterruptionView
from api.services.views import AlarmView, TicketView
from api.text import Texts
from gateway.model.interruption import InterruptionState
from gateway.model.reading import from_us

_MOST = 60
_AHEAD = frozenset({InterruptionState.PLANNED, InterruptionState.STOPPED})


def warnings(found: Handover, tr: Texts, timezone: str, now: datetime) -> str:
    """Return what asks for a supervisor: a flood that goes on, too many shelved alarms."""
    texts = []
    if found.flood is not None:
        begun = clock_time(from_us(found.flood.begin), timezone, now)
        texts.append(tr("Alarm flood since {time}: {count} announced", time=begun, count=found.flood.announced))
    if found.too_many_shelved:
        texts.append(tr("More than 20 alarms are shelved: review them"))
    return "".join(f'<p class="gg-warning">{escape(text)}</p>' for text in texts)


def alarms(found: Handover, tr: Texts, timezone: str, now: datetime) -> str:
    """Return the alarms that are hidden or old, each with who or what hides it and until when."""
    lists: tuple[tuple[str, Sequence[AlarmView]], ...] = (
        (tr("Active for more than 24 hours"), found.stale),
        (tr("Shelved"), found.shelved),
        (tr("Out of service"), found.out_of_service),
        (tr("Suppressed by design"), found.suppressed),
    )
    parts = []
    for title, views in lists:
        parts.append(f'<div class="gg-section"><span>{escape(title)}</span><span>{len(views)}</span></div>')
        rows = "".join(_alarm(view, found, tr, timezone, now) for view in views[:_MOST])
        parts.append(f'<table class="gg-table gg-hand"><tbody>{rows}</tbody></table>' if rows else "")
    parts.append(
        f'<div class="gg-section"><span>{escape(tr("Come and go"))}</span><span>{len(found.chattering)}</span></div>'
    )
    rows = "".join(
        f'<tr><td class="wrap"><b>{escape(name)}</b></td><td></td><td class="num">×{count}</td></tr>'
        for name, count in list(found.chattering.items())[:_MOST]
    )
    parts.append(f'<table class="gg-table gg-hand"><tbody>{rows}</tbody></table>' if rows else "")
    return "".join(parts)


def _alarm(view: AlarmView, found: Handover, tr: Texts, timezone: str, now: datetime) -> str:
    alarm = view.alarm
    until, why = "", ""
    if alarm.oos is not None:
        until, why = clock_time(alarm.oos.until, timezone, now), f"{alarm.oos.work_order} · {alarm.oos.interim}"
    elif alarm.shelf is not None:
        until, why = clock_time(alarm.shelf.until, timezone, now), f"{alarm.shelf.by}: {alarm.shelf.reason}"
    elif alarm.sbd:
        why = ", ".join(sorted(alarm.sbd))
    elif alarm.raised_at is not None:
        why = tr("since {time}", time=clock_time(alarm.raised_at, timezone, now))
    notes = [tr("approve again")] if view.id in found.approve_again else []
    notes += [tr("shelved three times in 7 days")] if view.id in found.review else []
    ends = escape(tr("until {time}", time=until)) if until else ""
    return (
        f'<tr><td class="wrap">{priority_mark(alarm, blink=False)} <b>{escape(tr(view.definition.title))}</b>'
        f"<small>{escape(place(view))}</small></td>"
        f'<td class="wrap">{escape(" · ".join([why, *notes]))}</td><td class="num">{ends}</td></tr>'
    )


def removals(found: Handover, tr: Texts, timezone: str, now: datetime) -> str:
    """Return what waits for a second person before it leaves service, with the way to decide."""
    rows = "".join(
        f'<tr><td class="wrap"><b>{escape(one.alarm_id)}</b><small>{escape(one.work_order)} · {escape(one.interim)}'
        f"</small></td><td>{escape(one.by)}<small>{clock_time(one.until, timezone, now)}</small></td>"
        f'<td><div class="gg-choices">{_decide(one.id, tr)}</div></td></tr>'
        for one in found.removals
    )
    return f'<table class="gg-table gg-ordered"><tbody>{rows}</tbody></table>' if rows else ""


def _decide(number: int, tr: Texts) -> str:
    return "".join(
        f'<button type="button" class="gg-button" data-decide="{word}:{number}">{escape(label)}</button>'
        for word, label in (("agree", tr("Agree")), ("refuse", tr("Refuse")))
    )


def tickets(views: Sequence[TicketView], tr: Texts, timezone: str, now: datetime) -> str:
    """Return the tickets that are out, the clock that ends first above."""
    out = [(view, view.clock()) for view in views if view.open]
    out.sort(key=lambda pair: (pair[1] is None, pair[1][1] if pair[1] else pair[0].raised_at))
    if not out:
        return f'<p class="gg-way">{escape(tr("No ticket is out."))}</p>'
    rows = "".join(
        f'<tr><td class="wrap">{way(view.ticket_no)}<small>{escape(view.asset_name or view.asset)}</small></td>'
        f"<td>{escape(tr(words.TICKET_CLASSES.get(view.ticket_class, view.ticket_class)))}</td>"
        f"<td>{escape(tr(words.TICKET_STATES.get(view.state, view.state)))}</td>"
        f'<td class="wrap">{_clock(clock, tr, timezone, now)}</td></tr>'
        for view, clock in out[:_MOST]
    )
    return table((tr("Ticket"), tr("Class"), tr("State"), tr("Next clock")), rows)


def _clock(clock: tuple[str, datetime] | None, tr: Texts, timezone: str, now: datetime) -> str:
    if clock is None:
        return UNKNOWN
    name = escape(tr(service_words.CLOCKS.get(clock[0], clock[0])))
    late = " bad" if clock[1] < now else ""
    return f'<span class="gg-state{late}">{name} {clock_time(clock[1], timezone, now)}</span>'


def interruptions(views: Sequence[InterruptionView], tr: Texts, timezone: str, now: datetime) -> str:
    """Return the interruptions that are planned or go on."""
    ahead = [view for view in views if view.plan.state in _AHEAD]
    if not ahead:
        return f'<p class="gg-way">{escape(tr("Nothing is planned."))}</p>'
    rows = "".join(
        f'<tr><td class="wrap"><b>{escape(", ".join((*view.plan.zones, *view.plan.assets)))}</b>'
        f"<small>{escape(view.plan.reason)}</small></td><td>{escape(tr(interruption_html.STATES[view.plan.state]))}</td>"
        f'<td class="num">{clock_time(view.plan.planned_start, timezone, now)}<br>'
        f"{clock_time(view.plan.planned_end, timezone, now)}</td></tr>"
        for view in ahead[:_MOST]
    )
    return f'<table class="gg-table gg-hand"><tbody>{rows}</tbody></table>'
