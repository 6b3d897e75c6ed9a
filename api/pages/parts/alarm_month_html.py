"""HTML of how alarms were answered, and of what is to be looked at each month."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from alarms.kpi import Spread
from alarms.kpi_answers import Answers
from api.pages.parts import service_words
from api.pages.parts.table_html import table
from api.services.alarm_month import MonthLists
from api.services.format import UNKNOWN, number, percent, significant
from api.text import Texts, mark
from gateway.model.alarm import Definition

HIDDEN = {
    "shelved": mark("shelved"),
    "suppressed": mark("suppressed by design"),
    "out_of_service": mark("out of service"),
}
MOST = 100
"""rows that each list shows; the saved table has all"""
_Names = Callable[[str], str]


def answers(found: Mapping[str, Answers], tr: Texts) -> str:
    """Return how long each step took from raised, and how often instructions were opened, of each position."""
    rows = "".join(_answer(one, tr) for one in found.values())
    head = (tr("From raised"), tr("Count"), tr("Median"), "99 %", tr("Worst"))
    return _section(tr("How alarms were answered"), tr("steps that crews reported; in seconds")) + table(
        head, rows, numbers=4, classes="gg-sheet"
    )


def _answer(one: Answers, tr: Texts) -> str:
    steps = "".join(
        _spread(tr(service_words.STEPS[name]), f"{number(step.count)} / {number(one.tickets)}", step)
        for name, step in one.steps.items()
    )
    opened = tr("no definition leads to an instruction")
    if one.linked:
        opened = f"{number(one.opened)} / {number(one.linked)} · {percent(one.opened / one.linked, 1)} %"
    return steps + _spread(tr("to the instruction opened"), opened, one.raised_to_opened)


def _spread(name: str, count: str, found: Spread) -> str:
    values = "".join(
        f'<td class="num">{UNKNOWN if value is None else significant(value)}</td>'
        for value in (found.median, found.p99, found.worst)
    )
    return f'<tr><td>{escape(name)}</td><td class="num">{escape(count)}</td>{values}</tr>'


def lists(found: MonthLists, titles: Mapping[str, Definition], tr: Texts, name_of: _Names) -> str:
    """Return points without data, alarms that were hidden, and false alarms of a month."""
    return _silent(found, tr, name_of) + _hidden(found, titles, tr, name_of) + _false(found, titles, tr, name_of)


def _silent(found: MonthLists, tr: Texts, name_of: _Names) -> str:
    unread = tr("not known: no gas day of this month was audited yet")
    if found.meters_unread is not None:
        unread = tr("{count} customers' meters gave no reading", count=number(found.meters_unread))
    rows = [
        f'<tr><td>{escape(_named(one.asset, name_of))}</td><td class="num">{number(one.times)}</td>'
        f'<td class="num">{significant(one.hours)}</td></tr>'
        for one in found.silent
    ]
    head = (tr("Asset"), tr("Times"), tr("Hours"))
    return _listed(tr("Points without data"), unread, head, rows, tr)


def _hidden(found: MonthLists, titles: Mapping[str, Definition], tr: Texts, name_of: _Names) -> str:
    rows = [
        f"<tr><td>{escape(alarm_name(one.alarm_id, titles, tr, name_of))}</td>"
        f'<td class="num">{number(one.times)}</td><td class="num">{significant(one.hours)}</td>'
        f"<td>{escape(tr(HIDDEN[one.kind]))}</td></tr>"
        for one in found.hidden
    ]
    head = (tr("Alarm"), tr("Times"), tr("Hours"), tr("Hidden as"))
    return _listed(tr("Alarms that were hidden"), tr("the longest first"), head, rows, tr)


def _false(found: MonthLists, titles: Mapping[str, Definition], tr: Texts, name_of: _Names) -> str:
    rows = [
        f"<tr><td>{escape(alarm_name(one.alarm_id, titles, tr, name_of))}</td>"
        f'<td class="num">{one.occurrence_no}</td><td>{escape(one.who) or UNKNOWN}</td>'
        f'<td class="wrap">{escape(one.reason)}</td></tr>'
        for one in found.false
    ]
    head = (tr("Alarm"), tr("Occurrence"), tr("Said by"), tr("Reason"))
    return _listed(tr("Occurrences that were false"), "", head, rows, tr, numbers=0)


def alarm_name(alarm_id: str, titles: Mapping[str, Definition], tr: Texts, name_of: _Names) -> str:
    """Name an alarm: its title, and its asset."""
    name, _, asset = alarm_id.partition("@")
    title = tr(titles[name].title) if name in titles else name
    return f"{title} · {_named(asset, name_of)}"


def _named(asset: str, name_of: _Names) -> str:
    name = name_of(asset)
    return asset if name == asset else f"{asset} · {name}"


def _listed(title: str, note: str, head: Sequence[str], rows: Sequence[str], tr: Texts, *, numbers: int = 2) -> str:
    if not rows:
        return f'{_section(title, note)}<p class="gg-way">{escape(tr("None in this month."))}</p>'
    left = len(rows) - MOST
    more = (
        f'<p class="gg-way">{escape(tr("{count} more in the saved table", count=number(left)))}</p>' if left > 0 else ""
    )
    return _section(title, note) + table(tuple(head), "".join(rows[:MOST]), numbers=numbers, classes="gg-sheet") + more


def _section(title: str, note: str) -> str:
    return f'<div class="gg-section"><span>{escape(title)}</span><span>{escape(note)}</span></div>'
