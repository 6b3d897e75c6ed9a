"""HTML of the report on the alarm system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from alarms.false_alarms import FalseAlarms
from alarms.kpi import Report, Target, targets
from api.services.format import UNKNOWN, significant
from api.text import Texts, mark
from gateway.model.alarm import Definition

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
KINDS = {
    "station": mark("Station"),
    "regulator": mark("Regulator"),
    "meter": mark("Meter"),
    "zone": mark("Zone"),
}
POSITIONS = {"control_room": mark("Control room")}


def reports(
    found: Mapping[str, Report], false: Sequence[FalseAlarms], titles: Mapping[str, Definition], tr: Texts
) -> str:
    """Return the report of each position, held against the usual figures, and what was false."""
    positions = "".join(_report(tr(POSITIONS.get(name, name)), one, tr) for name, one in found.items())
    return positions + false_alarms([one for one in false if one.judged], titles, tr)


def false_alarms(found: Sequence[FalseAlarms], titles: Mapping[str, Definition], tr: Texts) -> str:
    """Return how often alarms were false, by definition and kind of asset; nothing if nobody judged any."""
    if not found:
        return ""
    head = f"<th>{escape(tr('Alarm'))}</th><th>{escape(tr('Where'))}</th>" + "".join(
        f'<th class="num">{escape(one)}</th>' for one in (tr("Announced"), tr("Judged"), tr("False"), tr("Share"))
    )
    rows = "".join(
        f"<tr><td>{escape(tr(titles[one.definition].title) if one.definition in titles else one.definition)}</td>"
        f"<td>{escape(tr(KINDS.get(one.asset_kind, one.asset_kind)))}</td>"
        + "".join(f'<td class="num">{count}</td>' for count in (one.raised, one.judged, one.false))
        + f'<td class="num">{UNKNOWN if one.share is None else _figure(one.share, share=True)}</td></tr>'
        for one in found
    )
    return (
        f'<div class="gg-section"><span>{escape(tr("False alarms"))}</span>'
        f"<span>{escape(tr('as the desk and crews judged'))}</span></div>"
        f'<table class="gg-table gg-sheet"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _report(title: str, found: Report, tr: Texts) -> str:
    rows = "".join(_measure(one, tr) for one in targets(found))
    numbers = (tr("Value"), tr("Target"), tr("At most"))
    head = f"<th>{escape(tr('Measure'))}</th>" + "".join(f'<th class="num">{escape(one)}</th>' for one in numbers)
    waits = found.raised_to_acknowledged
    facts = [
        tr("{count} announced in {days} days", count=found.announced, days=len(found.days)),
        tr("{count} floods", count=found.floods),
        tr("none acknowledged yet")
        if waits.median is None
        else tr(
            "acknowledged after {median} s, 99 % within {p99} s",
            median=significant(waits.median),
            p99=significant(waits.p99),
        ),
    ]
    often = "".join(
        f"<span>×{count}</span><b>{escape(name)}</b><span></span>" for name, count in found.frequent if count > 1
    )
    frequent = (
        f'<div class="gg-section"><span>{escape(tr("Most frequent"))}</span></div><div class="gg-journal">{often}</div>'
    )
    return (
        f'<div class="gg-section"><span>{escape(title)}</span><span>{escape(" · ".join(facts))}</span></div>'
        f'<table class="gg-table gg-sheet"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f"{frequent if often else ''}"
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
