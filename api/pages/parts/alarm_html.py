"""HTML of the page about the alarm system: planned interruptions, hidden alarms, definitions, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from alarms.kpi import Report, Target, targets
from api.pages.parts import words
from api.pages.parts.html import place
from api.services.definitions import Master
from api.services.format import UNKNOWN, clock_time, significant
from api.services.handover import Handover
from api.services.views import AlarmView
from api.text import Texts, mark
from gateway.model.reading import from_us
from gateway.store.definition_rows import DefinitionChange

MEASURES = {
    "announced per 10 minutes": mark("announced per 10 minutes"),
    "announced per hour": mark("announced per hour"),
    "announced per day": mark("announced per day"),
    "share of 10-minute spans with more than 10": mark("share of 10-minute spans with more than 10"),
    "share of time in flood": mark("share of time in flood"),
    "most in 10 minutes": mark("most in 10 minutes"),
    "share of the 10 most frequent": mark("share of the 10 most frequent"),
    "share of priority 1": mark("share of priority 1"),
    "share of priority 2": mark("share of priority 2"),
    "share of priority 3": mark("share of priority 3"),
    "chattering alarms": mark("chattering alarms"),
    "fleeting occurrences": mark("fleeting occurrences"),
    "stale alarms on the worst day": mark("stale alarms on the worst day"),
}
POSITIONS = {"control_room": mark("Control room")}
_MOST = 60


def handover(found: Handover, tr: Texts, timezone: str, now: datetime) -> str:
    """Return what is read at a hand-over."""
    parts = []
    if found.flood is not None:
        begun = clock_time(from_us(found.flood.begin), timezone, now)
        text = tr("Alarm flood since {time}: {count} announced", time=begun, count=found.flood.announced)
        parts.append(f'<p class="gg-warning">{escape(text)}</p>')
    if found.too_many_shelved:
        parts.append(f'<p class="gg-warning">{escape(tr("More than 20 alarms are shelved: review them"))}</p>')
    lists: tuple[tuple[str, Sequence[AlarmView]], ...] = (
        (tr("Out of service"), found.out_of_service),
        (tr("Shelved"), found.shelved),
        (tr("Active for more than 24 hours"), found.stale),
        (tr("Suppressed by design"), found.suppressed),
    )
    for title, views in lists:
        parts.append(f'<div class="gg-section"><span>{escape(title)}</span><span>{len(views)}</span></div>')
        lines = [_hidden_line(view, found, tr, timezone, now) for view in views[:_MOST]]
        parts.append(f'<div class="gg-journal">{"".join(lines)}</div>')
    if found.chattering:
        parts.append(f'<div class="gg-section"><span>{escape(tr("Come and go"))}</span></div>')
        lines = [f"<span>×{count}</span><b>{escape(name)}</b><span></span>" for name, count in found.chattering.items()]
        parts.append(f'<div class="gg-journal">{"".join(lines[:_MOST])}</div>')
    return "".join(parts)


def _hidden_line(view: AlarmView, found: Handover, tr: Texts, timezone: str, now: datetime) -> str:
    alarm = view.alarm
    end, who = UNKNOWN, ""
    if alarm.oos is not None:
        end, who = clock_time(alarm.oos.until, timezone, now), f"{alarm.oos.work_order} · {alarm.oos.interim}"
    elif alarm.shelf is not None:
        end, who = clock_time(alarm.shelf.until, timezone, now), f"{alarm.shelf.by}: {alarm.shelf.reason}"
    elif alarm.sbd:
        who = ", ".join(sorted(alarm.sbd))
    notes = [tr("approve again")] if view.id in found.approve_again else []
    notes += [tr("shelved three times in 7 days")] if view.id in found.review else []
    text = " · ".join([f"{tr(view.definition.title)} · {place(view)}", *notes])
    return f"<span>{end}</span><b>{escape(text)}</b><span>{escape(who)}</span>"


def removals(found: Handover, tr: Texts, timezone: str, now: datetime) -> str:
    """Return what waits for a second person before it leaves service, with the way to decide."""
    rows = [
        f"<tr><td><b>{escape(one.alarm_id)}</b><small>{escape(one.work_order)} · {escape(one.interim)}</small></td>"
        f"<td>{escape(one.by)}<small>{clock_time(one.until, timezone, now)}</small></td>"
        f'<td><div class="gg-choices">{_decide("removal", one.id, tr)}</div></td></tr>'
        for one in found.removals
    ]
    return f'<table class="gg-table gg-ordered"><tbody>{"".join(rows)}</tbody></table>' if rows else ""


def proposals(found: Master, tr: Texts, *, may: bool) -> str:
    """Return the state of the master alarm database, and proposals that wait."""
    count = tr("{count} definitions in force", count=len(found.in_force))
    if not found.running:
        count += f" · {tr('the judging process has not told what it runs')}"
    elif found.differ:
        count += f" · {tr('runs otherwise than approved: {names}', names=', '.join(found.differ))}"
    else:
        count += f" · {tr('runs as approved')}"
    in_force = {one.definition: one for one in found.in_force}
    rows = [_proposal(one, in_force.get(one.definition), tr, may=may) for one in found.waiting]
    table = f'<table class="gg-table gg-ordered"><tbody>{"".join(rows)}</tbody></table>' if rows else ""
    link = f'<a href="/api/v1/alarm-definitions.toml" download>{escape(tr("All as a file"))}</a>'
    return f'<p class="gg-way">{escape(count)} · {link}</p>{table}'


def _proposal(change: DefinitionChange, before: DefinitionChange | None, tr: Texts, *, may: bool) -> str:
    old: Mapping[str, object] = {} if before is None else before.row
    keys = sorted(key for key in change.row.keys() | old.keys() if change.row.get(key) != old.get(key))
    changes = "; ".join(f"{key}: {old.get(key, UNKNOWN)} → {change.row.get(key, UNKNOWN)}" for key in keys)
    buttons = _decide("proposal", change.id, tr) if may else ""
    return (
        f"<tr><td><b>{escape(change.definition)}</b> {escape(changes)}<small>{escape(change.author)}: "
        f'{escape(change.reason)}</small></td><td><div class="gg-choices">{buttons}</div></td></tr>'
    )


def _decide(what: str, number: int, tr: Texts) -> str:
    return (
        f'<button type="button" class="gg-button" data-decide="{what}:agree:{number}">{escape(tr("Agree"))}</button>'
        f'<button type="button" class="gg-button" data-decide="{what}:refuse:{number}">{escape(tr("Refuse"))}</button>'
    )


def reports(found: Mapping[str, Report], tr: Texts) -> str:
    """Return the report of each position, held against the usual figures."""
    return "".join(_report(tr(POSITIONS.get(name, name)), one, tr) for name, one in found.items())


def _report(title: str, found: Report, tr: Texts) -> str:
    rows = "".join(_measure(one, tr) for one in targets(found))
    head = "".join(f"<th>{escape(one)}</th>" for one in (tr("Measure"), tr("Value"), tr("Target"), tr("At most")))
    waits = found.raised_to_acknowledged
    facts = [
        tr("{count} announced in {days} days", count=found.announced, days=len(found.days)),
        tr("{count} floods", count=found.floods),
        tr(
            "acknowledged after {median} s, 99 % within {p99} s",
            median=significant(waits.median),
            p99=significant(waits.p99),
        ),
    ]
    often = "".join(
        f"<span>×{count}</span><b>{escape(name)}</b><span></span>" for name, count in found.frequent if count > 1
    )
    return (
        f'<div class="gg-section"><span>{escape(title)}</span><span>{escape(" · ".join(facts))}</span></div>'
        f'<table class="gg-table tight"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f'<div class="gg-section"><span>{escape(tr("Most frequent"))}</span></div>'
        f'<div class="gg-journal">{often}</div>'
    )


def _measure(one: Target, tr: Texts) -> str:
    share = one.name.startswith("share")
    shown = [_figure(value, share=share) for value in (one.value, one.target)]
    most = UNKNOWN if one.most is None else _figure(one.most, share=share)
    kind = {"fair": "warn", "bad": "bad"}.get(one.verdict, "")
    value = f'<span class="gg-chip {kind}">{shown[0]}</span>' if kind else shown[0]
    return (
        f'<tr><td>{escape(tr(MEASURES.get(one.name, one.name)))}</td><td class="num">{value}</td>'
        f'<td class="num">{shown[1]}</td><td class="num">{most}</td></tr>'
    )


def _figure(value: float, *, share: bool) -> str:
    if share:
        return f"{100 * value:.1f} %"
    return f"{value:.0f}" if value.is_integer() else significant(value)


def refusal(code: str, tr: Texts) -> str:
    """Say why an act on this page was refused."""
    return tr(REFUSALS[code]) if code in REFUSALS else words.refusal(code, tr)


REFUSALS = {"second_person": mark("The second person must be another one.")}
