"""HTML of rows and glyphs. Every text that is not ours is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from api.pages.parts import ticket_words, words
from api.services.format import UNKNOWN, clock_time
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
WARNING = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.800" stroke-linejoin="round" '
    'aria-hidden="true"><path d="M12 3 2.500 20h19zM12 10v4.500M12 16.800v.400"/></svg>'
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
        f"{escape(ticket_words.ticket_type(view.type, tr))} · {escape(view.asset_name)}</div>"
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


def sort_key(order: Sequence[float]) -> str:
    """Return numbers as text that sorts like them; each lies between -1e12 and 1e12."""
    return "|".join(f"{value + 1e12:020.3f}" for value in order)
