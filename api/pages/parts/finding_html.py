"""HTML of one suspected case: facts, explanations, where it is, what people found, and the form for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from api.pages.parts import finding_words, words
from api.services.findings import FindingView, Visit
from api.services.format import UNKNOWN, clock_time, full_time, number, percent, sentence, significant
from api.services.precision import Precision
from api.text import Texts
from gateway.model.finding import FindingKind, InspectionResult
from gateway.model.network import Meter
from gateway.model.ticket import Ticket

MOST_PIPES = 8
MOST_ALTERNATIVES = 6
AFTER = {
    "open": tuple(InspectionResult),
    "confirmed": (InspectionResult.REPAIRED,),
    "meter_fault": (InspectionResult.REPAIRED,),
}
"""what can be said next of a case in each state; of others nothing"""


def facts(view: FindingView, tr: Texts, timezone: str, *, brief: bool = False) -> str:
    """Return since when, how much and how sure; `brief` says also what is suspected of whom, and less of the rest."""
    size = UNKNOWN
    if view.estimate_m3_per_day is not None:
        size = f"{significant(view.estimate_m3_per_day)} {tr('m³/day')}"
        if view.share is not None:
            size += f" · {percent(view.share, 1)} %"
    what = (tr(words.FINDINGS.get(view.kind, view.kind)), view.meter or view.zone)
    sure = (tr("Certainty"), f"{finding_words.certainty(view.score)} %")
    began = (tr("Began about"), full_time(view.onset, timezone)[:10])
    if brief:
        cells = [what, sure, (tr("Size"), size), began]
    else:
        found = (tr("Found"), clock_time(view.detected_at, timezone))
        status = (tr("Status"), finding_words.state(view.status, view.cause, tr))
        cells = [sure, (tr("Size, share of the supply"), size), began, found, status]
    return (
        '<div class="gg-facts">'
        f"{''.join(f'<div><small>{escape(name)}</small>{escape(value)}</div>' for name, value in cells)}</div>"
    )


def alternatives(evidence: Mapping[str, Any], tr: Texts) -> str:
    """Return how likely each explanation is, the likeliest first; nothing if the evidence does not say."""
    shares = finding_words.alternatives(evidence, tr)[:MOST_ALTERNATIVES]
    if not shares:
        return ""
    rows = "".join(
        f'<span>{escape(name)}</span><span class="{"first" if n == 0 else ""}">'
        f'<i style="width:{share * 100:.1f}%"></i></span><span class="gg-dim" style="text-align:right">'
        f"{percent(share, 0)} %</span>"
        for n, (name, share) in enumerate(shares)
    )
    return (
        f'<div class="gg-section" style="margin-bottom:4px">{escape(tr("Explanations compared"))}</div><div '
        f'class="gg-alternatives">{rows}</div>'
    )


def single_facts(evidence: Mapping[str, Any], tr: Texts) -> str:
    """Return the single facts of the evidence, of cases that a few readings prove."""
    rows = finding_words.single_facts(evidence, tr)
    cells = "".join(f"<div><small>{escape(name)}</small>{escape(value)}</div>" for name, value in rows)
    return f'<div class="gg-facts few">{cells}</div>' if cells else ""


def opener(view: FindingView, tr: Texts) -> str:
    """Return the way to the page of a case."""
    label = escape(tr("Open the case"))
    return f'<a class="gg-button" data-open="{view.id}" href="/findings/{view.id}">{label} →</a>'


def title(view: FindingView, tr: Texts) -> str:
    """Return the head of the page of a case, with the way back."""
    name = escape(tr(words.FINDINGS.get(view.kind, view.kind)))
    return (
        f'<a href="/loss">← {escape(tr("Loss"))}</a><h1>{name} · {escape(view.meter or view.zone)}</h1>'
        f'<span class="gg-dim">{escape(view.zone_name)} · {escape(view.zone)} · '
        f"{escape(tr('case {number}', number=view.id))}</span>"
    )


def meter_facts(meter: Meter | None, tr: Texts) -> str:
    """Return what the company's file says of the meter."""
    if meter is None:
        return ""
    cells = (
        (tr("Built as"), tr(finding_words.METER_KINDS.get(meter.kind, meter.kind))),
        (tr("Customer"), tr(finding_words.CLASSES.get(meter.customer_class, meter.customer_class)) or UNKNOWN),
        (tr("Account"), tr(finding_words.ACCOUNTS.get(meter.account, meter.account))),
        (tr("Installed"), meter.installed_on.isoformat()),
        (tr("Largest flow"), f"{number(meter.max_flow_m3h, 1)} m³/h"),
    )
    rows = "".join(f"<div><small>{escape(name)}</small>{escape(value)}</div>" for name, value in cells)
    return f'<div class="gg-facts few">{rows}</div>'


def pipes(evidence: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return candidate pipes with their probability, as the map takes them; the likeliest first."""
    found = evidence.get("location")
    if not isinstance(found, list):
        return []
    known = [
        {"id": str(one["pipe_id"]), "probability": float(one["probability"])}
        for one in found
        if isinstance(one, dict) and "pipe_id" in one and isinstance(one.get("probability"), int | float)
    ]
    return sorted(known, key=lambda one: -float(one["probability"]))


def pipe_list(candidates: Sequence[Mapping[str, Any]], located_by: str, tr: Texts) -> str:
    """Return the likeliest pipes by name, and what they were told by."""
    if not candidates:
        return ""
    shown = " · ".join(f"{escape(one['id'])} {percent(one['probability'], 0)} %" for one in candidates[:MOST_PIPES])
    by = tr(finding_words.LOCATED_BY.get(located_by, located_by))
    note = f'<br><small class="gg-dim">{escape(by)}</small>' if by else ""
    return f'<div class="gg-pipes"><small class="gg-dim">{escape(tr("Likely pipes"))}</small> {shown}{note}</div>'


def form(view: FindingView, tr: Texts) -> str:
    """Return the form for what an inspection found; nothing where nothing is left to say."""
    results = AFTER.get(view.status, ())
    if not results:
        return ""
    choices = "".join(
        f'<label><input type="radio" name="result" value="{result}" required>'
        f"<span>{escape(sentence(tr(finding_words.RESULTS[result])))}</span></label>"
        for result in results
    )
    kinds = "".join(
        f'<option value="{kind}">{escape(tr(words.FINDINGS[kind]))}</option>'
        for kind in FindingKind
        if kind != view.kind
    )
    found = (
        f'<div class="gg-fields"><label>{escape(tr("What it was"))}<select class="gg-input" name="found_kind">'
        f'<option value="">{escape(tr("as suspected"))}</option>{kinds}</select></label>'
        f"<label>{escape(tr('Size'))} <small>{escape(tr('m³/day'))}</small>"
        '<input class="gg-input" name="found_m3_per_day" type="number" min="0" max="10000000" step="any"></label></div>'
    )
    return (
        f'<form class="gg-inspect"><div class="gg-choices" role="radiogroup" '
        f'aria-label="{escape(tr("Inspection found"))}">{choices}</div>{found if view.status == "open" else ""}'
        f'<input class="gg-input" name="note" maxlength="500" placeholder="{escape(tr("What was seen"))}" '
        f'aria-label="{escape(tr("What was seen"))}">'
        f'<button class="gg-button" type="submit">{escape(tr("Record"))}</button></form>'
    )


def sending(view: FindingView, ticket: Ticket | None, tr: Texts, *, may: bool) -> str:
    """Return the ticket that looks into a case, or the button that makes one for whoever may."""
    if ticket is not None:
        state = tr(words.TICKET_STATES.get(ticket.state, ticket.state))
        text = tr("Ticket {number} looks into it: {state}", number=ticket.ticket_no, state=state)
        return f'<p class="gg-sent">{escape(text)}</p>'
    if view.status != "open" or not may:
        return ""
    label = escape(tr("Send somebody to look"))
    return f'<button type="button" class="gg-button" data-send="{view.id}">{label}</button>'


def visits(found: Sequence[Visit], tr: Texts, timezone: str) -> str:
    """Return what people found, oldest first."""
    if not found:
        return f'<p class="gg-dim">{escape(tr("Nobody has been there yet."))}</p>'
    rows = "".join(_visit(visit, tr, timezone) for visit in found)
    return f'<ul class="gg-visits">{rows}</ul>'


def _visit(visit: Visit, tr: Texts, timezone: str) -> str:
    more = [
        tr(words.FINDINGS.get(visit.found_kind, visit.found_kind)) if visit.found_kind else "",
        f"{significant(visit.found_m3_per_day)} {tr('m³/day')}" if visit.found_m3_per_day is not None else "",
        visit.note,
    ]
    detail = " · ".join(part for part in more if part)
    return (
        f"<li><b>{escape(sentence(tr(finding_words.RESULTS.get(visit.result, visit.result))))}</b> "
        f'<span class="gg-dim">{clock_time(visit.at, timezone)} {escape(visit.who)}</span>'
        f"{f'<br>{escape(detail)}' if detail else ''}</li>"
    )


def record(found: Sequence[Precision], kind: str, tr: Texts) -> str:
    """Return how often suspicions of this kind were right so far."""
    mine = next((one for one in found if one.kind == kind and one.looked), None)
    if mine is None:
        return f'<p class="gg-dim">{escape(tr("Of this kind nobody has looked at any case yet."))}</p>'
    return f'<p class="gg-dim">{escape(tr("Right so far"))}: {escape(finding_words.precision(mine, tr))}</p>'


def others(views: Sequence[FindingView], tr: Texts) -> str:
    """Return other cases of the same subject or zone."""
    rows = "".join(
        f'<li><a href="/findings/{view.id}">{escape(tr(words.FINDINGS.get(view.kind, view.kind)))} · '
        f'{escape(view.meter or view.zone)}</a> <span class="gg-dim">{escape(finding_words.certainty(view.score))} % · '
        f"{escape(finding_words.state(view.status, view.cause, tr))}</span></li>"
        for view in views
    )
    return f'<div class="gg-section">{escape(tr("Also here"))}</div><ul class="gg-visits">{rows}</ul>' if rows else ""
