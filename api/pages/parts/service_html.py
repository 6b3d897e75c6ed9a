"""HTML of the month of service to customers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from alarms.service.brief import GOALS, Brief, OnTime
from api.pages.parts import service_words, words
from api.pages.parts.html import empty
from api.pages.parts.table_html import table
from api.pages.parts.ticket_html import way
from api.services.format import UNKNOWN, number
from api.text import Texts, mark

WORK = {
    "reminders": mark("Further calls about an open ticket"),
    "same_caller": mark("Further calls from the same number"),
    "repeated": mark("Faults back within 90 days of the work"),
    "one_visit": mark("Completed with one visit"),
    "untrue": mark("Steps whose moment cannot be true"),
}
INSPECTED = {
    "homes": mark("Homes inspected for safety this year"),
    "others": mark("Other customers inspected for safety twice this year"),
}
UNRECORDED = {
    "calls_answered": mark("Share of calls answered"),
    "third_party_survey": mark("Third-party survey of customers"),
    "first_ignition": mark("Ignition at the first attempt"),
}
_MOST_BREACHES = 200
MOST_OPENED = 300


def month(found: Brief, tr: Texts, name_of: Callable[[str], str]) -> str:
    """Return the figures of a month: promises by clock, district (named by `name_of`) and crew, spans, breaches."""
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
        f'<div class="gg-cards gg-month">{cards}</div>{_clocks(found, tr, name_of)}{_took(found, tr)}'
        f"{_called(found, tr)}{_rest(found, tr)}{_breaches(found, tr, name_of)}"
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
        f'<div class="gg-card{kind}"><h3>{escape(name)}</h3><b class="gg-big">{escape(shown)}</b>'
        f'<p title="{escape(note)}">{escape(note)}</p></div>'
    )


def _clocks(found: Brief, tr: Texts, name_of: Callable[[str], str]) -> str:
    rows = []
    for key, figures in found.by_clock.items():
        wanted, _, clock = key.partition("/")
        name = f"{tr(words.TICKET_CLASSES.get(wanted, wanted))} · {tr(service_words.CLOCKS.get(clock, clock))}"
        rows.append(_line(name, figures, f"clock:{key}", found))
    for group, lines in (("district", found.by_district), ("crew", found.by_crew)):
        rows += [_line(name_of(name), figures, f"{group}:{name}", found) for name, figures in lines.items() if name]
    head = (tr("Promise, district or crew"), tr("Kept"), tr("Late"), tr("Not recorded"), tr("Open"), tr("On time"))
    return table(head, "".join(rows), numbers=5)


def _line(name: str, figures: OnTime, key: str, found: Brief) -> str:
    share = UNKNOWN if figures.share is None else f"{figures.share * 100:.1f} %"
    cells = ("kept", "late", "not_recorded", "open")
    return (
        f"<tr><td>{escape(name)}</td>"
        + "".join(f'<td class="num">{_opens(getattr(figures, cell), f"{key}:{cell}", found)}</td>' for cell in cells)
        + f'<td class="num">{share}</td></tr>'
    )


def _opens(count: int, key: str, found: Brief) -> str:
    """Return a number, with the way to the tickets that it counts where they are known."""
    if not found.opened.get(key):
        return number(count)
    return f'<button type="button" class="gg-link" data-open="{escape(key)}">{number(count)}</button>'


def tickets(found: Sequence[str]) -> str:
    """Return the tickets that a figure counts, each once."""
    every = list(dict.fromkeys(found))
    lines = "".join(f"<li>{way(one)}</li>" for one in every[:MOST_OPENED])
    return f'<ul class="gg-opened">{lines}</ul>'


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


def _rest(found: Brief, tr: Texts) -> str:
    """Return what is counted beside promises: complaints, the work, interruptions of supply, delivery of tickets."""
    lines = [(tr("Complaints"), _opens(found.complaints, "type:complaint:tickets", found), "")]
    lines += [(tr("Steps entered late"), _opens(found.late_entries, "all::late_entries", found), "")]
    lines += [(tr("Tickets opened again"), _opens(found.reopened, "all::reopened", found), "")]
    lines += [*_work(found, tr), *_inspected(found, tr)]
    lines += [(tr(UNRECORDED[name]), escape(tr("not recorded")), "") for name in found.unrecorded]
    if (stops := found.stops) is not None:
        lines += [
            (tr("Interruptions, planned"), number(len(stops.planned)), ""),
            (tr("Interruptions, emergencies"), number(len(stops.emergencies)), ""),
            (tr("Announced later than 48 h before"), number(len(stops.short_notice)), ", ".join(stops.short_notice)),
            (tr("Stopped without notice to customers"), number(len(stops.untold)), ", ".join(stops.untold)),
            (tr("Supply back later than 24 h"), number(len(stops.overrun)), ", ".join(stops.overrun)),
            (tr("Zones stopped twice within 30 days"), number(len(stops.repeated)), ", ".join(stops.repeated)),
        ]
    if (sent := found.delivery) is not None:
        lines += [
            (name, _opens(len(numbers), f"delivery:{field}:tickets", found), "")
            for field, name, numbers in (
                ("retried", tr("Tickets that needed more than one attempt"), sent.retried),
                ("unconfirmed", tr("Tickets never confirmed"), sent.unconfirmed),
                ("dead", tr("Tickets with something given up"), sent.dead),
                ("fallbacks", tr("Tickets that took another way"), sent.fallbacks),
                ("by_phone", tr("Tickets given by telephone"), sent.by_phone),
            )
        ]
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="num">{count}</td><td class="wrap dim">{escape(which)}</td></tr>'
        for name, count, which in lines
    )
    return table((tr("Beside promises"), tr("Count"), tr("Which")), rows, numbers=1)


def _work(found: Brief, tr: Texts) -> list[tuple[str, str, str]]:
    """Return the lines of the work itself; a share stands in the last column, with what it is of."""
    if (work := found.work) is None:
        return []
    shares = {
        "one_visit": _share(work.one_visit_share, len(work.visited), tr),
        "untrue": _share(work.untrue_share, work.replies, tr),
    }
    return [
        (
            tr(title),
            escape(tr("not recorded"))
            if (count := work.count(name)) is None
            else _opens(count, f"work:{name}:tickets", found),
            shares.get(name, ""),
        )
        for name, title in WORK.items()
    ]


def _share(share: float | None, among: int, tr: Texts) -> str:
    return "" if share is None else tr("{share} % of {count}", share=f"{100 * share:.1f}", count=number(among))


def _inspected(found: Brief, tr: Texts) -> list[tuple[str, str, str]]:
    if found.inspected is None:
        return [(tr("Safety inspections of the year"), escape(tr("not recorded")), "")]
    return [
        (
            tr(INSPECTED[group]),
            _opens(one.enough, f"inspected:{group}:tickets", found),
            _share(one.share, one.customers, tr),
        )
        for group, one in found.inspected.items()
    ]


def _breaches(found: Brief, tr: Texts, name_of: Callable[[str], str]) -> str:
    rows = "".join(
        f"<tr><td>{way(one.ticket_no)}</td>"
        f"<td>{escape(tr(service_words.CLOCKS.get(one.clock, one.clock)))}</td>"
        f"<td>{escape(tr(service_words.STANDINGS[one.standing.value]))}</td>"
        f"<td>{escape(name_of(one.district)) or UNKNOWN}</td><td>{escape(one.crew) or UNKNOWN}</td></tr>"
        for one in found.breaches[:_MOST_BREACHES]
    )
    if not rows:
        return ""
    head = (tr("Broken promise"), tr("Clock"), tr("State"), tr("District"), tr("Crew"))
    return table(head, rows)
