"""HTML of the service page: the call form, who was told, call-backs, and the month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from alarms.service.brief import GOALS, Brief, OnTime
from api.pages.parts import service_words, words
from api.pages.parts.html import empty
from api.services.format import UNKNOWN, clock_time, number
from api.services.service import Near
from api.text import Texts
from gateway.store.call_back_rows import CallBack
from gateway.store.promise_rows import CallRow

_MOST_BREACHES = 200


def form(tr: Texts, number: str) -> str:
    """Return the empty form of a telephone report; another number makes the browser forget what stands in it."""
    kinds = "".join(f'<option value="{key}">{escape(tr(name))}</option>' for key, name in service_words.SAID.items())
    sure = f'<option value="">{escape(tr("not asked"))}</option>'
    yes_no = f'{sure}<option value="yes">{escape(tr("yes"))}</option><option value="no">{escape(tr("no"))}</option>'
    inside, outside = escape(tr("indoors")), escape(tr("outdoors"))
    where = f'{sure}<option value="yes">{inside}</option><option value="no">{outside}</option>'

    def field(name: str, label: str, attributes: str = "", wide: str = "") -> str:
        box = f'<input class="gg-input" name="{name}" {attributes}>'
        return f'<label class="{wide}">{escape(label)}{box}</label>'

    def choice(name: str, label: str, options: str) -> str:
        return f'<label>{escape(label)}<select class="gg-input" name="{name}">{options}</select></label>'

    return (
        f'<form class="gg-call" data-number="{escape(number)}"><fieldset class="first">'
        + field("called_at", tr("Taken at, if not just now"), 'type="datetime-local" step="1"')
        + field("number", tr("Number of the caller"), 'required maxlength="40" autocomplete="off"')
        + field("place", tr("Place"), 'required maxlength="120" autocomplete="off"', "wide")
        + choice("what", tr("What"), kinds)
        + field("asset", tr("Meter, zone or station, if known"), 'maxlength="120" autocomplete="off"')
        + "</fieldset><fieldset>"
        + choice("indoors", tr("Where"), where)
        + choice("valve_closed", tr("Valve closed"), yes_no)
        + choice("ill_persons", tr("Ill persons"), yes_no)
        + field("caller", tr("Name of the caller"), 'maxlength="120" autocomplete="off"')
        + field("note", tr("Note"), 'maxlength="500" autocomplete="off"', "wide")
        + f'</fieldset><button class="gg-button primary" type="submit">{escape(tr("Open the ticket"))}</button></form>'
    )


def near(found: Near | None, tr: Texts) -> str:
    """Return what is open where the caller is, each ticket with the way to put the call to it."""
    if found is None:
        return ""
    if not found.tickets and not found.alarms:
        return f'<p class="gg-dim">{escape(tr("Nothing is open there."))}</p>'
    tickets = "".join(
        f'<li><span class="gg-tag">{escape(tr(words.TICKET_CLASSES[wanted]))}</span> {escape(ticket_no)} '
        f'<span class="gg-dim">{escape(title)}</span> <button type="button" class="gg-button" '
        f'data-join="{escape(ticket_no)}">{escape(tr("Put the call to it"))}</button></li>'
        for ticket_no, wanted, title in found.tickets
    )
    alarms = "".join(f"<li>{escape(alarm)}</li>" for alarm in found.alarms)
    return f'<h3>{escape(tr("Open there"))}</h3><ul class="gg-near">{tickets}{alarms}</ul>'


def told(rows: Sequence[CallRow], tr: Texts, timezone: str, now: datetime) -> str:
    """Return who was told that a clock runs out, the newest first."""
    if not rows:
        return f'<div class="gg-empty">{empty(tr("No clock has run out, and nobody had to be told."))}</div>'
    lines = "".join(
        f"<tr><td>{clock_time(row.told_at, timezone, now)}</td><td>{escape(row.ticket_no)}</td>"
        f"<td>{escape(tr(service_words.CLOCKS.get(row.clock, row.clock)))}</td>"
        f"<td>{escape(tr(service_words.TOLD.get(row.tell, row.tell)))}</td>"
        f'<td><span class="gg-state{" bad" if row.breach else ""}">'
        f"{escape(tr('limit passed') if row.breach else tr('before the limit'))}</span></td></tr>"
        for row in rows
    )
    return _table((tr("When"), tr("Ticket"), tr("Clock"), tr("Told"), tr("State")), lines)


def call_backs(rows: Sequence[CallBack], tr: Texts, timezone: str, now: datetime, *, may: bool) -> str:
    """Return whose customers are to be called."""
    if not rows:
        return f'<div class="gg-empty">{empty(tr("Nobody waits for a call."))}</div>'
    lines = "".join(
        f"<tr><td>{escape(one.ticket_no)}</td><td>{escape(tr(service_words.LEVELS.get(one.level, one.level)))}</td>"
        f"<td>{escape(one.crew) or UNKNOWN}</td>"
        f'<td><span class="gg-state{" bad" if one.due_at < now else ""}">'
        f"{clock_time(one.due_at, timezone, now)}</span></td>"
        f'<td class="num">{len(one.tries)}</td><td>{_tries(one, tr) if may else ""}</td></tr>'
        for one in rows
    )
    head = (tr("Ticket"), tr("Level"), tr("Crew"), tr("Due"), tr("Tries"), "")
    return _table(head, lines)


def _tries(one: CallBack, tr: Texts) -> str:
    key = escape(f"{one.ticket_no}/{one.level}")
    return (
        f'<button type="button" class="gg-button" data-reached="{key}">{escape(tr("Reached"))}</button> '
        f'<button type="button" class="gg-button" data-missed="{key}">{escape(tr("Not reached"))}</button>'
    )


def month_tools(wanted: str, tr: Texts) -> str:
    """Return the choice of the month, and the ways to take it along."""
    return (
        f'<label class="gg-dim">{escape(tr("Month"))} <input class="gg-input" type="month" value="{wanted}"></label>'
        f'<a class="gg-button" href="/api/v1/service/brief.csv?month={wanted}" download>CSV</a>'
        '<button type="button" class="gg-button" onclick="window.print()">'
        f"{escape(tr('Print or save as PDF'))}</button>"
    )


def month(found: Brief, tr: Texts) -> str:
    """Return the figures of a month: promises kept by clock, district and crew, how long it took, breaches."""
    if not found.tickets:
        return f'<div class="gg-empty">{empty(tr("No ticket was raised in this month."))}</div>'
    cards = "".join(
        _card(name, figures, goal, tr)
        for name, figures, goal in (
            (tr("Promises kept"), found.on_time, GOALS["all"]),
            (tr("Emergencies"), found.emergencies, GOALS["emergency"]),
        )
    )
    cards += _count(tr("Tickets"), number(found.tickets), " · ".join(
        f"{tr(words.TICKET_CLASSES.get(name, name))} {count}" for name, count in sorted(found.by_class.items())
    ))  # fmt: skip
    cards += _count(
        tr("Not recorded"), number(found.on_time.not_recorded), tr("steps nobody reported; they count as late")
    )
    return (
        f'<div class="gg-cards gg-month">{cards}</div>{_clocks(found, tr)}{_took(found, tr)}{_called(found, tr)}'
        f"{_breaches(found, tr)}"
    )


def _card(name: str, figures: OnTime, goal: float, tr: Texts) -> str:
    share = figures.share
    bad = share is not None and share < goal
    shown = UNKNOWN if share is None else f"{share * 100:.1f} %"
    note = tr("goal {goal} %; {late} late, {open} open", goal=f"{goal * 100:g}",
              late=figures.late + figures.not_recorded, open=figures.open)  # fmt: skip
    return _count(name, shown, note, bad=bad)


def _count(name: str, shown: str, note: str, *, bad: bool = False) -> str:
    kind = " bad" if bad else ""
    return (
        f'<div class="gg-card{kind}"><h3>{escape(name)}</h3><b class="gg-figure">{escape(shown)}</b>'
        f'<p title="{escape(note)}">{escape(note)}</p></div>'
    )


def _clocks(found: Brief, tr: Texts) -> str:
    rows = []
    for key, figures in found.by_clock.items():
        wanted, _, clock = key.partition("/")
        name = f"{tr(words.TICKET_CLASSES.get(wanted, wanted))} · {tr(service_words.CLOCKS.get(clock, clock))}"
        rows.append(_line(name, figures))
    rows += [_line(name or UNKNOWN, figures) for name, figures in found.by_district.items()]
    rows += [_line(name, figures) for name, figures in found.by_crew.items() if name]
    head = (tr("Promise, district or crew"), tr("Kept"), tr("Late"), tr("Not recorded"), tr("Open"), tr("On time"))
    return _table(head, "".join(rows), numbers=5)


def _line(name: str, figures: OnTime) -> str:
    share = UNKNOWN if figures.share is None else f"{figures.share * 100:.1f} %"
    cells = (figures.kept, figures.late, figures.not_recorded, figures.open)
    return (
        f"<tr><td>{escape(name)}</td>"
        + "".join(f'<td class="num">{number(cell)}</td>' for cell in cells)
        + f'<td class="num">{share}</td></tr>'
    )


def _took(found: Brief, tr: Texts) -> str:
    if not found.took:
        return ""
    rows = "".join(
        f"<tr><td>{escape(tr(service_words.STEPS[name]))}</td>"
        + "".join(f'<td class="num">{_span(value)}</td>' for value in (one.median_s, one.p90_s, one.p99_s, one.worst_s))
        + f'<td class="dim">{escape(one.worst)}</td></tr>'
        for name, one in found.took.items()
    )
    head = (tr("From raised"), tr("Median"), "90 %", "99 %", tr("Worst"), tr("Ticket"))
    return _table(head, rows, numbers=4)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _called(found: Brief, tr: Texts) -> str:
    if not found.called:
        return ""
    rows = "".join(
        f"<tr><td>{escape(tr(service_words.LEVELS.get(level, level)))}</td>"
        + "".join(
            f'<td class="num">{number(count)}</td>'
            for count in (one.drawn, one.in_time, one.tried, one.reached, one.satisfied)
        )
        + "</tr>"
        for level, one in found.called.items()
    )
    head = (tr("Call-backs"), tr("Drawn"), tr("In time"), tr("Tried"), tr("Reached"), tr("Satisfied"))
    return _table(head, rows, numbers=5)


def _breaches(found: Brief, tr: Texts) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.ticket_no)}</td>"
        f"<td>{escape(tr(service_words.CLOCKS.get(one.clock, one.clock)))}</td>"
        f"<td>{escape(tr(service_words.STANDINGS[one.standing.value]))}</td>"
        f"<td>{escape(one.district) or UNKNOWN}</td><td>{escape(one.crew) or UNKNOWN}</td></tr>"
        for one in found.breaches[:_MOST_BREACHES]
    )
    if not rows:
        return ""
    head = (tr("Broken promise"), tr("Clock"), tr("State"), tr("District"), tr("Crew"))
    return _table(head, rows)


def _table(head: Sequence[str], rows: str, numbers: int = 0) -> str:
    cells = "".join(
        f'<th class="num">{escape(name)}</th>' if 0 < place <= numbers else f"<th>{escape(name)}</th>"
        for place, name in enumerate(head)
    )
    return f'<table class="gg-table"><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>'
