"""HTML of planned interruptions: the form, the list with its steps, and the customers without gas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from urllib.parse import quote

from api.pages.parts import finding_words
from api.pages.parts.export_html import export
from api.pages.parts.html import empty
from api.pages.parts.ticket_html import way
from api.services.format import UNKNOWN, clock_time
from api.services.interruptions import Affected, InterruptionView
from api.text import Texts, mark
from gateway.model.interruption import InterruptionState

STATES = {
    InterruptionState.PLANNED: mark("planned"),
    InterruptionState.STOPPED: mark("supply stopped"),
    InterruptionState.RESTORED: mark("supply restored"),
    InterruptionState.CANCELLED: mark("cancelled"),
}
CHANNELS = {
    "message": mark("message"),
    "poster": mark("poster"),
    "call": mark("telephone"),
    "letter": mark("letter"),
    "press": mark("press"),
}
MOST_CUSTOMERS = 300
"""lines of customers on the page; the file has all"""


def form(tr: Texts, key: str) -> str:
    """Return the form of a planned interruption; another `key` empties it."""

    def field(name: str, label: str, attributes: str, wide: str = "") -> str:
        return f'<label class="{wide}">{escape(label)}<input class="gg-input" name="{name}" {attributes}></label>'

    emergency = escape(tr("Emergency: no notice of 48 hours"))
    return (
        f'<form class="gg-call" data-key="{key}"><fieldset class="first">'
        + field("zones", tr("Zones, with all below them"), 'maxlength="2000" autocomplete="off"')
        + field("assets", tr("Stations, regulators or meters besides"), 'maxlength="2000" autocomplete="off"')
        + field("start", tr("Supply stops"), 'type="datetime-local" required')
        + field("end", tr("Supply is back"), 'type="datetime-local" required')
        + field("reason", tr("Reason"), 'required maxlength="500" autocomplete="off"', "wide")
        + f'<label><span><input type="checkbox" name="emergency" value="1"> {emergency}</span></label>'
        + f'</fieldset><button class="gg-button primary" type="submit">{escape(tr("Announce"))}</button></form>'
    )


def listed(
    views: Sequence[InterruptionView],
    tr: Texts,
    timezone: str,
    now: datetime,
    chosen: str,
    *,
    may_run: bool,
    may_plan: bool,
) -> str:
    """Return the list of interruptions with the steps that this person may record."""
    if not views:
        return f'<div class="gg-empty">{empty(tr("Nothing is planned."))}</div>'
    heads = (tr("Where and why"), tr("From and to"), tr("How it stands"))
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    rows = "".join(
        _row(view, tr, timezone, now, may_run=may_run, may_plan=may_plan, chosen=view.plan.id == chosen)
        for view in views
    )
    return f'<table class="gg-table gg-ordered"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(
    view: InterruptionView, tr: Texts, timezone: str, now: datetime, *, may_run: bool, may_plan: bool, chosen: bool
) -> str:
    plan = view.plan
    ticket = f" · {way(plan.ticket_no)}" if plan.ticket_no else ""
    facts = [tr(STATES[plan.state])]
    facts += [tr("short notice")] if plan.short_notice else []
    facts += [tr("stopped again within 30 days: {zones}", zones=", ".join(view.repeated))] if view.repeated else []
    if plan.state is InterruptionState.STOPPED and plan.hidden_until is not None:
        facts.append(tr("alarms hidden until {time}", time=clock_time(plan.hidden_until, timezone, now)))
    late = plan.overruns_at(now)
    chips = f'<span class="gg-chip bad">{escape(tr("supply is away too long"))}</span>' if late else ""
    chips += f'<span class="gg-chip warn">{escape(tr("tell the customers"))}</span>' if view.notices_due else ""
    steps = []
    if plan.state is InterruptionState.PLANNED:
        steps += [("closed", tr("Supply stopped"))] if may_run else []
        steps += [("cancelled", tr("Cancel"))] if may_plan else []
    elif plan.state is InterruptionState.STOPPED and may_run:
        steps += [("restored", tr("Supply restored"))]
    buttons = "".join(
        f'<button type="button" class="gg-button small" data-step="{step}:{plan.id}">{escape(label)}</button>'
        for step, label in steps
    )
    what = escape(", ".join((*plan.zones, *plan.assets)))
    return (
        f'<tr data-pick="{plan.id}" aria-selected="{str(chosen).lower()}"><td><button type="button" '
        f'class="gg-plain-button"><b>{what}</b></button><small>{escape(plan.id)} · '
        f"{escape(plan.reason)}{ticket}</small></td>"
        f"<td>{clock_time(plan.planned_start, timezone, now)}<small>{clock_time(plan.planned_end, timezone, now)}"
        f"</small></td><td>{escape(' · '.join(facts))} {chips}"
        f'{f"""<div class="gg-choices">{buttons}</div>""" if buttons else ""}</td></tr>'
    )


def told(view: InterruptionView, tr: Texts, timezone: str, now: datetime, *, may_plan: bool) -> str:
    """Return who was told and how, until when they must be, and the form that records it."""
    plan = view.plan
    lines = "".join(
        f"<li><span>{escape(tr(CHANNELS.get(notice.channel, notice.channel)))}</span>"
        f"<span>{notice.customers} · {escape(notice.who)}</span>"
        f"<span>{clock_time(notice.at, timezone, now)}</span></li>"
        for notice in view.notices
    )
    until = tr("{id}: to be told until {time}", id=plan.id, time=clock_time(plan.notice_by, timezone, now))
    if plan.emergency:
        until = tr("{id}: an emergency, told at once", id=plan.id)
    head = f'<p class="gg-dim">{escape(until)}</p>'
    shown = f'<ul class="gg-list-plain">{lines}</ul>' if lines else f"<p>{escape(tr('Nobody was told yet.'))}</p>"
    if not may_plan:
        return f"{head}{shown}"
    options = "".join(f'<option value="{name}">{escape(tr(text))}</option>' for name, text in CHANNELS.items())
    return (
        f'{head}{shown}<form class="gg-search-form" data-key="{plan.id}-{len(view.notices)}">'
        f'<label><span>{escape(tr("Told by"))}</span><select class="gg-input" name="channel">{options}</select></label>'
        f'<label><span>{escape(tr("Customers"))}</span><input class="gg-input" name="customers" inputmode="numeric" '
        f'pattern="[0-9]+" maxlength="8" required></label>'
        f'<button class="gg-button" type="submit">{escape(tr("Record"))}</button>'
        f"{export(tr, 'notices', id=plan.id)}</form>"
    )


def none_chosen(tr: Texts) -> str:
    """Return what stands where the customers would be."""
    return f'<div class="gg-empty">{empty(tr("Nothing is planned."))}</div>'


def customers(found: Sequence[Affected], tr: Texts) -> str:
    """Return the customers without gas, the sensitive first; at most `MOST_CUSTOMERS` lines."""
    if not found:
        return f'<div class="gg-empty">{empty(tr("No customer hangs on it."))}</div>'
    sensitive = sum(one.sensitive for one in found)
    count = tr("{count} customers, {sensitive} of whom depend on supply", count=len(found), sensitive=sensitive)
    heads = (tr("Meter"), tr("Customer"), tr("Address"), tr("Zone"), tr("To be told by"))
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    rows = "".join(_customer(one, tr) for one in found[:MOST_CUSTOMERS])
    more = len(found) - MOST_CUSTOMERS
    rest = (
        f'<p class="gg-count-line gg-dim">{escape(tr("{count} more in the file", count=more))}</p>' if more > 0 else ""
    )
    return (
        f'<p class="gg-count-line">{escape(count)}</p><table class="gg-table tight"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{rest}"
    )


def _customer(one: Affected, tr: Texts) -> str:
    meter = one.meter
    kind = escape(tr(finding_words.CLASSES.get(meter.customer_class, meter.customer_class)) or UNKNOWN)
    shown = f"<b>{kind}</b>" if one.sensitive else kind
    way = tr("poster or call") if one.sensitive else tr("message")
    where = quote(meter.meter_id, safe="")
    return (
        f'<tr><td><a class="gg-plain-link" href="/meters/{where}">{escape(meter.meter_id)}</a></td>'
        f"<td>{shown}</td><td>{escape(meter.address) or UNKNOWN}</td>"
        f'<td class="dim">{escape(meter.zone_id)}</td><td class="dim">{escape(way)}</td></tr>'
    )
