"""HTML of telephone reports and call-backs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from api.pages.parts import service_words
from api.pages.parts.html import empty
from api.pages.parts.table_html import table
from api.pages.parts.ticket_html import way
from api.services.format import UNKNOWN, clock_time
from api.text import Texts
from gateway.store.call_back_rows import CallBack
from gateway.store.call_rows import CallReport


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
        f'<form class="gg-call gg-report" data-number="{escape(number)}"><fieldset class="first">'
        + field("called_at", tr("Taken at, if not just now"), 'type="datetime-local" step="1"')
        + field("number", tr("Number of the caller"), 'required maxlength="40" autocomplete="off"')
        + field("place", tr("Place"), 'required maxlength="120" autocomplete="off"', "wide")
        + choice("what", tr("What"), kinds)
        + field("asset", tr("Meter, zone or station, if known"), 'maxlength="120" autocomplete="off"')
        + "</fieldset><fieldset>"
        + choice("indoors", tr("Indoors or outdoors"), where)
        + choice("valve_closed", tr("Valve closed"), yes_no)
        + choice("ill_persons", tr("Ill persons"), yes_no)
        + field("caller", tr("Name of the caller"), 'maxlength="120" autocomplete="off"')
        + field(
            "reference", tr("Number at the police or the city's hotline"), 'maxlength="120" autocomplete="off"', "half"
        )
        + field("note", tr("Note"), 'maxlength="500" autocomplete="off"', "half")
        + f'</fieldset><button class="gg-button primary" type="submit">{escape(tr("Open the ticket"))}</button></form>'
    )


def calls(rows: Sequence[CallReport], tr: Texts, timezone: str, now: datetime, *, full: bool) -> str:
    """Return the calls taken; number and name of the caller only for those who may take calls (`full`)."""
    if not rows:
        return f'<div class="gg-empty">{empty(tr("No call was taken yet."))}</div>'
    lines = "".join(_call(row, tr, timezone, now, full=full) for row in rows)
    head = (tr("Taken"), tr("What"), tr("Place"), tr("Caller"), tr("Ticket"), tr("Taken by"))
    return table(head, lines)


def _call(row: CallReport, tr: Texts, timezone: str, now: datetime, *, full: bool) -> str:
    call = row.call
    facts = [
        text for said, text in ((call.indoors, tr("indoors")), (call.ill_persons, tr("Ill persons"))) if said is True
    ]
    what = " · ".join([tr(service_words.SAID.get(call.what, call.what)), *facts])
    late = f' <span class="gg-chip">{escape(tr("entered late"))}</span>' if row.late else ""
    joined = f' <span class="gg-chip">{escape(tr("joined"))}</span>' if row.joined else ""
    caller = " · ".join(part for part in (call.number, call.caller) if part) if full else ""
    return (
        f"<tr><td>{clock_time(call.called_at, timezone, now)}{late}</td><td>{escape(what)}</td>"
        f"<td>{escape(call.place)}</td><td>{escape(caller) or UNKNOWN}</td>"
        f"<td>{way(row.ticket_no)}{joined}</td><td>{escape(row.taker)}</td></tr>"
    )


def call_backs(rows: Sequence[CallBack], tr: Texts, timezone: str, now: datetime, *, may: bool) -> str:
    """Return whose customers are to be called."""
    if not rows:
        return f'<div class="gg-empty">{empty(tr("Nobody waits for a call."))}</div>'
    lines = "".join(
        f'<tr><td>{way(one.ticket_no)}</td><td class="num">{len(one.tries)}</td>'
        f"<td>{escape(tr(service_words.LEVELS.get(one.level, one.level)))}</td>"
        f"<td>{escape(one.crew) or UNKNOWN}</td>"
        f'<td><span class="gg-state{" bad" if one.due_at < now else ""}">'
        f"{clock_time(one.due_at, timezone, now)}</span></td>"
        f"<td>{_tries(one, tr) if may else ''}</td></tr>"
        for one in rows
    )
    head = (tr("Ticket"), tr("Tries"), tr("Level"), tr("Crew"), tr("Due"), "")
    return table(head, lines, numbers=1)


def _tries(one: CallBack, tr: Texts) -> str:
    key = escape(f"{one.ticket_no}/{one.level}")
    return (
        f'<button type="button" class="gg-button small" data-reached="{key}">{escape(tr("Reached"))}</button> '
        f'<button type="button" class="gg-button small" data-missed="{key}">{escape(tr("Not reached"))}</button>'
    )


def answers(tr: Texts, marks: Sequence[str]) -> str:
    """Return the form of what a customer said."""
    asked = (
        ("conduct", tr("Conduct")),
        ("attitude", tr("Attitude")),
        ("skill", tr("Skill")),
        ("timeliness", tr("Timeliness")),
    )
    options = "".join(f"<option>{one}</option>" for one in marks)
    fields = "".join(
        f'<label>{escape(name)}<select class="gg-input" name="{key}">{options}</select></label>' for key, name in asked
    )
    return (
        f'<h2>{escape(tr("What the customer said"))}</h2><p class="gg-dim">{escape(tr("5 is best, 1 is worst"))}</p>'
        f'<form class="gg-call"><fieldset class="first">{fields}</fieldset>'
        f'<button class="gg-button primary" type="submit">{escape(tr("Keep"))}</button></form>'
    )
