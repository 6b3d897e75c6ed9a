"""HTML of rows and glyphs. Every text that is not ours is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from api.pages.parts import words
from api.services.acts import Offer
from api.services.detail import STALE, AlarmDetail, Latest
from api.services.format import UNKNOWN, clock_time, number, sentence, significant
from api.services.summary import Summary
from api.services.views import AlarmView, TicketView
from api.text import Texts
from gateway.model.alarm import Alarm
from gateway.model.reading import to_us

_SHAPES = {
    1: '<path class="shape" d="M8 1.500h8L22.500 8v8L16 22.500H8L1.500 16V8z"/>',
    2: '<path class="shape" d="M12 1.500 23 21.500H1z"/>',
    3: '<rect class="shape" x="2.500" y="2.500" width="19" height="19" rx="1"/>',
    4: '<circle class="shape" cx="12" cy="12" r="10"/>',
}
FLAME = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.800" stroke-linecap="round" '
    'stroke-linejoin="round" aria-hidden="true"><path d="M12 3c.6 3.400 5 5.600 5 10.200A5 5 0 0 1 12 18.500a5 5 '
    "0 0 1-5-5.300"
    'C7 10.600 8.700 9.600 9.400 7.600c1 .7 1.500 1.700 1.600 2.900C12 9 12.300 6 12 3z"/><path d="M4 '
    '21.500h16"/></svg>'
)
CHECK = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.500" aria-hidden="true">'
    '<circle cx="12" cy="12" r="10"/><path d="m7.500 12.500 3 3 6-7"/></svg>'
)


def ms(moment: datetime) -> int:
    """Return a moment as browsers count."""
    return to_us(moment) // 1000


def priority_mark(alarm: Alarm, *, blink: bool = True) -> str:
    """Return shape, number and colour of a priority; full while it waits for a person."""
    level = int(alarm.priority)
    waiting = not alarm.acked and not alarm.hidden
    classes = ["gg-prio", f"p{level}"]
    if waiting:
        classes += ["full"] + (["blink"] if blink else [])
    if not alarm.cond:
        classes.append("gone")
    return glyph(level, " ".join(classes))


def glyph(level: int, classes: str) -> str:
    """Return the shape of a priority with its number."""
    y = 15 if level == 2 else 12.5
    return (
        f'<svg class="{classes}" viewBox="0 0 24 24" role="img" aria-label="P{level}">{_SHAPES[level]}<text '
        f'x="12" y="{y}">{level}</text></svg>'
    )


def empty(text: str) -> str:
    """Return a calm sign that there is nothing."""
    return f"{CHECK}<span>{escape(text)}</span>"


def place(view: AlarmView) -> str:
    """Return id, name and zone of an alarm's asset; the id comes first, for the end may be cut."""
    names = [view.asset_name] if view.asset_name == view.alarm.asset else [view.alarm.asset, view.asset_name]
    if view.zone_name and view.zone_name not in names:
        names.append(view.zone_name)
    return " · ".join(names)


def alarm_row(view: AlarmView, tr: Texts, timezone: str, now: datetime) -> dict[str, str]:
    """Return the list's row of an alarm; `data-times` is where a list writes for how many it stands."""
    alarm = view.alarm
    raised = alarm.raised_at or alarm.condition_at
    classes = "gg-alarm" + (" covered" if alarm.hidden else "") + ("" if view.unacknowledged else " seen")
    state = words.state(view.letter, tr)
    if alarm.late:
        state = f"{tr('late')} · {state}"
    html = (
        f'<div class="{classes}">{priority_mark(alarm)}<div style="min-width:0"><div class="what">'
        f"{escape(tr(view.definition.title))} <span data-times hidden></span></div>"
        f'<div class="where">{escape(place(view))}</div></div>'
        f'<div class="when"><b>{clock_time(raised, timezone, now)}</b>{escape(state)}</div></div>'
    )
    return {"id": view.id, "key": sort_key(view.order), "html": html}


def ticket_row(view: TicketView, tr: Texts, key: tuple[float, ...]) -> dict[str, str]:
    """Return the list's row of a ticket."""
    facts = [escape(words.ticket_class(view.ticket_class, tr)), escape(view.asset), escape(view.ticket_no)]
    delivery = delivery_chip(view, tr)
    html = (
        f'<div class="gg-ticket{"" if view.open else " ended"}"><div style="min-width:0"><div class="what">'
        f"{escape(words.ticket_type(view.type, tr))} · {escape(view.asset_name)}</div>"
        f'<div class="where">{" · ".join(facts)}</div></div>{_clock_box(view, tr, delivery)}</div>'
    )
    return {"id": view.ticket_no, "key": sort_key(key), "html": html}


def _clock_box(view: TicketView, tr: Texts, delivery: str) -> str:
    counting = view.clock()
    if counting is None:
        return (
            f'<div class="clockbox"><span>{escape(words.ticket_state(view.state, tr))}</span><small>'
            f"{delivery}</small></div>"
        )
    name, due = counting
    label, late = words.clock_label(name, tr)
    return (
        f'<div class="clockbox">{clock(due, (due - view.raised_at).total_seconds(), late)}'
        f'<small><span data-label="{escape(label)}">{escape(label)}</span>'
        f"{' · ' + delivery if delivery else ''}</small></div>"
    )


def clock(due: datetime, limit_s: float, late_label: str = "") -> str:
    """Return a clock that counts down in the browser, amber in its second half, red when it is over."""
    return (
        f'<span class="gg-clock" data-due="{ms(due)}" data-limit="{limit_s:.0f}" '
        f'data-late-label="{escape(late_label)}">{UNKNOWN}</span>'
    )


def delivery_chip(view: TicketView, tr: Texts) -> str:
    """Return how the delivery stands, coloured only if somebody must know."""
    if not view.delivery:
        return ""
    text = escape(words.delivery(view.delivery, tr))
    if view.delivery == "confirmed":
        return text
    kind = "bad" if view.delivery == "dead" else "warn"
    return f'<span class="gg-chip {kind}" title="{escape(view.last_error)}">{text} ×{view.attempts}</span>'


def strip(figures: Summary, tr: Texts) -> str:
    """Return the strip of key figures."""
    counts = "".join(
        f'<span class="gg-count{"" if count else " zero"}">{glyph(level, f"gg-prio p{level} full")}<b>{count}</b>'
        "</span>"
        for level, count in figures.unacknowledged.items()
    )
    label = escape(tr("Unacknowledged by priority"))
    if figures.flood is not None:
        text = escape(tr("flood: {count} announced", count=figures.flood.announced))
        label = f'{label} <span class="gg-chip warn">{text}</span>'
    cells = [f'<div class="gg-figure"><small>{label}</small><div class="gg-counts">{counts}</div></div>']
    note = escape(tr("{count} not confirmed", count=figures.undelivered)) if figures.undelivered else ""
    cells.append(
        _figure(
            tr("Tickets out"),
            str(figures.tickets_out),
            f"<i>{note}</i>",
            "warn" if figures.undelivered else "" if figures.tickets_out else "quiet",
        )
    )
    if figures.worst is None:
        cells.append(_figure(tr("Worst clock"), UNKNOWN, f"<i>{escape(tr('none running'))}</i>", "quiet"))
    else:
        name, due, number_ = figures.worst
        label, late = words.clock_label(name, tr)
        shown = clock(due, 0.0, late)
        cells.append(
            f'<div class="gg-figure"><small>{escape(tr("Worst clock"))} · {escape(number_)}</small><div>{shown}'
            f'<i data-label="{escape(label)}">{escape(label)}</i></div></div>'
        )
    supply = figures.supply
    partial = (
        f"<i>m³/h · {escape(tr('{known} of {expected} measured', known=supply.known, expected=supply.expected))}</i>"
    )
    whole = supply.known == supply.expected and supply.expected > 0
    cells.append(_figure(tr("Supply now"), number(supply.flow_base_m3h), "<i>m³/h</i>" if whole else partial, ""))
    down = UNKNOWN if figures.links_down is None else str(figures.links_down)
    of = escape(tr("of {count}", count=figures.links)) if figures.links else ""
    cells.append(_figure(tr("Links down"), down, f"<i>{of}</i>", "warn" if figures.links_down else "quiet"))
    return "".join(cells)


def _figure(label: str, value: str, note: str, kind: str) -> str:
    return f'<div class="gg-figure {kind}"><small>{escape(label)}</small><div><b>{escape(value)}</b>{note}</div></div>'


def detail_top(  # noqa: PLR0917 - each part of the line is looked up elsewhere
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
    rows = (
        f'<dt>{escape(tr("Do first"))}</dt><dd class="first">{body}</dd>',
        f"<dt>{escape(tr('If nobody acts'))}</dt><dd>{escape(tr(rule.consequence))}</dd>",
        f"<dt>{escape(tr('Likely cause'))}</dt><dd>{escape(tr(rule.cause))}</dd>",
    )
    return f'<dl class="gg-guide" style="margin:0">{"".join(rows)}</dl>'


def detail_tickets(tickets: Sequence[TicketView], tr: Texts, timezone: str, now: datetime) -> str:
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


def ticket_steps(view: TicketView, tr: Texts, timezone: str, now: datetime) -> str:
    """Return opened, departed, arrived and completed with their times or clocks."""
    steps = [_step(tr("Opened"), clock_time(view.raised_at, timezone, now), "done")]
    for label, met, due in (
        (tr("Departed"), view.departed_at, view.depart_by),
        (tr("Arrived"), view.arrived_at, view.arrive_by),
    ):
        if met is not None:
            steps.append(_step(label, clock_time(met, timezone, now), "late" if due and met > due else "done"))
        elif due is not None and view.open:
            steps.append(_step(label, clock(due, (due - view.raised_at).total_seconds()), ""))
        else:
            steps.append(_step(label, UNKNOWN, ""))
    done = view.completed_at
    steps.append(_step(tr("Completed"), clock_time(done, timezone, now) if done else UNKNOWN, "done" if done else ""))
    return "".join(steps)


def _step(label: str, value: str, kind: str) -> str:
    return f'<div class="gg-step {kind}">{escape(label)}<b>{value}</b></div>'


def journal(detail: AlarmDetail, tr: Texts, timezone: str, now: datetime) -> str:
    """Return the alarm's journal, newest first."""
    lines = "".join(
        f"<span>{clock_time(line.at, timezone, now)}</span><b>{escape(words.event(line.event, tr))}"
        f"{': ' + escape(line.reason) if line.reason else ''}</b><span>{escape(line.actor)}</span>"
        for line in detail.journal
    )
    return f'<div class="gg-section">{escape(tr("Journal"))}</div><div class="gg-journal">{lines}</div>'


def sort_key(order: Sequence[float]) -> str:
    """Return numbers as text that sorts like them; each lies between -1e12 and 1e12."""
    return "|".join(f"{value + 1e12:020.3f}" for value in order)
