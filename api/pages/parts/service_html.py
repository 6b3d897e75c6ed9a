"""HTML of the month of service to customers."""

from __future__ import annotations

from html import escape

from alarms.service.brief import GOALS, Brief, OnTime
from api.pages.parts import service_words, words
from api.pages.parts.html import empty
from api.pages.parts.table_html import table
from api.services.format import UNKNOWN, number
from api.text import Texts

_MOST_BREACHES = 200


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
    return table(head, "".join(rows), numbers=5)


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
    return table(head, rows, numbers=4)


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
    return table(head, rows, numbers=5)


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
    return table(head, rows)
