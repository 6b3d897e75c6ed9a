"""HTML of the alarm that was chosen: what it is, what may be done, guidance, its ticket and its journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from api.pages.parts import words
from api.pages.parts.html import delivery_chip, ms, place, priority_mark, ticket_steps
from api.services.acts import Offer
from api.services.detail import STALE, AlarmDetail, Latest
from api.services.format import UNKNOWN, clock_time, sentence, significant
from api.services.views import AlarmView, TicketView
from api.text import Texts


def top(  # noqa: PLR0917 - each part of the line is looked up elsewhere
    view: AlarmView, tr: Texts, timezone: str, now: datetime, limit: float | None, live: Latest | None
) -> str:
    """Return what the alarm is, where, since when, the value it rose at and the value now."""
    alarm, rule = view.alarm, view.definition
    raised = alarm.raised_at or alarm.condition_at
    where = escape(place(view))
    since = f'<span data-since="{ms(raised)}"></span>' if raised else UNKNOWN
    chips = [
        f'<span class="gg-chip{" strong" if view.unacknowledged else ""}">{escape(words.state(view.letter, tr))}</span>'
    ]
    if alarm.uncertain:
        chips.append(f'<span class="gg-chip gg-stale">{escape(tr("no fresh value"))}</span>')
    if alarm.shelf is not None:
        until = clock_time(alarm.shelf.until, timezone, now)
        chips.append(
            f'<span class="gg-chip">{escape(tr("until {time} by {name}", time=until, name=alarm.shelf.by))}</span>'
        )
    return (
        f'<div class="top">{priority_mark(alarm)}<div style="min-width:0"><h3>{escape(tr(rule.title))}</h3>'
        f'<p title="{where}">{where}</p></div>{_live_value(view, tr, now, limit, live)}</div>'
        f'<div style="display:flex;gap:8px;align-items:center;margin-top:8px">{"".join(chips)}'
        f'<span class="gg-dim since">{escape(tr("raised"))} '
        f"{clock_time(raised, timezone, now)} · {since}{_judged_value(view, tr)}</span></div>"
    )


def _live_value(view: AlarmView, tr: Texts, now: datetime, limit: float | None, live: Latest | None) -> str:
    """Return the newest reading with its age, hatched when it is old, and the limit."""
    rule = view.definition
    if not rule.quantity:
        return ""
    sign = "≤" if rule.kind == "low_limit" else "≥"
    bound = f"{escape(tr('limit'))} {sign} {significant(limit)}" if limit is not None else ""
    if live is None:
        return f'<div class="value"><b>{UNKNOWN}</b> <i>{escape(rule.unit)}</i><small>{bound}</small></div>'
    age = escape(tr("{age} ago")).replace("{age}", f'<span data-since="{ms(live.at)}"></span>')
    stale = " gg-stale" if live.value is None or now - live.at > STALE else ""
    return (
        f'<div class="value{stale}"><b>{significant(live.value)}</b> <i>{escape(rule.unit)}</i>'
        f"<small>{age}{' · ' + bound if bound else ''}</small></div>"
    )


def _judged_value(view: AlarmView, tr: Texts) -> str:
    """Return the value that raised the alarm, or the one that ended its condition."""
    alarm = view.alarm
    if not view.definition.quantity or alarm.value is None:
        return ""
    value = f"{significant(alarm.value)} {view.definition.unit}"
    return f" · {escape(tr('at {value}', value=value) if alarm.cond else tr('ended at {value}', value=value))}"


def actions(offered: Offer, tr: Texts) -> str:
    """Return the buttons of the acts that role and state allow."""
    buttons = []
    if offered.acknowledge:
        buttons.append(_button("acknowledge", tr("Acknowledge"), "A", primary=True))
    if offered.silence:
        buttons.append(_button("silence", tr("Mute for 2 min"), "M"))
    if offered.undo:
        buttons.append(_button("undo", tr("Take back"), "B"))
    if offered.shelve:
        buttons.append(_button("shelve", tr("Shelve…"), "S"))
    if offered.unshelve:
        buttons.append(_button("unshelve", tr("Take off the shelf"), "U"))
    if offered.reset:
        buttons.append(_button("reset", tr("Reset"), "R"))
    if offered.service:
        buttons.append(_button("service", tr("Service…"), "O"))
    if offered.judge:
        buttons.append(_button("judge", tr("Real or false…"), "F"))
    return "".join(buttons)


def _button(act: str, label: str, key: str, *, primary: bool = False) -> str:
    kind = "gg-button primary" if primary else "gg-button"
    return f'<button type="button" class="{kind}" data-act="{act}">{escape(label)}<kbd>{key}</kbd></button>'


def guide(view: AlarmView, tr: Texts) -> str:
    """Return what to do first, what happens otherwise, and the likely cause."""
    rule = view.definition
    parts = tr(rule.action).replace("；", ";").split(";")
    steps = [sentence(part.strip()) for part in parts if part.strip()]
    body = escape(steps[0]) if len(steps) == 1 else f"<ol>{''.join(f'<li>{escape(step)}</li>' for step in steps)}</ol>"
    way = ""
    if rule.guidance_url:
        label = escape(tr("The company's instruction"))
        way = (
            f'<p><a class="gg-link" href="{escape(rule.guidance_url)}" target="_blank" rel="noopener" '
            f'data-guidance="{escape(view.id)}">{label}</a></p>'
        )
    rows = (
        f'<dt>{escape(tr("Do first"))}</dt><dd class="first">{body}{way}</dd>',
        f"<dt>{escape(tr('If nobody acts'))}</dt><dd>{escape(tr(rule.consequence))}</dd>",
        f"<dt>{escape(tr('Likely cause'))}</dt><dd>{escape(tr(rule.cause))}</dd>",
    )
    return f'<dl class="gg-guide" style="margin:0">{"".join(rows)}</dl>'


def ticket(tickets: Sequence[TicketView], tr: Texts, timezone: str, now: datetime) -> str:
    """Return the newest ticket of an alarm as steps with their clocks."""
    if not tickets:
        return f'<div class="gg-section">{escape(tr("No ticket"))}</div>'
    view = tickets[0]
    head = (
        f'<div class="gg-section"><span>{escape(tr("Ticket"))} '
        f'<a class="gg-link" href="/tickets/{escape(view.ticket_no)}">{escape(view.ticket_no)}</a> · '
        f"{escape(words.ticket_class(view.ticket_class, tr))}</span><span>{delivery_chip(view, tr)}</span></div>"
    )
    return f'{head}<div class="gg-steps">{ticket_steps(view, tr, timezone, now)}</div>'


def journal(detail: AlarmDetail, tr: Texts, timezone: str, now: datetime) -> str:
    """Return the alarm's journal, newest first."""
    lines = "".join(
        f"<span>{clock_time(line.at, timezone, now)}</span><b>{escape(words.event(line.event, tr))}"
        f"{': ' + escape(line.reason) if line.reason else ''}</b><span>{escape(line.actor)}</span>"
        for line in detail.journal
    )
    return f'<div class="gg-section">{escape(tr("Journal"))}</div><div class="gg-journal">{lines}</div>'
